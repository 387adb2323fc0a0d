package mcpentra_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// The server below a prefix, in all the ways that people and gateways do it.
func TestMounting(t *testing.T) {
	t.Parallel()
	const resource = "https://mcp.example.com/a/b/mcp"
	w := newWorld(t)
	srv, err := mcpentra.NewServer(resource, w.verifier, mcpentra.WithLogger(w.logger()), mcpentra.WithTools(mcpentra.IdentityTools(w.verifier)))
	must(t, err)
	const wellKnown = "/.well-known/oauth-protected-resource"

	itself := http.NewServeMux()
	itself.Handle("/a/b/mcp", srv)
	itself.Handle(wellKnown+"/a/b/mcp", srv)

	prefix := http.NewServeMux()
	prefix.Handle("/a/", http.StripPrefix("/a", srv))
	prefix.Handle(wellKnown+"/", srv)

	whole := http.NewServeMux()
	whole.Handle("/a/b/mcp", http.StripPrefix("/a/b/mcp", srv))
	whole.Handle(wellKnown+"/a/b/mcp", srv)

	for name, site := range map[string]http.Handler{
		"as the site": srv, "in a mux": itself, "below StripPrefix": prefix, "its whole path stripped": whole,
		// A gateway takes the prefix off every path, and asks us for the metadata by its full one.
		"behind a gateway": http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			r.URL.Path = strings.TrimPrefix(r.URL.Path, "/a/b")
			srv.ServeHTTP(rw, r)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, site)
			good := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
			if status, _, body := do(t, http.MethodPost, base+"/a/b/mcp", listTools, good); status != http.StatusOK || !strings.Contains(body, "secure_ping") {
				t.Errorf("a call: got %d %s, want 200 and secure_ping", status, body)
			}
			// A client that knows nothing but the URL finds its way by the challenge.
			status, header, _ := do(t, http.MethodPost, base+"/a/b/mcp", listTools, nil)
			_, metadata, found := strings.Cut(header.Get("WWW-Authenticate"), `resource_metadata="https://mcp.example.com`)
			metadata, _, closed := strings.Cut(metadata, `"`)
			if status != http.StatusUnauthorized || !found || !closed {
				t.Fatalf("got %d %v, want 401 with resource_metadata", status, header)
			}
			if status, _, body := do(t, http.MethodGet, base+metadata, "", nil); status != http.StatusOK || decode(t, body)["resource"] != resource {
				t.Errorf("%s: got %d %s, want 200, %v", metadata, status, body, resource)
			}
			if status, _, _ := do(t, http.MethodPost, base+"/a/b/mcp/x", listTools, good); status != http.StatusNotFound {
				t.Errorf("below the endpoint: got %d, want 404", status)
			}
		})
	}
}

// A resource without path is the whole site.
func TestResourceWithoutPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv, err := mcpentra.NewServer("https://mcp.example.com", w.verifier, mcpentra.WithTools(mcpentra.IdentityTools(w.verifier)), mcpentra.WithLogger(w.logger()))
	must(t, err)
	base := serve(t, srv)
	for path, want := range map[string]int{"": 200, "/": 200, "/mcp": 404} {
		if status, _, body := do(t, http.MethodPost, base+path, listTools, map[string]string{"Authorization": "Bearer " + w.token(w.alice)}); status != want {
			t.Errorf("%q: got %d %s, want %v", path, status, body, want)
		}
	}
	if status, _, body := do(t, http.MethodGet, base+"/.well-known/oauth-protected-resource", "", nil); status != 200 || decode(t, body)["resource"] != "https://mcp.example.com" {
		t.Errorf("metadata: got %d %s, want 200, https://mcp.example.com", status, body)
	}
}

