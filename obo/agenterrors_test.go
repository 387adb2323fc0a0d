package obo_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/obo"
)

// TestAgentErrors: what Entra's refusals of either step say, to whom, and without any page.
func TestAgentErrors(t *testing.T) {
	t.Parallel()
	app, tenant := strings.ToLower(someAppID), strings.ToLower(someGUID)
	body := func(code int, oauthError, more string) answer {
		return answer{status: http.StatusBadRequest, body: fmt.Sprintf(`{"error":%q,"error_codes":[%d]%s}`, oauthError, code, more)}
	}
	const consent = `,"suberror":"consent_required","claims":"{\"access_token\":{\"polids\":{\"values\":[\"x\"]}}}"`
	const claims = `,"claims":"{\"access_token\":{\"acrs\":{\"values\":[\"c1\"]}}}"`
	for _, test := range []struct {
		name  string
		first bool
		a     answer
		want  error
		says  []string // in the text for the user
		not   string
	}{
		{"no grant", false, body(65001, "invalid_grant", consent), obo.ErrConsentRequired,
			[]string{"an administrator must grant", "https://storage.azure.com", app, agentA, "inheritable"}, "http://"},
		{"no grant, as interaction", false, body(65001, "interaction_required", consent), obo.ErrConsentRequired, []string{"an administrator must grant"}, ""},
		{"no grant by an unknown code", false, body(65999999, "invalid_grant", consent), obo.ErrConsentRequired, []string{"an administrator must grant"}, ""},
		{"an administrator's consent", false, body(90094, "invalid_grant", ""), obo.ErrConsentRequired, []string{"an administrator must grant"}, ""},
		{"no page", false, body(82014, "invalid_request", ""), obo.ErrConsentRequired, []string{"an administrator must grant"}, ""},
		{"not listed", false, body(650057, "invalid_grant", ""), obo.ErrMisconfigured, []string{"an administrator must grant"}, "App registrations"},
		{"a second factor", false, body(50076, "invalid_grant", claims), obo.ErrInteractionRequired, []string{"sign in again"}, ""},
		{"another audience", false, body(50013, "invalid_grant", ""), obo.ErrMisconfigured, []string{"blueprint", app}, ""},
		{"another signature", false, body(900384, "invalid_grant", ""), obo.ErrMisconfigured, []string{"blueprint", app}, ""},
		{"another blueprint's child", false, body(700213, "invalid_client", ""), obo.ErrMisconfigured, []string{agentA, "child of the app " + app, tenant}, "Federated credentials"},
		{"another tenant", false, body(700211, "invalid_client", ""), obo.ErrMisconfigured, []string{"in the tenant " + tenant}, "Federated credentials"},
		{"an expired assertion", false, body(700024, "invalid_client", ""), obo.ErrMisconfigured, []string{"the blueprint proves its agent"}, "clock"},
		{"no such agent", false, body(700016, "unauthorized_client", ""), obo.ErrMisconfigured, []string{"no agent identity", agentA, tenant}, "App registrations"},
		{"a disabled agent", false, body(7000112, "unauthorized_client", ""), obo.ErrMisconfigured, []string{"agent identity is disabled", agentA}, ""},
		{"a policy", false, body(53003, "invalid_grant", ""), obo.ErrBlocked, []string{"Conditional Access"}, ""},
		{"an unknown code", false, body(82999, "invalid_grant", ""), obo.ErrInteractionRequired, []string{"sign in again"}, ""},
		{"an unknown code of the client's", false, body(82999, "invalid_client", ""), obo.ErrMisconfigured,
			[]string{agentA, "child of the app " + app, tenant, "look the code up"}, "Certificates"},
		{"an error of the client's alone", false, body(0, "invalid_client", ""), obo.ErrMisconfigured, []string{agentA, "child of the app " + app}, "Certificates"},
		{"an agent that may not", false, body(82999, "unauthorized_client", ""), obo.ErrMisconfigured, []string{agentA, "child of the app " + app}, "app registration"},
		{"busy", false, body(90024, "temporarily_unavailable", ""), obo.ErrUnavailable, []string{"try again"}, ""},

		{"first: a wrong secret", true, body(7000215, "invalid_client", ""), obo.ErrMisconfigured, []string{"client secret is invalid"}, ""},
		{"first: an expired secret", true, body(7000222, "invalid_client", ""), obo.ErrMisconfigured, []string{"client secret has expired"}, ""},
		{"first: no federated credential, or no child", true, body(700211, "invalid_client", ""), obo.ErrMisconfigured, []string{"Federated credentials", agentA, app, tenant}, ""},
		{"first: subject", true, body(7002138, "invalid_client", ""), obo.ErrMisconfigured, []string{"Federated credentials", agentA}, ""},
		{"first: no such app", true, body(700016, "unauthorized_client", ""), obo.ErrMisconfigured, []string{"client ID"}, ""},
		{"first: no blueprint", true, body(82001, "unauthorized_client", ""), obo.ErrMisconfigured, []string{"authority host"}, ""},
		{"first: an unknown code", true, body(82999, "invalid_grant", claims), obo.ErrMisconfigured, []string{"agent identity", agentA, app, tenant}, "sign in"},
		{"first: nothing but an error", true, body(0, "invalid_request", ""), obo.ErrMisconfigured, []string{"agent identity", agentA}, "sign in"},
		{"first: consent", true, body(65001, "invalid_grant", consent), obo.ErrMisconfigured, []string{"agent identity", agentA}, "must grant"},
		{"first: an assertion", true, body(50013, "invalid_grant", ""), obo.ErrMisconfigured, []string{"agent identity", agentA}, "user's token"},
		{"first: an expired assertion", true, body(500133, "invalid_grant", ""), obo.ErrMisconfigured, []string{"agent identity", agentA}, "sign in"},
		{"first: a policy", true, body(53003, "invalid_grant", ""), obo.ErrBlocked, []string{"Conditional Access"}, ""},
		{"first: a loop", true, body(50196, "invalid_client", ""), obo.ErrThrottled, []string{"wait"}, ""},
		{"first: busy", true, body(90024, "temporarily_unavailable", ""), obo.ErrUnavailable, []string{"try again"}, ""},
		{"first: another server", true, answer{status: http.StatusForbidden, body: "<html>"}, obo.ErrMisconfigured, []string{"something else than Entra ID answered", "proxy"}, "agent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			entra := &agentEntra{}
			x := entra.exchanger(t, func(o *obo.Options) { o.RedirectURL = "https://mcp.example.com/consented" })
			entra.refuse(test.first, -1, test.a)
			_, err := askAs(t, x, 1, agentA)
			e := wantKind(t, err, test.want)
			if e.ConsentURL != "" || e.AdminConsentURL != "" {
				t.Errorf("URLs for consent: got %q and %q, want none", e.ConsentURL, e.AdminConsentURL)
			}
			if want := errors.Is(test.want, obo.ErrUnavailable); e.Temporary() != want {
				t.Errorf("Temporary() = %t, want %t", e.Temporary(), want)
			}
			if want := test.name == "a second factor"; (e.Claims != "") != want {
				t.Errorf("Claims = %q, want any: %t", e.Claims, want)
			}
			text := e.UserText()
			for _, s := range test.says {
				if !strings.Contains(text, s) {
					t.Errorf("the text is %q, want %q in it", text, s)
				}
			}
			if test.not != "" && strings.Contains(text, test.not) {
				t.Errorf("the text is %q, want no %q in it", text, test.not)
			}
			if log := entra.text(); !strings.Contains(log, `"agent":"`+agentA+`"`) {
				t.Errorf("the log is %s, want the agent", log)
			}
			if e.Resource != "https://storage.azure.com" {
				t.Errorf("Resource = %q, want the one that was asked for", e.Resource)
			}
		})
	}
}

