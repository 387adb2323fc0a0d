package entratest_test

import (
	"net/url"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// agents are a blueprint of contoso with an agent identity and an agent user.
type agents struct {
	*contoso
	blueprint, agent *entratest.App
	user             *entratest.User // of the agent
	secret           string          // of the blueprint
}

func newAgents(t testing.TB) *agents {
	t.Helper()
	return newContoso(t).newAgents()
}

func (c *contoso) newAgents() *agents {
	a := &agents{contoso: c, blueprint: c.AddBlueprint("Files MCP", "access_as_user")}
	a.agent = c.AddAgent(a.blueprint, "Files agent")
	a.user = c.AddAgentUser(a.agent, "files-agent@contoso.com", "Files Agent")
	a.secret = a.blueprint.AddSecret()
	return a
}

// agentClaims are the optional claims that identify agents.
var agentClaims = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"}

func TestClaimsAboutAgents(t *testing.T) {
	t.Parallel()
	c := newAgents(t)
	local := c.AddAgentClient("Local agent")
	for name, test := range map[string]struct {
		token                        func(api *entratest.App) string
		client, oid                  string
		idtyp, subject, actor, proof string
		parent                       any
	}{
		"person": {
			func(api *entratest.App) string { return c.Token(c.alice, c.client, api) },
			c.client.ClientID, c.alice.ObjectID, "user", "3 6", "9 3", "0", nil,
		},
		"person through an agent": {
			func(api *entratest.App) string { return c.Token(c.alice, c.agent, api) },
			c.agent.ClientID, c.alice.ObjectID, "user", "3 6", "3 9 11", "2", c.blueprint.ClientID,
		},
		"person through an agent that is a public client": {
			func(api *entratest.App) string { return c.Token(c.alice, local, api) },
			local.ClientID, c.alice.ObjectID, "user", "3 6", "3 9 11", "0", local.ClientID,
		},
		"agent user": {
			func(api *entratest.App) string { return c.Token(c.user, c.agent, api) },
			c.agent.ClientID, c.user.ObjectID, "user", "3 13", "3 9 11", "2", c.blueprint.ClientID,
		},
		"agent user through an app that is no agent": {
			func(api *entratest.App) string { return c.Token(c.user, c.client, api) },
			c.client.ClientID, c.user.ObjectID, "user", "3 13", "9 3", "0", nil,
		},
		"agent on its own": {
			func(api *entratest.App) string { return c.AppToken(c.agent, api) },
			c.agent.ClientID, c.agent.ClientID, "app", "9 3 11", "3 9 11", "2", c.blueprint.ClientID,
		},
		"blueprint": {
			func(api *entratest.App) string { return c.AppToken(c.blueprint, api) },
			c.blueprint.ClientID, c.blueprint.ObjectID, "app", "9 3", "9 3", "1", nil,
		},
		"application": {
			func(api *entratest.App) string { return c.AppToken(c.api, api) },
			c.api.ClientID, c.api.ObjectID, "app", "9 3", "9 3", "1", nil,
		},
	} {
		for version, of := range map[int]struct{ client, proof string }{1: {"appid", "appidacr"}, 2: {"azp", "azpacr"}} {
			asked, plain := c.AddApp("Asks", "read"), c.AddApp("Doesn't ask", "read")
			asked.AccessTokenVersion, plain.AccessTokenVersion = version, version
			asked.OptionalClaims = agentClaims
			_, claims := decode(t, test.token(asked))
			for claim, want := range map[string]any{
				of.client: test.client, of.proof: test.proof, "oid": test.oid, "idtyp": test.idtyp,
				"xms_sub_fct": test.subject, "xms_act_fct": test.actor, "xms_par_app_azp": test.parent,
			} {
				if claims[claim] != want {
					t.Errorf("%s, v%d: %s is %v, want %v", name, version, claim, claims[claim], want)
				}
			}
			if test.idtyp == "app" && claims["sub"] != claims["oid"] {
				t.Errorf("%s, v%d: sub is %v, want oid, %v", name, version, claims["sub"], claims["oid"])
			}
			_, claims = decode(t, test.token(plain))
			for _, claim := range agentClaims {
				if claims[claim] != nil {
					t.Errorf("%s, v%d: the API doesn't ask for %s, and the token has %v", name, version, claim, claims[claim])
				}
			}
		}
	}
}

func TestAgentsOfTheWrongParent(t *testing.T) {
	t.Parallel()
	c := newAgents(t)
	elsewhere := c.AddTenant(nil)
	for name, add := range map[string]func(){
		"an agent of an API":                       func() { c.AddAgent(c.api, "Agent") },
		"an agent of an agent":                     func() { c.AddAgent(c.agent, "Agent") },
		"an agent in a tenant without a principal": func() { elsewhere.AddAgent(c.blueprint, "Agent") },
		"an agent user of a blueprint":             func() { c.AddAgentUser(c.blueprint, "a@contoso.com", "A") },
		"an agent user in another tenant":          func() { elsewhere.AddAgentUser(c.agent, "a@contoso.com", "A") },
		"an agent in another tenant":               func() { elsewhere.AddServicePrincipal(c.agent) },
		"inheritance of an API":                    func() { c.api.AllowInheritance(c.Storage()) },
		"an agent with a secret":                   func() { c.agent.AddSecret() },
		"an agent with a redirect URI":             func() { c.agent.AddRedirectURI(entratest.PlatformWeb, "https://a.example") },
		"an agent with a federated credential":     func() { c.agent.AddFederatedCredential("https://a", "b", "c") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was added, want a panic", name)
				}
			}()
			add()
		}()
	}
	guest := elsewhere.AddServicePrincipal(c.blueprint)
	asks := elsewhere.AddApp("Asks", "read")
	asks.OptionalClaims = agentClaims
	_, claims := decode(t, elsewhere.AppToken(elsewhere.AddAgent(guest, "Agent"), asks))
	if claims["xms_par_app_azp"] != c.blueprint.ClientID {
		t.Errorf("the agent of a blueprint of another tenant has the parent %v, want %s", claims["xms_par_app_azp"], c.blueprint.ClientID)
	}
}

// TestConsentForABlueprint: a blueprint signs nobody in, but people can consent for its agents on the
// pages that its redirect URI is for.
func TestConsentForABlueprint(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	for _, page := range []string{"/v2.0/adminconsent?", "/oauth2/v2.0/authorize?response_type=none&"} {
		a := c.newAgents()
		const back = "https://app.example.com/consented"
		a.blueprint.AddRedirectURI(entratest.PlatformWeb, back)
		a.blueprint.AllowInheritance(a.Storage())
		a.alice.Administrator = true
		got, err := a.Browser(a.alice).Open(t.Context(), a.AuthorityHost()+"/"+a.ID()+page+url.Values{
			"client_id": {a.blueprint.ClientID}, "redirect_uri": {back}, "scope": {"https://storage.azure.com/user_impersonation"},
		}.Encode())
		if err != nil || got.Query().Has("code") {
			t.Fatalf("%s: %v, %v, want no code", page, got, err)
		}
		if got := a.token(t, a.forPerson(a.t1(t))); got.status != 200 {
			t.Errorf("%s: after the consent: %d %s", page, got.status, got.body)
		}
	}
}
