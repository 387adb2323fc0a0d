package blobtest

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// A Request is a request that the server received. Of its headers only Range is
// kept, so that no token is.
type Request struct {
	Time      time.Time // by the server's clock
	Operation Operation // empty if it is not served
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
	return &recorder{ResponseWriter: w, server: s, entry: entry}
}

// A recorder completes the record of a request, before the client can have read the
// answer, and logs it.
type recorder struct {
	http.ResponseWriter
	server  *Server // guards entry
	entry   *Request
	written bool
}

// Unwrap is for [http.ResponseController].
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

// Write records how much is sent.
func (w *recorder) Write(p []byte) (int, error) {
	if !w.written {
		w.WriteHeader(http.StatusOK)
	}
	w.server.mu.Lock()
	w.entry.BytesSent += int64(len(p))
	w.server.mu.Unlock()
	return w.ResponseWriter.Write(p)
}

// An Operation is a kind of request, by its name in Azure's REST reference. See
// [Fault.Operation] and [Request.Operation].
type Operation string

// The operations that are served.
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

// operationOf returns the operation of a request, or nothing if it is not served.
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

// rangeHeader returns the range that the request asks for; x-ms-range wins.
func rangeHeader(r *http.Request) string {
	if v := r.Header.Get("x-ms-range"); v != "" {
		return v
	}
	return r.Header.Get("Range")
}
