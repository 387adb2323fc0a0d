// Package fault has the errors of blobtool's internal packages: a kind for programs, a text
// for the caller, and a cause for the log.
package fault

import (
	"errors"
	"fmt"
	"regexp"
)

// Kinds of errors, which package blobtool exports under the same names.
var (
	ErrInvalidPath     = errors.New("invalid blob path")
	ErrInvalidArgument = errors.New("invalid argument")
	ErrThrottled       = errors.New("throttled")
	ErrDirectory       = errors.New("is a directory")
	ErrTooLarge        = errors.New("too large")
	ErrUnsupported     = errors.New("not possible for this blob")
)

// ErrBadAnswer is the cause if the storage service contradicts itself.
var ErrBadAnswer = errors.New("unexpected answer")

// Error is an error with a text for the caller. Package blobtool turns it into its own
// Error.
type Error struct {
	Kind  error
	Text  string
	Cause error // for the log, may be nil
}

// New returns an error of that kind without a cause.
func New(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// Error implements error.
func (f *Error) Error() string {
	if f.Cause == nil {
		return fmt.Sprintf("%v: %s", f.Kind, f.Text)
	}
	return fmt.Sprintf("%v: %s: %v", f.Kind, f.Text, f.Cause)
}

// Unwrap returns the kind and the cause.
func (f *Error) Unwrap() []error {
	if f.Cause == nil {
		return []error{f.Kind}
	}
	return []error{f.Kind, f.Cause}
}

// Quote quotes a caller's argument for an error. It shortens long ones, because a model
// reads the text, and hides the signature of a SAS.
func Quote(s string) string {
	const most = 120
	s = signature.ReplaceAllString(s, "sig=…")
	if r := []rune(s); len(r) > most {
		return fmt.Sprintf("%q…", string(r[:most]))
	}
	return fmt.Sprintf("%q", s)
}

// signature is the secret part of a SAS, however it is escaped.
var signature = regexp.MustCompile(`(?i)\bsig(=|%(25)*3d)[^&\s"]*`)

// HasSignature reports whether s contains the signature of a SAS.
func HasSignature(s string) bool { return signature.MatchString(s) }
