package mcpentra

import (
	"bytes"
	"net/http"
	"sync"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// primingDelay is how long a priming event is held back. A refusal by Entra takes a
// fraction of it; a client that loses its connection sooner can't resume that call.
const primingDelay = 2 * time.Second

// priming is how the SDK's priming event begins: the id from which a resumable
// stream can be taken up, sent before there is anything to say.
var priming = []byte("event: prime\n")

// An answer is the response to one request. Until its first byte is on its way, a
// refusal that is found out late can still be the answer, with the status and the
// challenge that clients act on: one by the receiving middleware, which has the
// last word, or one by Entra, when a tool acts for the user. What the SDK then
// writes is dropped.
//
// With sessions the SDK would begin each answer at once, with a priming event. That
// is held back until there is more to say, or for primingDelay.
type answer struct {
	mu      sync.Mutex
	w       http.ResponseWriter // nil once the request is over
	r       *http.Request
	begun   bool
	late    func(http.ResponseWriter, *http.Request) // writes the refusal that is the answer
	primer  []byte
	release *time.Timer   // sends primer
	delay   time.Duration // until then
}

// refuse makes the refusal the answer, and reports false if it is too late.
func (a *answer) refuse(write func(http.ResponseWriter, *http.Request)) bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.begun || a.w == nil {
		return false
	}
	a.late = write
	return true
}

// begin sends the refusal, or what was held back. It is called with the lock.
func (a *answer) begin() {
	if a.begun || a.w == nil {
		return
	}
	a.begun = true
	switch {
	case a.late != nil:
		for _, name := range []string{"Connection", "Content-Type", "Mcp-Session-Id"} {
			a.w.Header().Del(name)
		}
		a.late(a.w, withBody(a.r, edge.BodyOf(a.r))) // from its beginning: the id is in it
	case a.primer != nil:
		_, _ = a.w.Write(a.primer) // the next write meets the same fault
		_ = http.NewResponseController(a.w).Flush()
	}
}

// finish ends the answer with its request: nothing is written after it, and what
// the answer holds is let go.
func (a *answer) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.late != nil || a.primer != nil {
		a.begin()
	}
	if a.release != nil {
		a.release.Stop()
	}
	a.w, a.r, a.late, a.primer = nil, nil, nil, nil
}

// Header implements [http.ResponseWriter].
func (a *answer) Header() http.Header {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.w == nil {
		return http.Header{}
	}
	return a.w.Header()
}

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begin()
	if a.w != nil && a.late == nil {
		a.w.WriteHeader(status)
	}
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.w == nil {
		return 0, http.ErrHandlerTimeout
	}
	if !a.begun && a.primer == nil && bytes.HasPrefix(p, priming) {
		a.primer = bytes.Clone(p)
		a.release = time.AfterFunc(a.delay, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.late == nil {
				a.begin()
			}
		})
		return len(p), nil
	}
	a.begin()
	if a.late != nil {
		return len(p), nil
	}
	return a.w.Write(p)
}

// FlushError is for [http.ResponseController]. What is held back stays so.
func (a *answer) FlushError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.begun || a.late != nil || a.w == nil {
		return nil
	}
	return http.NewResponseController(a.w).Flush()
}

// Flush is for those who look for an [http.Flusher].
func (a *answer) Flush() { _ = a.FlushError() }

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.w
}
