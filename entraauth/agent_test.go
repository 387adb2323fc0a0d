package entraauth_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// An agency is an API that asks for the claims about agents, and callers of each kind.
type agency struct {
	*fixture
	blueprint, agent, daemon *entratest.App
	agentUser                *entratest.User
}

var agentClaims = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"}

func newAgency(t testing.TB) *agency {
	t.Helper()
	a := &agency{fixture: newTenant(t)}
	a.api.OptionalClaims = agentClaims
	a.blueprint = a.tenant.AddBlueprint("Assistants")
	a.agent = a.tenant.AddAgent(a.blueprint, "Assistant")
	a.agentUser = a.tenant.AddAgentUser(a.agent, "assistant@contoso.example", "Assistant")
	a.daemon = a.tenant.AddApp("Daemon")
	for _, app := range []*entratest.App{a.agent, a.daemon} {
		a.tenant.GrantRoles(app, a.api, "R")
	}
	return a
}

// tokens are those of all kinds of callers.
func (a *agency) tokens() map[string]string {
	return map[string]string{
		"person":        a.token(),
		"through agent": a.tenant.Token(a.alice, a.agent, a.api, "access_as_user"),
		"through CIMD":  a.tenant.Token(a.alice, a.tenant.AddAgentClient("Editor"), a.api, "access_as_user"),
		"agent user":    a.tenant.Token(a.agentUser, a.agent, a.api, "access_as_user"),
		"middle tier":   a.tenant.Token(a.agentUser, a.client, a.api, "access_as_user"),
		"agent":         a.tenant.AppToken(a.agent, a.api),
		"bare agent":    a.tenant.AppToken(a.tenant.AddAgent(a.blueprint, "No role"), a.api),
		"application":   a.tenant.AppToken(a.daemon, a.api),
	}
}

// On the wire, agents are refused without a challenge for scopes, and told what they are.
func TestAgentChallenges(t *testing.T) {
	t.Parallel()
	a := newAgency(t)
	a.start(t, nil)
	s := a.serve(t, &entraauth.BearerCheck{ResourceMetadata: metadataURL})
	tokens := a.tokens()
	tokens["unclear"] = a.tenant.Mint(a.api, 2, func(h, c map[string]any) {
		but(throughAgent, "xms_sub_fct", nil, "xms_act_fct", "9 3")(a.fixture, h, c)
	})
	for caller, text := range map[string]string{
		"agent":      "not its blueprint's",
		"bare agent": "application ID",
		"agent user": "object ID",
		"unclear":    "xms_sub_fct, xms_act_fct, xms_par_app_azp and idtyp",
	} {
		r := get(t, s.URL, authorization("Bearer "+tokens[caller]))
		challenge := r.header.Get("WWW-Authenticate")
		if r.status != http.StatusForbidden || !strings.Contains(challenge, `error="access_denied"`) || strings.Contains(challenge, " scope=") ||
			!strings.Contains(challenge, text) || !strings.Contains(r.body, text) {
			t.Errorf("%s: got %d %s\n%s\nwant 403 access_denied without scope, with %q", caller, r.status, challenge, r.body, text)
		}
		for _, id := range []string{a.agent.ClientID, a.blueprint.ClientID, a.agentUser.ObjectID, blueprintID} {
			if strings.Contains(challenge+r.body, id) {
				t.Errorf("%s: the answer holds the token's %s", caller, id)
			}
		}
	}
	for _, text := range []string{"refusal.actual=\"agent " + a.agent.ClientID + " on its own, blueprint " + a.blueprint.ClientID, "caller.agent=" + a.agent.ClientID, "caller.agent_role=alone", "caller.blueprint=" + a.blueprint.ClientID, "refusal.reason=agent_unclear", "client " + agentID + ", blueprint " + blueprintID, "agent user " + a.agentUser.ObjectID} {
		if !strings.Contains(a.log.String(), text) {
			t.Errorf("the log lacks %q:\n%s", text, a.log)
		}
	}
}

