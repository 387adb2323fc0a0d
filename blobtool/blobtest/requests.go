package blobtest

import (
	"net/http"
	"net/url"
	"slices"
)

// A Request is what the server remembers of a request: no header but Range, so
// that no token is kept.
type Request struct {
	Method    string
	Path      string // decoded
	Query     url.Values
	Range     string // x-ms-range, else Range
	Status    int
	BytesSent int64 // of the body
}

// Requests returns the requests that have been answered, in that order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// ForgetRequests empties the list that [Server.Requests] returns.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// keptRequests bounds the memory of a server that runs for long, as in a demo.
const keptRequests = 10_000

func (s *Server) record(r *http.Request, w *recorder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= keptRequests {
		s.requests = slices.Delete(s.requests, 0, keptRequests/2)
	}
	s.requests = append(s.requests, Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(),
		Range: rangeHeader(r), Status: w.status, BytesSent: w.sent,
	})
}

// recorder counts what is sent and can break off.
type recorder struct {
	http.ResponseWriter
	status   int
	sent     int64
	cutAfter int64 // 0: never
}

// WriteHeader notes the status.
func (w *recorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes, and breaks the connection off where a fault says so.
func (w *recorder) Write(p []byte) (int, error) {
	cut := w.cutAfter > 0 && w.sent+int64(len(p)) > w.cutAfter
	if cut {
		p = p[:w.cutAfter-w.sent]
	}
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	if cut {
		_ = http.NewResponseController(w.ResponseWriter).Flush() // what was promised before the cut arrives
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
