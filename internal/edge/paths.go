package edge

import (
	"net/http"
	"path"
	"strings"
)

// Paths serves a few exact paths, each with and without a slash at the end: people and
// clients add one, and a redirect loses the request's body or its token.
type Paths struct {
	handlers map[string]http.Handler
	others   http.Handler
}

// NewPaths returns Paths that leave every other path to a handler.
func NewPaths(others http.Handler) *Paths { return &Paths{map[string]http.Handler{}, others} }

// Handle serves the path; "" is that of a URL without one.
func (p *Paths) Handle(path string, h http.Handler) {
	path = strings.TrimSuffix(path, "/")
	p.handlers[path], p.handlers[path+"/"] = h, h
}

// Page serves the path, without a slash at the end, to those who GET it.
func (p *Paths) Page(path string, h http.HandlerFunc) {
	p.handlers[path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			p.others.ServeHTTP(w, r)
			return
		}
		h(w, r)
	})
}

// ServeHTTP implements [http.Handler]. The handlers see the path as CleanPath returns it.
func (p *Paths) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := p.handlers[r.URL.Path]; h != nil && !hidesSlash(r.URL.RawPath) {
		h.ServeHTTP(w, r)
		return
	}
	p.others.ServeHTTP(w, r)
}

// hidesSlash reports whether a slash is escaped in the path that was sent: it is part
// of a name, as for a ServeMux, and not between two.
func hidesSlash(raw string) bool {
	return raw != "" && (strings.Contains(raw, "%2F") || strings.Contains(raw, "%2f"))
}

// CleanPath changes the request, which is the caller's copy, to the path by which it is
// served. A ServeMux redirects to that: to a place without what a gateway has taken off
// the front, and where some clients don't send the body or the token again.
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

// Rests returns what can be left of a path when segments are taken off its front, as
// gateways and http.StripPrefix do: itself first, and "" last.
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
