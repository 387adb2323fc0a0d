package authproxy_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// offline is a proxy whose tenant can't be reached.
func offline(t testing.TB) *authproxy.Proxy {
	t.Helper()
	const tenant, api, app = "11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-666666666666", "11111111-2222-3333-4444-777777777777"
	nobody := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent to Entra, want none: nothing here has proof")
		return nil, http.ErrServerClosed
	})}
	v, err := entraauth.NewVerifier(tenant, api, &entraauth.Options{HTTPClient: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, http.ErrServerClosed
	})}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	p, err := authproxy.New("https://mcp.example.com", tenant, app, clientauth.Secret("secret"), [][]byte{testKey}, &authproxy.Options{
		Resources: []string{resource}, Scopes: []string{"api://" + api + "/access_as_user"}, Verifier: v, HTTPClient: nobody,
		Clients: []authproxy.Client{{ID: clientID, Redirects: []string{clientBack}}, {ID: "web", Redirects: []string{clientBack}, Secret: shared}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// FuzzToken: whatever a stranger sends to the token and the revocation endpoint, the answer is an
// OAuth error of the client's, and Entra is not asked.
func FuzzToken(f *testing.F) {
	p := offline(f)
	f.Add("/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {"x"}, "code_verifier": {verifier}}.Encode(), "", "")
	f.Add("/token", refreshForm(strings.Repeat("A", 200)).Encode(), "client_secret=x", "Basic d2ViOng=")
	f.Add("/revoke", "token=eyJ.a.b&client_id="+clientID, "", "Bearer x")
	f.Fuzz(func(t *testing.T, path, body, query, authorization string) {
		if path != "/token" {
			path = "/revoke"
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code == http.StatusOK && path == "/revoke" && w.Body.Len() == 0 { // an unknown token
			return
		}
		if w.Code != http.StatusBadRequest && w.Code != http.StatusUnauthorized && w.Code != http.StatusRequestEntityTooLarge || !strings.HasPrefix(w.Body.String(), `{"error":"`) {
			t.Errorf("%s %q: %d %s, want an error of the client's", path, body, w.Code, w.Body)
		}
	})
}
