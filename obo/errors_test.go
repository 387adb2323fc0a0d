package obo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

var kinds = []error{
	obo.ErrNoAssertion, obo.ErrAssertionInvalid, obo.ErrAssertionExpired, obo.ErrScopeNotAllowed, obo.ErrTenantNotAllowed, obo.ErrAgentNotAllowed,
	obo.ErrClaimsInvalid, obo.ErrConsentRequired, obo.ErrInteractionRequired, obo.ErrBlocked, obo.ErrMisconfigured,
	obo.ErrThrottled, obo.ErrUnavailable,
}

// refusalLife is how long a refusal is remembered.
const refusalLife = 2 * time.Second

// wantKind asserts that err is of one kind and of no other.
func wantKind(t *testing.T, err, want error) *obo.Error {
	t.Helper()
	for _, k := range kinds {
		if errors.Is(err, k) != errors.Is(want, k) {
			t.Errorf("errors.Is(err, %q) is %v, want kind %q: %v", k, errors.Is(err, k), want, err)
		}
	}
	return asError(t, err)
}

// TestCodes: each code of Entra's that an exchange meets, with the reaction it
// calls for, written down independently of the code under test.
func TestCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for want, codes := range map[error][]int{
		obo.ErrConsentRequired:     {65001, 65004, 90094, 90095},
		obo.ErrInteractionRequired: {50076, 50079, 50074, 50078, 50072, 50158, 50097, 500121},
		obo.ErrBlocked:             {53000, 53001, 53002, 53003, 530032, 50020, 50057, 50105, 50131, 53011, 50034, 50053, 500213},
		obo.ErrAssertionExpired:    {500133, 50173, 70043, 50132, 50133, 50055, 70008, 700082},
		obo.ErrAssertionInvalid:    {240002, 7000114, 50027},
		obo.ErrMisconfigured: {50013, 500131, 700024, 700027, 7000215, 7000222, 700016, 700038, 7000218, 700213, 7002138, 700211, 700229,
			70011, 500011, 650057, 700022, 700212, 70025, 7000112, 90002, 28000, 650053, 50012,
			70021, 7002137, 7002139, 700222, 700231, 700236, 700021, 700023, 700030, 70002, 7000216, 700025, 5002741,
			650051, 650052, 650054, 650056, 65005, 500014, 90009, 50194, 90038, 50107},
		obo.ErrThrottled:   {50196, 90055},
		obo.ErrUnavailable: {50033, 90006, 90024, 90033},
	} {
		for _, code := range codes {
			t.Run(fmt.Sprint(code), func(t *testing.T) {
				w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: code})
				_, err := w.get(t.Context(), w.exchanger(nil).Credential(w.assertion(w.alice)))
				e := wantKind(t, err, want)
				text := e.UserText()
				if e.AADSTS != code || !strings.HasPrefix(text, fmt.Sprintf("AADSTS%d ", code)) {
					t.Errorf("code %d, text %q; want code %d in both", e.AADSTS, text, code)
				}
				if e.Problem == "" || e.Remedy == "" && e.ConsentURL == "" {
					t.Errorf("the text says not what happened, or not what to do: %q", text)
				}
				if e.CorrelationID == "" || e.TraceID == "" || !strings.Contains(text, e.CorrelationID) {
					t.Errorf("correlation id %q, trace id %q, text %q; want both ids, the first also in the text", e.CorrelationID, e.TraceID, text)
				}
				if e.OAuthError == "" || e.Resource != "https://storage.azure.com" {
					t.Errorf("error %q, resource %q; want an error, and storage", e.OAuthError, e.Resource)
				}
				if errors.Is(want, obo.ErrConsentRequired) != (e.ConsentURL != "" && e.AdminConsentURL != "") {
					t.Errorf("consent URLs: %q, %q; want both only for ErrConsentRequired", e.ConsentURL, e.AdminConsentURL)
				}
				if strings.Contains(err.Error(), "Made by a fault") {
					t.Errorf("Entra's description is in the text: %v", err)
				}
				wantLogged(t, w, e)
			})
		}
	}
}

