package entraauth_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

func TestVerifyAcceptsBothVersions(t *testing.T) {
	f := newFixture(t, nil)
	for _, version := range []int{1, 2} {
		f.api.AccessTokenVersion = version
		token := f.token()
		id, err := f.verifier.Verify(t.Context(), token)
		if err != nil {
			t.Fatalf("v%d: %v", version, err)
		}
		if id.TenantID() != f.tenant.ID() || id.ObjectID() != f.alice.ObjectID || id.ClientID() != f.client.ClientID {
			t.Errorf("v%d: identity is %v %v %v", version, id.TenantID(), id.ObjectID(), id.ClientID())
		}
		if want := strings.ToLower(f.tenant.ID() + "." + f.alice.ObjectID); id.UserID() != want {
			t.Errorf("v%d: UserID is %q, want %q", version, id.UserID(), want)
		}
		if id.Name() != "alice@contoso.example" || !id.HasScope("access_as_user") || id.HasScope("admin") || id.TokenID() == "" {
			t.Errorf("v%d: name %q, scopes %v, token id %q", version, id.Name(), id.Scopes(), id.TokenID())
		}
		var claims struct {
			Ver string `json:"ver"`
			Exp int64  `json:"exp"`
		}
		if err := id.Claims(&claims); err != nil {
			t.Fatal(err)
		}
		if claims.Ver != fmt.Sprintf("%d.0", version) || claims.Exp != id.ExpiresOn().Unix() {
			t.Errorf("v%d: claims are %+v", version, claims)
		}
		if secret.Reveal(id.Assertion()) != token {
			t.Errorf("v%d: the assertion is not the token", version)
		}
	}
}

func TestVerifyAcceptsEntrasVariants(t *testing.T) {
	f := newFixture(t, func(o *entraauth.Options) {
		o.AppIDURIs = []string{"https://mcp.example.com/mcp", "api://other"}
	})
	for name, change := range map[string]func(h, c map[string]any){
		"unchanged":                   func(_, c map[string]any) { c["aud"] = "https://mcp.example.com/mcp" },
		"audience with slash":         func(_, c map[string]any) { c["aud"] = "https://mcp.example.com/mcp/" },
		"audience is the second URI":  func(_, c map[string]any) { c["aud"] = "api://other" },
		"audience is the app id":      func(_, c map[string]any) { c["aud"] = f.api.ClientID },
		"several scopes":              func(_, c map[string]any) { c["aud"] = f.api.ClientID; c["scp"] = "a access_as_user b" },
		"no typ":                      func(h, c map[string]any) { c["aud"] = f.api.ClientID; delete(h, "typ") },
		"typ at+jwt":                  func(h, c map[string]any) { c["aud"] = f.api.ClientID; h["typ"] = "at+jwt" },
		"idtyp user":                  func(_, c map[string]any) { c["aud"] = f.api.ClientID; c["idtyp"] = "user" },
		"no nbf, no iat":              func(_, c map[string]any) { c["aud"] = f.api.ClientID; delete(c, "nbf"); delete(c, "iat") },
		"expired within the skew":     func(_, c map[string]any) { c["aud"] = f.api.ClientID; c["exp"] = f.clock.Now().Unix() - 59 },
		"begins within the skew":      func(_, c map[string]any) { c["aud"] = f.api.ClientID; c["nbf"] = f.clock.Now().Unix() + 60 },
		"claims that we do not know":  func(_, c map[string]any) { c["aud"] = f.api.ClientID; c["xms_new"] = []any{1, "a", nil, 1.5} },
		"a user with roles and scope": func(_, c map[string]any) { c["aud"] = f.api.ClientID; c["roles"] = []string{"Task.Write"} },
	} {
		if _, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 1, change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func keyIDOf(t testing.TB, token string) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ Kid string }
	if err := json.Unmarshal(data, &h); err != nil {
		t.Fatal(err)
	}
	return h.Kid
}

func TestNewVerifierReportsAllFaults(t *testing.T) {
	_, err := entraauth.NewVerifier("contoso.onmicrosoft.com", "", &entraauth.Options{
		AuthorityHost: "http://login.example", AppIDURIs: []string{"mcp"}, ClockSkew: time.Hour,
		Policy: entraauth.Policy{Scopes: []string{"api://x/access_as_user"}, Clients: []string{"vscode"}},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{"tenant id", "client id", "AuthorityHost", "AppIDURIs", "ClockSkew", "Policy.Scopes", "Policy.Clients"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in: %v", field, err)
		}
	}
}

func TestExplain(t *testing.T) {
	f := newFixture(t, nil)
	r := f.verifier.Explain(t.Context(), f.token())
	for _, c := range r.Checks {
		if c.Result != entraauth.Passed || c.Rule == "" {
			t.Errorf("a good token: %+v", c)
		}
	}
	if !r.Valid || len(r.Checks) < 18 {
		t.Errorf("valid %v, %d checks", r.Valid, len(r.Checks))
	}
	bad := f.tenant.Mint(f.api, 1, func(_, c map[string]any) {
		c["aud"], c["exp"], c["scp"] = "https://graph.microsoft.com", f.clock.Now().Unix()-3600, "x"
	})
	failed := map[string]entraauth.Check{}
	r = f.verifier.Explain(t.Context(), bad)
	for _, c := range r.Checks {
		if c.Result != entraauth.Passed {
			failed[c.Reason] = c
		}
		if strings.Contains(c.Actual+c.Remedy, bad[len(bad)-20:]) {
			t.Errorf("the signature is in %+v", c)
		}
	}
	if r.Valid || len(failed) != 3 || failed["audience_mismatch"].Actual != "https://graph.microsoft.com" || failed["expired"].Actual == "" ||
		failed["scope_missing"].Actual != "x" {
		t.Errorf("valid %v, failed %v", r.Valid, failed)
	}
	if r := f.verifier.Explain(t.Context(), "garbage"); r.Valid || r.Checks[0].Result != entraauth.Failed || r.Checks[1].Result != entraauth.NotReached {
		t.Errorf("garbage: %+v", r)
	}
}

// Without keys nothing can be said of issuer and signature.
func TestExplainWithoutKeys(t *testing.T) {
	f := newTenant(t)
	f.tenant.Fail(entratest.Keys, entratest.Fault{Status: 500})
	f.start(t, nil)
	r := f.verifier.Explain(t.Context(), f.token())
	for _, c := range r.Checks {
		want := entraauth.Passed
		switch c.Rule {
		case "keys":
			want = entraauth.Failed
		case "issuer", "signing key", "key issuer", "signature":
			want = entraauth.NotReached
		}
		if c.Result != want {
			t.Errorf("%+v, want %s", c, want)
		}
	}
	if r.Valid {
		t.Error("valid")
	}
}

// Each refusal has a code, and an operator finds each code in the docs.
func TestReasonsAreDocumented(t *testing.T) {
	docs, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for reason, summary := range entraauth.Reasons() {
		if !strings.Contains(string(docs), "\n### "+reason+"\n\n**"+summary) {
			t.Errorf("docs/troubleshooting.md has no section %q with the text %q", reason, summary)
		}
		if seen[summary] != "" {
			t.Errorf("%s and %s have the same summary", reason, seen[summary])
		}
		seen[summary] = reason
	}
}
