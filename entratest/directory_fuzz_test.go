package entratest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever is sent to the directory is answered, and an application that it takes can be read.
func FuzzDirectory(f *testing.F) {
	for _, body := range []string{
		`{"displayName":"x"}`, `{"api":{"oauth2PermissionScopes":[{"id":"11111111-aaaa-4bbb-8ccc-000000000001","value":"x","type":"User"}]}}`,
		`{"keyCredentials":[{"key":"eA==","type":"AsymmetricX509Cert","usage":"Verify"}]}`, `{"identifierUris":["api://x","https://[::1]"]}`,
		`{"web":{"redirectUris":["http://localhost","%"]}}`, `{"optionalClaims":{"accessToken":[{"name":"idtyp"}]}}`, `[]`, `{"api":null}`,
	} {
		f.Add("PATCH", "", body)
		f.Add("POST", "/addPassword", body)
	}
	f.Add("GET", "?$filter=displayName%20eq%20'x'&$select=id", "")
	f.Add("PATCH", "/federatedIdentityCredentials(name='abc')", `{"issuer":"https://x","subject":"x","audiences":["x"]}`)
	d := newDesk(f)
	path := d.AuthorityHost() + "/v1.0/applications(appId='" + d.api.ClientID + "')"
	f.Fuzz(func(t *testing.T, method, rest, body string) {
		request, err := http.NewRequestWithContext(t.Context(), method, path+rest, strings.NewReader(body))
		if err != nil {
			return
		}
		request.Header.Set("Authorization", "Bearer "+d.token)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Prefer", "create-if-missing")
		response := httptest.NewRecorder()
		d.Handler().ServeHTTP(response, request)
		if response.Code >= http.StatusInternalServerError {
			t.Errorf("%s %s with %q: status %d", method, rest, body, response.Code)
		}
		if a := d.call(t, "GET", "me", nil); a.status != http.StatusOK {
			t.Fatalf("after %s %s with %q: %d %s", method, rest, body, a.status, a.body)
		}
	})
}
