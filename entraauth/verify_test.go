package entraauth_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
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
	if r := f.verifier.Explain(t.Context(), f.token()); !r.Valid || len(r.Checks) < 12 {
		t.Errorf("a good token: %+v", r)
	}
	bad := f.tenant.Mint(f.api, 1, func(_, c map[string]any) {
		c["aud"], c["exp"], c["scp"] = "https://graph.microsoft.com", f.clock.Now().Unix()-3600, "x"
	})
	failed := map[string]string{}
	r := f.verifier.Explain(t.Context(), bad)
	for _, c := range r.Checks {
		if !c.Passed {
			failed[c.Rule] = c.Actual
		}
	}
	if r.Valid || len(failed) != 3 || failed["audience"] != "https://graph.microsoft.com" || failed["expiry"] == "" || failed["scope"] != "x" {
		t.Errorf("valid %v, failed %v", r.Valid, failed)
	}
	if r := f.verifier.Explain(t.Context(), "garbage"); r.Valid || len(r.Checks) != 1 {
		t.Errorf("garbage: %+v", r)
	}
}
