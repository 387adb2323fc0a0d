package mcpentra_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// An agency is a world whose server acts as agents: the app is their blueprint.
type agency struct {
	*world
	a, b *entratest.App // agents
	user *entratest.User
	asks atomic.Int32
}

// newAgency makes the server act as agent a for Alice and agent b for Bob and the agent user, and
// for nobody else.
func newAgency(t *testing.T, opts ...mcpentra.Option) *agency {
	t.Helper()
	w := newWorld(t)
	w.api = w.tenant.AddBlueprint("Agents' server", "access_as_user")
	w.api.OptionalClaims = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"}
	x := &agency{world: w, a: w.tenant.AddAgent(w.api, "A"), b: w.tenant.AddAgent(w.api, "B")}
	x.user = w.tenant.AddAgentUser(x.b, "b@contoso.example", "Agent user")
	for _, agent := range []*entratest.App{x.a, x.b} {
		w.tenant.Consent(agent, w.tenant.Storage(), "user_impersonation")
	}
	var err error
	w.verifier, err = entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(),
		Policy: entraauth.Policy{Scopes: []string{"access_as_user"}, AppRoles: []string{"Other"}, Agents: []string{x.a.ClientID}, AgentUsers: []string{x.user.ObjectID}},
	})
	must(t, err)
	t.Cleanup(func() { _ = w.verifier.Close() })
	w.exchanger = x.newExchanger(t, x.a.ClientID, x.b.ClientID)
	w.options = append(opts, mcpentra.WithAgent(x.agentFor), mcpentra.WithTools(acting{}))
	w.rebuild(t)
	return x
}

func (x *agency) newExchanger(t *testing.T, agents ...string) *obo.Exchanger {
	t.Helper()
	exchanger, err := obo.NewExchanger(x.tenant.ID(), x.api.ClientID, clientauth.Secret(x.api.AddSecret()), &obo.Options{
		HTTPClient: x.tenant.HTTPClient(), AuthorityHost: x.tenant.AuthorityHost(), Logger: x.logger(), Agents: agents,
	})
	must(t, err)
	return exchanger
}

func (x *agency) agentFor(caller *entraauth.Identity) string {
	x.asks.Add(1)
	switch caller.ObjectID() {
	case x.alice.ObjectID:
		return strings.ToUpper(x.a.ClientID)
	case x.bob.ObjectID, x.user.ObjectID:
		return x.b.ClientID
	}
	return ""
}

// bearerOf returns the header of the token's holder.
func bearerOf(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// acting is a tool that says on whose behalf its token is, and as whom.
type acting struct{}

func (acting) Register(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "act", Description: "Says for whom and as whom it acts."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, any, error) {
			text, err := actsFor(ctx)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, err
		})
}

func actsFor(ctx context.Context) (string, error) {
	credential, err := mcpentra.Credential(ctx)
	if err != nil {
		return "", err
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{storageScope}})
	if err != nil {
		return "", err
	}
	if token.Token == ownToken {
		return "as the server", nil
	}
	var claims jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token.Token, &claims); err != nil {
		return "", err
	}
	return fmt.Sprintf("for %v as %v", claims["oid"], claims["appid"]), nil
}

