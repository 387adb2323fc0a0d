package entraauth

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
// xms_act_fct, xms_par_app_azp, and idtyp with include_user_token.
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
	// came: decimal numbers between spaces. Only 11 and 13 have a meaning here.
	ActorFacets, SubjectFacets string
}

// Agent returns what the token says about agents.
func (id *Identity) Agent() Agent { return id.agent }

// IsPerson reports whether the caller is a person, as far as the token shows: a user, and no agent
// user. A person who acts through an agent is a person.
func (id *Identity) IsPerson() bool {
	return id.kind == KindUser && id.agent.Role != AgentRoleUser
}
