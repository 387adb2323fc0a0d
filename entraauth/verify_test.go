package entraauth_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

func TestVerifyAcceptsBothVersions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for _, version := range []int{1, 2} {
		f.api.AccessTokenVersion = version
		token := f.token()
		id, err := f.verifier.Verify(t.Context(), token)
		if err != nil {
			t.Fatalf("v%d: got %v, want nil", version, err)
		}
		if id.TenantID() != f.tenant.ID() || id.ObjectID() != f.alice.ObjectID || id.ClientID() != f.client.ClientID {
			t.Errorf("v%d: tenant %v, user %v, client %v; want %v, %v, %v", version, id.TenantID(), id.ObjectID(), id.ClientID(), f.tenant.ID(), f.alice.ObjectID, f.client.ClientID)
		}
		if want := strings.ToLower(f.tenant.ID() + "." + f.alice.ObjectID); id.UserID() != want {
			t.Errorf("v%d: UserID is %q, want %q", version, id.UserID(), want)
		}
		if id.Username() != "alice@contoso.example" || !id.HasScope("access_as_user") || id.HasScope("admin") || id.TokenID() == "" {
			t.Errorf("v%d: name %q, scopes %v, token id %q; want alice@contoso.example, access_as_user and no admin, an id", version, id.Username(), id.Scopes(), id.TokenID())
		}
		var claims struct {
			Ver string `json:"ver"`
			Exp int64  `json:"exp"`
		}
		if err := id.Claims(&claims); err != nil {
			t.Fatal(err)
		}
		if claims.Ver != fmt.Sprintf("%d.0", version) || claims.Exp != id.ExpiresOn().Unix() {
			t.Errorf("v%d: claims are %+v, want Ver %d.0, Exp %v", version, claims, version, id.ExpiresOn().Unix())
		}
		if secret.Reveal(secret.Text(id.Assertion())) != token {
			t.Errorf("v%d: the assertion is not the token", version)
		}
	}
}

// An app that signs users in to itself, as an authorization proxy in front of the API does with the
// API's own registration, is both audience and client of its tokens.
func TestVerifyAcceptsTokensOfTheAPIForItself(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *entraauth.Options) { o.Policy.ClientAuth = entraauth.ClientAuthSecret })
	for name, audience := range map[string]string{"1.0": "api://" + f.api.ClientID, "1.0, by the client ID": f.api.ClientID, "2.0": f.api.ClientID} {
		version, client, auth := 1, "appid", "appidacr"
		if name == "2.0" {
			version, client, auth = 2, "azp", "azpacr"
		}
		id, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, version, func(_, c map[string]any) {
			c["aud"], c[client], c[auth] = audience, f.api.ClientID, "1"
		}))
		if err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
			continue
		}
		if id.Kind() != entraauth.KindUser || id.ClientID() != f.api.ClientID {
			t.Errorf("%s: got a %v by the client %s, want a user by %s", name, id.Kind(), id.ClientID(), f.api.ClientID)
		}
	}
}

func TestVerifyAcceptsEntrasVariants(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *entraauth.Options) {
		o.AppIDURIs = []string{"https://mcp.example.com/mcp", "api://other"}
	})
	for name, change := range map[string]func(h, c map[string]any){
		"unchanged":                   func(_, c map[string]any) { c["aud"] = "https://mcp.example.com/mcp" },
		"audience with slash":         func(_, c map[string]any) { c["aud"] = "https://mcp.example.com/mcp/" },
		"audience is the second URI":  func(_, c map[string]any) { c["aud"] = "api://other" },
		"audience in another case":    func(_, c map[string]any) { c["aud"] = "HTTPS://MCP.example.com/Mcp" },
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
			t.Errorf("%s: got %v, want nil", name, err)
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
	t.Parallel()
	_, err := entraauth.NewVerifier("contoso.onmicrosoft.com", "", &entraauth.Options{
		AuthorityHost: "http://login.example", AppIDURIs: []string{"mcp"}, ClockSkew: time.Hour,
		Policy: entraauth.Policy{Scopes: []string{"api://x/access_as_user"}, Clients: []string{"vscode"}},
	})
	if err == nil {
		t.Fatal("NewVerifier = nil, want the faults of all fields")
	}
	for _, field := range []string{"tenant ID", "client ID", "AuthorityHost", "AppIDURIs", "ClockSkew", "Policy.Scopes", "Policy.Clients"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in: %v", field, err)
		}
	}
}

