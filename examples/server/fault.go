package main

import (
	"fmt"
	"io"
)

// A fault is an error in the configuration. It never shows a secret: values of secret
// variables and lines of the .env file are not in it.
type fault struct {
	where   string // the variable, or file:line
	problem string
	remedy  string
}

func (f fault) String() string {
	return fmt.Sprintf("%s: %s. %s.", f.where, f.problem, f.remedy)
}

// printFaults writes all faults at once, one a line.
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
