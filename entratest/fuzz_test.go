package entratest_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// The inputs about tokens are short, and say what differs from a valid one: each process of a fuzzer
// has a tenant of its own, with other keys and IDs, and Go minimizes long inputs for a minute each.

// altered returns a token that the tenant signs, with the claims of the valid one and those of a JSON
// object instead; null removes one. Any other text is returned as it is, but after a "." signed, too.
func altered(tenant *entratest.Tenant, valid map[string]any, text string) (token string, claims map[string]any) {
	if payload, ok := strings.CutPrefix(text, "."); ok {
		return tenant.SignPayload(nil, []byte(payload)), nil
	}
	var changes map[string]any
	if json.Unmarshal([]byte(text), &changes) != nil {
		return text, nil
	}
	claims = maps.Clone(valid)
	for name, value := range changes {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	return tenant.Sign(nil, claims), claims
}

// same reports whether the claims are those of the valid token.
func same(claims, valid map[string]any, names ...string) bool {
	for _, name := range names {
		if !reflect.DeepEqual(claims[name], valid[name]) {
			return false
		}
	}
	return true
}

// post sends a form to the tenant's token endpoint.
func post(t *testing.T, tenant *entratest.Tenant, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/"+tenant.ID()+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response := httptest.NewRecorder()
	tenant.Handler().ServeHTTP(response, request)
	if response.Code >= http.StatusInternalServerError || response.Code != http.StatusOK && response.Body.Len() > 8000 {
		t.Errorf("%d %.1000s", response.Code, response.Body)
	}
	return response
}

// FuzzTokenRequest sends arbitrary requests to the token endpoint: none gets a token, and each
// response is one of Entra's errors, of limited length.
func FuzzTokenRequest(f *testing.F) {
	c := newContoso(f)
	c.api.AddFederatedCredential(c.V2Issuer(), c.api.ObjectID, exchangeURI)
	stranger := map[string]any{"iss": c.V2Issuer(), "sub": "nobody", "aud": exchangeURI, "exp": float64(c.clock.Now().Unix() + 600)}
	f.Add("", "https://storage.azure.com//.default openid", "x", "")
	f.Add("", "https://storage.azure.com/.default", "", "{}")
	f.Add("a.b.c", "/.default", "", `{"sub":null,"aud":["x"]}`)
	f.Add("eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOlsxXX0.", "openid", "s", "eyJhbGciOiJub25lIn0.e30.")
	f.Add(".[1]", "", "", ".null")
	form := c.obo()
	valid := form.Get("assertion")
	form.Set("client_assertion_type", assertionType)
	f.Fuzz(func(t *testing.T, assertion, scope, secret, proof string) {
		form.Set("assertion", cmp.Or(assertion, valid))
		form.Set("scope", scope)
		form.Set("client_secret", secret)
		proof, _ = altered(c.Tenant, stranger, proof)
		form.Set("client_assertion", proof)
		response := post(t, c.Tenant, form)
		a := answer{status: response.Code, body: response.Body.String()}
		if err := json.Unmarshal(response.Body.Bytes(), &a.json); err != nil {
			t.Fatalf("%d %s: %v", a.status, a.body, err)
		}
		if a.status != http.StatusBadRequest && a.status != http.StatusUnauthorized || a.code() == 0 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// FuzzUserAssertion exchanges a user's token with other claims, or arbitrary texts, with a valid
// client secret: only a token of this tenant's for the app is exchanged.
func FuzzUserAssertion(f *testing.F) {
	c := newContoso(f)
	f.Add("{}", "https://storage.azure.com//.default openid")
	f.Add(`{"aud":"api://x","scp":null}`, "https://storage.azure.com/.default")
	f.Add(`{"exp":1,"nbf":9e99,"idtyp":"app"}`, "api:///x")
	f.Add("a.b.c", "openid")
	f.Add(".[]", "https://storage.azure.com/.default")
	form := c.obo()
	_, valid := decode(f, form.Get("assertion"))
	f.Fuzz(func(t *testing.T, changes, scope string) {
		assertion, claims := altered(c.Tenant, valid, changes)
		form.Set("assertion", assertion)
		form.Set("scope", scope)
		if post(t, c.Tenant, form).Code == http.StatusOK && !same(claims, valid, "iss", "aud", "tid", "oid") {
			t.Errorf("a token for %q", changes)
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
// a token unless both proofs are the tenant's own, for this agent.
func FuzzAgentExchange(f *testing.F) {
	a := newAgents(f)
	a.Consent(a.agent, a.Storage())
	first := a.t1(f)
	_, validFirst := decode(f, first)
	_, validSecond := decode(f, a.token(f, a.alone(first, exchangeScope)).text("access_token"))
	f.Add("{}", "{}", "", "")
	f.Add(`{"sub":"/x"}`, "{}", "", "/eid1/c")
	f.Add("{}", `{"sub":null,"aud":["x"]}`, "x@y", "AAAAAAAA-1111-1111-1111-111111111111")
	f.Add("a.b.c", "e30.e30.", "", " ")
	f.Add(".[1]", ".null", "", "*")
	f.Fuzz(func(t *testing.T, changes1, changes2, user, path string) {
		if path != "" {
			response := post(t, a.Tenant, a.first("fmi_path", path))
			if response.Code == http.StatusOK && len(path) != 36 {
				t.Errorf("a T1 for the path %q: %.200s", path, response.Body)
			}
			return
		}
		t1, claims1 := altered(a.Tenant, validFirst, changes1)
		t2, claims2 := altered(a.Tenant, validSecond, changes2)
		response := post(t, a.Tenant, a.asUser(t1, t2, "username", cmp.Or(user, a.user.UserPrincipalName)))
		if response.Code == http.StatusOK && (!same(claims1, validFirst, "iss", "sub", "aud") || !same(claims2, validSecond, "iss", "sub", "aud")) {
			t.Errorf("a token for T1 with %q and T2 with %q: %.200s", changes1, changes2, response.Body)
		}
	})
}
