package authproxy_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

var update = flag.Bool("update", false, "write the goldens anew")

// golden compares an answer with testdata/name. The replacements are pairs of what is random and
// what stands for it.
func golden(t *testing.T, name, got string, random ...string) {
	t.Helper()
	got = strings.NewReplacer(random...).Replace(got)
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]setup{
		"metadata.json":          {},
		"metadata_path.json":     {path: "/sign/in"},
		"metadata_closed.json":   {options: func(_ *world, o *authproxy.Options) { o.NoRegistration, o.NoDocuments = true, true }},
		"metadata_loopback.json": {plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			b := w.browser(w.alice)
			var paths []string
			for _, document := range []string{"oauth-authorization-server", "openid-configuration"} {
				document = "/.well-known/" + document
				paths = append(paths, document, document+"/", document+s.path, s.path+document, document+"/mcp") // the resource's path
				if s.path != "" {
					paths = append(paths, "/in"+document) // a gateway took a segment
				}
			}
			var first string
			for _, path := range paths {
				p := b.get(w.server.URL + path)
				if p.status != http.StatusOK || p.header.Get("Content-Type") != "application/json" || p.header.Get("Cache-Control") != "public, max-age=3600" ||
					p.header.Get("Access-Control-Allow-Origin") != "*" {
					t.Errorf("%s: status %d, headers %v; want JSON that may be kept for an hour, for every origin", path, p.status, p.header)
				}
				if first == "" {
					first = p.body
				}
				if p.body != first {
					t.Errorf("%s differs from %s", path, paths[0])
				}
				if !w.proxy.Serves(path) {
					t.Errorf("Serves(%q) = false, want true", path)
				}
			}
			var indented strings.Builder
			e := json.NewEncoder(&indented)
			e.SetIndent("", "  ")
			if err := e.Encode(json.RawMessage(first)); err != nil {
				t.Fatal(err)
			}
			golden(t, name, indented.String(), w.server.URL, "ORIGIN", w.tenant.AuthorityHost()+"/"+w.tenant.ID(), "TENANT", w.api.ClientID, "API")
		})
	}
}

func TestMethodsAndCORS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for _, row := range []struct {
		path, method string
		status       int
		allow        string // the header Allow
		shared       bool   // with pages of every origin
	}{
		{"/.well-known/oauth-authorization-server", "GET", 200, "", true},
		{"/.well-known/oauth-authorization-server", "HEAD", 200, "", true},
		{"/.well-known/oauth-authorization-server", "OPTIONS", 204, "", true},
		{"/.well-known/oauth-authorization-server", "POST", 405, "GET, HEAD, OPTIONS", true},
		{"/token", "OPTIONS", 204, "", true},
		{"/token", "POST", 400, "", true},
		{"/token", "GET", 405, "POST, OPTIONS", true},
		{"/token", "HEAD", 405, "POST, OPTIONS", true},
		{"/token", "DELETE", 405, "POST, OPTIONS", true},
		{"/register", "OPTIONS", 204, "", true},
		{"/register", "POST", 400, "", true},
		{"/register", "GET", 405, "POST, OPTIONS", true},
		{"/revoke", "OPTIONS", 204, "", true},
		{"/revoke", "POST", 400, "", true},
		{"/revoke", "PUT", 405, "POST, OPTIONS", true},
		{"/authorize", "GET", 400, "", false},
		{"/authorize/", "GET", 400, "", false},
		{"/authorize", "HEAD", 405, "GET", false},
		{"/authorize", "POST", 405, "GET", false},
		{"/authorize", "OPTIONS", 405, "GET", false},
		{"/consent", "GET", 405, "POST", false},
		{"/consent", "HEAD", 405, "POST", false},
		{"/consent", "OPTIONS", 405, "POST", false},
		{"/oauth/callback", "GET", 400, "", false},
		{"/oauth/callback", "HEAD", 405, "GET", false},
		{"/oauth/callback", "POST", 405, "GET", false},
		{"/", "GET", 404, "", false},
		{"/authorize/x", "GET", 404, "", false},
		{"/oauth%2Fcallback", "GET", 404, "", false},
		{"//token", "POST", 404, "", false},
	} {
		b := w.browser(w.alice)
		b.header.Set("Origin", "https://app.example")
		b.header.Set("Access-Control-Request-Method", "POST")
		p := b.do(row.method, w.server.URL+row.path, nil)
		name := row.method + " " + row.path
		if p.status != row.status || p.header.Get("Allow") != row.allow {
			t.Errorf("%s: status %d, Allow %q; want %d, %q", name, p.status, p.header.Get("Allow"), row.status, row.allow)
		}
		want := map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "WWW-Authenticate, Retry-After"}
		if row.status == 204 {
			want["Access-Control-Allow-Methods"], want["Access-Control-Allow-Headers"] = "GET, POST", "Authorization, Content-Type, MCP-Protocol-Version"
		}
		if !row.shared {
			want = map[string]string{"Access-Control-Allow-Origin": "", "Access-Control-Expose-Headers": ""}
		}
		want["Access-Control-Allow-Credentials"] = ""
		for header, value := range want {
			if got := p.header.Get(header); got != value {
				t.Errorf("%s: %s is %q, want %q", name, header, got, value)
			}
		}
		if p.header.Get("Set-Cookie") != "" {
			t.Errorf("%s sets a cookie, want none", name)
		}
		if row.shared && row.path != "/.well-known/oauth-authorization-server" && p.status >= 400 && p.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control is %q, want no-store", name, p.header.Get("Cache-Control"))
		}
	}
}

func TestServes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{path: "/sign/in", options: func(_ *world, o *authproxy.Options) { o.NoRegistration = true }})
	for path, want := range map[string]bool{
		"/sign/in/authorize": true, "/in/authorize": true, "/authorize": true, "/sign/in/oauth/callback": true, "/token": true,
		"/sign/authorize": false, "/callback": false, "": false, "/": false, "/mcp": false, "/register": false,
		"/.well-known/oauth-protected-resource": false, "/.well-known/openid-configuration/sign/in": true,
	} {
		if got := w.proxy.Serves(path); got != want {
			t.Errorf("Serves(%q) = %t, want %t", path, got, want)
		}
	}
}