// Each caller has the agent that the function names for them, at once and in sessions, and
// whatever arguments and headers say.
func TestActsAsAgent(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		x := newAgency(t, mode.opts...)
		var id atomic.Int32
		var wg sync.WaitGroup
		for _, c := range []struct {
			token, want string
		}{
			{x.token(x.alice), "for " + x.alice.ObjectID + " as " + x.a.ClientID},
			{x.token(x.bob), "for " + x.bob.ObjectID + " as " + x.b.ClientID},
			{x.tenant.Token(x.alice, x.b, x.api), "for " + x.alice.ObjectID + " as " + x.a.ClientID}, // Alice through the other agent
			{x.tenant.Token(x.user, x.a, x.api), "for " + x.user.ObjectID + " as " + x.b.ClientID},
			{x.token(x.tenant.AddUser("carol@contoso.example", "Carol")), "has no agent for you"},
		} {
			header := x.caller(t, bearerOf(c.token), mode.name == "sessions")
			maps.Copy(header, map[string]string{"X-Agent-Id": x.b.ClientID, "Agent": x.b.ClientID})
			wg.Go(func() {
				for range 3 {
					body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"act","arguments":{"agent":%q,"agent_id":%[2]q,"fmi_path":%[2]q}}}`, id.Add(1), x.b.ClientID)
					if _, _, text := x.post(t, body, header); !strings.Contains(text, c.want) {
						t.Errorf("%s: got %s, want %s", mode.name, text, c.want)
					}
				}
			})
		}
		wg.Wait()
		log := x.log.String()
		for _, want := range []string{"acts_as=" + x.a.ClientID, "acts_as=" + x.b.ClientID, "reason=no_agent", "return one of obo.Options.Agents",
			"caller.agent=" + x.b.ClientID, `caller.agent_role="for person"`, "caller.agent_role=user"} {
			if !strings.Contains(log, want) {
				t.Errorf("%s: the log has no %s:\n%s", mode.name, want, log)
			}
		}
		if strings.Contains(log, "credential=server") {
			t.Errorf("%s: the log says credential=server, and there is none", mode.name)
		}
	}
}

// Agents on their own and applications have no agent, but may have the server's credential. An agent
// user never has it.
func TestAgentsAsCallers(t *testing.T) {
	t.Parallel()
	own := &operator{}
	for _, lends := range []bool{false, true} {
		var opts []mcpentra.Option
		want := "needs a user"
		if lends {
			opts = append(opts, mcpentra.WithDangerousServerCredentialForApplications(own, []string{"act"}, nil))
			want = "as the server"
		}
		x := newAgency(t, opts...)
		for name, c := range map[string]struct {
			token, want, log string
		}{
			"an application":        {x.mint(t, map[string]any{"scp": nil, "roles": []string{"Other"}, "idtyp": "app"}), want, "outcome"},
			"an agent on its own":   {x.agentToken(t, x.a), want, "caller.agent=" + x.a.ClientID},
			"an agent, no scope":    {x.mint(t, map[string]any{"idtyp": nil, "scp": "/", "roles": []string{"Other"}, "azp": x.a.ClientID, "appid": x.a.ClientID, "xms_sub_fct": "9 3 11"}), want, "caller.agent_role=alone"},
			"a person":              {x.token(x.alice), "for " + x.alice.ObjectID, "acts_as=" + x.a.ClientID},
			"a person, by an agent": {x.tenant.Token(x.alice, x.a, x.api), "for " + x.alice.ObjectID, "caller.agent=" + x.a.ClientID},
			"an agent user":         {x.tenant.Token(x.user, x.b, x.api), "for " + x.user.ObjectID, "caller.agent_role=user"},
			"an agent user without an agent": {x.mint(t, map[string]any{"scp": "access_as_user", "oid": x.user.ObjectID, "xms_sub_fct": "13"}),
				"for " + x.user.ObjectID, "caller.agent=unknown"},
		} {
			before, asked := len(x.log.String()), x.asks.Load()
			status, _, body := x.post(t, callBody("act"), bearerOf(c.token))
			if !strings.Contains(body, c.want) || c.want != "as the server" && strings.Contains(body, "as the server") {
				t.Errorf("lends %v, %s: got %d %s, want %s", lends, name, status, body, c.want)
			}
			line := x.log.String()[before:]
			if !strings.Contains(line, c.log) || strings.Contains(line, "credential=server") != (c.want == "as the server") {
				t.Errorf("lends %v, %s: the log is %s, want %s", lends, name, line, c.log)
			}
			if app := c.want == want; app != (x.asks.Load() == asked) {
				t.Errorf("lends %v, %s: the function of WithAgent was asked: %v, want %v", lends, name, !app, app)
			}
		}
	}
}

// mint returns a token of the blueprint's with these changes.
func (x *agency) mint(t *testing.T, change map[string]any) string {
	t.Helper()
	return strings.TrimPrefix(x.bearer(change)["Authorization"], "Bearer ")
}

// agentToken returns the token of an agent on its own, as Entra writes it.
func (x *agency) agentToken(t *testing.T, agent *entratest.App) string {
	t.Helper()
	x.tenant.GrantRoles(agent, x.api, "Other")
	return x.tenant.AppToken(agent, x.api)
}

// A function that panics, or names another agent than the exchanger's, gets no credential.
func TestAgentOfAnOddFunction(t *testing.T) {
	t.Parallel()
	x := newAgency(t)
	secret := "Xy7~S3cr3tValueOfAnEntraClient.01234567890"
	for name, c := range map[string]struct {
		agent     func() string
		want, log string
	}{
		"panics":                  {func() string { panic("no agents today") }, "internal error", "no agents today"},
		"panics with an error":    {func() string { panic(errors.New("nil map")) }, "internal error", "nil map"},
		"names no agent":          {func() string { return "" }, "has no agent for you", "no_agent"},
		"names another app":       {func() string { return x.client.ClientID }, "agent", "agent_not_allowed"},
		"names the blueprint":     {func() string { return x.api.ClientID }, "agent", "agent_not_allowed"},
		"names a secret":          {func() string { return secret }, "agent", "agent_not_allowed"},
		"names a word and an id":  {func() string { return x.a.ClientID + " " + x.b.ClientID }, "agent", "agent_not_allowed"},
		"names an id and a space": {func() string { return x.a.ClientID + " " }, "agent", "agent_not_allowed"},
	} {
		x.options = []mcpentra.Option{mcpentra.WithAgent(func(*entraauth.Identity) string { return c.agent() }), mcpentra.WithTools(acting{})}
		x.rebuild(t)
		before := len(x.log.String())
		status, _, body := x.post(t, callBody("act"), bearerOf(x.token(x.alice)))
		log := x.log.String()[before:]
		if !strings.Contains(body, `"isError":true`) || !strings.Contains(body, c.want) || strings.Contains(body, "no agents today") || strings.Contains(body, secret) {
			t.Errorf("%s: got %d %s, want an error with %q", name, status, body, c.want)
		}
		if !strings.Contains(log, c.log) || strings.Contains(log, "acts_as") || strings.Contains(log, secret) {
			t.Errorf("%s: the log is %s, want %q, and no acts_as", name, log, c.log)
		}
	}
}

// Nobody is sent to a page when an agent has no permission: the result says what an administrator
// must do, whatever the client can show.
func TestAgentWithoutConsent(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		for _, protocol := range []string{"2025-11-25", "2026-07-28"} {
			if mode.name == "sessions" && protocol == "2026-07-28" {
				continue
			}
			x := newAgency(t, append(slices.Clone(mode.opts), mcpentra.WithStateKeys(stateKey('a')))...)
			x.tenant.RevokeConsent(x.a, x.tenant.Storage())
			s := x.connectPerson(t, x.token(x.alice), protocol, func(context.Context, string) string {
				t.Errorf("%s %s: the user was sent to a page", mode.name, protocol)
				return "accept"
			}, func(string) {})
			result, text := call(t, s, "act", nil)
			for _, want := range []string{"AADSTS65001", "an administrator must grant", x.api.ClientID, x.a.ClientID, "https://storage.azure.com"} {
				if !result.IsError || !strings.Contains(text, want) {
					t.Errorf("%s %s: got %s, want an error with %q", mode.name, protocol, text, want)
				}
			}
			if strings.Contains(text, "/authorize") || strings.Contains(text, "adminconsent") {
				t.Errorf("%s %s: got %s, want no page", mode.name, protocol, text)
			}
			if log := x.log.String(); !strings.Contains(log, "reason=consent_required") || strings.Contains(log, "outcome=input") {
				t.Errorf("%s %s: the log does not say consent_required, or that the user was asked", mode.name, protocol)
			}
		}
	}
}

// An exchanger that acts as agents, and a function that names them, need each other.
func TestAgentFaults(t *testing.T) {
	t.Parallel()
	x := newAgency(t)
	plain, agents := x.newExchanger(t), x.newExchanger(t, x.a.ClientID)
	none := func(*entraauth.Identity) string { return "" }
	for name, c := range map[string]struct {
		options []mcpentra.Option
		want    string // "" if they fit
	}{
		"both":                   {[]mcpentra.Option{mcpentra.WithExchanger(agents), mcpentra.WithAgent(none)}, ""},
		"neither":                {[]mcpentra.Option{mcpentra.WithExchanger(plain)}, ""},
		"no exchanger":           {[]mcpentra.Option{mcpentra.WithAgent(none)}, "WithAgent: the server has no exchanger"},
		"no agents":              {[]mcpentra.Option{mcpentra.WithExchanger(plain), mcpentra.WithAgent(none)}, "acts as no agent"},
		"no function":            {[]mcpentra.Option{mcpentra.WithExchanger(agents)}, "add WithAgent"},
		"nil":                    {[]mcpentra.Option{mcpentra.WithExchanger(agents), mcpentra.WithAgent(nil)}, "WithAgent: the function is nil"},
		"two":                    {[]mcpentra.Option{mcpentra.WithExchanger(agents), mcpentra.WithAgent(none), mcpentra.WithAgent(none)}, "appears twice"},
		"a function and no more": {[]mcpentra.Option{mcpentra.WithAgent(none), mcpentra.WithAllowedOrigins("x")}, "WithAllowedOrigins"},
	} {
		_, err := mcpentra.NewServer(resourceURL, x.verifier, c.options...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
