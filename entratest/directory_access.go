package entratest

import (
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// A caller is who sent a request to Microsoft Graph, by its token.
type caller struct {
	app      bool     // without a user
	user     *User    // nil for an app, and for a user that the tenant does not know
	objectID string   // of the user or the app's service principal
	granted  []string // delegated permissions, or application permissions of an app
}

// callerOf returns the caller of a verified token. Callers hold t.mu.
func (t *Tenant) callerOf(claims jwt.MapClaims) caller {
	objectID, _ := claims["oid"].(string)
	if scopes, _ := claims["scp"].(string); scopes != "" {
		return caller{user: t.userByObjectID(objectID), objectID: objectID, granted: withoutShadowed(strings.Fields(scopes))}
	}
	c := caller{app: true, objectID: objectID}
	roles, _ := claims["roles"].([]any)
	for _, role := range roles {
		name, _ := role.(string)
		c.granted = append(c.granted, name)
	}
	return c
}

// A privilege is what a step in the directory needs: one of the permissions, and for users one of
// the roles, if there are any.
type privilege struct {
	delegated   []string
	application []string
	roles       []Role
	owner       bool // owning the app does instead of a role

	blueprint, agent *privilege // instead, where the app is a blueprint or an agent identity
}

// of returns what the step needs for this app, which may be nil.
func (p privilege) of(app *App) privilege {
	switch {
	case app == nil:
	case app.blueprint && p.blueprint != nil:
		return *p.blueprint
	case app.isAgent() && p.agent != nil:
		return *p.agent
	}
	return p
}

// withoutShadowed returns the permissions that count: those for agents are ignored beside
// Directory.AccessAsUser.All, which Microsoft lists as a known issue.
func withoutShadowed(granted []string) []string {
	if !slices.Contains(granted, "Directory.AccessAsUser.All") {
		return granted
	}
	return slices.DeleteFunc(granted, func(name string) bool { return strings.HasPrefix(name, "AgentIdentity") })
}

// either is a privilege of these permissions, delegated or as an application's.
func either(permissions []string, owner bool, roles ...Role) privilege {
	return privilege{delegated: permissions, application: permissions, roles: roles, owner: owner}
}

// The privileges of the steps about agents (the reference of each request). What is not known, such
// as which of Application.ReadWrite.All's steps blueprints admit, is refused.
var (
	mayReadBlueprint   = either([]string{"AgentIdentityBlueprint.Read.All", "AgentIdentityBlueprint.ReadWrite.All"}, false)
	mayCreateBlueprint = either([]string{"AgentIdentityBlueprint.Create", "AgentIdentityBlueprint.ReadWrite.All"}, false, RoleAgentIDAdministrator, RoleAgentIDDeveloper)
	mayWriteBlueprint  = either([]string{"AgentIdentityBlueprint.ReadWrite.All"}, true, RoleAgentIDAdministrator)
	mayProveBlueprint  = either([]string{"AgentIdentityBlueprint.ReadWrite.All"}, false, RoleAgentIDAdministrator)
	mayDeleteBlueprint = either([]string{"AgentIdentityBlueprint.DeleteRestore.All"}, true, RoleAgentIDAdministrator)

	mayCreateBlueprintPrincipal = either([]string{"AgentIdentityBlueprintPrincipal.Create"}, false, RoleAgentIDAdministrator, RoleAgentIDDeveloper)

	mayReadAgents  = either([]string{"AgentIdentity.Read.All", "AgentIdentity.ReadWrite.All"}, false)
	mayCreateAgent = either([]string{"AgentIdentity.Create.All", "AgentIdentity.ReadWrite.All"}, true, RoleAgentIDAdministrator)
	mayDeleteAgent = either([]string{"AgentIdentity.DeleteRestore.All"}, true, RoleAgentIDAdministrator)
)

const ownedBy = "Application.ReadWrite.OwnedBy"

var appAdministrators = []Role{RoleApplicationAdministrator, RoleCloudApplicationAdministrator}

// The privileges of the directory's steps
// (https://learn.microsoft.com/graph/permissions-reference).
var (
	mayReadApps = privilege{
		delegated:   []string{"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.AccessAsUser.All"},
		application: []string{"Application.Read.All", "Application.ReadWrite.All", ownedBy, "Directory.Read.All"},
	}
	mayRegister = privilege{
		delegated:   []string{"Application.ReadWrite.All"},
		application: []string{"Application.ReadWrite.All", ownedBy},
		roles:       append([]Role{RoleApplicationDeveloper}, appAdministrators...),
	}
	mayWriteApp = privilege{
		delegated:   []string{"Application.ReadWrite.All"},
		application: []string{"Application.ReadWrite.All", ownedBy},
		roles:       appAdministrators, owner: true, blueprint: &mayWriteBlueprint,
	}
	mayDeleteApp  = privilege{mayWriteApp.delegated, mayWriteApp.application, appAdministrators, true, &mayDeleteBlueprint, &mayDeleteAgent}
	mayAddProof   = privilege{mayWriteApp.delegated, mayWriteApp.application, appAdministrators, true, &mayProveBlueprint, nil}
	mayAddForeign = privilege{
		delegated:   []string{"Application.ReadWrite.All"},
		application: []string{"Application.ReadWrite.All"},
		roles:       appAdministrators,
	}
	mayReadGrants = privilege{
		delegated:   []string{"DelegatedPermissionGrant.ReadWrite.All", "Directory.Read.All", "Directory.AccessAsUser.All"},
		application: []string{"DelegatedPermissionGrant.ReadWrite.All", "Directory.Read.All"},
	}
	mayGrant = privilege{
		delegated:   []string{"DelegatedPermissionGrant.ReadWrite.All"},
		application: []string{"DelegatedPermissionGrant.ReadWrite.All"},
		roles:       append([]Role{RolePrivilegedRoleAdministrator}, appAdministrators...),
	}
	mayAssign = privilege{
		delegated:   []string{"AppRoleAssignment.ReadWrite.All"},
		application: []string{"AppRoleAssignment.ReadWrite.All"},
		roles:       append([]Role{RolePrivilegedRoleAdministrator, RoleUserAdministrator, RoleDirectoryWriter}, appAdministrators...),
	}
	mayReadAssignments = privilege{
		delegated:   append([]string{"AppRoleAssignment.ReadWrite.All"}, mayReadApps.delegated...),
		application: append([]string{"AppRoleAssignment.ReadWrite.All"}, mayReadApps.application...),
	}
	mayReadPolicy       = privilege{delegated: []string{"Policy.Read.All"}, application: []string{"Policy.Read.All"}}
	mayReadOrganization = privilege{
		delegated:   []string{"User.Read", "Directory.Read.All", "Directory.AccessAsUser.All"},
		application: []string{"Directory.Read.All"},
	}
	mayReadSelf = privilege{delegated: []string{"User.Read", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.AccessAsUser.All"}}
	mayReadAll  = privilege{ // users and groups
		delegated:   []string{"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.AccessAsUser.All"},
		application: []string{"User.Read.All", "Directory.Read.All"},
	}
)

// lacks reports whether the token has none of the permissions.
func (c caller) lacks(p privilege) bool {
	wanted := p.delegated
	if c.app {
		wanted = p.application
	}
	return !slices.ContainsFunc(c.granted, func(name string) bool { return slices.Contains(wanted, name) })
}

// lacksAll is lacks for a step whose app isn't known yet.
func (c caller) lacksAll(p privilege) bool {
	return c.lacks(p) && (p.blueprint == nil || c.lacks(*p.blueprint)) && (p.agent == nil || c.lacks(*p.agent))
}

// may reports whether the caller may take a step that concerns the app, which may be nil.
func (c caller) may(p privilege, app *App) bool {
	p = p.of(app)
	owns := app != nil && slices.Contains(app.entry.owners, c.objectID)
	limited := slices.Contains(p.application, ownedBy) && !slices.Contains(c.granted, "Application.ReadWrite.All")
	switch {
	case c.lacks(p):
		return false
	case c.app:
		return app == nil || owns || !limited
	}
	return len(p.roles) == 0 || p.owner && owns || c.user != nil && c.user.holds(p.roles...)
}
