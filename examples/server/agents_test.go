package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// withBlueprint makes the world's API a blueprint with an agent, whose tokens say who is an agent.
func (w *world) withBlueprint(c *serverconfig.Config) (agent *entratest.App) {
	w.api = w.tenant.AddBlueprint("Agents' server", "access_as_user")
	w.api.OptionalClaims = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"}
	w.secret = w.api.AddSecret()
	*c = w.config(c.Listen)
	agent = w.tenant.AddAgent(w.api, "Agent")
	w.tenant.Consent(agent, w.tenant.Storage(), "user_impersonation")
	return agent
}

// With AGENT_ID the tools act for the user as the agent.
func TestActsAsAgent(t *testing.T) {
	t.Parallel()
	var agent *entratest.App
	f := start(t, func(w *world, c *serverconfig.Config) {
		agent = w.withBlueprint(c)
		c.AgentID = agent.ClientID
	})
	s := session(t, f.origin+"/mcp", f.tenant.Token(f.alice, f.client, f.api), "")
	out := result(t, s, "get_azure_blob_storage_token", nil)
	token, _ := out["access_token"].(string)
	var claims jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
		t.Fatalf("the token of %v: %v", out, err)
	}
	if claims["oid"] != f.alice.ObjectID || claims["appid"] != agent.ClientID {
		t.Errorf("got a token for %v as %v, want Alice's (%s) as the agent (%s)", claims["oid"], claims["appid"], f.alice.ObjectID, agent.ClientID)
	}
	result(t, s, "read_blob_with_token", map[string]any{"blob_path": welcomeBlob})
	wantText(t, f.log.String(), "acts_as="+agent.ClientID)
}

// Who may call, by AGENT_USERS and PEOPLE_ONLY.
func TestWhichAgentsMayCall(t *testing.T) {
	t.Parallel()
	type callers struct{ person, throughAgent, agentUser int } // statuses
	const yes, no = http.StatusOK, http.StatusForbidden
	for name, c := range map[string]struct {
		change func(c *serverconfig.Config, user *entratest.User)
		want   callers
	}{
		"by default":  {func(*serverconfig.Config, *entratest.User) {}, callers{yes, yes, no}},
		"PEOPLE_ONLY": {func(c *serverconfig.Config, _ *entratest.User) { c.PeopleOnly = true }, callers{yes, no, no}},
		"AGENT_USERS": {func(c *serverconfig.Config, u *entratest.User) { c.AgentUsers = []string{strings.ToUpper(u.ObjectID)} }, callers{yes, yes, yes}},
	} {
		var agent *entratest.App
		var user *entratest.User
		f := start(t, func(w *world, config *serverconfig.Config) {
			agent = w.withBlueprint(config)
			config.AgentID = agent.ClientID
			user = w.tenant.AddAgentUser(agent, "agent@contoso.example", "Agent user")
			c.change(config, user)
		})
		status := func(token string) int {
			status, _, _ := f.post(t, http.Header{"Authorization": {"Bearer " + token}})
			return status
		}
		got := callers{status(f.tenant.Token(f.alice, f.client, f.api)), status(f.tenant.Token(f.alice, agent, f.api)), status(f.tenant.Token(user, agent, f.api))}
		if got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
