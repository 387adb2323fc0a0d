package obo_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// FuzzAssertion: what a caller sends as its token is refused with a kind, or is
// a user's token with an end.
func FuzzAssertion(f *testing.F) {
	x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, payload := range []string{
		`{"exp":1795521600,"tid":"` + someGUID + `","oid":"` + someGUID + `","scp":"access_as_user"}`,
		`{"exp":1e18,"tid":null,"scp":5,"idtyp":{}}`, `[]`, `null`, ``, `{"exp":-1}`,
	} {
		f.Add("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln")
	}
	f.Add("a.b")
	f.Fuzz(func(t *testing.T, token string) {
		expires, _, err := obo.Inspect(x, token)
		switch {
		case err == nil && expires.Unix() < 0:
			t.Errorf("expires %v, want not before 1970", expires)
		case err != nil && !errors.Is(err, obo.ErrAssertionInvalid):
			t.Errorf("got %v, want ErrAssertionInvalid", err)
		}
	})
}

// FuzzAnswer: whatever the token endpoint answers, the error has a kind, and
// its text holds nothing of the answer but what looks as it should.
func FuzzAnswer(f *testing.F) {
	x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(400, []byte(`{"error":"invalid_grant","error_codes":[65001],"suberror":"consent_required","claims":"{}","trace_id":"x"}`))
	f.Add(200, []byte(`{"token_type":"Bearer","access_token":"x","expires_in":"3600"}`))
	f.Add(503, []byte(`<html>`))
	f.Add(400, []byte(`{"error":"<b>","error_codes":[-1]}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := obo.Answer(x, status, body)
		if e == nil {
			if status != http.StatusOK {
				t.Errorf("status %d gave a token, want an error for all but 200", status)
			}
			return
		}
		if e.Kind == nil || e.Problem == "" || e.AADSTS < 0 {
			t.Errorf("got %+v, want a Kind, a Problem, AADSTS at least 0", e)
		}
		if text := e.Error(); strings.ContainsAny(text, "<>@\n\x00") {
			t.Errorf("text: got %q, want nothing of the answer's markup", text)
		}
	})
}

// FuzzScope: a scope that is allowed belongs to the resource, literally but for the
// case of ASCII letters.
func FuzzScope(f *testing.F) {
	f.Add("https://storage.azure.com/.default")
	f.Add("https://storage.azure.com//.default")
	f.Add("https://storage.azure.com.evil/.default")
	f.Add("HTTPS://Storage.Azure.com/.default")
	f.Fuzz(func(t *testing.T, scope string) {
		r, err := obo.ResourceOf([]string{scope}, []string{"https://storage.azure.com", "api://x/"})
		if err != nil {
			if !errors.Is(err, obo.ErrScopeNotAllowed) {
				t.Errorf("got %v, want ErrScopeNotAllowed", err)
			}
			return
		}
		name := scope[strings.LastIndexByte(scope, '/')+1:]
		asked := strings.ToLower(scope)
		if strings.ContainsFunc(scope, func(c rune) bool { return c > 127 }) ||
			asked != strings.ToLower(strings.TrimSuffix(r, "/")+"/"+name) && asked != strings.ToLower(r+"/"+name) {
			t.Errorf("%q is not a scope of %q", scope, r)
		}
	})
}

// FuzzStored: whatever is in the store, it is a token that we sealed for this
// name, or it is exchanged for.
func FuzzStored(f *testing.F) {
	store := newMemoryStore()
	newExchanger := func(entra http.RoundTripper) *obo.Exchanger {
		x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{
			HTTPClient: &http.Client{Transport: entra}, Store: store, StoreKeys: [][]byte{storeKey(1)},
		})
		if err != nil {
			f.Fatal(err)
		}
		return x
	}
	assertion := obo.NewAssertion(userToken(1))
	get := func(t testing.TB, x *obo.Exchanger) string {
		token, err := x.Credential(assertion).GetToken(t.Context(), storageOptions)
		if err != nil {
			t.Fatal(err)
		}
		return token.Token
	}
	own := get(f, newExchanger(&memoryEntra{}))
	for _, value := range store.values {
		f.Add(value)
		f.Add(value[:len(value)/2])
	}
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, value []byte) {
		store.change(func(string, []byte) []byte { return value })
		entra := &memoryEntra{}
		if got := get(t, newExchanger(entra)); got != own && entra.requests.Load() != 1 {
			t.Errorf("got %q, which nobody has issued", got)
		}
	})
}
