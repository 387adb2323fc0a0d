package entraauth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// Who passes which policy of the verifier; all others are refused for the reason.
func TestAgentPolicies(t *testing.T) {
	t.Parallel()
	a := newAgency(t)
	tokens := a.tokens()
	users := []string{"access_as_user"}
	roles := []string{"R"}
	const noApp, noAgent, noAgentUser, people = "app_only", "agent_not_accepted", "agent_user_not_accepted", "people_only"
	for name, row := range map[string]struct {
		policy entraauth.Policy
		want   map[string]string
	}{
		"default": {
			entraauth.Policy{},
			map[string]string{"agent user": noAgentUser, "middle tier": noAgentUser, "agent": noAgent, "bare agent": noAgent, "application": noApp},
		},
		"roles alone": { // an agent that passed by its role no longer does
			entraauth.Policy{AppRoles: roles},
			map[string]string{
				"person": "user_not_accepted", "through agent": "user_not_accepted", "through CIMD": "user_not_accepted", "agent user": noAgentUser, "middle tier": noAgentUser,
				"agent": noAgent, "bare agent": noAgent,
			},
		},
		"an agent": {
			entraauth.Policy{Scopes: users, AppRoles: roles, Agents: []string{strings.ToUpper(a.agent.ClientID)}},
			map[string]string{"agent user": noAgentUser, "middle tier": noAgentUser, "bare agent": noAgent},
		},
		"the blueprint in the agent's place": {
			entraauth.Policy{Scopes: users, AppRoles: roles, Agents: []string{a.blueprint.ClientID}},
			map[string]string{"agent user": noAgentUser, "middle tier": noAgentUser, "agent": noAgent, "bare agent": noAgent},
		},
		"an agent user": {
			entraauth.Policy{AgentUsers: []string{strings.ToUpper(a.agentUser.ObjectID)}},
			map[string]string{"agent": noAgent, "bare agent": noAgent, "application": noApp},
		},
		"the agent in the agent user's place": {
			entraauth.Policy{AgentUsers: []string{a.agent.ClientID}},
			map[string]string{"agent user": noAgentUser, "middle tier": noAgentUser, "agent": noAgent, "bare agent": noAgent, "application": noApp},
		},
		"people only": {
			entraauth.Policy{PeopleOnly: true},
			map[string]string{
				"through agent": people, "through CIMD": people, "agent user": people, "middle tier": people, "agent": people, "bare agent": people,
				"application": people,
			},
		},
	} {
		a.start(t, func(o *entraauth.Options) { o.Policy = row.policy })
		for caller, token := range tokens {
			id, err := a.verifier.Verify(t.Context(), token)
			checkReason(t, name+", "+caller, err, row.want[caller], caller == "application" && row.want[caller] == noApp)
			if id != nil && id.IsPerson() != (caller == "person" || strings.HasPrefix(caller, "through")) {
				t.Errorf("%s, %s: IsPerson() = %t", name, caller, id.IsPerson())
			}
		}
	}
	a.start(t, func(o *entraauth.Options) {
		o.Policy = entraauth.Policy{AppRoles: roles, Agents: []string{a.agent.ClientID}}
	})
	a.tenant.GrantRoles(a.agent, a.api, "Other")
	id, err := a.verifier.Verify(t.Context(), tokens["agent"])
	if err != nil || id.Agent().ID != a.agent.ClientID || id.Agent().BlueprintID != a.blueprint.ClientID || id.Agent().Role != entraauth.AgentRoleAlone {
		t.Errorf("the agent: %+v, %v, want its ids", id, err)
	}
}

// checkReason compares a refusal. Only an application without agent may be told to ask for a scope.
func checkReason(t *testing.T, name string, err error, reason string, scopeHelps bool) {
	t.Helper()
	if reason == "" {
		if err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
		return
	}
	e, ok := errors.AsType[*entraauth.Error](err)
	if !ok || e.Reason != reason {
		t.Errorf("%s: got %v, want the reason %s", name, err, reason)
		return
	}
	kind := entraauth.ErrNotPermitted
	if scopeHelps {
		kind = entraauth.ErrInsufficientScope
	}
	if !errors.Is(err, kind) || e.Caller() == nil || len(e.Error()) > 256 {
		t.Errorf("%s: kind %v, caller %v, %d bytes of text; want %v, a caller, at most 256: %s", name, e.Kind, e.Caller(), len(e.Error()), kind, e)
	}
}

