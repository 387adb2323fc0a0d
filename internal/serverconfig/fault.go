package serverconfig

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
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

// quoted is a value in a fault's text.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// aKey is what keys look like, which have no separators.
var aKey = regexp.MustCompile(`[A-Za-z0-9+/_=-]{32,}`)

// withoutSecrets returns the text of a fault without values that may be secrets: people paste them
// into wrong places. Entra's secrets have a tilde.
func withoutSecrets(text string) string {
	return quoted.ReplaceAllStringFunc(text, func(value string) string {
		key := aKey.FindString(value)
		mixed := strings.ToLower(key) != key && strings.ToUpper(key) != key && strings.ContainsAny(key, "0123456789")
		if !strings.Contains(value, "~") && !mixed {
			return value
		}
		return fmt.Sprintf("the value (its %d characters may be a secret and are not shown)", len(value)-2)
	})
}

// ReportFaults prints the faults and hints for a person, or logs them as JSON if that is configured.
func (c Listen) ReportFaults(w io.Writer, faults []Fault, hints []string) {
	if c.LogJSON {
		log := c.Logger(w, slog.LevelInfo)
		for _, f := range faults {
			log.Error("the configuration is wrong", "where", f.Where, "problem", f.Problem, "fix", f.Remedy)
		}
		for _, hint := range hints {
			log.Warn(hint)
		}
		return
	}
	PrintFaults(w, faults)
	for _, hint := range hints {
		_, _ = fmt.Fprintf(w, "  %s\n", hint)
	}
}

// ReportError prints an error for a person, or logs it as JSON with the message if that is configured.
func (c Listen) ReportError(w io.Writer, message string, err error) {
	if c.LogJSON {
		c.Logger(w, slog.LevelInfo).Error(message, "error", err)
		return
	}
	_, _ = fmt.Fprintln(w, err)
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