// wantLogged looks for the last line of the log: what the operator must fix
// is an error, the rest a warning.
func wantLogged(t *testing.T, w *world, e *obo.Error) {
	t.Helper()
	var line map[string]any
	for l := range strings.Lines(w.text()) {
		var m map[string]any
		if json.Unmarshal([]byte(l), &m) == nil {
			line = m
		}
	}
	level := "WARN"
	if errors.Is(e, obo.ErrMisconfigured) {
		level = "ERROR"
	}
	for key, want := range map[string]any{
		"level": level, "code": fmt.Sprintf("AADSTS%d", e.AADSTS), "correlation_id": e.CorrelationID,
		"trace_id": e.TraceID, "resource": e.Resource, "user": w.tenant.ID() + "." + w.alice.ObjectID,
	} {
		if line[key] != want {
			t.Errorf("logged %s=%v, want %v", key, line[key], want)
		}
	}
}

// TestClaimsComeFirst: with a claims challenge the user can get through, whatever the code.
func TestClaimsComeFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.exchanger(nil).Credential(w.assertion(w.alice))
	const claims = `{"access_token":{"capolids":{"essential":true,"values":["e6b2cb1d"]}}}`
	for _, code := range []int{50076, 53003, 99999} {
		w.clock.Advance(refusalLife)
		w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: code, Claims: claims})
		_, err := w.get(t.Context(), c)
		if e := wantKind(t, err, obo.ErrInteractionRequired); e.Claims != claims {
			t.Errorf("%d: claims %q, want %q", code, e.Claims, claims)
		}
	}
	for _, broken := range []string{"not JSON", `["array"]`, `{"a":"` + strings.Repeat("x", 20<<10) + `"}`} {
		w.clock.Advance(refusalLife)
		w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 53003, Claims: broken})
		_, err := w.get(t.Context(), c)
		if e := wantKind(t, err, obo.ErrBlocked); e.Claims != "" {
			t.Errorf("claims %.20q are passed on, want \"\"", e.Claims)
		}
	}
}