// What can only fail at the first user is refused at start, and says what is right.
func TestNewVerifierFaults(t *testing.T) {
	t.Parallel()
	const tenant, api = otherTenant, thirdTenant
	type options = entraauth.Options
	uris := func(uris ...string) options { return options{AppIDURIs: uris} }
	for name, row := range map[string]struct {
		tenant, client string
		options        options
		field, remedy  string // empty: accepted
	}{
		"as it should be":              {tenant, api, options{}, "", ""},
		"in upper case":                {strings.ToUpper(tenant), strings.ToUpper(api), options{}, "", ""},
		"one id for both":              {api, api, options{}, "client ID: ", "copy the Application (client) ID"},
		"one id, in two cases":         {"ABCDEF00-0000-0000-0000-000000000001", "abcdef00-0000-0000-0000-000000000001", options{}, "client ID: ", "copy the Application (client) ID"},
		"tenant in braces":             {"{" + tenant + "}", api, options{}, "tenant ID: ", "no braces"},
		"tenant with white space":      {tenant + "\n", api, options{}, "tenant ID: ", "is not a GUID"},
		"client with white space":      {tenant, " " + api, options{}, "client ID: ", "is not a GUID"},
		"tenant of zeros":              {"00000000-0000-0000-0000-000000000000", api, options{}, "tenant ID: ", "nobody's id"},
		"client of zeros":              {tenant, "00000000-0000-0000-0000-000000000000", options{}, "client ID: ", "nobody's id"},
		"an empty other tenant":        {tenant, api, options{OtherTenants: []string{""}}, "OtherTenants: ", "is missing"},
		"the client as other tenant":   {tenant, api, options{OtherTenants: []string{api}}, "OtherTenants: ", "list tenant IDs"},
		"the home tenant once more":    {tenant, api, options{OtherTenants: []string{strings.ToUpper(tenant)}}, "", ""},
		"the tenant as client":         {tenant, api, options{Policy: entraauth.Policy{Clients: []string{strings.ToUpper(tenant)}}}, "Policy.Clients: ", "ids of client applications"},
		"an empty list of roles":       {tenant, api, options{Policy: entraauth.Policy{UserRoles: []string{}}}, "Policy.UserRoles: ", "leave it nil"},
		"an empty list of groups":      {tenant, api, options{Policy: entraauth.Policy{Groups: []string{}}}, "Policy.Groups: ", "leave it nil"},
		"an empty list of clients":     {tenant, api, options{Policy: entraauth.Policy{Clients: []string{}}}, "Policy.Clients: ", "leave it nil"},
		"an empty list of scopes":      {tenant, api, options{Policy: entraauth.Policy{Scopes: []string{}}}, "", ""}, // the default
		"the API as its own client":    {tenant, api, options{Policy: entraauth.Policy{Clients: []string{api}}}, "", ""},
		"the tenant as group":          {tenant, api, options{Policy: entraauth.Policy{Groups: []string{tenant}}}, "Policy.Groups: ", "object IDs of groups"},
		"the API as group":             {tenant, api, options{Policy: entraauth.Policy{Groups: []string{api}}}, "Policy.Groups: ", "object IDs of groups"},
		"authority with a path":        {tenant, api, options{AuthorityHost: "https://login.microsoftonline.com/" + tenant}, "AuthorityHost: ", "no path"},
		"authority without host":       {tenant, api, options{AuthorityHost: "https://:8443"}, "AuthorityHost: ", "https://host"},
		"authority with a wildcard":    {tenant, api, options{AuthorityHost: "https://*.microsoftonline.com"}, "AuthorityHost: ", "https://host"},
		"authority with a port":        {tenant, api, options{AuthorityHost: "https://localhost:70000"}, "AuthorityHost: ", "https://host"},
		"URI":                          {tenant, api, uris("api://" + api), "", ""},
		"URI with a path":              {tenant, api, uris("https://mcp.example.com/mcp", "api://"+tenant+"/mcp.v1"), "", ""},
		"URI with a slash":             {tenant, api, uris("api://" + api + "/"), "AppIDURIs: ", `set it to "api://` + api + `"`},
		"URI with a path and a slash":  {tenant, api, uris("https://mcp.example.com/mcp/"), "AppIDURIs: ", `set it to "https://mcp.example.com/mcp"`},
		"URI with the default scope":   {tenant, api, uris("api://" + api + "/access_as_user"), "AppIDURIs: ", `set it to "api://` + api + `"`},
		"URI with .default":            {tenant, api, uris("api://" + api + "/.default"), "AppIDURIs: ", `set it to "api://` + api + `"`},
		"URI with user_impersonation/": {tenant, api, uris("https://x.example/mcp/user_impersonation/"), "AppIDURIs: ", `set it to "https://x.example/mcp"`},
		"URI with X.Read":              {tenant, api, uris("api://x/Files.Read"), "AppIDURIs: ", `set it to "api://x"`},
		"URI with X.ReadWrite.All":     {tenant, api, uris("api://x", "api://y/Files.ReadWrite.All"), "AppIDURIs: ", `set it to "api://y"`},
		"URI with a query":             {tenant, api, uris("https://x.example/mcp?x=1"), "AppIDURIs: ", "is not an App ID URI"},
		"URI with a fragment":          {tenant, api, uris("https://x.example/mcp#x"), "AppIDURIs: ", "is not an App ID URI"},
		"URI with a wildcard":          {tenant, api, uris("https://*.example/mcp"), "AppIDURIs: ", "is not an App ID URI"},
		"URI with white space":         {tenant, api, uris("api://x\u00a0"), "AppIDURIs: ", "is not an App ID URI"},
		"an empty URI":                 {tenant, api, uris(""), "AppIDURIs: ", "is not an App ID URI"},
		"a GUID as URI":                {tenant, api, uris(api), "AppIDURIs: ", "is not an App ID URI"},
	} {
		t.Run(name, func(t *testing.T) {
			options := row.options
			options.HTTPClient = &http.Client{Transport: behind{nil, func(r *http.Request) *http.Response { return answered(r, 503, "") }}}
			options.Logger = slog.New(slog.DiscardHandler)
			v, err := entraauth.NewVerifier(row.tenant, row.client, &options)
			if err == nil {
				_ = v.Close()
			}
			switch {
			case row.field == "" && err != nil:
				t.Errorf("refused: got %v, want nil", err)
			case row.field != "" && (err == nil || !strings.Contains(err.Error(), row.field) || !strings.Contains(err.Error(), row.remedy)):
				t.Errorf("got %v, want %q with %q", err, row.field, row.remedy)
			}
		})
	}
}

