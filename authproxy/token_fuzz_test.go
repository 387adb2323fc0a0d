package authproxy_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzToken: whatever a stranger sends to the token and the revocation endpoint, the answer is an
// OAuth error of the client's: nobody asked Entra, which can't be reached.
func FuzzToken(f *testing.F) {
	p := newOfflineProxy(f)
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
