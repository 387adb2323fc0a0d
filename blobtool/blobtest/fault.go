package blobtest

import (
	"net/http"
	"strconv"
	"time"
)

// A Fault is a way to misbehave. The zero Fault is none.
type Fault struct {
	// Times is how many requests meet the fault, 0 for all until it is
	// cleared.
	Times int

	// Skip is how many requests are served well before that.
	Skip int

	// Delay holds the answer back that long, or until the client gives up.
	Delay time.Duration

	// Status, if not 0, is answered instead of serving the request, before
	// the token is looked at.
	Status int

	// Code is Azure's error code that goes with Status, such as "ServerBusy".
	// Empty: neither header nor XML code.
	Code string

	// RetryAfter, if positive, is sent with Status, in seconds rounded up.
	RetryAfter time.Duration

	// Challenge, if set, is sent as WWW-Authenticate with Status: what a
	// hostile endpoint may try.
	Challenge string

	// Body, if set, is sent with Status instead of Azure's XML.
	Body string

	// CutAfter, if positive and Status is 0, breaks the connection off after
	// that many bytes of the body, whose Content-Length promises all of it.
	CutAfter int64
}

// Fail makes the server misbehave from the next request on. It replaces what
// was set before; the zero Fault ends it.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = nil
	if f != (Fault{}) {
		s.fault = &f
	}
}

// nextFault returns the fault that this request meets, or the zero Fault.
func (s *Server) nextFault() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil {
		return Fault{}
	}
	if s.fault.Skip > 0 {
		s.fault.Skip--
		return Fault{}
	}
	f := *s.fault
	if s.fault.Times > 0 {
		if s.fault.Times--; s.fault.Times == 0 {
			s.fault = nil
		}
	}
	return f
}

// misbehave carries out the fault of this request and reports whether it has
// answered it.
func (s *Server) misbehave(w *recorder, r *http.Request) bool {
	f := s.nextFault()
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return true
		}
	}
	w.cutAfter = f.CutAfter
	if f.Status == 0 {
		return false
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
	if f.Challenge != "" {
		w.Header().Set("WWW-Authenticate", f.Challenge)
	}
	if f.Body == "" {
		writeError(w, r, f.Status, f.Code, http.StatusText(f.Status), "")
		return true
	}
	if f.Code != "" {
		w.Header().Set("x-ms-error-code", f.Code)
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body)) // the client may be gone
	return true
}
