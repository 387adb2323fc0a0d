package blobtest

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A Fault is a way to misbehave. The zero Fault is none. What Azure does under
// load and behind a firewall is
//
//	Fault{Status: 503, Code: "ServerBusy", RetryAfter: 10 * time.Second}
//	Fault{Status: 429, Code: "TooManyRequests"}
//	Fault{Status: 403, Code: "AuthorizationFailure"}
type Fault struct {
	// Operation, if set, limits the fault to requests of that kind.
	Operation Operation

	// Blob, if set, limits the fault to requests for the blob of that name.
	Blob string

	// Times is how many requests meet the fault, 0 for all until it is
	// cleared.
	Times int

	// Skip is how many requests are served well before that.
	Skip int

	// Delay holds the answer back that long, or until the client gives up.
	// Alone, it is the latency of a network.
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

	// StallAfter, if positive and Status is 0, sends that many bytes of the
	// body and then nothing, until the client gives up.
	StallAfter int64

	// Trickle, if positive and Status is 0, is how long the server rests
	// before each KiB of the body.
	Trickle time.Duration
}

// Fail makes the server misbehave from the next request on: a request meets the
// first of the faults that is for it. It replaces what was set before; none, or
// the zero Fault, ends it.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	for _, f := range faults {
		if f != (Fault{}) {
			s.faults = append(s.faults, &f)
		}
	}
}

// nextFault returns the fault that this request meets, or the zero Fault.
func (x *exchange) nextFault() Fault {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, f := range x.faults {
		if f.Operation != "" && f.Operation != x.operation || f.Blob != "" && f.Blob != x.blob {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		met := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				x.faults = slices.Delete(x.faults, i, i+1)
			}
		}
		return met
	}
	return Fault{}
}

// misbehave carries out the fault of this request and reports whether it has
// answered it.
func (x *exchange) misbehave() bool {
	f := x.nextFault()
	if f.Delay > 0 && !sleep(x.r, f.Delay) {
		return true
	}
	x.w.fault = f
	if f.Status == 0 {
		return false
	}
	h := x.w.Header()
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
	if f.Challenge != "" {
		h.Set("WWW-Authenticate", f.Challenge)
	}
	if f.Body == "" {
		writeError(x.w, x.r, f.Status, errorBody{Code: f.Code, Message: http.StatusText(f.Status)})
		return true
	}
	if f.Code != "" {
		h.Set("x-ms-error-code", f.Code)
	}
	x.w.WriteHeader(f.Status)
	_, _ = x.w.Write([]byte(f.Body)) // the client may be gone
	return true
}

// sleep rests that long; it returns false at once if the client gives up.
func sleep(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