// TestAnswersWithoutAKnownCode covers what is newer than our table, and what
// isn't Entra's at all.
func TestAnswersWithoutAKnownCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refusal := func(members string) string {
		return `{"error_description":"AADSTS123456: about bob@contoso.com","error_codes":[123456],` + members + `}`
	}
	for _, test := range []struct {
		name  string
		fault entratest.Fault
		want  error
	}{
		{"unknown code, interaction", entratest.Fault{Status: 400, Body: refusal(`"error":"interaction_required"`)}, obo.ErrInteractionRequired},
		{"unknown code, grant", entratest.Fault{Status: 400, Body: refusal(`"error":"invalid_grant"`)}, obo.ErrInteractionRequired},
		{"unknown code, consent", entratest.Fault{Status: 400, Body: refusal(`"error":"invalid_grant","suberror":"consent_required"`)}, obo.ErrConsentRequired},
		{"unknown code, bad token", entratest.Fault{Status: 400, Body: refusal(`"error":"invalid_grant","suberror":"bad_token"`)}, obo.ErrAssertionExpired},
		{"unknown code, policy", entratest.Fault{Status: 400, Body: refusal(`"error":"interaction_required","suberror":"message_only"`)}, obo.ErrBlocked},
		{"unknown code, client", entratest.Fault{Status: 401, Body: refusal(`"error":"invalid_client"`)}, obo.ErrMisconfigured},
		{"unknown code, 503", entratest.Fault{Status: 503, Body: refusal(`"error":"invalid_grant"`)}, obo.ErrUnavailable},
		{"unknown code, 429", entratest.Fault{Status: 429, Body: refusal(`"error":"invalid_grant"`)}, obo.ErrThrottled},
		{"known code second", entratest.Fault{Status: 400, Body: `{"error":"invalid_grant","error_codes":[1,50173]}`}, obo.ErrAssertionExpired},
		{"code in the text only", entratest.Fault{Status: 400, Body: `{"error":"invalid_grant","error_description":"AADSTS500133: x"}`}, obo.ErrAssertionExpired},
		{"refusal with status 200", entratest.Fault{Status: 200, Body: refusal(`"error":"interaction_required"`)}, obo.ErrInteractionRequired},
		{"odd error", entratest.Fault{Status: 400, Body: refusal(`"error":"<script>"`)}, obo.ErrMisconfigured},
		{"404 page", entratest.Fault{Status: 404, Body: "<html>", ContentType: "text/html"}, obo.ErrMisconfigured},
		{"500 page", entratest.Fault{Status: 500, Body: "<html>", ContentType: "text/html"}, obo.ErrUnavailable},
		{"408", entratest.Fault{Status: 408, Body: "{}"}, obo.ErrUnavailable},
		{"429 page", entratest.Fault{Status: 429, Body: "slow down", ContentType: "text/plain"}, obo.ErrThrottled},
		{"200 page", entratest.Fault{Status: 200, Body: "<html>sign in to the wifi", ContentType: "text/html"}, obo.ErrUnavailable},
		{"no token", entratest.Fault{Status: 200, Body: `{"token_type":"Bearer","expires_in":3600}`}, obo.ErrUnavailable},
		{"no lifetime", entratest.Fault{Status: 200, Body: `{"token_type":"Bearer","access_token":"x"}`}, obo.ErrUnavailable},
		{"negative lifetime", entratest.Fault{Status: 200, Body: `{"token_type":"Bearer","access_token":"x","expires_in":-5}`}, obo.ErrUnavailable},
		{"infinite lifetime", entratest.Fault{Status: 200, Body: `{"token_type":"Bearer","access_token":"x","expires_in":1e300}`}, obo.ErrUnavailable},
		{"pop token", entratest.Fault{Status: 200, Body: `{"token_type":"pop","access_token":"x","expires_in":3600}`}, obo.ErrUnavailable},
		{"huge token", entratest.Fault{Status: 200, Body: `{"token_type":"Bearer","expires_in":3600,"access_token":"` + strings.Repeat("x", 65<<10) + `"}`}, obo.ErrUnavailable},
		{"huge answer", entratest.Fault{Status: 200, Body: `{"token_type":"Bearer","access_token":"x","expires_in":3600,"pad":"` + strings.Repeat("x", 2<<20) + `"}`}, obo.ErrUnavailable},
		{"broken off", entratest.Fault{Drop: true}, obo.ErrUnavailable},
		{"nothing", entratest.Fault{Status: 200, Body: " "}, obo.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.tenant.Fail(entratest.EndpointToken, test.fault)
			_, err := w.get(t.Context(), w.exchanger(nil).Credential(w.assertion(w.alice)))
			e := wantKind(t, err, test.want)
			if text := e.Error(); e.Problem == "" || strings.ContainsAny(text, "<>@") || strings.Contains(text, "wifi") {
				t.Errorf("text: %q, want nothing of the answer in it", text)
			}
		})
	}
	for _, text := range []string{"more than 1048576 bytes", "access_token is too long", "token_type is not Bearer"} {
		if !strings.Contains(w.text(), text) {
			t.Errorf("the log is %s, want %q in it", w.text(), text)
		}
	}
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{})
	w.mustGet(w.exchanger(nil).Credential(w.assertion(w.alice)))
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.exchanger(nil).Credential(w.assertion(w.alice))
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 90055, RetryAfter: 17 * time.Second})
	_, err := w.get(t.Context(), c)
	if e := wantKind(t, err, obo.ErrThrottled); e.RetryAfter != 17*time.Second || !strings.Contains(e.UserText(), "17s") {
		t.Errorf("wait %v: %v; want 17s in both", e.RetryAfter, e)
	}
	w.clock.Advance(17 * time.Second)
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{Status: 503, RetryAfter: 1000 * time.Hour})
	_, err = w.get(t.Context(), c)
	if e := wantKind(t, err, obo.ErrUnavailable); e.RetryAfter != time.Hour {
		t.Errorf("wait %v, want at most an hour", e.RetryAfter)
	}
}

