package blobtest

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// A Request is a request that the server received. It can be printed: its headers, and so the
// tokens in them, are only in what [Request.Header] returns.
type Request struct {
	Time      time.Time // by the server's clock
	Operation Operation // empty if it is not supported
	Method    string
	Path      string // decoded
	Query     url.Values
	Range     string // x-ms-range, or else Range
	Status    int    // 0 until it is answered
	BytesSent int64  // of the body

	header func() http.Header // a function, so that nothing prints it
}

// Header returns the first value of a header of the request, for a test to compare; it must not be
// printed where it may be a token.
func (r Request) Header(name string) string { return r.header().Get(name) }

// Requests returns the last requests, oldest first, at most [Options.KeepRequests] of them. When a
// client has its response, its request is complete here.
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

// Count returns how many requests with the operation the server has received, including failed
// ones, since it started or [Server.ForgetRequests] was called.
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

// record records a request and returns the writer that completes the record.
func (s *Server) record(w http.ResponseWriter, r *http.Request, operation Operation) *recorder {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= 2*s.opts.KeepRequests { // drop many at once, which costs little per request
		s.requests = slices.Delete(s.requests, 0, len(s.requests)-s.opts.KeepRequests)
	}
	entry := &Request{
		Time: s.opts.Now(), Operation: operation, Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Range: rangeHeader(r),
		header: func() http.Header { return r.Header },
	}
	s.requests = append(s.requests, entry)
	s.counts[operation]++
	return &recorder{ResponseWriter: w, server: s, entry: entry}
}

// A recorder completes a request's record before the client can read the response, and logs it.
type recorder struct {
	http.ResponseWriter
	server  *Server // guards entry
	entry   *Request
	written bool
}

// Unwrap supports [http.ResponseController].
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader records the status.
func (w *recorder) WriteHeader(status int) {
	w.written = true
	w.server.mu.Lock()
	w.entry.Status = status
	w.server.mu.Unlock()
	w.server.opts.Logger.Info("request", "operation", w.entry.Operation, "method", w.entry.Method, "path", w.entry.Path,
		"status", status, "code", w.Header().Get("x-ms-error-code"))
	w.ResponseWriter.WriteHeader(status)
}

// Write records how much was sent.
func (w *recorder) Write(p []byte) (int, error) {
	if !w.written {
		w.WriteHeader(http.StatusOK)
	}
	w.server.mu.Lock()
	w.entry.BytesSent += int64(len(p))
	w.server.mu.Unlock()
	return w.ResponseWriter.Write(p)
}

// rangeHeader returns the requested range. x-ms-range takes precedence.
func rangeHeader(r *http.Request) string {
	if v := r.Header.Get("x-ms-range"); v != "" {
		return v
	}
	return r.Header.Get("Range")
}
