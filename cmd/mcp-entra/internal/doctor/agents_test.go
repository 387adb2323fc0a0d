package doctor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/doctor"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// claimsOfAgents are the optional claims that identify agents.
var claimsOfAgents = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"}

// asAgent makes the server's application a blueprint, and the server act as its agent identity.
func asAgent(change func(w *world, agent *entratest.App)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		t.Helper()
		old := w.api
		old.AppIDURIs = []string{}
		w.api = w.tenant.AddBlueprint("MCP-Server-Blueprint", "access_as_user")
		w.api.AccessTokenVersion, w.api.AppIDURIs, w.api.OptionalClaims = 2, []string{resourceURL, "api://" + w.api.ClientID}, claimsOfAgents
		agent := w.tenant.AddAgent(w.api, "Files agent")
		w.secret = w.api.AddSecret()
		w.tenant.Consent(w.client, w.api, "access_as_user")
		w.tenant.Consent(w.api, w.tenant.Storage(), "user_impersonation")
		w.api.AllowInheritance(w.tenant.Storage(), "user_impersonation")
		w.preAuthorize(t, vsCode, azureCLI, w.client.ClientID)
		w.facts.ClientID, w.facts.AppIDURIs, w.facts.Method = w.api.ClientID, w.api.AppIDURIs, clientauth.Secret(w.secret)
		w.facts.Agents, w.facts.JudgesAgents = []string{agent.ClientID}, true
		w.token = w.tenant.Token(w.alice, w.client, w.api, "access_as_user")
		if change != nil {
			change(w, agent)
		}
	}
}

// A server that acts as an agent identity of its blueprint is healthy.
func TestHealthyAgents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asAgent(nil)(t, w)
	report := w.examine(t)
	if got := failures(report); len(got) > 0 {
		t.Errorf("failed: %v\n%s", got, text(t, report))
	}
	for _, c := range report.Checks {
		if slices.Contains([]string{"agents", "exchange", "proof", "data-role"}, c.ID) && c.Status != doctor.OK {
			t.Errorf("%s: %s, want ok: %+v", c.ID, c.Status, c)
		}
	}
}

func TestAgentFaults(t *testing.T) {
	t.Parallel()
	examineFaults(t, map[string]fault{
		"no claims": {func(_ *testing.T, w *world) { w.facts.JudgesAgents = true }, "agents",
			[]string{"without xms_sub_fct, xms_act_fct, xms_par_app_azp, idtyp", "an agent user passes for a person"}},
		"one claim too few": {func(_ *testing.T, w *world) {
			w.facts.JudgesAgents, w.api.OptionalClaims = true, claimsOfAgents[:3]
		}, "agents", []string{"without xms_par_app_azp\n"}},
		"no blueprint": {func(_ *testing.T, w *world) { w.facts.Agents = []string{"a0000000-0000-4000-8000-000000000001"} }, "agents",
			[]string{"an ordinary application", "register a blueprint", "not run  exchange              because agents failed"}},
		"no agent": {asAgent(func(w *world, _ *entratest.App) { w.facts.Agents = []string{"a0000000-0000-4000-8000-000000000001"} }), "agents",
			[]string{"there is no agent identity a0000000-0000-4000-8000-000000000001"}},
		"another service principal": {asAgent(func(w *world, _ *entratest.App) { w.facts.Agents = []string{w.client.ObjectID} }), "agents",
			[]string{"is not an agent identity", "MCP client"}},
		"a child of another blueprint": {asAgent(func(w *world, _ *entratest.App) {
			w.facts.Agents = []string{w.tenant.AddAgent(w.tenant.AddBlueprint("Other"), "Other agent").ClientID}
		}), "agents", []string{"is no child of this blueprint", "came      a child of "}},
		"nothing granted": {asAgent(func(w *world, _ *entratest.App) { w.tenant.RevokeConsent(w.api, w.tenant.Storage()) }), "agents",
			[]string{"AADSTS65001", "https://storage.azure.com", "came      none", "no consent page"}},
		"not inherited": {asAgent(func(w *world, _ *entratest.App) { w.api.AllowInheritance(w.tenant.Storage(), "other") }), "agents",
			[]string{"a grant to the blueprint's principal, which agents don't inherit"}},
	})
	t.Run("granted to the agent", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		asAgent(func(w *world, agent *entratest.App) {
			w.tenant.RevokeConsent(w.api, w.tenant.Storage())
			w.tenant.Consent(agent, w.tenant.Storage(), "user_impersonation")
		})(t, w)
		if all := text(t, w.examine(t)); !strings.Contains(all, "ok       agents") {
			t.Errorf("the report does not say that agents are fine:\n%s", all)
		}
	})
}
