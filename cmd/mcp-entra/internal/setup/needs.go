package setup

// who says what a step needs.
type who struct{ permission, role string }

func (w who) String() string { return w.permission + " and the role " + w.role }

// Who may do what: Microsoft Graph's permission reference.
var (
	application = who{"Application.ReadWrite.All", "Application Developer or Cloud Application Administrator"}
	foreign     = who{"Application.ReadWrite.All", "Cloud Application Administrator"}
	grants      = who{"DelegatedPermissionGrant.ReadWrite.All", "Cloud Application Administrator or Privileged Role Administrator"}
	assignments = who{"AppRoleAssignment.ReadWrite.All", "Cloud Application Administrator or Privileged Role Administrator"}
)

// What the steps need where the application is a blueprint: Application.ReadWrite.All is not enough.
var (
	blueprint          = who{"AgentIdentityBlueprint.ReadWrite.All", "Agent ID Developer (for a blueprint of their own) or Agent ID Administrator"}
	blueprintProof     = who{"AgentIdentityBlueprint.ReadWrite.All", "Agent ID Administrator"}
	blueprintGone      = who{"AgentIdentityBlueprint.DeleteRestore.All", "Agent ID Developer (for a blueprint of their own) or Agent ID Administrator"}
	blueprintPrincipal = who{"AgentIdentityBlueprintPrincipal.Create", "Agent ID Developer (for a blueprint of their own) or Agent ID Administrator"}
	agentNew           = who{"AgentIdentity.Create.All", "Agent ID Administrator, or owner of the blueprint"}
	agentGone          = who{"AgentIdentity.DeleteRestore.All", "Agent ID Administrator, or owner of the blueprint"}
	agentRead          = who{"AgentIdentity.Read.All", "Agent ID Administrator, or owner of the blueprint"}
)

// writer returns what changes of the application need.
func (a App) writer() who {
	if a.IsBlueprint() {
		return blueprint
	}
	return application
}

// prover returns what changes of the application's secrets and certificates need.
func (a App) prover() who {
	if a.IsBlueprint() {
		return blueprintProof
	}
	return application
}

// remover returns what the application's removal needs.
func (a App) remover() who {
	if a.IsBlueprint() {
		return blueprintGone
	}
	return application
}

// A Need says what a kind of step needs.
type Need struct{ What, Permission, Role string }

// Needs lists what the kinds of steps need, for setup status.
func Needs() []Need {
	return []Need{
		{"applications, scopes, redirects, credentials", application.permission, application.role},
		{"service principals of resources", foreign.permission, foreign.role},
		{"consent for all users", grants.permission, grants.role},
		{"who has the API's roles", assignments.permission, assignments.role},
		{"with agents: the blueprint, and what agents inherit", blueprint.permission, blueprint.role},
		{"with agents: the blueprint's secrets and certificates", blueprintProof.permission, blueprintProof.role},
		{"with agents: the blueprint's principal", blueprintPrincipal.permission, blueprintPrincipal.role},
		{"with agents: agent identities", agentNew.permission, agentNew.role},
		{"with agents: reading agent identities", agentRead.permission, agentRead.role},
		{"with agents: deleting the blueprint", blueprintGone.permission, blueprintGone.role},
		{"with agents: deleting agent identities", agentGone.permission, agentGone.role},
	}
}
