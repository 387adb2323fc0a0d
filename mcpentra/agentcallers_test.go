package mcpentra_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A policy that names a tenant or the API as an agent, by mistake, would refuse everybody for ever.
func TestAgentIDFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, api, other := strings.ToUpper(w.tenant.ID()), strings.ToUpper(w.api.ClientID), "cccccccc-0000-4000-8000-000000000003"
	agents := func(ids ...string) entraauth.Policy {
		return entraauth.Policy{AppRoles: []string{"R"}, Agents: ids}
	}
	users := func(ids ...string) entraauth.Policy { return entraauth.Policy{AgentUsers: ids} }
	for name, c := range map[string]struct {
		option mcpentra.Option
		want   string // "" if it is good
	}{
		"an agent":                      {mcpentra.WithToolPolicy("*", agents(other)), ""},
		"an agent user":                 {mcpentra.WithPromptPolicy("*", users(other)), ""},
		"a tool's policy, the tenant":   {mcpentra.WithToolPolicy("*", agents(other, tenant)), `WithToolPolicy("*"): Agents: ` + w.tenant.ID() + " is a tenant ID"},
		"a tool's policy, the API":      {mcpentra.WithToolPolicy("*", agents(api)), `WithToolPolicy("*"): Agents: ` + w.api.ClientID + " is the API's client ID, and a blueprint's ID names no agent"},
		"a prompt's policy, the tenant": {mcpentra.WithPromptPolicy("*", users(tenant)), `WithPromptPolicy("*"): AgentUsers: ` + w.tenant.ID()},
		"a resource's policy, the API":  {mcpentra.WithResourcePolicy("*", users(other, api)), `WithResourcePolicy("*"): AgentUsers: ` + w.api.ClientID},
		"a policy of a tool's own":      {mcpentra.WithTools(said("own", agents(api))), `WithTools: policy of the tool ("own"): Agents: ` + w.api.ClientID},
		"a tool's own, for agent users": {mcpentra.WithTools(said("own", users(tenant))), `WithTools: policy of the tool ("own"): AgentUsers: ` + w.tenant.ID()},
	} {
		_, err := mcpentra.NewServer(resourceURL, w.verifier, append(slices.Clone(w.options), c.option)...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// Nobody consents in the name of an agent user: it signs in on no page, and whoever opened
// one would consent for themselves. It is told what an administrator can do.
func TestNoConsentPageForAgentUsers(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"2025-11-25", "2026-07-28"} {
		w, user, agent := agentUserWorld(t)
		addWhoami(w)
		pages := 0
		asked := func(context.Context, string) string { pages++; return "decline" }
		for name, token := range map[string]string{"agent user": w.tenant.Token(user, agent, w.api), "Alice": w.tenant.Token(w.alice, agent, w.api)} {
			pages = 0
			s := w.connectPerson(t, token, protocol, asked, func(string) {})
			result, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
			if name == "Alice" {
				if pages+strings.Count(toText(result, err), "/authorize?") == 0 {
					t.Errorf("%s, %s: %s, want a page to consent on", protocol, name, toText(result, err))
				}
				continue
			}
			if text := toText(result, err); pages > 0 || strings.Contains(text, "/authorize?") || !strings.Contains(text, "AADSTS65001") || !strings.Contains(text, "An administrator can consent for everybody at ") {
				t.Errorf("%s, %s: %d pages and %s, want no page, and what an administrator can do", protocol, name, pages, text)
			}
		}
	}
}

// Nor does any other answer show an agent user the page: of a resource or a prompt, whoever wrote
// its text.
func TestNoConsentURLForAgentUsers(t *testing.T) {
	t.Parallel()
	w, user, agent := agentUserWorld(t)
	blobs, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{HTTPClient: w.blobs.HTTPClient(), Tools: []string{"read_blob", "list_blobs"}})
	must(t, err)
	w.options = append(w.options, mcpentra.WithTools(borrowers{}, blobs))
	w.rebuild(t)
	for name, body := range map[string]string{
		"a tool":               callBody("ask"),
		"blobtool's tool":      rpc(1, "tools/call", `{"name":"read_blob","arguments":{"blob_path":"hello.txt"}}`),
		"blobtool's resource":  readBody("blob://docs/hello.txt"),
		"blobtool's list":      rpc(1, "tools/call", `{"name":"list_blobs","arguments":{}}`),
		"a resource":           readBody("note://own"),
		"a prompt":             rpc(1, "prompts/get", `{"name":"draft"}`),
		"a completion":         rpc(1, "completion/complete", `{"ref":{"type":"ref/resource","uri":"note://{+path}"},"argument":{"name":"path","value":"own"}}`),
		"a text of the tool's": rpc(1, "prompts/list", "{}"),
	} {
		for caller, token := range map[string]string{"agent user": w.tenant.Token(user, agent, w.api), "Alice": w.tenant.Token(w.alice, agent, w.api)} {
			_, _, text := w.post(t, body, bearerOf(token))
			if got, want := strings.Contains(text, "/authorize?"), caller == "Alice"; got != want || !strings.Contains(text, "AADSTS65001") {
				t.Errorf("%s for %s: a page to consent on: %v, want %v, and AADSTS65001\n%s", name, caller, got, want, text)
			}
		}
	}
}

// agentUserWorld lets in an agent user, and the app lacks consent for everybody.
func agentUserWorld(t *testing.T) (w *world, user *entratest.User, agent *entratest.App) {
	t.Helper()
	w = consentWorld(t)
	w.api.OptionalClaims = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"}
	agent = w.tenant.AddAgent(w.tenant.AddBlueprint("Agents"), "Agent")
	user = w.tenant.AddAgentUser(agent, "agent@contoso.example", "Agent user")
	v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(), Policy: entraauth.Policy{AgentUsers: []string{user.ObjectID}},
	})
	must(t, err)
	t.Cleanup(func() { _ = v.Close() })
	w.verifier = v
	w.rebuild(t)
	return w, user, agent
}

func toText(result *mcp.CallToolResult, err error) string {
	if err != nil {
		return err.Error()
	}
	return result.Content[0].(*mcp.TextContent).Text
}