// Paths that could not be served are refused at the start.
func TestPathsThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, u := range []string{
		"https://h//mcp", "https://h/a/../mcp", "https://h/a b", "https://h/a/{x}", "https://h/ready", "https://h/a/health",
		"https://h/.well-known/x", "https://h/a/.well-known/oauth-protected-resource",
	} {
		if _, err := mcpentra.NewServer(u, w.verifier); err == nil {
			t.Errorf("%q accepted, want an error", u)
		}
	}
	for _, u := range []string{"https://h/mcp/mcp", "https://h/a/b/c/mcp", "https://h/healthy", "https://h/a%20b"} {
		if _, err := mcpentra.NewServer(u, w.verifier); (err == nil) != !strings.Contains(u, "%20") {
			t.Errorf("%q: got %v, want an error for %%20 only", u, err)
		}
	}
	// What has to be escaped is written in two ways, and clients and gateways differ.
	for _, path := range []string{
		"a%09b", "a%0Ab", "a%00b", "caf%C3%A9", "café", "a%3Fb", "a%25b", "a%2Fb", "a%2fb", "a%23b", "%61", "a%7Eb", "a%7B", "a%2E%2E", "a\\b", "a\"b", "a|b", "a^b", "a`b", "a<b>",
	} {
		if _, err := mcpentra.NewServer("https://h/"+path, w.verifier); err == nil || !strings.Contains(err.Error(), "no escape") {
			t.Errorf("%q: got %v, want an error and \"no escape\"", path, err)
		}
	}
	for _, path := range []string{"a-b_c.d~e", "a!b$c&d'e(f)*+,;=:@g", "v1.0/MCP", "a[b]"} { // whatever needs no escape works everywhere
		resource := "https://mcp.example.com/" + path
		srv, err := mcpentra.NewServer(resource, w.verifier, mcpentra.WithLogger(w.logger()))
		must(t, err)
		base := serve(t, srv)
		metadata := "/.well-known/oauth-protected-resource/" + path
		status, header, body := do(t, http.MethodPost, base+"/"+path, "{}", nil)
		if status != http.StatusUnauthorized || !strings.Contains(header.Get("Www-Authenticate"), `resource_metadata="https://mcp.example.com`+metadata+`"`) {
			t.Errorf("%s: got %d %s %s, want 401 with %s", path, status, header.Get("Www-Authenticate"), body, metadata)
		}
		if status, _, body := do(t, http.MethodGet, base+metadata, "", nil); status != http.StatusOK || decode(t, body)["resource"] != resource {
			t.Errorf("%s: metadata: got %d %s, want 200, %v", path, status, body, resource)
		}
	}
}

// Where a consent ends, the browser is sent on to a page that is there, with the
// code gone from its address, whatever stands before the server's path.
func TestConsentLandingUnderEachMounting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv, err := mcpentra.NewServer("https://mcp.example.com/tools/mcp", w.verifier, mcpentra.WithLogger(w.logger()))
	must(t, err)
	itself := http.NewServeMux()
	itself.Handle("/tools/mcp", srv)
	itself.Handle("/consent/done", srv)
	prefix := http.NewServeMux()
	prefix.Handle("/tools/", http.StripPrefix("/tools", srv))
	whole := http.NewServeMux()
	whole.Handle("/tools/mcp/", http.StripPrefix("/tools/mcp", srv))
	for name, site := range map[string]struct {
		handler http.Handler
		path    string
	}{
		"as the site": {srv, "/consent/done"}, "in a mux": {itself, "/consent/done"}, "below StripPrefix": {prefix, "/tools/consent/done"},
		"its whole path stripped": {whole, "/tools/mcp/consent/done"},
		"behind a gateway": {http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			r.URL.Path = strings.TrimPrefix(r.URL.Path, "/front")
			srv.ServeHTTP(rw, r)
		}), "/front/consent/done"},
	} {
		base := serve(t, site.handler)
		for query, want := range map[string]string{
			"?code=secret&state=x": "Done", "?admin_consent=True&tenant=t": "Done", "?error=access_denied&error_description=x&state=y": "Nothing was changed", "": "Done",
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+site.path+query, nil)
			must(t, err)
			resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req) // follows as a browser does
			must(t, err)
			page, err := io.ReadAll(resp.Body)
			must(t, err)
			must(t, resp.Body.Close())
			at := resp.Request.URL
			if resp.StatusCode != http.StatusOK || !strings.Contains(string(page), "<h1>"+want) || at.Path != site.path || strings.Contains(at.RawQuery, "secret") {
				t.Errorf("%s, %q: got %d at %s: %.200s; want 200 and %q at %s", name, query, resp.StatusCode, at, page, want, site.path)
			}
		}
	}
}