func TestConsentURLs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tenant.RevokeConsent(w.api, w.tenant.Storage())
	for _, redirect := range []string{"", "https://mcp.example.com/consented?x=1&y=2", "http://localhost:8000/consented"} {
		c := w.exchanger(func(o *obo.Options) { o.RedirectURL = redirect }).Credential(w.assertion(w.alice))
		_, err := w.get(t.Context(), c)
		e := wantKind(t, err, obo.ErrConsentRequired)
		for path, test := range map[string]struct {
			url string
			q   url.Values
		}{
			"/oauth2/v2.0/authorize": {e.ConsentURL, url.Values{"client_id": {w.api.ClientID}, "response_type": {"code"}, "scope": {storageScope}}},
			"/v2.0/adminconsent":     {e.AdminConsentURL, url.Values{"client_id": {w.api.ClientID}, "scope": {storageScope}}},
		} {
			if redirect != "" {
				test.q.Set("redirect_uri", redirect)
			}
			u, err := url.Parse(test.url)
			if err != nil || u.Path != "/"+w.tenant.ID()+path || "https://"+u.Host != w.tenant.AuthorityHost() {
				t.Errorf("%q: %v; want the path %s at the authority", test.url, err, path)
				continue
			}
			if got := u.Query().Encode(); got != test.q.Encode() {
				t.Errorf("%s: got %s, want %s", path, got, test.q.Encode())
			}
		}
		if text := e.UserText(); !strings.HasPrefix(text, "AADSTS65001 consent_required: ") || !strings.Contains(text, e.ConsentURL) {
			t.Errorf("text: %q, want the code and the consent URL", text)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.exchanger(func(o *obo.Options) { o.AuthorityHost = "https://127.0.0.1:1" })
	_, err := w.get(t.Context(), x.Credential(w.assertion(w.alice)))
	e := wantKind(t, err, obo.ErrUnavailable)
	if strings.Contains(e.UserText(), "127.0.0.1") {
		t.Errorf("the text shows where we connect to: %q", e.UserText())
	}
	x = w.exchanger(func(o *obo.Options) { o.HTTPClient = nil }) // doesn't trust the tenant's certificate
	_, err = w.get(t.Context(), x.Credential(w.assertion(w.alice)))
	_ = wantKind(t, err, obo.ErrUnavailable)
	http.DefaultClient.CloseIdleConnections()
}

func TestProofsThatFail(t *testing.T) {
	w := newWorld(t)
	endpoint, header := w.tenant.ManagedIdentityEndpoint()
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	t.Setenv("IDENTITY_HEADER", header)
	stranger := w.tenant.AddManagedIdentity("stranger") // no federated credential for it
	cause := errors.New("the vault is locked")
	fails := func(text string, err error) clientauth.Method {
		return clientauth.Func(func(context.Context) (string, error) { return text, err })
	}
	for _, test := range []struct {
		name   string
		method clientauth.Method
		want   error
		code   int
		says   string
	}{
		{"wrong secret", clientauth.Secret("not-the-secret-at-all"), obo.ErrMisconfigured, 7000215, "secret"},
		{"expired secret", clientauth.Secret(w.api.AddExpiringSecret(w.clock.Now())), obo.ErrMisconfigured, 7000222, "expired"},
		{"identity that the app doesn't trust", clientauth.ManagedIdentity(stranger.ClientID), obo.ErrMisconfigured, 70025, "federated credential"},
		{"identity that the host doesn't have", clientauth.ManagedIdentity(someGUID), obo.ErrMisconfigured, 0, "assign"},
		{"function that fails", fails("", cause), obo.ErrUnavailable, 0, "client assertion"},
		{"function without result", fails("", nil), obo.ErrMisconfigured, 0, "signed JWT"},
		{"function with garbage", fails("garbage", nil), obo.ErrMisconfigured, 0, "signed JWT"},
		{"function with too much", fails(strings.Repeat("a.", 64<<10), nil), obo.ErrMisconfigured, 0, "signed JWT"},
		{"function that panics", clientauth.Func(func(context.Context) (string, error) { panic("boom") }), obo.ErrUnavailable, 0, "inside the server"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := w.get(t.Context(), w.exchangerWith(test.method, nil).Credential(w.assertion(w.alice)))
			e := wantKind(t, err, test.want)
			if e.AADSTS != test.code || !strings.Contains(e.UserText(), test.says) {
				t.Errorf("code %d, text %q; want %d, %q", e.AADSTS, e.UserText(), test.code, test.says)
			}
			if test.name == "function that fails" && !errors.Is(err, cause) {
				t.Errorf("the cause is lost: %v", err)
			}
		})
	}
}

