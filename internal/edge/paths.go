package edge

import (
	"net/http"
	"path"
	"strings"
)

// Paths serves a few exact paths, each with and without a trailing slash. People and clients add
// slashes, and a redirect loses the request's body or token.
type Paths struct {
	handlers map[string]http.Handler
	others   http.Handler
}

// NewPaths returns Paths that pass every other path to a handler.
func NewPaths(others http.Handler) *Paths { return &Paths{map[string]http.Handler{}, others} }

// Handle serves the path; "" matches a URL without a path.
func (p *Paths) Handle(path string, h http.Handler) {
	path = strings.TrimSuffix(path, "/")
	p.handlers[path], p.handlers[path+"/"] = h, h
}

// Page serves GET requests for the path, without a trailing slash.
func (p *Paths) Page(path string, h http.HandlerFunc) {
	p.handlers[path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			p.others.ServeHTTP(w, r)
			return
		}
		h(w, r)
	})
}

// ServeHTTP implements [http.Handler]. Handlers see the path as CleanPath leaves it.
func (p *Paths) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := p.handlers[r.URL.Path]; h != nil && !hidesSlash(r.URL.RawPath) {
		h.ServeHTTP(w, r)
		return
	}
	p.others.ServeHTTP(w, r)
}

// hidesSlash reports whether the raw path contains an escaped slash. Like a ServeMux, Paths treats
// that as part of a name, not as a separator.
func hidesSlash(raw string) bool {
	return raw != "" && (strings.Contains(raw, "%2F") || strings.Contains(raw, "%2f"))
}

// CleanPath cleans the path of a request, which must be a copy. A ServeMux would redirect to the
// clean path instead, but a redirect lacks the prefix that a gateway has removed, and some clients
// don't send the body or the token again.
func CleanPath(r *http.Request) {
	clean := r.URL.Path
	if !strings.HasPrefix(clean, "/") {
		clean = "/" + clean
	}
	clean = path.Clean(clean)
	if clean != "/" && strings.HasSuffix(r.URL.Path, "/") {
		if clean == r.URL.Path[:len(r.URL.Path)-1] {
			return
		}
		clean += "/"
	}
	if clean == r.URL.Path {
		return
	}
	u := *r.URL
	u.Path, u.RawPath = clean, ""
	r.URL = &u
}

// Rests returns what can remain of a path when a gateway or http.StripPrefix removes leading
// segments: the path itself first, "" last.
func Rests(path string) []string {
	all := []string{path}
	for path != "" {
		_, rest, found := strings.Cut(path[1:], "/")
		path = ""
		if found {
			path = "/" + rest
		}
		all = append(all, path)
	}
	return all
}
