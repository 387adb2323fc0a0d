package entraauth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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

// refusal is a change to a good token, and what must come of it.
type refusal struct {
	name    string
	version int
	change  func(f *fixture, header, claims map[string]any)
	kind    error
	rule    string
	summary string
}

func claim(name string, value any) func(*fixture, map[string]any, map[string]any) {
	return func(_ *fixture, _, c map[string]any) {
		if value == nil {
			delete(c, name)
			return
		}
		c[name] = value
	}
}

func head(name string, value any) func(*fixture, map[string]any, map[string]any) {
	return func(_ *fixture, h, _ map[string]any) {
		if value == nil {
			delete(h, name)
			return
		}
		h[name] = value
	}
}

func at(name string, offset time.Duration) func(*fixture, map[string]any, map[string]any) {
	return func(f *fixture, _, c map[string]any) { c[name] = f.clock.Now().Add(offset).Unix() }
}

const otherTenant = "11111111-2222-3333-4444-555555555555"

var refusals = []refusal{
	{"alg none", 1, head("alg", "none"), entraauth.ErrInvalidToken, "algorithm", "Signature algorithm not accepted"},
	{"HS256 with the public key", 1, head("alg", "HS256"), entraauth.ErrInvalidToken, "algorithm", "Signature algorithm not accepted"},
	{"RS512", 1, head("alg", "RS512"), entraauth.ErrInvalidToken, "algorithm", "Signature algorithm not accepted"},
	{"no kid", 1, head("kid", nil), entraauth.ErrInvalidToken, "key id", "Key id missing"},
	{"long kid", 1, head("kid", strings.Repeat("k", 257)), entraauth.ErrInvalidToken, "key id", "Key id missing"},
	{"unknown kid", 1, head("kid", "nobody"), entraauth.ErrInvalidToken, "signing key", "Signing key not found"},
	{"crit", 1, head("crit", []string{"exp"}), entraauth.ErrInvalidToken, "type", "Header extension not understood"},
	{"Graph's nonce", 1, head("nonce", "x"), entraauth.ErrInvalidToken, "type", "Token is for another API"},
	{"typ of something else", 1, head("typ", "logout+jwt"), entraauth.ErrInvalidToken, "type", "Token type not accepted"},
	{"kid is a number", 1, head("kid", 7), entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},
	{"Kid", 1, head("Kid", "x"), entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},

	{"another tenant's issuer", 1, claim("iss", "https://sts.windows.net/"+otherTenant+"/"), entraauth.ErrInvalidToken, "issuer", "Issuer validation failed"},
	{"issuer without slash", 1, func(_ *fixture, _, c map[string]any) { c["iss"] = strings.TrimSuffix(c["iss"].(string), "/") }, entraauth.ErrInvalidToken, "issuer", "Issuer validation failed"},
	{"v2 issuer in a v1 token", 1, func(f *fixture, _, c map[string]any) { c["iss"] = f.tenant.V2Issuer() }, entraauth.ErrInvalidToken, "issuer", "Issuer validation failed"},
	{"v1 issuer in a v2 token", 2, func(f *fixture, _, c map[string]any) { c["iss"] = f.tenant.V1Issuer() }, entraauth.ErrInvalidToken, "issuer", "Issuer validation failed"},
	{"no issuer", 1, claim("iss", nil), entraauth.ErrInvalidToken, "issuer", "Issuer validation failed"},
	{"template issuer", 2, claim("iss", "https://login.microsoftonline.com/{tenantid}/v2.0"), entraauth.ErrInvalidToken, "issuer", "Issuer validation failed"},
	{"another tenant's tid", 1, claim("tid", otherTenant), entraauth.ErrInvalidToken, "tenant", "Tenant validation failed"},
	{"no tid", 1, claim("tid", nil), entraauth.ErrInvalidToken, "tenant", "Tenant validation failed"},
	{"Graph's audience", 1, claim("aud", "https://graph.microsoft.com"), entraauth.ErrInvalidToken, "audience", "Audience validation failed"},
	{"audience with a path", 1, func(f *fixture, _, c map[string]any) { c["aud"] = "api://" + f.api.ClientID + "/x" }, entraauth.ErrInvalidToken, "audience", "Audience validation failed"},
	{"App ID URI in a v2 token", 2, func(f *fixture, _, c map[string]any) { c["aud"] = "api://" + f.api.ClientID }, entraauth.ErrInvalidToken, "audience", "Audience validation failed"},
	{"no audience", 1, claim("aud", nil), entraauth.ErrInvalidToken, "audience", "Audience validation failed"},
	{"audience is a list", 1, func(f *fixture, _, c map[string]any) { c["aud"] = []string{f.api.ClientID} }, entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},
	{"no ver", 1, claim("ver", nil), entraauth.ErrInvalidToken, "version", "Token version not accepted"},
	{"ver 3.0", 1, claim("ver", "3.0"), entraauth.ErrInvalidToken, "version", "Token version not accepted"},
	{"ver is a number", 1, claim("ver", 1.0), entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},

	{"expired", 1, at("exp", -time.Minute), entraauth.ErrExpired, "expiry", "Token expired"},
	{"no exp", 1, claim("exp", nil), entraauth.ErrInvalidToken, "expiry", "Expiry missing"},
	{"exp is text", 1, claim("exp", "9999999999"), entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},
	{"exp is a fraction", 1, claim("exp", json.Number("9999999999.5")), entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},
	{"exp overflows", 1, claim("exp", json.Number("99999999999999999999")), entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},
	{"exp is null", 1, claim("exp", json.RawMessage("null")), entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},
	{"not yet valid", 1, at("nbf", 61*time.Second), entraauth.ErrInvalidToken, "not before", "Token not yet valid"},
	{"issued in the future", 1, at("iat", 61*time.Second), entraauth.ErrInvalidToken, "issued at", "Token not yet valid"},

	{"proof of possession", 1, claim("cnf", map[string]any{"jkt": "x"}), entraauth.ErrInvalidToken, "proof of possession", "Token is bound to a key"},
	{"unknown idtyp", 1, claim("idtyp", "device"), entraauth.ErrInvalidToken, "kind of token", "Kind of token not accepted"},
	{"no oid", 1, claim("oid", nil), entraauth.ErrInvalidToken, "object id", "Object id missing"},
	{"oid is no GUID", 1, claim("oid", "../.."), entraauth.ErrInvalidToken, "object id", "Object id missing"},
	{"app-only v1", 1, appOnly, entraauth.ErrInsufficientScope, "kind of caller", "App-only token not accepted"},
	{"app-only v2", 2, appOnly, entraauth.ErrInsufficientScope, "kind of caller", "App-only token not accepted"},
	{"app-only by idtyp, with scp", 1, claim("idtyp", "app"), entraauth.ErrInsufficientScope, "kind of caller", "App-only token not accepted"},
	{"scope missing", 1, claim("scp", "admin"), entraauth.ErrInsufficientScope, "scope", "Required scope is missing"},
	{"scope in another case", 1, claim("scp", "Access_As_User"), entraauth.ErrInsufficientScope, "scope", "Required scope is missing"},
	{"scope is a part of another", 1, claim("scp", "access_as_user_x"), entraauth.ErrInsufficientScope, "scope", "Required scope is missing"},
	{"scope is empty", 1, claim("scp", ""), entraauth.ErrInsufficientScope, "scope", "Required scope is missing"},
	{"scope is a list", 1, claim("scp", []string{"access_as_user"}), entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},
	{"claim name in another case", 1, claim("Scp", "access_as_user"), entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},
	{"claim name with a long s", 1, claim("iſs", "x"), entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},
	{"nested too deep", 1, claim("deep", json.RawMessage(strings.Repeat("[", 9)+strings.Repeat("]", 9))), entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},
	{"too many claims", 1, func(_ *fixture, _, c map[string]any) {
		for i := range 300 {
			c[fmt.Sprint("claim", i)] = i
		}
	}, entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT"},
}

func appOnly(_ *fixture, _, c map[string]any) {
	delete(c, "scp")
	c["roles"] = []string{"access_as_user"}
	c["sub"] = c["oid"]
}

func TestVerifyRefuses(t *testing.T) {
	f := newFixture(t, nil)
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			good := f.tenant.Mint(f.api, r.version, nil)
			if _, err := f.verifier.Verify(t.Context(), good); err != nil {
				t.Fatalf("the unchanged token is refused: %v", err)
			}
			bad := f.tenant.Mint(f.api, r.version, func(h, c map[string]any) { r.change(f, h, c) })
			check(t, f, bad, r.kind, r.rule, r.summary)
		})
	}
}