// Entra's directory has no two applications whose App ID URIs differ only in case, and
// writes a v1 token's audience as the client asked for it.
func TestAudienceInAnyCase(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *entraauth.Options) { o.AppIDURIs = []string{"https://MCP.example.com/Tasks", "api://kiosk"} })
	for aud, accepted := range map[string]bool{
		"https://mcp.example.com/tasks":        true,
		"HTTPS://MCP.EXAMPLE.COM/TASKS/":       true,
		"API://Kiosk":                          true,
		strings.ToUpper(f.api.ClientID):        true,
		strings.ToUpper(f.api.ClientID) + "/":  true,
		"https://mcp.example.com/tasks//":      false,
		"https://mcp.example.com/Tasks/x":      false,
		"https://mcp.example.com/%54asks":      false,
		"https://mcp.example.com:443/Tasks":    false,
		"api://\u212aiosk":                     false, // the Kelvin sign, which folds to k
		"api://kio\u017fk":                     false, // the long s
		"api://" + f.api.ClientID:              false, // not among the URIs
		"https://mcp.example.com/Tasks\u0000":  false,
		"https://mcp.example.com.evil/Tasks":   false,
		" https://mcp.example.com/Tasks":       false,
		"https://mcp.example.com/Tasks?x=y":    false,
		"https://mcp.example.com/../com/Tasks": false,
	} {
		err := f.verify(t, f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["aud"] = aud }))
		if (err == nil) != accepted || err != nil && errorOf(t, err).Reason != "audience_mismatch" {
			t.Errorf("aud %q: got %v, want audience_mismatch, or nil: %t", aud, err, accepted)
		}
	}
}

