package blobtest

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
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

// Requests returns the requests in the order of their arrival. A client that has
// its answer finds its request here, complete.
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
	return &recorder{ResponseWriter: w, mu: &s.mu, entry: entry}
}

// recorder counts what is sent, before it is, and can break off.
type recorder struct {
	http.ResponseWriter
	mu       *sync.Mutex // guards entry
	entry    *Request
	sent     int64
	cutAfter int64 // 0: never
}

// WriteHeader notes the status.
func (w *recorder) WriteHeader(status int) {
	w.mu.Lock()
	w.entry.Status = status
	w.mu.Unlock()
	w.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes, and breaks the connection off where a fault says so.
func (w *recorder) Write(p []byte) (int, error) {
	cut := w.cutAfter > 0 && w.sent+int64(len(p)) > w.cutAfter
	if cut {
		p = p[:w.cutAfter-w.sent]
	}
	w.sent += int64(len(p))
	w.mu.Lock()
	w.entry.BytesSent = w.sent
	w.mu.Unlock()
	n, err := w.ResponseWriter.Write(p)
	if cut {
		_ = http.NewResponseController(w.ResponseWriter).Flush() // what was promised before the cut arrives
		panic(http.ErrAbortHandler)
	}
	return n, err
}
