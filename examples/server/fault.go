package main

import (
	"fmt"
	"io"
)

// A fault is an error in the configuration. It never contains a secret: it omits the values of
// secret variables and the lines of the .env file.
type fault struct {
	where   string // the variable, or file:line
	problem string
	remedy  string
}

func (f fault) String() string {
	return fmt.Sprintf("%s: %s. %s.", f.where, f.problem, f.remedy)
}

// printFaults prints all faults, one per line.
func printFaults(w io.Writer, faults []fault) {
	noun := "errors"
	if len(faults) == 1 {
		noun = "error"
	}
	_, _ = fmt.Fprintf(w, "The configuration has %d %s:\n", len(faults), noun)
	for _, f := range faults {
		_, _ = fmt.Fprintf(w, "  %s\n", f)
	}
}

// demoFirst is printed when nothing is configured yet.
const demoFirst = `Nothing is configured yet. To see the server at work without a tenant:

  go run ./examples/server -demo

`
