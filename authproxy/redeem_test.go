package authproxy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// TestEntraErrors: each fault reaches whom it concerns. A refresh that failed is none.
func TestEntraErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	token := w.tokens().get("refresh_token")
	instead := func(accessToken string) entratest.Fault {
		return entratest.Fault{Body: `{"token_type":"Bearer","expires_in":3600,"refresh_token":"r","access_token":"` + accessToken + `"}`}
	}
	for name, c := range map[string]struct {
		fault  entratest.Fault
		status int
		code   string
		says   string
	}{
		"password changed":      {entratest.Fault{AADSTS: 50173}, 400, "invalid_grant", "AADSTS50173"},
		"second factor":         {entratest.Fault{AADSTS: 50076, Claims: `{"access_token":{}}`}, 400, "invalid_grant", "AADSTS50076"},
		"no consent":            {entratest.Fault{AADSTS: 65001}, 400, "invalid_grant", "AADSTS65001"},
		"interaction":           {fault(400, "interaction_required", 50158), 400, "invalid_grant", "AADSTS50158"},
		"log in":                {fault(400, "login_required", 50058), 400, "invalid_grant", "AADSTS50058"},
		"consent":               {fault(400, "consent_required", 65001), 400, "invalid_grant", "AADSTS65001"},
		"secret expired":        {entratest.Fault{AADSTS: 7000222}, 500, "server_error", "AADSTS7000222"},
		"not this grant":        {fault(400, "unauthorized_client", 700016), 500, "server_error", "AADSTS700016"},
		"wrong scope":           {fault(400, "invalid_scope", 70011), 500, "server_error", "AADSTS70011"},
		"refused as a grant":    {fault(400, "invalid_grant", 7000215), 500, "server_error", "AADSTS7000215"},
		"throttled":             {entratest.Fault{RetryAfter: time.Minute}, 503, "temporarily_unavailable", ""},
		"a problem":             {entratest.Fault{Status: 500}, 503, "temporarily_unavailable", ""},
		"busy, as an error":     {fault(400, "temporarily_unavailable", 90033), 503, "temporarily_unavailable", ""},
		"no answer":             {entratest.Fault{Drop: true}, 503, "temporarily_unavailable", ""},
		"answer lost":           {entratest.Fault{LoseAnswer: true}, 503, "temporarily_unavailable", ""},
		"half an answer":        {entratest.Fault{CutAfter: 100}, 503, "temporarily_unavailable", ""},
		"no JSON":               {entratest.Fault{Status: 200, Body: "<html>"}, 500, "server_error", ""},
		"another token":         {instead("a.b.c"), 500, "server_error", ""},
		"an ID token as access": {instead(w.tenant.IDToken(w.alice, w.app)), 500, "server_error", ""},
		"another API's token":   {instead(w.tenant.Token(w.alice, w.app, w.tenant.Storage())), 500, "server_error", ""},
		"an app's own token":    {instead(w.tenant.AppToken(w.app, w.api)), 500, "server_error", ""},
		"another app's token":   {instead(w.tenant.Token(w.alice, w.tenant.AddApp("Another app"), w.api)), 500, "server_error", ""},
		"another user's token":  {instead(w.tenant.Token(w.tenant.AddUser("bob@contoso.com", "Bob"), w.app, w.api)), 500, "server_error", ""},
	} {
		c.fault.Times = 1
		w.tenant.Fail(entratest.EndpointToken, c.fault)
		got := w.refresh(token)
		w.bad(name, got, c.status, c.code)
		if text := got.get("error_description"); !strings.Contains(text, c.says) || strings.Contains(text, "contoso") || strings.Contains(text, "Secret text") {
			t.Errorf("%s: description %q, want %q and nothing of Entra's text", name, text, c.says)
		}
	}
	w.good("the same token afterwards", w.refresh(token))
	if log := w.logs.String(); strings.Count(log, "level=ERROR") != 11 {
		t.Errorf("%d errors in the log, want 11, for the operator's faults alone:\n%s", strings.Count(log, "level=ERROR"), log)
	}
}

// fault is an error answer of Entra's with this error.
func fault(status int, oauthError string, code int) entratest.Fault {
	return entratest.Fault{Status: status, Body: fmt.Sprintf(
		`{"error":%q,"error_description":"AADSTS%d: Secret text about alice@contoso.com","error_codes":[%d]}`, oauthError, code, code)}
}

