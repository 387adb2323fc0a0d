package edge_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

func TestPaths(t *testing.T) {
	t.Parallel()
	named := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }
	}
	p := edge.NewPaths(named("others"))
	p.Page("/health", named("health"))
	for _, path := range edge.Rests("/tools/mcp") {
		p.Handle(path, named("endpoint"))
	}
	for _, row := range []struct{ method, path, want string }{
		{"POST", "/tools/mcp", "endpoint"},
		{"POST", "/tools/mcp/", "endpoint"},
		{"POST", "/mcp", "endpoint"},
		{"DELETE", "/mcp", "endpoint"},
		{"POST", "/", "endpoint"},
		{"POST", "/%6dcp", "endpoint"},
		{"POST", "/tools/mcp/x", "others"},
		{"POST", "/tools", "others"},
		{"POST", "/MCP", "others"},
		{"POST", "/tools%2fmcp", "others"},
		{"POST", "/tools%2Fmcp", "others"},
		{"POST", "/mcp%2F", "others"},
		// As a ServeMux would redirect it.
		{"POST", "//tools//mcp", "endpoint"},
		{"POST", "/a/../mcp", "endpoint"},
		{"POST", "/tools/./mcp/", "endpoint"},
		{"POST", "/../mcp", "endpoint"},
		{"GET", "/health", "health"},
		{"HEAD", "/health", "health"},
		{"POST", "/health", "others"},
		{"GET", "/health/", "others"},
		{"GET", "/healthy", "others"},
	} {
		r, w := httptest.NewRequest(row.method, "http://h"+row.path, nil), httptest.NewRecorder()
		edge.CleanPath(r)
		p.ServeHTTP(w, r)
		if got := w.Body.String(); got != row.want {
			t.Errorf("%s %s: got %s, want %s", row.method, row.path, got, row.want)
		}
	}
}

func TestCleanPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"": "/", "/": "/", "mcp": "/mcp", "/mcp": "/mcp", "/mcp/": "/mcp/", "//": "/", "/a//b/": "/a/b/", "/../a": "/a", "/a/..": "/", ".": "/"} {
		sent := &url.URL{Path: path, RawPath: path}
		r := &http.Request{URL: sent}
		edge.CleanPath(r)
		if r.URL.Path != want || sent.Path != path || want != path && r.URL.RawPath != "" {
			t.Errorf("CleanPath(%q) = %q (raw %q) and the client's URL is %q; want %q, and the client's as it was", path, r.URL.Path, r.URL.RawPath, sent.Path, want)
		}
	}
}

func TestRests(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]string{"": {""}, "/mcp": {"/mcp", ""}, "/a/b/mcp": {"/a/b/mcp", "/b/mcp", "/mcp", ""}} {
		if got := edge.Rests(path); !slices.Equal(got, want) {
			t.Errorf("Rests(%q) = %q, want %q", path, got, want)
		}
	}
}