// TestRefusedIdentityIsAskedForAgain: what Entra didn't accept isn't sent again from our cache.
func TestRefusedIdentityIsAskedForAgain(t *testing.T) {
	w := newWorld(t)
	endpoint, header := w.tenant.ManagedIdentityEndpoint()
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	t.Setenv("IDENTITY_HEADER", header)
	identity := w.tenant.AddManagedIdentity("mcp-server")
	w.api.AddFederatedCredential(w.tenant.V2Issuer(), identity.ObjectID, "api://AzureADTokenExchange")
	x := w.exchangerWith(clientauth.ManagedIdentity(identity.ClientID), nil)
	c := x.Credential(w.assertion(w.alice))
	w.mustGet(c) // so that a token of the identity is cached
	c = x.Credential(w.assertion(w.bob))
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 700024, Times: 1})
	w.mustGet(c)
	if got := w.tenant.Count(entratest.EndpointManagedIdentity); got != 2 {
		t.Errorf("%d requests to the managed identity endpoint, want 2", got)
	}
	if got := w.exchanges(); got != 3 {
		t.Errorf("%d exchanges, want 3: one was made again", got)
	}
	// Once, not forever.
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 700027})
	_, err := w.get(t.Context(), x.Credential(w.assertion(w.bob)))
	_ = wantKind(t, err, obo.ErrMisconfigured)
	if got := w.exchanges(); got != 5 {
		t.Errorf("%d exchanges, want 5", got)
	}
}

// An agent user signs in on no page, so its errors name none; an administrator's they name.
func TestNoConsentURLForAgentUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.OptionalClaims = []string{"xms_sub_fct", "xms_act_fct"}
	w.tenant.RevokeConsent(w.api, w.tenant.Storage())
	agent := w.tenant.AddAgent(w.tenant.AddBlueprint("Agents"), "Agent")
	x := w.exchanger(nil)
	for name, c := range map[string]struct {
		user *entratest.User
		page bool
	}{"agent user": {w.tenant.AddAgentUser(agent, "agent@contoso.com", "Agent user"), false}, "person": {w.alice, true}} {
		credential := x.Credential(obo.NewAssertion(w.tenant.Token(c.user, agent, w.api)))
		for range 2 { // the second time it is known
			_, err := w.get(t.Context(), credential)
			e := asError(t, err)
			if !errors.Is(e, obo.ErrConsentRequired) || (e.ConsentURL != "") != c.page || strings.Contains(err.Error(), "/authorize?") != c.page || e.AdminConsentURL == "" {
				t.Errorf("%s: got %v, ConsentURL %q, AdminConsentURL %q; want %v, with a ConsentURL: %v", name, err, e.ConsentURL, e.AdminConsentURL, obo.ErrConsentRequired, c.page)
			}
		}
	}
}