// check verifies a bad token and compares the refusal. Nothing that came from
// the token may be in the text.
func check(t *testing.T, f *fixture, token string, kind error, rule, summary string) {
	t.Helper()
	id, err := f.verifier.Verify(t.Context(), token)
	if id != nil {
		t.Fatal("accepted")
	}
	var e *entraauth.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %T: %v", err, err)
	}
	if !errors.Is(err, kind) || e.Rule != rule || e.Summary != summary {
		t.Errorf("refused as %v, rule %q, %q; want %v, %q, %q", e.Kind, e.Rule, e.Summary, kind, rule, summary)
	}
	if e.Remedy == "" {
		t.Error("no remedy")
	}
	ours := strings.Contains(e.Actual, f.tenant.ID()) || strings.Contains(e.Actual, f.api.ClientID) || len(e.Actual) < 5
	if !ours && strings.Contains(e.Error(), e.Actual) {
		t.Errorf("the text holds a value of the token, %q: %s", e.Actual, e)
	}
}

func TestVerifyRefusesMalformed(t *testing.T) {
	f := newFixture(t, nil)
	good := f.token()
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	twice := strings.Replace(string(payload), "{", `{"aud":"https://graph.microsoft.com",`, 1)
	for name, token := range map[string]string{
		"empty":                  "",
		"garbage":                "garbage",
		"two dots alone":         "..",
		"two parts":              parts[0] + "." + parts[1],
		"four parts":             good + ".x",
		"five parts, as a JWE":   good + ".x.y",
		"1 MiB":                  strings.Repeat("a", 1<<20),
		"just over the bound":    good + strings.Repeat("a", 64<<10-len(good)+1),
		"header is not base64":   "!." + parts[1] + "." + parts[2],
		"header is not JSON":     b64([]byte("{")) + "." + parts[1] + "." + parts[2],
		"header is a list":       b64([]byte("[]")) + "." + parts[1] + "." + parts[2],
		"header has alg twice":   b64([]byte(`{"alg":"none","alg":"RS256","kid":"x"}`)) + "." + parts[1] + "." + parts[2],
		"padded header":          parts[0] + "=." + parts[1] + "." + parts[2],
		"claims are not JSON":    parts[0] + "." + b64([]byte("x")) + "." + parts[2],
		"claims are null":        parts[0] + "." + b64([]byte("null")) + "." + parts[2],
		"claims have aud twice":  parts[0] + "." + b64([]byte(twice)) + "." + parts[2],
		"claims are not UTF-8":   parts[0] + "." + b64([]byte("{\"a\":\"\xff\"}")) + "." + parts[2],
		"claims with a BOM":      parts[0] + "." + b64(append([]byte("\ufeff"), payload...)) + "." + parts[2],
		"white space in between": parts[0] + ". " + parts[1] + "." + parts[2],
	} {
		t.Run(name, func(t *testing.T) {
			check(t, f, token, entraauth.ErrInvalidToken, "form", "Token is not a well-formed JWT")
		})
	}
	for name, token := range map[string]string{
		"no signature":             parts[0] + "." + parts[1] + ".",
		"another token's":          parts[0] + "." + parts[1] + "." + strings.Split(f.token(), ".")[2],
		"signature of zeros":       parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"payload changed by space": parts[0] + "." + b64(append(payload, ' ')) + "." + parts[2],
	} {
		t.Run(name, func(t *testing.T) {
			check(t, f, token, entraauth.ErrInvalidToken, "signature", "Signature validation failed")
		})
	}
}