// What a token says about agents is not believed, and does not answer 403, before its signature holds.
func TestAgentsAfterSignature(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for name, change := range map[string]edit{"agent": agentAlone, "agent user": agentUser, "unclear": but(throughAgent, "xms_sub_fct", nil, "xms_act_fct", nil)} {
		token := f.tenant.Mint(f.api, 1, func(h, c map[string]any) { change(f, h, c) })
		check(t, f, withSignatureOf(f, token), bad, "signature")
		if err := f.verify(t, token); !errors.Is(err, entraauth.ErrNotPermitted) {
			t.Errorf("%s: got %v, want %v", name, err, entraauth.ErrNotPermitted)
		}
	}
}

// Nobody knows who the caller of an unclear token is, so the refusal names none.
func TestUnclearCaller(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	_, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 2, func(_, c map[string]any) { c["xms_par_app_azp"] = blueprintID }))
	if e := errorOf(t, err); e.Caller() != nil || e.Reason != "agent_unclear" || !strings.Contains(e.Actual, blueprintID) || len(e.Error()) > 256 {
		t.Errorf("got %+v, want agent_unclear without a caller, with the blueprint for the log", e)
	}
}

// Facets that hold neither 11 nor 13 change nothing, whatever they look like.
func TestOtherFacets(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for _, facets := range []string{"", " ", "0", "3 6", "1 1", "1 3", "111", "113 131", "1113", strings.Repeat("1", 256), " 3  10 ", "99999999999999999999999"} {
		id, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 2, func(_, c map[string]any) {
			c["idtyp"], c["xms_sub_fct"], c["xms_act_fct"] = "user", facets, facets
		}))
		if err != nil {
			t.Errorf("facets %q: got %v, want nil", facets, err)
			continue
		}
		if want := (entraauth.Agent{ActorFacets: facets, SubjectFacets: facets}); id.Agent() != want || !id.IsPerson() {
			t.Errorf("facets %q: Agent() = %+v, IsPerson() = %t, want %+v, true", facets, id.Agent(), id.IsPerson(), want)
		}
	}
}

// A verifier warns once if its tokens don't identify agents, and its policy or that of a tool
// mentions them.
func TestAgentClaimsWarning(t *testing.T) {
	t.Parallel()
	const warning = "a policy mentions agents"
	people, open := entraauth.Policy{PeopleOnly: true}, entraauth.Policy{}
	for name, row := range map[string]struct {
		policy entraauth.Policy
		claims []string
		tokens int
		bad    bool // the tokens are refused
		tool   entraauth.Policy
		last   bool // only the last caller calls the tool
		want   string
	}{
		"no claims":            {people, nil, 40, false, open, false, "missing=\"[xms_sub_fct xms_act_fct idtyp]\""},
		"all claims":           {people, agentClaims, 40, false, people, false, ""},
		"no idtyp":             {people, agentClaims[1:], 40, false, open, false, "missing=[idtyp]"},
		"idtyp alone":          {entraauth.Policy{AgentUsers: []string{agentID}}, []string{"idtyp"}, 40, false, open, false, "missing=\"[xms_sub_fct xms_act_fct]\""},
		"agents":               {entraauth.Policy{Scopes: []string{"access_as_user"}, AppRoles: []string{"R"}, Agents: []string{agentID}}, nil, 40, false, open, false, "xms_par_app_azp and idtyp (include_user_token)"},
		"silent policies":      {open, nil, 40, false, entraauth.Policy{Scopes: []string{"access_as_user"}}, false, ""},
		"a tool for people":    {open, nil, 40, false, people, false, "missing=\"[xms_sub_fct xms_act_fct idtyp]\""},
		"a tool called late":   {open, nil, 40, false, people, true, "missing=\"[xms_sub_fct xms_act_fct idtyp]\""},
		"a tool for agents":    {open, nil, 40, false, entraauth.Policy{Agents: []string{agentID}}, true, "tokens=5"},
		"a tool for one":       {open, nil, 40, false, entraauth.Policy{AgentUsers: []string{agentID}}, true, "tokens=5"},
		"too few tokens":       {people, nil, 3, false, people, false, ""},
		"one token, many uses": {people, nil, -40, false, people, false, ""},
		"refused tokens":       {people, nil, 40, true, people, false, ""},
	} {
		f := newTenant(t)
		f.api.OptionalClaims = row.claims
		f.start(t, func(o *entraauth.Options) { o.Policy = row.policy })
		token, n := f.token(), max(row.tokens, -row.tokens)
		for i := range n {
			if row.tokens > 0 {
				token = f.token()
			}
			if row.bad {
				token = f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["scp"] = "other" })
			}
			if id, err := f.verifier.Verify(t.Context(), token); err == nil && (!row.last || i == n-1) {
				_ = row.tool.Check(id)
			}
		}
		log := f.log.String()
		if n := strings.Count(log, warning); row.want == "" && n > 0 || row.want != "" && (n != 1 || !strings.Contains(log, row.want)) {
			t.Errorf("%s: the log has %d warnings, want %q in one:\n%s", name, n, row.want, log)
		}
	}
}

