package entraauth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

func TestResourceMetadata(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *entraauth.Options) { o.Policy.AnyScope = []string{"admin", "access_as_user"} })
	m, err := f.verifier.ResourceMetadata("https://api.example.com/orders", "Orders & more")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Path(), "/.well-known/oauth-protected-resource/orders"; got != want {
		t.Errorf("Path() = %q, want %q", got, want)
	}
	if got, want := m.URL(), "https://api.example.com/.well-known/oauth-protected-resource/orders"; got != want {
		t.Errorf("URL() = %q, want %q", got, want)
	}
	mux := http.NewServeMux()
	mux.Handle(m.Path(), m)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	body := strings.NewReplacer("{authority}", f.tenant.AuthorityHost(), "{tenant}", f.tenant.ID(), "{api}", f.api.ClientID).Replace(
		`{"resource":"https://api.example.com/orders","authorization_servers":["{authority}/{tenant}/v2.0"],` +
			`"scopes_supported":["api://{api}/admin"],"bearer_methods_supported":["header"],"resource_name":"Orders \u0026 more"}` + "\n")
	for _, row := range []struct {
		method, body string
		status       int
		header       http.Header
	}{
		{"GET", body, 200, http.Header{"Content-Type": {"application/json"}}},
		{"HEAD", "", 200, http.Header{"Content-Type": {"application/json"}}},
		{"OPTIONS", "", 204, http.Header{"Access-Control-Allow-Methods": {"GET, HEAD, OPTIONS"}, "Access-Control-Allow-Headers": {"Authorization, *"}}},
		{"POST", "Method not allowed\n", 405, http.Header{"Allow": {"GET, HEAD, OPTIONS"}}},
	} {
		a := request(t, row.method, server.URL+m.Path(), http.Header{"Origin": {"https://any.example"}})
		if a.status != row.status || a.body != row.body {
			t.Errorf("%s: %d %q, want %d %q", row.method, a.status, a.body, row.status, row.body)
		}
		row.header.Set("Access-Control-Allow-Origin", "*")
		for name := range row.header {
			if got, want := a.header.Get(name), row.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", row.method, name, got, want)
			}
		}
	}
}

// The metadata is where the challenge says, on the resource's own host.
func TestResourceMetadataURL(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for resource, want := range map[string]string{
		"https://api.example.com":       "https://api.example.com/.well-known/oauth-protected-resource",
		"https://api.example.com/a/b":   "https://api.example.com/.well-known/oauth-protected-resource/a/b",
		"http://localhost:8080/mcp":     "http://localhost:8080/.well-known/oauth-protected-resource/mcp",
		"http://[::1]:8080/mcp":         "http://[::1]:8080/.well-known/oauth-protected-resource/mcp",
		"http://127.0.0.1":              "http://127.0.0.1/.well-known/oauth-protected-resource",
		"":                              "",
		"/orders":                       "",
		"http://api.example.com/orders": "",
		"ftp://localhost/orders":        "",
		"https://u:p@api.example.com":   "",
		"HTTPS://api.example.com/a":     "",
		"https://:8080/a":               "",
		"https://api.example.com:/a":    "",
		"https://api.example.com:0/a":   "",
		"https://api.example.com:65536": "",
		"https://bücher.example/a":      "", // a challenge can't name it; xn--bcher-kva.example can be
		"https://b%C3%BCcher.example/a": "",
		"https://api\"example/a":        "",
		"https://api..example.com/a":    "",
		"https://*.example.com/a":       "",
		"https://[fe80::1%25eth0]/a":    "",
		"https://api.example.com/":      "",
		"https://api.example.com/a/":    "",
		"https://api.example.com/a?b=c": "",
		"https://api.example.com/a?":    "",
		"https://api.example.com/a#":    "",
		"https://api.example.com/a//b":  "",
		"https://api.example.com/a/../": "",
		"https://api.example.com/{a}":   "",
		"https://api.example.com/a b":   "",
		"https://api.example.com/a%2Fb": "",
	} {
		m, err := f.verifier.ResourceMetadata(resource, "")
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "resource URL: ") {
				t.Errorf("ResourceMetadata(%q) = %v, want an error about the resource URL", resource, err)
			}
			continue
		}
		if err != nil || m.URL() != want {
			t.Errorf("ResourceMetadata(%q).URL() = %v, %v, want %s", resource, m, err, want)
		}
	}
}
