package entratest

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
)

// A User is a member of the tenant. Change its fields before the
// user signs in, not while requests are running.
type User struct {
	ObjectID          string // the oid claim, a GUID
	UserPrincipalName string // the upn and preferred_username claims
	DisplayName       string // the name claim
	Email             string // the email claim, and mail in Graph's answers; may be empty

	// An Administrator may consent for the whole tenant, and to scopes that require it. In the
	// directory, it is a Global Administrator.
	Administrator bool
	// Roles are the user's other roles in the directory.
	Roles []Role
	// Disabled users can't sign in, and their refresh tokens are rejected (AADSTS50057).
	Disabled bool

	tenant  *Tenant
	agent   *App         // whose user account it is; nil for people
	session string       // the sid claim of tokens without a browser session
	epoch   atomic.Int64 // increases with each revocation, which invalidates everything issued before
}

// A Role is a role in the directory, by its display name.
type Role string

// The roles with which users may change applications. [User.Administrator] stands for the Global
// Administrator, who may do everything.
const (
	RoleApplicationAdministrator      Role = "Application Administrator"
	RoleCloudApplicationAdministrator Role = "Cloud Application Administrator"
	RoleApplicationDeveloper          Role = "Application Developer"
	RolePrivilegedRoleAdministrator   Role = "Privileged Role Administrator"
	RoleUserAdministrator             Role = "User Administrator"
	RoleDirectoryWriter               Role = "Directory Writers"
	RoleAgentIDAdministrator          Role = "Agent ID Administrator"
	RoleAgentIDDeveloper              Role = "Agent ID Developer"

	roleGlobalAdministrator Role = "Global Administrator"
)

// roleTemplates are the IDs that the roles have in each tenant, in the wids claim too.
var roleTemplates = map[Role]string{
	roleGlobalAdministrator:           "62e90394-69f5-4237-9190-012177145e10",
	RoleApplicationAdministrator:      "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
	RoleCloudApplicationAdministrator: "158c047a-c907-4556-b7ef-446551a6b5f7",
	RoleApplicationDeveloper:          "cf1c38e5-3621-4004-a7cb-879624dced7c",
	RolePrivilegedRoleAdministrator:   "e8611ab8-c189-46e8-94e1-60213ab1f814",
	RoleUserAdministrator:             "fe930be7-5e62-47db-91af-98c3a49a38b1",
	RoleDirectoryWriter:               "9360feb5-f418-4baa-8175-e2a00bac4301",
	RoleAgentIDAdministrator:          "db506228-d27e-4b7d-95e5-295956d6615f",
	RoleAgentIDDeveloper:              "adb2368d-a9be-41b5-8667-d96778e081b0",
}

// roles returns all roles of the user.
func (u *User) roles() []Role {
	if u.Administrator {
		return append([]Role{roleGlobalAdministrator}, u.Roles...)
	}
	return u.Roles
}

// memberTemplate is the role that each member has.
const memberTemplate = "b79fbf4d-3ef9-4689-8143-76b194e85509"

// directoryRoles returns the wids claim of a user's tokens for Graph: the roles' templates.
func (t *Tenant) directoryRoles(objectID string) []string {
	all := []string{}
	if user := t.userByID(objectID); user != nil {
		for _, role := range user.roles() {
			all = append(all, roleTemplates[role])
		}
	}
	return append(all, memberTemplate)
}

// holds reports whether the user has one of the roles, or is an administrator of everything.
func (u *User) holds(roles ...Role) bool {
	return u.Administrator || slices.ContainsFunc(u.Roles, func(r Role) bool { return slices.Contains(roles, r) })
}

// AddUser adds a user with a new object ID.
func (t *Tenant) AddUser(userPrincipalName, displayName string) *User {
	user := newUser(t, userPrincipalName, displayName)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users = append(t.users, user)
	return user
}

func newUser(t *Tenant, userPrincipalName, displayName string) *User {
	return &User{
		ObjectID: newGUID(), UserPrincipalName: userPrincipalName, DisplayName: displayName,
		tenant: t, session: newGUID(),
	}
}

func (u *User) principalID() string { return u.ObjectID }

// RevokeSessions revokes the user's browser sessions, codes and refresh tokens
// (AADSTS50173). Access tokens stay valid until they expire.
func (u *User) RevokeSessions() { u.epoch.Add(1) }

// userByObjectID returns the user, or nil. Callers hold t.mu.
func (t *Tenant) userByObjectID(objectID string) *User {
	for _, user := range t.users {
		if strings.EqualFold(user.ObjectID, objectID) {
			return user
		}
	}
	return nil
}

// userByID is userByObjectID for callers that do not hold t.mu.
func (t *Tenant) userByID(objectID string) *User {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.userByObjectID(objectID)
}

// A Group is a security group.
type Group struct {
	ObjectID string // in the groups claim
	Name     string

	members map[string]bool // object IDs
}

// AddGroup adds a group with these members.
func (t *Tenant) AddGroup(name string, members ...*User) *Group {
	group := &Group{ObjectID: newGUID(), Name: name, members: map[string]bool{}}
	for _, user := range members {
		group.members[user.ObjectID] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.groups = append(t.groups, group)
	return group
}

// A Principal holds app roles: a [User], an [App] or a [UserAssignedIdentity].
type Principal interface{ principalID() string }

// A roleKey is a principal (object ID) and the resource of its roles.
type roleKey struct {
	principal string
	resource  *App
}

// GrantRoles grants the principal app roles of resource. They are the roles claim of a user's
// tokens for it, and of the app-only tokens of an app or identity.
func (t *Tenant) GrantRoles(principal Principal, resource *App, roles ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	addTo(t.roleAssignments, roleKey{principal.principalID(), resource}, roles)
}

// roles returns a principal's app roles on a resource, sorted, with those of a user's groups.
func (t *Tenant) roles(principal string, resource *App) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	held := map[string]bool{}
	maps.Copy(held, t.roleAssignments[roleKey{principal, resource}])
	for _, group := range t.groups {
		if group.members[principal] {
			maps.Copy(held, t.roleAssignments[roleKey{group.ObjectID, resource}])
		}
	}
	return slices.Sorted(maps.Keys(held))
}

func addTo[K comparable](grants map[K]map[string]bool, key K, values []string) {
	if grants[key] == nil {
		grants[key] = map[string]bool{}
	}
	for _, value := range values {
		grants[key][value] = true
	}
}
