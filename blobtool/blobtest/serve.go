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
	w         http.ResponseWriter
	r         *http.Request
	container string
	blob      string
	operation Operation
	caller    string // object id
}

// serve answers one request and records it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	path, ours := s.resource(r.URL.Path)
	name, blob, _ := strings.Cut(path, "/")
	var operation Operation
	if ours {
		operation = operationOf(r, name, blob)
	}
	x := &exchange{Server: s, w: s.record(w, r, operation), r: r, container: name, blob: blob, operation: operation}
	x.commonHeaders()
	if x.strike() {
		return
	}
	var err error
	if x.caller, err = s.verifier.caller(r); err != nil {
		x.unauthenticated(err)
		return
	}
	if x.checkVersion() && x.checkQuery() && x.checkOperation(ours) && x.checkNames() && x.checkRequest() {
		x.route()
	}
}

// resource returns the part of a path that names container and blob, or false if
// it is of another account.
func (s *Server) resource(path string) (string, bool) {
	path = strings.TrimPrefix(path, "/")
	if s.opts.Account == "" {
		return path, true
	}
	account, rest, _ := strings.Cut(path, "/")
	return rest, account == s.opts.Account
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
	if v := x.r.Header.Get("x-ms-client-request-id"); v != "" && len(v) <= 1024 {
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

// httpTime formats a time as HTTP headers and Azure's listings have it.
func httpTime(t time.Time) string { return t.UTC().Format(http.TimeFormat) }
