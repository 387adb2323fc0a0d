package serverconfig

import (
	"fmt"
	"io"
)

// A Fault is an error in the configuration. It never contains a secret: it omits the values of
// secret variables and the lines of the .env file.
type Fault struct {
	Where   string // the variable, or file:line
	Problem string
	Remedy  string
}

func (f Fault) String() string {
	return fmt.Sprintf("%s: %s. %s.", f.Where, f.Problem, f.Remedy)
}

// PrintFaults prints all faults, one per line.
func PrintFaults(w io.Writer, faults []Fault) {
	noun := "errors"
	if len(faults) == 1 {
		noun = "error"
	}
	_, _ = fmt.Fprintf(w, "The configuration has %d %s:\n", len(faults), noun)
	for _, f := range faults {
		_, _ = fmt.Fprintf(w, "  %s\n", f)
	}
}