// TestAgentHasNoRegistration: no remedy for a refused agent points to a page of the portal that agents
// don't have.
func TestAgentHasNoRegistration(t *testing.T) {
	t.Parallel()
	for _, code := range append(obo.Codes(), 0, 82999) {
		for _, oauthError := range []string{"invalid_grant", "invalid_client", "unauthorized_client", "invalid_request", ""} {
			entra := &agentEntra{}
			x := entra.exchanger(t, nil)
			entra.refuse(false, -1, refusalOf(code, oauthError))
			_, err := askAs(t, x, 1, agentA)
			e := asError(t, err)
			for _, page := range []string{"App registrations", "Certificates", "web app", "client secret", "Enterprise applications, the app,", "API permissions", "Options.Agents"} {
				if text := e.UserText(); strings.Contains(text, page) {
					t.Errorf("AADSTS%d %s: %q names %q, which no agent has", code, oauthError, text, page)
				}
			}
		}
	}
}

// TestAgentFaultsAreLoggedOnce: per cause, whatever other agents do.
func TestAgentFaultsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	x := entra.exchanger(t, nil)
	entra.answer = nil
	mustAsk(t, x, 1, agentB)
	entra.refuse(false, -1, refusalOf(700213, "invalid_client"))
	for user := range 3 {
		_, _ = askAs(t, x, 10+user, agentA)
	}
	entra.refuse(false, 0, answer{})
	mustAsk(t, x, 20, agentB) // fixes nothing of the other agent
	entra.refuse(false, -1, refusalOf(700213, "invalid_client"))
	_, _ = askAs(t, x, 30, agentA)
	if n := strings.Count(entra.text(), `"level":"ERROR"`); n != 1 {
		t.Errorf("%d errors in the log, want 1:\n%s", n, entra.text())
	}
	entra.refuse(false, 0, answer{})
	mustAsk(t, x, 40, agentA)
	entra.refuse(false, -1, refusalOf(700213, "invalid_client"))
	_, _ = askAs(t, x, 50, agentA)
	if n := strings.Count(entra.text(), `"level":"ERROR"`); n != 2 {
		t.Errorf("%d errors in the log after a success between, want 2:\n%s", n, entra.text())
	}
}

