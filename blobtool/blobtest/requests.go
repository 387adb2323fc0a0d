package blobtest

import (
	"net/http"
	"net/url"
	"slices"
)

// A Request is what the server remembers of a request: no header but Range, so
// that no token is kept.
type Request struct {
	Operation Operation // empty if it is none that is served
	Method    string
	Path      string // decoded
	Query     url.Values
	Range     string // x-ms-range, else Range
	Status    int    // 0 as long as there is no answer
	BytesSent int64  // of the body
}

// Requests returns the requests in the order of their arrival: the last 5,000 at
// least, and at most 10,000. A client that has its answer finds its request here,
// complete.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Request, len(s.requests))
	for i, r := range s.requests {
		out[i] = *r
	}
	return out
}

// ForgetRequests empties the list that [Server.Requests] returns.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// keptRequests bounds the memory of a server that runs for long, as in a demo.
const keptRequests = 10_000

// record remembers a request and returns the writer that completes the record.
func (s *Server) record(w http.ResponseWriter, r *http.Request, operation Operation) *recorder {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= keptRequests {
		s.requests = slices.Delete(s.requests, 0, keptRequests/2)
	}
	entry := &Request{Operation: operation, Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Range: rangeHeader(r)}
	s.requests = append(s.requests, entry)
	return &recorder{ResponseWriter: w, r: r, mu: &s.mu, entry: entry}
}
