package entratest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzTokenRequest sends arbitrary requests to the token endpoint: none gets a token, and each
// response is one of Entra's errors, of limited length.
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

// FuzzUserAssertion exchanges arbitrary texts instead of a user's token, with a valid client
// secret.
func FuzzUserAssertion(f *testing.F) {
	c := newContoso(f)
	path := "/" + c.ID() + "/oauth2/v2.0/token"
	valid := c.Token(c.alice, c.client, c.api)
	f.Add(valid, "https://storage.azure.com//.default openid")
	f.Add(valid[:len(valid)-5], "https://storage.azure.com/.default")
	f.Add(c.Sign(map[string]any{"alg": "none"}, map[string]any{"aud": c.api.ClientID}), "api:///x")
	form := c.obo()
	// The last character of a signature has bits that are not part of the decoded value.
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

// FuzzAuthorize sends arbitrary requests to the authorize endpoint: it shows a page or redirects
// to a registered address, and never outputs a script from the request.
func FuzzAuthorize(f *testing.F) {
	c := newSignIns(f)
	path := "/" + c.ID() + "/oauth2/v2.0/authorize"
	valid, err := url.Parse(c.authorizeURL())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid.RawQuery)
	f.Add(valid.RawQuery + "&response_mode=form_post&prompt=none")
	f.Add(strings.Replace(valid.RawQuery, "app.example.com", "evil.example.com", 1))
	f.Add(valid.RawQuery + "&login_hint=%3Cscript%3E&claims=%7B%7D&resource=x")
	f.Fuzz(func(t *testing.T, query string) {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		request.URL.RawQuery = query
		response := httptest.NewRecorder()
		c.Handler().ServeHTTP(response, request)
		location := response.Header().Get("Location")
		switch {
		case response.Code == http.StatusFound && !strings.HasPrefix(location, callback+"?") && !strings.HasPrefix(location, callback+"#"):
			t.Errorf("%s sends people to %s", query, location)
		case response.Code != http.StatusFound && response.Code != http.StatusOK && response.Code != http.StatusBadRequest:
			t.Errorf("%d %s", response.Code, response.Body)
		case strings.Contains(response.Body.String(), "<script") && !strings.Contains(response.Body.String(), "hiddenform"):
			t.Errorf("a script: %s", response.Body)
		}
	})
}

// FuzzAgentExchange sends arbitrary values where an agent's tokens and names belong: no request gets
// a token unless both proofs are the tenant's own.
func FuzzAgentExchange(f *testing.F) {
	a := newAgents(f)
	a.Consent(a.agent, a.Storage())
	path := "/" + a.ID() + "/oauth2/v2.0/token"
	first := a.t1(f)
	second := a.token(f, a.alone(first, exchangeScope)).text("access_token")
	signed := func(token string) string { return token[:strings.LastIndexByte(token, '.')] }
	f.Add(first, second, a.user.UserPrincipalName, a.agent.ClientID)
	f.Add(second, first, a.user.ObjectID, "/eid1/c/pub/t/x/a/y/z")
	f.Add("a.b.c", "e30.e30.", "", strings.ToUpper(a.agent.ClientID))
	f.Fuzz(func(t *testing.T, t1, t2, user, fmi string) {
		send := func(form url.Values) (int, string) {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			response := httptest.NewRecorder()
			a.Handler().ServeHTTP(response, request)
			if response.Code >= http.StatusInternalServerError || response.Body.Len() > 16_000 {
				t.Errorf("%d %.1000s", response.Code, response.Body)
			}
			return response.Code, response.Body.String()
		}
		code, body := send(a.asUser(t1, t2, "username", user))
		if code == http.StatusOK && (!strings.HasPrefix(t1, signed(first)) || !strings.HasPrefix(t2, signed(second))) {
			t.Errorf("a token for T1 %.100q and T2 %.100q: %.200s", t1, t2, body)
		}
		form := a.first()
		form.Set("fmi_path", fmi)
		if code, body := send(form); code == http.StatusOK && len(fmi) != 36 {
			t.Errorf("a T1 for the path %q: %.200s", fmi, body)
		}
	})
}
