package entraauth

import (
	"cmp"
	"fmt"
	"strings"
	"sync/atomic"
)

// An AgentRole says what part an agent, an identity of Microsoft Entra Agent ID, has in a
// call.
type AgentRole int

const (
	// AgentRoleNone means that the token shows no agent.
	AgentRoleNone AgentRole = iota
	// AgentRoleAlone is an agent identity that acts on its own (an app-only token).
	AgentRoleAlone
	// AgentRoleUser is an agent user: the user account of an agent, in a delegated token
	// that looks like a person's.
	AgentRoleUser
	// AgentRoleForPerson is an agent identity that a person uses as client application.
	AgentRoleForPerson
)

// String returns "none", "alone", "user" or "for person".
func (r AgentRole) String() string {
	switch r {
	case AgentRoleAlone:
		return "alone"
	case AgentRoleUser:
		return "user"
	case AgentRoleForPerson:
		return "for person"
	case AgentRoleNone:
	}
	return "none"
}

// An Agent is what a verified token says about agents. Entra writes the claims only if the
// API's registration asks for them (optionalClaims.accessToken): xms_sub_fct,
// xms_act_fct, xms_par_app_azp, and idtyp with include_user_token. Without them, nobody can
// tell an agent user from a person.
type Agent struct {
	Role AgentRole
	// ID is the agent identity's application ID (claim azp or appid), a GUID. It is empty
	// if the token does not say that its client is an agent: an agent user may come
	// through another application.
	ID string
	// BlueprintID is the application ID of the agent's blueprint (claim
	// xms_par_app_azp), or empty. All agents of a blueprint share it, so never authorize
	// by it.
	BlueprintID string
	// ActorFacets and SubjectFacets are the claims xms_act_fct and xms_sub_fct, as they
	// came: decimal numbers between spaces. Only 11 (agent identity) and 13 (agent user)
	// decide; people and applications have others, whose meaning is not documented.
	ActorFacets, SubjectFacets string
}

// agent returns what the claims say about agents. They pass the rule on them.
func (c *claims) agent() Agent {
	a := Agent{BlueprintID: c.blueprintID, ActorFacets: c.actorFacets.text, SubjectFacets: c.subjectFacets.text}
	actor := c.actorFacets.agent || c.blueprintID != "" // the client is an agent
	switch {
	case c.isApp():
		if actor || c.subjectFacets.agent {
			a.Role, a.ID = AgentRoleAlone, c.clientID()
		}
		return a
	case c.subjectFacets.agentUser:
		a.Role = AgentRoleUser
	case actor:
		a.Role = AgentRoleForPerson
	}
	if actor {
		a.ID = c.clientID()
	}
	return a
}

// isUnclear reports whether a user's token may be a person's or an agent user's: it has the
// marker, and nothing that says what its actor or its subject is.
func (c *claims) isUnclear() bool {
	return c.blueprintID != "" && !c.isApp() && !c.actorFacets.agent && !c.subjectFacets.any
}

// isUser reports whether the token is a user's, and not one of a kind that is unknown.
func (c *claims) isUser() bool { return c.kind == "user" || c.kind == "" && !c.isApp() }

// contradictions are claims that no token of Entra's has together.
var contradictions = []struct {
	expected string
	holds    func(*claims) bool
}{
	{"an application's token without a scope", func(c *claims) bool { return c.isApp() && c.namesScope() }},
	{"an application's token without 13 (agent user) in xms_sub_fct", func(c *claims) bool { return c.isApp() && c.subjectFacets.agentUser }},
	{"a user's token without 11 (agent identity) in xms_sub_fct", func(c *claims) bool { return c.isUser() && c.subjectFacets.agent }},
	{"11 (agent identity) or 13 (agent user) in xms_sub_fct, not both", func(c *claims) bool { return c.subjectFacets.agent && c.subjectFacets.agentUser }},
	{"no 13 (agent user) in xms_act_fct: a user is no client", func(c *claims) bool { return c.actorFacets.agentUser }},
}

// optionalClaims are what an API's registration must ask for, for its tokens to show agents.
const optionalClaims = "xms_sub_fct, xms_act_fct, xms_par_app_azp and idtyp (include_user_token)"

