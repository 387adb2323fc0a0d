package blobtest

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// A Request is a request that the server received. Of its headers only Range is
// kept, so that no token is.
type Request struct {
	Time      time.Time // by the server's clock
	Operation Operation // empty if it is none that is served
	Method    string
	Path      string // decoded
	Query     url.Values
	Range     string // x-ms-range, else Range
	Status    int    // 0 as long as there is no answer
	BytesSent int64  // of the body
}

// Requests returns the last requests, oldest first, at most
// [Options.KeepRequests] of them. A client that has its answer finds its request
// here, complete.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.requests[max(0, len(s.requests)-s.opts.KeepRequests):]
	out := make([]Request, len(kept))
	for i, r := range kept {
		out[i] = *r
	}
	return out
}

// Count returns how many requests of that operation the server has received,
// failed ones too, since it started or [Server.ForgetRequests] was called.
func (s *Server) Count(operation Operation) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[operation]
}

// ForgetRequests forgets the requests that the server has received so far.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.counts = nil, map[Operation]int{}
}

// record remembers a request and returns the writer that completes the record.
func (s *Server) record(w http.ResponseWriter, r *http.Request, operation Operation) *recorder {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= 2*s.opts.KeepRequests { // so that dropping costs little per request
		s.requests = slices.Delete(s.requests, 0, len(s.requests)-s.opts.KeepRequests)
	}
	entry := &Request{
		Time: s.opts.Now(), Operation: operation, Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Range: rangeHeader(r),
	}
	s.requests = append(s.requests, entry)
	s.counts[operation]++
	return &recorder{ResponseWriter: w, mu: &s.mu, entry: entry}
}

// A recorder completes the record of a request: always before the client can
// have read what it records.
type recorder struct {
	http.ResponseWriter
	mu    *sync.Mutex // guards entry
	entry *Request
}

// Unwrap is for [http.ResponseController].
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader records the status.
func (w *recorder) WriteHeader(status int) {
	w.mu.Lock()
	w.entry.Status = status
	w.mu.Unlock()
	w.ResponseWriter.WriteHeader(status)
}

// Write records how much is sent.
func (w *recorder) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.entry.BytesSent += int64(len(p))
	w.mu.Unlock()
	return w.ResponseWriter.Write(p)
}
