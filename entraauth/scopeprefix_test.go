package entraauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// Clients send the resource's URL with the scopes that they are told, and Entra compares the two.
func TestScopesHaveTheResourceAsPrefix(t *testing.T) {
	t.Parallel()
	const orders, invoices = "https://api.example.com/orders", "https://api.example.com/invoices"
	const named = "api://orders.example.com"
	for name, row := range map[string]struct {
		uris     []string
		resource string
		prefix   string // {api} stands for the default App ID URI
	}{
		"none given":                   {nil, orders, "{api}"},
		"the resource first":           {[]string{orders, named}, orders, orders},
		"the resource last":            {[]string{named, orders}, orders, orders},
		"the resource alone":           {[]string{orders}, orders, orders},
		"one of two resources":         {[]string{named, orders, invoices}, invoices, invoices},
		"another resource":             {[]string{orders, named}, invoices, named},
		"another resource, and no api": {[]string{orders}, invoices, orders},
		"another spelling":             {[]string{orders, named}, "https://api.example.com/Orders", named},
		"on this machine":              {[]string{orders, named}, "http://localhost:8000/orders", named},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(o *entraauth.Options) { o.AppIDURIs = row.uris })
			prefix := strings.ReplaceAll(row.prefix, "{api}", "api://"+f.api.ClientID)
			m, err := f.verifier.ResourceMetadata(row.resource, "")
			if err != nil {
				t.Fatal(err)
			}
			check := &entraauth.BearerCheck{ResourceMetadata: m.URL(), Policy: entraauth.Policy{Scopes: []string{"admin"}}}
			want := prefix + "/access_as_user " + prefix + "/admin"
			mint := func(claim string, value any) string {
				return f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c[claim] = value })
			}
			s := f.serve(t, check)
			for token, status := range map[string]int{"": 401, mint("aud", "api://other"): 401, f.tenant.Mint(f.api, 2, func(_, c map[string]any) { c["scp"] = "access_as_user" }): 403, f.tenant.IDToken(f.alice, f.api): 401} {
				header := http.Header{}
				if token != "" {
					header = authorization("Bearer " + token)
				}
				a := get(t, s.URL, header)
				challenge := a.header.Get("WWW-Authenticate")
				if a.status != status || scopeOf(challenge) != want {
					t.Errorf("got %d, scope %q; want %d, %q", a.status, scopeOf(challenge), status, want)
				}
				if all := regexp.MustCompile(`\S+/access_as_user`).FindAllString(challenge+" "+a.body, -1); slices.ContainsFunc(all, func(s string) bool { return !strings.HasSuffix(s, prefix+"/access_as_user") }) {
					t.Errorf("a text names a scope with another prefix: %q, want %s/access_as_user", all, prefix)
				}
			}
			var doc struct {
				Scopes []string `json:"scopes_supported"`
			}
			document := httptest.NewRecorder()
			m.ServeHTTP(document, httptest.NewRequest(http.MethodGet, m.Path(), nil))
			if err := json.Unmarshal(document.Body.Bytes(), &doc); err != nil || !slices.Equal(doc.Scopes, []string{prefix + "/access_as_user"}) {
				t.Errorf("scopes_supported %q, %v; want %s/access_as_user", doc.Scopes, err, prefix)
			}
			if got := f.verifier.ScopesFor(row.resource, check.Policy); strings.Join(got, " ") != want {
				t.Errorf("ScopesFor(%s) = %q, want %q", row.resource, got, want)
			}
		})
	}
}

func scopeOf(challenge string) string {
	_, rest, _ := strings.Cut(challenge, `scope="`)
	scope, _, _ := strings.Cut(rest, `"`)
	return scope
}
