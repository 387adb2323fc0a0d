package entratest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzTokenRequest sends what strangers may send to the token endpoint: none
// of it gets a token, and each answer is one of Entra's, of bounded length.
func FuzzTokenRequest(f *testing.F) {
	c := newContoso(f)
	path := "/" + c.ID() + "/oauth2/v2.0/token"
	valid := c.Token(c.alice, c.client, c.api)
	f.Add(valid, "https://storage.azure.com//.default openid", "x", "")
	f.Add(valid, "https://storage.azure.com/.default", "", c.Sign(nil, map[string]any{"iss": c.V2Issuer()}))
	f.Add("a.b.c", "/.default", "", c.Sign(nil, map[string]any{"iss": c.api.ClientID}))
	f.Add("eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOlsxXX0.", "openid", "s", "eyJhbGciOiJub25lIn0.e30.")
	form := c.obo()
	form.Set("client_assertion_type", assertionType)
	c.api.AddFederatedCredential(c.V2Issuer(), c.api.ObjectID, exchangeURI)
	f.Fuzz(func(t *testing.T, assertion, scope, secret, clientAssertion string) {
		form.Set("assertion", assertion)
		form.Set("scope", scope)
		form.Set("client_secret", secret)
		form.Set("client_assertion", clientAssertion)
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response := httptest.NewRecorder()
		c.Handler().ServeHTTP(response, request)

		a := answer{status: response.Code, body: response.Body.String()}
		if err := json.Unmarshal(response.Body.Bytes(), &a.json); err != nil {
			t.Fatalf("%d %s: %v", a.status, a.body, err)
		}
		if a.status != http.StatusBadRequest && a.status != http.StatusUnauthorized || a.code() == 0 || len(a.body) > 8000 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// FuzzUserAssertion exchanges what strangers may send instead of a user's
// token, through an app that proves itself rightly.
func FuzzUserAssertion(f *testing.F) {
	c := newContoso(f)
	path := "/" + c.ID() + "/oauth2/v2.0/token"
	valid := c.Token(c.alice, c.client, c.api)
	f.Add(valid, "https://storage.azure.com//.default openid")
	f.Add(valid[:len(valid)-5], "https://storage.azure.com/.default")
	f.Add(c.Sign(map[string]any{"alg": "none"}, map[string]any{"aud": c.api.ClientID}), "api:///x")
	form := c.obo()
	// The last character of a signature has bits that decode to nothing.
	signed := valid[:strings.LastIndexByte(valid, '.')]
	f.Fuzz(func(t *testing.T, assertion, scope string) {
		form.Set("assertion", assertion)
		form.Set("scope", scope)
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response := httptest.NewRecorder()
		c.Handler().ServeHTTP(response, request)
		if response.Code == http.StatusOK && !strings.HasPrefix(assertion, signed) {
			t.Fatalf("exchanged: %s", assertion)
		}
		if response.Code >= http.StatusInternalServerError || response.Code != http.StatusOK && response.Body.Len() > 8000 {
			t.Errorf("%d %s", response.Code, response.Body)
		}
	})
}