// VS Code on a managed Windows device sends a bound token as if it were a bearer token
// (microsoft/vscode#319673): its user learns what to do.
func TestBoundToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	bound := f.tenant.Mint(f.api, 2, func(_, c map[string]any) { c["cnf"] = map[string]any{"kid": "device", "xms_ksl": "sw"} })
	a := get(t, f.serve(t, nil).URL, authorization("Bearer "+bound))
	for where, text := range map[string]string{"the body": a.body, "the challenge": a.header.Get("WWW-Authenticate")} {
		for _, want := range []string{"bound to a", "another account", "browser", "policy"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in %s: %s", want, where, text)
			}
		}
	}
	if a.status != http.StatusUnauthorized || !strings.Contains(a.body, `"reason":"bound_to_key"`) {
		t.Errorf("got %d %s, want 401 and %q", a.status, a.body, `"reason":"bound_to_key"`)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	r := f.verifier.Explain(t.Context(), f.token())
	for _, c := range r.Checks {
		if c.Result != entraauth.ResultPassed || c.Rule == "" {
			t.Errorf("a good token: got %+v, want Result %v, a Rule", c, entraauth.ResultPassed)
		}
	}
	if !r.Valid || len(r.Checks) < 18 {
		t.Errorf("valid %v, %d checks; want true, at least 18", r.Valid, len(r.Checks))
	}
	bad := f.tenant.Mint(f.api, 1, func(_, c map[string]any) {
		c["aud"], c["exp"], c["scp"] = "https://graph.microsoft.com", f.clock.Now().Unix()-3600, "x"
	})
	failed := map[string]entraauth.Check{}
	r = f.verifier.Explain(t.Context(), bad)
	for _, c := range r.Checks {
		if c.Result != entraauth.ResultPassed {
			failed[c.Reason] = c
		}
		if strings.Contains(c.Actual+c.Remedy, bad[len(bad)-20:]) {
			t.Errorf("the signature is in %+v", c)
		}
	}
	if r.Valid || len(failed) != 3 || failed["audience_mismatch"].Actual != "https://graph.microsoft.com" || failed["expired"].Actual == "" ||
		failed["scope_missing"].Actual != "x" {
		t.Errorf("valid %v, failed %v; want false, and audience_mismatch, expired and scope_missing with what the token had", r.Valid, failed)
	}
	if r := f.verifier.Explain(t.Context(), "garbage"); r.Valid || r.Checks[0].Result != entraauth.ResultFailed || r.Checks[1].Result != entraauth.ResultNotReached {
		t.Errorf("garbage: got %+v, want an invalid token, whose second check is not reached", r)
	}
}

// Without keys nothing can be said of issuer and signature.
func TestExplainWithoutKeys(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Status: 500})
	f.start(t, nil)
	r := f.verifier.Explain(t.Context(), f.token())
	for _, c := range r.Checks {
		want := entraauth.ResultPassed
		switch c.Rule {
		case "keys":
			want = entraauth.ResultFailed
		case "issuer", "signing key", "key issuer", "signature":
			want = entraauth.ResultNotReached
		}
		if c.Result != want {
			t.Errorf("%+v, want %s", c, want)
		}
	}
	if r.Valid {
		t.Error("Valid is true, want false")
	}
}

// Each refusal has a code, and an operator finds each code in the docs.
func TestReasonsAreDocumented(t *testing.T) {
	t.Parallel()
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