// A named agent needs a role like any application, and is never told to ask for a scope.
func TestNamedAgentNeedsRole(t *testing.T) {
	t.Parallel()
	a := newAgency(t)
	a.start(t, func(o *entraauth.Options) {
		o.Policy = entraauth.Policy{Scopes: []string{"access_as_user"}, AppRoles: []string{"R", "Q"}, Agents: []string{agentID}}
	})
	mint := func(pairs ...any) string {
		return a.tenant.Mint(a.api, 2, func(h, c map[string]any) { but(agentAlone, pairs...)(a.fixture, h, c) })
	}
	_, err := a.verifier.Verify(t.Context(), mint("roles", []string{"S"}))
	checkReason(t, "without the role", err, "app_role_missing", false)
	_, err = a.verifier.Verify(t.Context(), mint("roles", nil))
	checkReason(t, "without roles", err, "app_role_missing", false)
	_, err = a.verifier.Verify(t.Context(), mint("roles", []string{"R"}, "azp", otherTenant, "appid", agentID))
	checkReason(t, "its ID in the other version's claim", err, "agent_not_accepted", false)
	id, err := a.verifier.Verify(t.Context(), mint("roles", []string{"Q"}, "xms_cc", []string{"cp1"}))
	if err != nil {
		t.Fatal(err)
	}
	checkReason(t, "claims from a service", entraauth.ClaimsRequiredError(id, `{"access_token":{}}`), "stronger_sign_in", false)
	for name, row := range map[string]struct {
		policy entraauth.Policy // of a tool
		reason string
	}{
		"nothing":                      {entraauth.Policy{}, ""},
		"its role":                     {entraauth.Policy{AppRoles: []string{"Q"}}, ""},
		"another role":                 {entraauth.Policy{AppRoles: []string{"R"}}, "app_role_missing"},
		"a scope":                      {entraauth.Policy{Scopes: []string{"admin"}}, "app_only"},
		"any scope":                    {entraauth.Policy{AnyScope: []string{"admin"}}, "app_only"},
		"a user's role":                {entraauth.Policy{UserRoles: []string{"Q"}}, "app_only"},
		"an authentication context":    {entraauth.Policy{AuthContext: "c1"}, "stronger_sign_in"},
		"itself":                       {entraauth.Policy{Agents: []string{otherTenant, agentID}}, ""},
		"another agent":                {entraauth.Policy{Agents: []string{otherTenant}}, "agent_not_accepted"},
		"its blueprint":                {entraauth.Policy{Agents: []string{blueprintID}}, "agent_not_accepted"},
		"itself, and a role":           {entraauth.Policy{Agents: []string{agentID}, AppRoles: []string{"R"}}, "app_role_missing"},
		"an agent user":                {entraauth.Policy{AgentUsers: []string{agentID}}, ""},
		"people only":                  {entraauth.Policy{PeopleOnly: true}, "people_only"},
		"its client":                   {entraauth.Policy{Clients: []string{agentID}}, ""},
		"another client":               {entraauth.Policy{Clients: []string{otherTenant}}, "client_not_allowed"},
		"clients with its certificate": {entraauth.Policy{ClientAuth: entraauth.ClientAuthCertificate}, "client_auth_weak"},
	} {
		checkReason(t, name, row.policy.Check(id), row.reason, false)
	}
}