// TestFirstStepFaultsAreLoggedOnce: a refusal of the first step is no resource's and no user's, whichever
// code it has. It is logged again if it recurs after a success.
func TestFirstStepFaultsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	for _, a := range []answer{
		refusalOf(82999, "invalid_grant"), refusalOf(700211, "invalid_client"), refusalOf(7000215, "invalid_client"),
		refusalOf(50001, "invalid_grant"), {status: http.StatusForbidden, body: "<html>"},
	} {
		synctest.Test(t, func(t *testing.T) {
			entra := &agentEntra{}
			x := entra.exchanger(t, withVault)
			for round := 1; round <= 2; round++ {
				entra.refuse(true, -1, a)
				for user := range 3 {
					_, _ = askAs(t, x, user, agentA)
					_, _ = askWith(t, x.AgentCredential(blueprintToken(user), agentA), vaultOptions)
				}
				if n := strings.Count(entra.text(), `"level":"ERROR"`); n != round {
					t.Errorf("%s: %d errors in the log, want %d:\n%s", a.body, n, round, entra.text())
				}
				entra.refuse(true, 0, answer{})
				time.Sleep(3 * time.Second) //nolint:forbidigo // on the clock of testing/synctest
				mustAsk(t, x, 10, agentA)
				time.Sleep(2 * time.Hour) //nolint:forbidigo // on the clock of testing/synctest
			}
		})
	}
}

// TestBlueprintWithoutAgents: the app's own exchange, which Entra refuses to a blueprint, says what to
// configure.
func TestBlueprintWithoutAgents(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	x := entra.exchanger(t, func(o *obo.Options) { o.Agents = nil })
	entra.refuse(false, 1, refusalOf(82002, "unauthorized_client"))
	_, err := askWith(t, x.Credential(blueprintToken(1)), storageOptions)
	if e := wantKind(t, err, obo.ErrMisconfigured); !strings.Contains(e.UserText(), "Options.Agents") {
		t.Errorf("the text is %q, want what to configure", e.UserText())
	}
}
