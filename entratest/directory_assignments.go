package entratest

import (
	"net/http"
	"slices"
	"strings"
)

// The routes of app role assignments.
var assignmentRoutes = []graphRoute{
	{http.MethodGet, "servicePrincipals/{}/appRoleAssignedTo", mayReadAssignments, (*graphCall).listAssignments},
	{http.MethodPost, "servicePrincipals/{}/appRoleAssignedTo", mayAssign, (*graphCall).createAssignment},
	{http.MethodDelete, "servicePrincipals/{}/appRoleAssignedTo/{}", mayAssign, (*graphCall).deleteAssignment},
	{http.MethodGet, "servicePrincipals/{}/appRoleAssignments", mayReadAssignments, (*graphCall).listHeld},
}

// assignments returns the role assignments that match, in the order of their IDs. Callers hold
// t.mu.
func (t *Tenant) assignments(matches func(roleKey) bool) []appRoleAssignment {
	var all []appRoleAssignment
	for key, values := range t.roleAssignments {
		if !matches(key) {
			continue
		}
		for _, role := range key.resource.appRoles() {
			if values[role.Value] {
				all = append(all, t.describeAssignment(key.principal, key.resource, role.ID))
			}
		}
	}
	slices.SortFunc(all, func(a, b appRoleAssignment) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func (t *Tenant) describeAssignment(principal string, resource *App, roleID string) appRoleAssignment {
	name, kind, _ := t.principalNamed(principal)
	return appRoleAssignment{
		ID:        strings.ReplaceAll(derivedID("assignment", principal, resource.ObjectID, roleID), "-", ""),
		AppRoleID: roleID, PrincipalID: principal, PrincipalDisplayName: &name, PrincipalType: &kind,
		ResourceID: resource.ObjectID, ResourceDisplayName: &resource.Name,
	}
}

// principalNamed returns the name and Graph's type of a principal, and its ID as the tenant spells
// it, or "" if there is none. Callers hold t.mu.
func (t *Tenant) principalNamed(objectID string) (name, kind, id string) {
	if user := t.userByObjectID(objectID); user != nil {
		return user.DisplayName, "User", user.ObjectID
	}
	for _, group := range t.groups {
		if strings.EqualFold(group.ObjectID, objectID) {
			return group.Name, "Group", group.ObjectID
		}
	}
	for _, identity := range t.identities {
		if strings.EqualFold(identity.ObjectID, objectID) {
			return identity.Name, "ServicePrincipal", identity.ObjectID
		}
	}
	if app := t.appByObjectID(objectID); app != nil {
		return app.Name, "ServicePrincipal", app.ObjectID
	}
	return "", "", ""
}

func (c *graphCall) listAssignments() (graphResult, *graphFault) {
	app, principal, f := c.principal(c.keys[0])
	if f != nil {
		return graphResult{}, f
	}
	all := c.t.assignments(func(key roleKey) bool { return key.resource == app })
	return list(c, "servicePrincipals('"+principal.ID+"')/appRoleAssignedTo", all, "principalId", "principalType")
}

// listHeld answers with the roles that a service principal holds.
func (c *graphCall) listHeld() (graphResult, *graphFault) {
	_, principal, f := c.principal(c.keys[0])
	if f != nil {
		return graphResult{}, f
	}
	all := c.t.assignments(func(key roleKey) bool { return key.principal == principal.ID })
	return list(c, "servicePrincipals('"+principal.ID+"')/appRoleAssignments", all, "resourceId")
}

func (c *graphCall) createAssignment() (graphResult, *graphFault) {
	app, principal, f := c.principal(c.keys[0])
	if f != nil {
		return graphResult{}, f
	}
	if f := c.require(mayAssign, nil); f != nil {
		return graphResult{}, f
	}
	var wanted appRoleAssignment
	if f := c.read(&wanted); f != nil {
		return graphResult{}, f
	}
	_, kind, principalID := c.t.principalNamed(wanted.PrincipalID)
	holder := c.t.appByObjectID(wanted.PrincipalID)
	switch {
	case app == nil || !strings.EqualFold(wanted.ResourceID, principal.ID):
		return graphResult{}, badRequest("The resourceId must be that of the service principal in the address.")
	case kind == "" || holder != nil && holder.entry.principalLags.take(LagReference) || app.entry.principalLags.take(LagReference):
		return graphResult{}, badRequest("Not a valid reference update.")
	}
	member := map[string]string{"User": "User", "Group": "User", "ServicePrincipal": "Application"}[kind]
	for _, role := range app.appRoles() {
		if !strings.EqualFold(role.ID, wanted.AppRoleID) {
			continue
		}
		key := roleKey{principalID, app}
		switch {
		case !role.IsEnabled || !slices.Contains(role.AllowedMemberTypes, member):
			return graphResult{}, badRequest("Permission being assigned is disabled, or is not for principals of type %s.", kind)
		case c.t.roleAssignments[key][role.Value]:
			return graphResult{}, badRequest("Permission being assigned already exists on the object.").with("InvalidUpdate", "appRoleId")
		}
		addTo(c.t.roleAssignments, key, []string{role.Value})
		return c.entity(http.StatusCreated, "appRoleAssignments", c.t.describeAssignment(principalID, app, role.ID))
	}
	return graphResult{}, badRequest("Permission being assigned was not found on application '%s'.", app.ClientID)
}

func (c *graphCall) deleteAssignment() (graphResult, *graphFault) {
	app, _, f := c.principal(c.keys[0])
	if f != nil {
		return graphResult{}, f
	}
	if f := c.require(mayAssign, nil); f != nil {
		return graphResult{}, f
	}
	for _, assignment := range c.t.assignments(func(key roleKey) bool { return key.resource == app }) {
		if assignment.ID != c.keys[1].Text {
			continue
		}
		for _, role := range app.appRoles() {
			if role.ID == assignment.AppRoleID {
				delete(c.t.roleAssignments[roleKey{assignment.PrincipalID, app}], role.Value)
			}
		}
		return noContent, nil
	}
	return graphResult{}, notFound(c.keys[1].Text)
}
