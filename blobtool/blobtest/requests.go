package blobtest

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// A Request is a request that the server received. Range is the only header it keeps, so that it
// holds no token.
type Request struct {
	Time      time.Time // by the server's clock
	Operation Operation // empty if it is not supported
	Method    string
	Path      string // decoded
	Query     url.Values
	Range     string // x-ms-range, or else Range
	Status    int    // 0 until it is answered
	BytesSent int64  // of the body
}

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

// An Operation is a kind of request, by its name in Azure's REST reference. See [Fault.Operation]
// and [Request.Operation].
type Operation string

// The supported operations.
const (
	OpListContainers           Operation = "List Containers"
	OpFindBlobsByTags          Operation = "Find Blobs by Tags"
	OpGetContainerProperties   Operation = "Get Container Properties"
	OpListBlobs                Operation = "List Blobs"
	OpFindBlobsByTagsContainer Operation = "Find Blobs by Tags in Container"
	OpGetBlob                  Operation = "Get Blob"
	OpGetBlobProperties        Operation = "Get Blob Properties"
	OpGetBlobTags              Operation = "Get Blob Tags"
)

// operationOf returns a request's operation, or "" if it is not supported.
func operationOf(r *http.Request, container, blob string) Operation {
	q := r.URL.Query()
	get, head, comp := r.Method == http.MethodGet, r.Method == http.MethodHead, q.Get("comp")
	onContainer := q.Get("restype") == "container"
	switch {
	case !get && !head:
	case container == "" && comp == "list" && get:
		return OpListContainers
	case container == "" && comp == "blobs" && get:
		return OpFindBlobsByTags
	case container == "":
	case onContainer && blob == "" && comp == "list" && get:
		return OpListBlobs
	case onContainer && blob == "" && comp == "blobs" && get:
		return OpFindBlobsByTagsContainer
	case onContainer && blob == "" && comp == "":
		return OpGetContainerProperties
	case onContainer || blob == "":
	case comp == "tags" && get:
		return OpGetBlobTags
	case comp == "" && get:
		return OpGetBlob
	case comp == "":
		return OpGetBlobProperties
	}
	return ""
}

// ofTags reports whether the operation reads index tags.
func (o Operation) ofTags() bool {
	return o == OpFindBlobsByTags || o == OpFindBlobsByTagsContainer || o == OpGetBlobTags
}

// rangeHeader returns the requested range. x-ms-range takes precedence.
func rangeHeader(r *http.Request) string {
	if v := r.Header.Get("x-ms-range"); v != "" {
		return v
	}
	return r.Header.Get("Range")
}
