package entraauth

import (
	"cmp"
	"fmt"
	"strings"
)

// An AgentRole is the part that an agent, an identity of Microsoft Entra Agent ID, plays in
// a call.
type AgentRole int

const (
	// AgentRoleNone means that the token shows no agent.
	AgentRoleNone AgentRole = iota
	// AgentRoleAlone is an agent identity that acts on its own (an app-only token).
	AgentRoleAlone
	// AgentRoleUser is an agent user: the user account of an agent, in a delegated token
	// that looks like a person's.
	AgentRoleUser
	// AgentRoleForPerson is an agent identity that a person uses as the client application.
	// Without xms_sub_fct in the token, the person may as well be the agent's user: the
	// verifier warns at the first such token.
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

// agent returns what the claims say about agents. Claims that the rule "agent claims"
// refuses are meaningless.
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

// isUser reports whether the token is a user's. With an unknown idtyp, it is neither a
// user's nor an application's.
func (c *claims) isUser() bool { return c.kind == "user" || c.kind == "" && !c.isApp() }

// contradictions lists combinations of claims that Entra never issues.
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
		if a.hasNoSubject() {
			text += " (or its agent user: the token lacks xms_sub_fct)"
		}
	case AgentRoleNone:
		if a.hasNoSubject() {
			return "unknown: the token lacks xms_sub_fct, an optional claim of the API's registration"
		}
	}
	if a.BlueprintID != "" {
		text += ", blueprint " + a.BlueprintID
	}
	return text
}

// hasNoSubject reports whether the token says nothing of its subject's nature.
func (a *Agent) hasNoSubject() bool { return strings.Trim(a.SubjectFacets, " ") == "" }

// unclear refuses a user's token that does not say whether the user is a person.
func (a *Agent) unclear() *Error {
	return notPermitted("agent", agentUnclear, "a token that tells a person from an agent user", "client "+a.ID+", blueprint "+a.BlueprintID,
		"Ask this server's operator to add "+optionalClaims+" to the optional claims of the API's access tokens")
}

// notAccepted refuses an agent on its own that a policy does not name.
func (a *Agent) notAccepted() *Error {
	return notPermitted("agent", agentNotAccepted, "an agent that the policy names", a.describe(""),
		"The caller is an agent on its own. To let it in, this server's operator adds its application ID, not its blueprint's, to the policy's Agents, and grants it one of the AppRoles")
}

// userNotAccepted refuses an agent user that a policy does not name.
func (a *Agent) userNotAccepted(objectID string) *Error {
	return notPermitted("agent", agentUserNotAccepted, "an agent user that the policy names", a.describe(objectID),
		"The caller is an agent's user account. To let it in, this server's operator adds its object ID to the policy's AgentUsers")
}

// notAPerson refuses everybody but people who act through no agent. Only they have another client.
func (a *Agent) notAPerson(kind Kind, objectID string) *Error {
	got, remedy := a.describe(objectID), "The caller is an agent, and only people may call here. This server's operator decides that, by the policy's PeopleOnly"
	switch a.Role {
	case AgentRoleNone:
		got, remedy = kind.String(), "Sign in as a user; client credentials act for no user"
	case AgentRoleForPerson:
		remedy = "You act through an agent. Sign in with a client that is no agent"
	case AgentRoleAlone, AgentRoleUser:
	}
	return notPermitted("agent", peopleOnly, "a person who acts through no agent", got, remedy)
}