// 11 as actor without any facets of the subject is a person through an agent, as Microsoft
// documents On-Behalf-Of. An agent user's token looks the same, so the verifier warns once,
// whatever its policy and whether the policy lets the token in, and not of a bad signature.
func TestUnprovenPersonWarning(t *testing.T) {
	t.Parallel()
	const warning = "agent users can't be told from people"
	unproven := but(throughAgent, "xms_sub_fct", nil, "xms_par_app_azp", nil)
	for name, row := range map[string]struct {
		policy entraauth.Policy
		change edit
		reason string
		warns  bool
	}{
		"actor alone":                {entraauth.Policy{}, unproven, "", true},
		"actor and marker":           {entraauth.Policy{}, but(throughAgent, "xms_sub_fct", nil), "", true},
		"subject of spaces":          {entraauth.Policy{}, but(unproven, "xms_sub_fct", "  "), "", true},
		"without idtyp":              {entraauth.Policy{}, but(unproven, "idtyp", nil), "", true},
		"a policy for people":        {entraauth.Policy{PeopleOnly: true}, unproven, "people_only", true},
		"a policy for an agent user": {entraauth.Policy{AgentUsers: []string{agentID}}, unproven, "", true},
		"without the scope":          {entraauth.Policy{}, but(unproven, "scp", "other"), "scope_missing", true},
		"subject facets":             {entraauth.Policy{}, throughAgent, "", false},
		"an agent user":              {entraauth.Policy{}, agentUser, "agent_user_not_accepted", false},
		"an agent alone":             {entraauth.Policy{}, but(agentAlone, "xms_sub_fct", nil), "agent_not_accepted", false},
		"no agent":                   {entraauth.Policy{}, but(unproven, "xms_act_fct", "3 9"), "", false},
		"unclear":                    {entraauth.Policy{}, but(throughAgent, "xms_sub_fct", nil, "xms_act_fct", nil), "agent_unclear", false},
	} {
		f := newFixture(t, func(o *entraauth.Options) { o.Policy = row.policy })
		mint := func() string { return f.tenant.Mint(f.api, 2, func(h, c map[string]any) { row.change(f, h, c) }) }
		_ = f.verify(t, withSignatureOf(f, mint()))
		if strings.Contains(f.log.String(), warning) {
			t.Errorf("%s: it warns of a token with a bad signature", name)
		}
		for range 3 {
			id, err := f.verifier.Verify(t.Context(), mint())
			if (err == nil) != (row.reason == "") || err != nil && errorOf(t, err).Reason != row.reason {
				t.Errorf("%s: got %v, want the reason %q", name, err, row.reason)
			}
			if id != nil && row.warns && (id.Agent().Role != entraauth.AgentRoleForPerson || !id.IsPerson()) {
				t.Errorf("%s: got %+v, want a person through an agent", name, id.Agent())
			}
		}
		if n := strings.Count(f.log.String(), warning); n != map[bool]int{true: 1}[row.warns] {
			t.Errorf("%s: %d warnings, want one: %t\n%s", name, n, row.warns, f.log)
		}
	}
}