func TestVerifyRefusesIDToken(t *testing.T) {
	f := newFixture(t, nil)
	// The ID token that the API's own front end gets has the API as audience.
	check(t, f, f.tenant.IDToken(f.alice, f.api), entraauth.ErrInvalidToken, "kind of token", "ID token sent instead of an access token")
}

func TestVerifyRefusesAnotherTenantsToken(t *testing.T) {
	f := newFixture(t, nil)
	other := entratest.NewTenant(&entratest.Options{Now: f.clock.Now})
	defer other.Close()
	api := other.AddApp("Same", "access_as_user")
	token := other.Token(other.AddUser("mallory@evil.example", "Mallory"), other.AddClient("c"), api)
	check(t, f, token, entraauth.ErrInvalidToken, "issuer", "Issuer validation failed")

	// The same with claims that all fit: the key is the other tenant's.
	forged := other.Mint(api, 1, func(_, c map[string]any) {
		c["iss"], c["tid"], c["aud"] = f.tenant.V1Issuer(), f.tenant.ID(), f.api.ClientID
	})
	check(t, f, forged, entraauth.ErrInvalidToken, "signing key", "Signing key not found")
	kid := keyIDOf(t, f.token())
	forged = other.Mint(api, 1, func(h, c map[string]any) {
		c["iss"], c["tid"], c["aud"], h["kid"] = f.tenant.V1Issuer(), f.tenant.ID(), f.api.ClientID, kid
	})
	check(t, f, forged, entraauth.ErrInvalidToken, "signature", "Signature validation failed")
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

func TestPolicy(t *testing.T) {
	f := newFixture(t, func(o *entraauth.Options) {
		o.Policy = entraauth.Policy{Scopes: []string{"access_as_user", "admin"}, Clients: []string{strings.ToUpper(otherTenant)}}
	})
	f.start(t, func(o *entraauth.Options) { o.Policy.Clients = []string{strings.ToUpper(f.client.ClientID)} })
	if _, err := f.verifier.Verify(t.Context(), f.token()); err != nil {
		t.Errorf("an allowed client is refused: %v", err)
	}
	other := f.tenant.Token(f.alice, f.tenant.AddClient("Other"), f.api, "access_as_user")
	check(t, f, other, entraauth.ErrNotPermitted, "client", "Client application not allowed")
	if err := (entraauth.Policy{}).Check(nil); !errors.Is(err, entraauth.ErrNoToken) {
		t.Errorf("an empty policy lets nobody through with %v", err)
	}
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