// describeKind lists the claims that tell people, applications and agents apart.
func (c *claims) describeKind() string {
	var b strings.Builder
	for _, claim := range []struct{ name, value string }{
		{"idtyp", c.kind}, {"scp", c.scopes}, {"xms_sub_fct", c.subjectFacets.text}, {"xms_act_fct", c.actorFacets.text}, {"xms_par_app_azp", c.blueprintID},
	} {
		if claim.value != "" {
			fmt.Fprintf(&b, "%s %q, ", claim.name, claim.value)
		}
	}
	return cmp.Or(strings.TrimSuffix(b.String(), ", "), "none")
}

// describe says who calls, for logs and reports.
func (a *Agent) describe(objectID string) string {
	id := "agent " + a.ID
	if a.ID == "" {
		id = "an unknown agent"
	}
	text := "no agent"
	switch a.Role {
	case AgentRoleAlone:
		text = id + " on its own"
	case AgentRoleUser:
		text = "agent user " + objectID + " of " + id
	case AgentRoleForPerson:
		text = "a person through " + id
	case AgentRoleNone:
		if a.SubjectFacets == "" {
			return "unknown: the token lacks xms_sub_fct, an optional claim of the API's registration"
		}
	}
	if a.BlueprintID != "" {
		text += ", blueprint " + a.BlueprintID
	}
	return text
}

// unclear is the refusal of a user's token that does not say whether the user is a person.
func (a *Agent) unclear() *Error {
	return notPermitted("agent", agentUnclear, "the claim xms_sub_fct", "client "+a.ID+", blueprint "+a.BlueprintID,
		"This server's operator must add "+optionalClaims+" to the optional claims of the API's access tokens")
}

// notAccepted is the refusal of an agent on its own that a policy does not name.
func (a *Agent) notAccepted() *Error {
	return notPermitted("agent", agentNotAccepted, "an agent that the policy names", a.describe(""),
		"The caller is an agent on its own. This server's operator can let it in: by its application ID, not its blueprint's, in the policy's Agents, and with one of the AppRoles")
}

// userNotAccepted is the refusal of an agent user that a policy does not name.
func (a *Agent) userNotAccepted(objectID string) *Error {
	return notPermitted("agent", agentUserNotAccepted, "an agent user that the policy names", a.describe(objectID),
		"The caller is an agent's user account. This server's operator can let it in: by its object ID, in the policy's AgentUsers")
}

// notAPerson is the refusal of all others where only people may call who act through no agent.
func (a *Agent) notAPerson(kind Kind, objectID string) *Error {
	got, remedy := a.describe(objectID), "The caller is an agent, or acts through one. Sign in with a client that is no agent"
	if a.Role == AgentRoleNone {
		got, remedy = kind.String(), "Sign in as a user; client credentials act for no user"
	}
	return notPermitted("agent", peopleOnly, "a person who acts through no agent", got, remedy)
}

// sampleSize is how many tokens are looked at for the optional claims. Entra writes the
// facets of everybody, so a few tokens without them show that the API doesn't ask for them.
const sampleSize = 5

// A sample is what the first tokens of a verifier had of the optional claims.
type sample struct {
	tokens atomic.Int32
	has    atomic.Uint32 // a bit for each of sampledClaims
}

var sampledClaims = []struct {
	name string
	in   func(*claims) bool
}{
	{"xms_sub_fct", func(c *claims) bool { return c.subjectFacets.any }},
	{"xms_act_fct", func(c *claims) bool { return c.actorFacets.any }},
	{"idtyp", func(c *claims) bool { return c.kind != "" }},
}

// add adds a verified token, and returns the claims that no token had once the sample is whole.
func (s *sample) add(c *claims) (missing []string) {
	if s.tokens.Load() >= sampleSize {
		return nil
	}
	for i, claim := range sampledClaims {
		if claim.in(c) {
			s.has.Or(1 << i)
		}
	}
	if s.tokens.Add(1) != sampleSize {
		return nil
	}
	for i, claim := range sampledClaims {
		if s.has.Load()&(1<<i) == 0 {
			missing = append(missing, claim.name)
		}
	}
	return missing
}