// A report describes the agent, whatever the result, and has one result for each rule.
func TestExplainAgents(t *testing.T) {
	t.Parallel()
	a := newAgency(t)
	tokens := a.tokens()
	tokens["no claims"] = a.tenant.Mint(a.tenant.AddApp("Other"), 2, nil)
	tokens["unproven"] = a.tenant.Mint(a.api, 2, func(h, c map[string]any) {
		but(throughAgent, "xms_sub_fct", " ", "xms_par_app_azp", nil)(a.fixture, h, c)
	})
	tokens["malformed"] = a.tenant.Mint(a.api, 2, func(_, c map[string]any) { c["xms_sub_fct"] = "+11" })
	passed := func(who string) entraauth.Check {
		return entraauth.Check{Rule: "agent", Result: entraauth.ResultPassed, Actual: who}
	}
	failed := func(reason, who string) entraauth.Check {
		return entraauth.Check{Rule: "agent", Result: entraauth.ResultFailed, Reason: reason, Actual: who}
	}
	through := "a person through agent " + a.agent.ClientID + ", blueprint " + a.blueprint.ClientID
	alone := "agent " + a.agent.ClientID + " on its own, blueprint " + a.blueprint.ClientID
	middle := "agent user " + a.agentUser.ObjectID + " of an unknown agent"
	malformed := entraauth.Check{Rule: "agent claims", Result: entraauth.ResultFailed, Reason: "agent_claims_malformed", Actual: "xms_sub_fct: expected decimal numbers between spaces"}
	for _, of := range []struct {
		policy entraauth.Policy
		want   map[string]entraauth.Check
	}{
		{entraauth.Policy{}, map[string]entraauth.Check{
			"person":        passed("no agent"),
			"no claims":     passed("unknown: the token lacks xms_sub_fct, an optional claim of the API's registration"),
			"through agent": passed(through),
			"unproven":      passed("a person through agent " + agentID + " (or its agent user: the token lacks xms_sub_fct)"),
			"agent":         failed("agent_not_accepted", alone),
			"middle tier":   failed("agent_user_not_accepted", middle),
			"malformed":     malformed,
		}},
		{entraauth.Policy{PeopleOnly: true}, map[string]entraauth.Check{
			"person":        passed("no agent"),
			"through agent": failed("people_only", through),
			"agent":         failed("people_only", alone),
			"middle tier":   failed("people_only", middle),
			"application":   failed("people_only", "app"),
			"malformed":     malformed,
		}},
		{entraauth.Policy{Scopes: []string{"access_as_user"}, AppRoles: []string{"R"}, Agents: []string{otherTenant}, AgentUsers: []string{otherTenant}}, map[string]entraauth.Check{
			"through agent": passed(through),
			"agent":         failed("agent_not_accepted", alone),
			"middle tier":   failed("agent_user_not_accepted", middle),
		}},
	} {
		a.start(t, func(o *entraauth.Options) { o.Policy = of.policy })
		for caller, want := range of.want {
			results := map[string]int{}
			for _, got := range a.verifier.Explain(t.Context(), tokens[caller]).Checks {
				results[got.Rule]++
				got.Expected, got.Remedy = "", ""
				if got.Rule == want.Rule && got != want {
					t.Errorf("%+v, %s: got %+v, want %+v", of.policy, caller, got, want)
				}
			}
			for rule, n := range results {
				if n > 1 {
					t.Errorf("%+v, %s: the report has %d results for %q, want one", of.policy, caller, n, rule)
				}
			}
			if results[want.Rule] == 0 {
				t.Errorf("%+v, %s: the report has no rule %q", of.policy, caller, want.Rule)
			}
		}
	}
}