// A tool's policy for agent users and people adds to the verifier's.
func TestToolPoliciesForUsers(t *testing.T) {
	t.Parallel()
	a := newAgency(t)
	a.start(t, func(o *entraauth.Options) { o.Policy.AgentUsers = []string{a.agentUser.ObjectID} })
	callers := map[string]*entraauth.Identity{}
	for _, name := range []string{"person", "through agent", "agent user", "middle tier"} {
		id, err := a.verifier.Verify(t.Context(), a.tokens()[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		callers[name] = id
	}
	if a, b := callers["agent user"].Agent(), callers["middle tier"].Agent(); a.ID == "" || b.ID != "" || a.Role != b.Role {
		t.Errorf("got %+v, and %+v through a middle tier; want the agent's ID and none", a, b)
	}
	for name, want := range map[string]bool{"person": false, "through agent": true, "agent user": true, "middle tier": false} {
		if text := callers[name].LogValue().String(); strings.Contains(text, "blueprint=") != want {
			t.Errorf("the log of the %s has %s, want a blueprint: %t", name, text, want)
		}
	}
	for name, row := range map[string]struct {
		policy entraauth.Policy
		want   map[string]string
	}{
		"nothing":            {entraauth.Policy{}, nil},
		"the scope":          {entraauth.Policy{Scopes: []string{"access_as_user"}}, nil},
		"agents":             {entraauth.Policy{Agents: []string{otherTenant}}, nil},
		"this agent user":    {entraauth.Policy{AgentUsers: []string{a.agentUser.ObjectID}}, nil},
		"another agent user": {entraauth.Policy{AgentUsers: []string{otherTenant}}, map[string]string{"agent user": "agent_user_not_accepted", "middle tier": "agent_user_not_accepted"}},
		"people only":        {entraauth.Policy{PeopleOnly: true}, map[string]string{"through agent": "people_only", "agent user": "people_only", "middle tier": "people_only"}},
	} {
		for caller, id := range callers {
			checkReason(t, name+", "+caller, row.policy.Check(id), row.want[caller], false)
		}
	}
}

// Only who acts through an agent can take another client.
func TestPeopleOnlyRemedies(t *testing.T) {
	t.Parallel()
	a := newAgency(t)
	a.start(t, func(o *entraauth.Options) { o.Policy = entraauth.Policy{PeopleOnly: true} })
	for caller, want := range map[string]string{
		"through agent": "Sign in with a client that is no agent", "agent user": "This server's operator decides that", "middle tier": "This server's operator decides that",
		"agent": "This server's operator decides that", "application": "Sign in as a user",
	} {
		_, err := a.verifier.Verify(t.Context(), a.tokens()[caller])
		if e := errorOf(t, err); e.Reason != "people_only" || !strings.Contains(e.Remedy, want) {
			t.Errorf("%s: got %s with the remedy %q, want people_only with %q", caller, e.Reason, e.Remedy, want)
		}
	}
}

func TestAgentPolicyFaults(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	const partner = "cccccccc-0000-4000-8000-000000000003"
	roles, id := []string{"R"}, []string{agentID}
	for name, row := range map[string]struct {
		policy entraauth.Policy
		want   string // "" if it is good
		valid  bool   // as a tool's policy
	}{
		"agents":                     {entraauth.Policy{AppRoles: roles, Agents: id}, "", true},
		"agents without roles":       {entraauth.Policy{Agents: id}, "Policy.Agents: agents on their own need an app role", true},
		"agents, scopes, no roles":   {entraauth.Policy{Scopes: roles, Agents: id}, "Policy.Agents: agents on their own need an app role", true},
		"agent users":                {entraauth.Policy{AgentUsers: id}, "", true},
		"people only":                {entraauth.Policy{PeopleOnly: true}, "", true},
		"people and roles":           {entraauth.Policy{PeopleOnly: true, AppRoles: roles}, "Policy.PeopleOnly: ", false},
		"people and agents":          {entraauth.Policy{PeopleOnly: true, Agents: id}, "Policy.PeopleOnly: ", false},
		"people and agent users":     {entraauth.Policy{PeopleOnly: true, AgentUsers: id}, "Policy.PeopleOnly: ", false},
		"a name":                     {entraauth.Policy{AppRoles: roles, Agents: []string{"assistant"}}, `Policy.Agents: "assistant" is not a GUID`, false},
		"a user's name":              {entraauth.Policy{AgentUsers: []string{"assistant@contoso.example"}}, "Policy.AgentUsers: ", false},
		"no agents":                  {entraauth.Policy{AppRoles: roles, Agents: []string{}}, "Policy.Agents: the list is empty", false},
		"no agent users":             {entraauth.Policy{AgentUsers: []string{}}, "Policy.AgentUsers: the list is empty", false},
		"the tenant as agent":        {entraauth.Policy{AppRoles: roles, Agents: []string{strings.ToUpper(f.tenant.ID())}}, "Policy.Agents: " + f.tenant.ID() + " is a tenant ID", true},
		"another tenant as agent":    {entraauth.Policy{AppRoles: roles, Agents: []string{partner}}, "Policy.Agents: " + partner + " is a tenant ID", true},
		"the API as agent":           {entraauth.Policy{AppRoles: roles, Agents: []string{strings.ToUpper(f.api.ClientID)}}, "Policy.Agents: " + f.api.ClientID + " is the API's client ID, and a blueprint's ID names no agent", true},
		"the tenant as agent user":   {entraauth.Policy{AgentUsers: []string{f.tenant.ID()}}, "Policy.AgentUsers: " + f.tenant.ID(), true},
		"another tenant as user":     {entraauth.Policy{AgentUsers: []string{partner}}, "Policy.AgentUsers: " + partner, true},
		"the API as agent user":      {entraauth.Policy{AgentUsers: []string{f.api.ClientID}}, "Policy.AgentUsers: " + f.api.ClientID, true},
		"a tenant of all zeros":      {entraauth.Policy{AgentUsers: []string{"00000000-0000-0000-0000-000000000000"}}, "Policy.AgentUsers: is the all-zero GUID", false},
		"a list that shares nothing": {entraauth.Policy{AppRoles: roles, Agents: []string{agentID, otherTenant}}, "", true},
	} {
		v, err := entraauth.NewVerifier(f.tenant.ID(), f.api.ClientID, &entraauth.Options{
			AuthorityHost: f.tenant.AuthorityHost(), HTTPClient: f.tenant.HTTPClient(), Logger: f.logger(), Policy: row.policy, OtherTenants: []string{partner},
		})
		if v != nil {
			t.Cleanup(func() { _ = v.Close() })
		}
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: NewVerifier() = %v, want %q", name, err, row.want)
		}
		if _, err := row.policy.Validated(); (err == nil) != row.valid {
			t.Errorf("%s: Validated() = %v, want nil: %t", name, err, row.valid)
		}
	}
}

// Nobody signs in as an agent user, so what it lacks is refused without a challenge, whether its
// client understands claims challenges or not.
func TestAgentUsersAreNotChallenged(t *testing.T) {
	t.Parallel()
	for _, capable := range []bool{true, false} {
		f := newFixture(t, func(o *entraauth.Options) { o.Policy = entraauth.Policy{AgentUsers: []string{otherTenant}} })
		id, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 2, func(h, c map[string]any) {
			agentUser(f, h, c)
			c["oid"], c["scp"] = otherTenant, "access_as_user"
			if delete(c, "xms_cc"); capable {
				c["xms_cc"] = []string{"cp1"}
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		for name, refusal := range map[string]error{
			"one of two scopes":  entraauth.Policy{Scopes: []string{"Files.Read", "access_as_user"}}.Check(id),
			"any of two":         entraauth.Policy{AnyScope: []string{"Files.Read", "Mail.Read"}}.Check(id),
			"a context":          entraauth.Policy{AuthContext: "c1"}.Check(id),
			"Conditional Access": entraauth.ClaimsRequiredError(id, `{"access_token":{}}`),
		} {
			e, _ := errors.AsType[*entraauth.Error](refusal)
			if e == nil || !errors.Is(e, entraauth.ErrNotPermitted) || e.Claims != "" || e.Expected == "" || e.Caller() != id || !strings.Contains(e.Remedy, "its agent must ask for a token") {
				t.Errorf("%s, cp1 %t: got %v, want ErrNotPermitted without claims that says what the agent must ask for", name, capable, refusal)
			}
		}
	}
}