// TestNewSigningKey: right after a rotation, a verifier that has just looked for an invented key does not
// know the new one. That passes.
func TestNewSigningKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	token := w.tokens().get("refresh_token")
	invented := w.tenant.Mint(w.api, 2, func(header, _ map[string]any) { header["kid"] = "invented" })
	if _, err := w.verifier.Verify(t.Context(), invented); !errors.Is(err, entraauth.ErrInvalidToken) {
		t.Fatalf("an invented key: got %v, want %v", err, entraauth.ErrInvalidToken)
	}
	w.tenant.RotateKeys()
	w.bad("a new key", w.refresh(token), 503, "temporarily_unavailable")
	// Entra has spent its code, so the client must not try again: that would be a replay.
	spent := w.post("/token", w.codeForm(), nil)
	w.bad("a new key, for a code", spent, 400, "invalid_grant")
	if text := spent.get("error_description"); !strings.Contains(text, "sign in again") {
		t.Errorf("description %q, want that the user must sign in again", text)
	}
	w.clock.advance(time.Minute)
	w.good("the new key a minute later", w.refresh(token))
	w.good("a code a minute later", w.post("/token", w.codeForm(), nil))
	if log := w.logs.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "used again") {
		t.Errorf("an error or a replay in the log, want none for what passes:\n%s", log)
	}
}

func TestDisabledUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	token := w.tokens().get("refresh_token")
	w.alice.Disabled = true
	w.bad("a disabled user", w.refresh(token), 400, "invalid_grant")
}

// TestPolicyDecidesLater: a good token whose user lacks something is handed on, for the server
// tells the client what is missing.
func TestPolicyDecidesLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: func(w *world, o *authproxy.Options) {
		v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
			AuthorityHost: w.tenant.AuthorityHost(), HTTPClient: w.tenant.HTTPClient(), Now: w.clock.now,
			Policy: entraauth.Policy{Scopes: []string{"access_as_user"}, UserRoles: []string{"Admin"}},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { _ = v.Close() })
		o.Verifier = v
	}})
	if got := w.tokens(); got.get("scope") != w.api.Scope("access_as_user") {
		t.Errorf("scope is %q, want access_as_user", got.get("scope"))
	}
}

// TestCredentials: a refused secret is followed by the next one, which then comes first.
func TestCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	method := clientauth.Chain(clientauth.Secret("an-old-secret"), clientauth.Secret(w.secret))
	p, err := authproxy.New(w.proxy.Issuer(), w.tenant.ID(), w.app.ClientID, method, [][]byte{testKey}, w.opts)
	if err != nil {
		t.Fatal(err)
	}
	w.handler = p
	token := w.tokens().get("refresh_token")
	w.good("refresh", w.refresh(token))
	if n := w.tenant.Count(entratest.EndpointToken); n != 3 {
		t.Errorf("%d requests to Entra, want 3: the old secret is tried once", n)
	}
}

func TestNoTokensInLogs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	form := w.codeForm("login_hint=alice@contoso.com")
	got := w.good("code", w.post("/token", form, nil))
	next := w.good("refresh", w.refresh(got.get("refresh_token")))
	w.clock.advance(time.Hour)
	w.bad("reuse", w.refresh(got.get("refresh_token")), 400, "invalid_grant")
	w.bad("replay", w.post("/token", form, nil), 400, "invalid_grant")
	for _, secret := range []string{form.Get("code"), verifier, w.secret, got.get("access_token"), got.get("refresh_token"), next.get("access_token"), next.get("refresh_token"), "alice@"} {
		if strings.Contains(w.logs.String(), secret[:min(len(secret), 24)]) {
			t.Errorf("the log has %q", secret[:min(len(secret), 24)])
		}
	}
}

// TestKeys: what an old key sealed is good as long as the key is there.
func TestKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	token := w.tokens().get("refresh_token")
	other := []byte("another key, of at least 32 random bytes")
	w.handler = w.replica(w.opts, other, testKey)
	token = w.good("a new key first", w.refresh(token)).get("refresh_token")
	w.handler = w.replica(w.opts, other)
	w.good("the new key alone", w.refresh(token))
	w.handler = w.replica(w.opts, testKey)
	w.bad("the old key alone", w.refresh(token), 400, "invalid_grant")
}
