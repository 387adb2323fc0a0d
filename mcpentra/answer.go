package mcpentra

import (
	"net/http"
	"sync"
)

// An answer is the response to one request. Until its first byte is on its way, a
// refusal that is found out late can still be the answer, with the status and the
// challenge that clients act on: one by the receiving middleware, which has the
// last word, or one by Entra, when a tool acts for the user. What the SDK then
// writes is dropped.
type answer struct {
	http.ResponseWriter
	write func(http.ResponseWriter, *denial) // writes a refusal

	mu    sync.Mutex
	begun bool
	late  *denial
}

// refuse makes the denial the answer, and reports false if it is too late.
func (a *answer) refuse(d *denial) bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.begun {
		return false
	}
	a.late = d
	return true
}

// dropped reports whether what is about to be written is not the answer. The
// first time it writes what is.
func (a *answer) dropped() bool {
	a.mu.Lock()
	first := !a.begun
	a.begun = true
	d := a.late
	a.mu.Unlock()
	if d != nil && first {
		h := a.Header()
		h.Del("Connection")
		h.Del("Content-Type")
		a.write(a.ResponseWriter, d)
	}
	return d != nil
}

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	if !a.dropped() {
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(p []byte) (int, error) {
	if a.dropped() {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
