package blobtest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// exchange is one request and what its answer needs.
type exchange struct {
	*Server
	w         *recorder
	r         *http.Request
	container string
	blob      string
}

// serve answers one request and records it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	rec := s.record(w, r)
	name, blob, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	x := &exchange{Server: s, w: rec, r: r, container: name, blob: blob}
	x.commonHeaders()
	if s.misbehave(rec, r) {
		return
	}
	caller, err := s.verifier.caller(r)
	if err != nil {
		x.unauthenticated(err)
		return
	}
	x.route(caller)
}

// commonHeaders sets what each answer of the service has.
func (x *exchange) commonHeaders() {
	x.mu.Lock()
	x.serial++
	id := fmt.Sprintf("%08x-001e-0000-0000-%012x", x.serial, x.serial)
	x.mu.Unlock()
	h := x.w.Header()
	h.Set("Server", "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0")
	h.Set("x-ms-request-id", id)
	if v := x.r.Header.Get("x-ms-version"); v != "" {
		h.Set("x-ms-version", v)
	}
	if v := x.r.Header.Get("x-ms-client-request-id"); v != "" {
		h.Set("x-ms-client-request-id", v)
	}
}

// unauthenticated answers 401 with the storage challenge.
func (x *exchange) unauthenticated(cause error) {
	x.w.Header().Set("WWW-Authenticate", x.verifier.challenge())
	if errors.Is(cause, errNoToken) {
		x.fail(http.StatusUnauthorized, "NoAuthenticationInformation",
			"Server failed to authenticate the request. Please refer to the information in the www-authenticate header.", "")
		return
	}
	x.fail(http.StatusUnauthorized, "InvalidAuthenticationInfo",
		"Server failed to authenticate the request. Please refer to the information in the www-authenticate header.", cause.Error())
}

// route tells the operations apart and checks the caller's role: before
// existence, so that a stranger can't find out which blobs there are.
func (x *exchange) route(caller string) {
	q := x.r.URL.Query()
	reading := x.r.Method == http.MethodGet || x.r.Method == http.MethodHead
	onContainer := q.Get("restype") == "container"
	scope := x.blob
	if onContainer {
		scope = q.Get("prefix")
	}
	switch {
	case !reading:
		x.fail(http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.", "")
	case !x.allowed(caller, x.container, scope):
		x.fail(http.StatusForbidden, "AuthorizationPermissionMismatch",
			"This request is not authorized to perform this operation using this permission.", "")
	case onContainer && q.Get("comp") == "list" && x.r.Method == http.MethodGet:
		x.listBlobs()
	case onContainer && q.Get("comp") == "":
		x.containerProperties()
	case x.blob != "" && q.Get("comp") == "" && !onContainer:
		x.readBlob()
	default:
		x.fail(http.StatusBadRequest, "InvalidQueryParameterValue",
			"Value for one of the query parameters specified in the request URI is invalid.", "")
	}
}

// find returns the container and, if the exchange names one, the blob; or
// answers 404 and returns false.
func (x *exchange) find() (*container, *storedBlob, bool) {
	x.mu.Lock()
	c := x.containers[x.container]
	var b *storedBlob
	if c != nil {
		b = c.blobs[x.blob]
	}
	x.mu.Unlock()
	switch {
	case c == nil:
		x.fail(http.StatusNotFound, "ContainerNotFound", "The specified container does not exist.", "")
		return nil, nil, false
	case b == nil && x.blob != "":
		x.fail(http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.", "")
		return nil, nil, false
	}
	return c, b, true
}

// containerProperties answers Get Container Properties.
func (x *exchange) containerProperties() {
	c, _, ok := x.find()
	if !ok {
		return
	}
	h := x.w.Header()
	h.Set("ETag", c.etag)
	h.Set("Last-Modified", httpTime(c.modified))
	h.Set("x-ms-lease-state", "available")
	h.Set("x-ms-lease-status", "unlocked")
	h.Set("x-ms-has-immutability-policy", "false")
	h.Set("x-ms-has-legal-hold", "false")
	x.w.WriteHeader(http.StatusOK)
}

// httpTime formats a time as HTTP headers and Azure's listings have it.
func httpTime(t time.Time) string { return t.UTC().Format(http.TimeFormat) }
