package blobtest

import (
	"net/http"
	"strings"
)

// serve serves one request and records it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	path, ours := s.resource(r.URL.Path)
	name, blob, _ := strings.Cut(path, "/")
	var operation Operation
	if ours {
		operation = operationOf(r, name, blob)
	}
	recorded := s.record(w, r, operation)
	x := &exchange{Server: s, w: recorded, entry: recorded.entry, r: r, container: name, blob: blob, operation: operation, ours: ours}
	x.commonHeaders()
	x.announce()
	x.strike(x.serve)
}

// serve checks the request and answers it.
func (x *exchange) serve() {
	var err error
	if x.caller, err = x.verifier.caller(x.r); err != nil {
		x.unauthenticated(err)
		return
	}
	if x.checkVersion() && x.checkQuery() && x.checkOperation() && x.checkNames() && x.checkRequest() {
		x.route()
	}
}

// resource returns the part of a path with container and blob, or false if the path is for another
// account.
func (s *Server) resource(path string) (string, bool) {
	path = strings.TrimPrefix(path, "/")
	if s.opts.Account == "" {
		return path, true
	}
	account, rest, _ := strings.Cut(path, "/")
	return rest, account == s.opts.Account
}

// route checks the caller's role and then responds. It checks the role before existence, so that
// callers without a role can't find out which blobs exist.
func (x *exchange) route() {
	if !x.allowed(x.caller, x.need()) {
		x.forbidden()
		return
	}
	x.answer()
}
