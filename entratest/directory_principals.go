package entratest

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entratest/internal/odata"
)

// The routes of service principals.
var principalRoutes = []graphRoute{
	{http.MethodGet, "servicePrincipals", mayReadApps, (*graphCall).listPrincipals},
	{http.MethodPost, "servicePrincipals", mayWriteApp, (*graphCall).createPrincipal},
	{http.MethodGet, "servicePrincipals/{}", mayReadApps, (*graphCall).getPrincipal},
	{http.MethodPatch, "servicePrincipals/{}", mayWriteApp, (*graphCall).updatePrincipal},
	{http.MethodDelete, "servicePrincipals/{}", mayWriteApp, (*graphCall).deletePrincipal},
}

// describePrincipal returns the app's service principal as the directory shows it. Callers hold the
// tenant's mu.
func (a *App) describePrincipal() servicePrincipal {
	doc := a.outdated()
	owner, audience := a.tenant.id, doc.SignInAudience
	switch {
	case a.microsoft:
		owner, audience = microsoftTenantID, "AzureADMultipleOrgs"
	case a.home != nil:
		owner, audience = a.home.tenant.id, "AzureADMultipleOrgs"
	}
	principal := servicePrincipal{
		ID: a.ObjectID, AppID: a.ClientID, DisplayName: a.Name, AppDisplayName: &doc.DisplayName, AccountEnabled: true,
		AppOwnerOrganizationID: &owner, SignInAudience: &audience, ServicePrincipalType: "Application",
		AppRoleAssignmentRequired: a.entry.required, Homepage: doc.Web.HomePageURL, Tags: a.entry.tags, Notes: a.entry.notes,
		ServicePrincipalNames: append([]string{a.ClientID}, a.AppIDURIs...),
		AppRoles:              doc.AppRoles, OAuth2PermissionScopes: doc.API.OAuth2PermissionScopes,
	}
	switch {
	case a.isAgent():
		principal.ServicePrincipalType, principal.kind = "ServiceIdentity", agentType
	case a.blueprint:
		principal.kind = blueprintPrincipalType
	}
	for _, r := range a.redirects {
		principal.ReplyURLs = append(principal.ReplyURLs, r.uri)
	}
	return principal
}

// describePrincipal returns the identity's service principal.
func (m *UserAssignedIdentity) describePrincipal() servicePrincipal {
	return servicePrincipal{
		ID: m.ObjectID, AppID: m.ClientID, DisplayName: m.Name, AccountEnabled: true, ServicePrincipalType: "ManagedIdentity",
		AlternativeNames: []string{"isExplicit=True", m.ResourceID}, ServicePrincipalNames: []string{m.ClientID},
	}
}

// principal returns the app whose service principal a key in the path names, or the description of
// a managed identity's. It fails if there is none or the directory does not show it yet.
func (c *graphCall) principal(key odata.Segment) (*App, servicePrincipal, *graphFault) {
	if !slices.Contains([]string{"", "id", "appId"}, key.Property) {
		return nil, servicePrincipal{}, badRequest("'%s' is no key of a service principal.", clip(key.Property))
	}
	is := func(objectID, clientID string) bool {
		return strings.EqualFold(key.Text, clientID) && key.Property == "appId" || strings.EqualFold(key.Text, objectID) && key.Property != "appId"
	}
	for _, identity := range c.t.identities {
		if is(identity.ObjectID, identity.ClientID) {
			return nil, identity.describePrincipal(), nil
		}
	}
	app := c.t.appWith(func(app *App) bool { return !app.entry.absent && is(app.ObjectID, app.ClientID) })
	if app == nil {
		return nil, servicePrincipal{}, notFound(key.Text)
	}
	if app.entry.principalLags.take(LagObject) {
		return nil, servicePrincipal{}, notFound(key.Text)
	}
	return app, app.describePrincipal(), nil
}

func (c *graphCall) listPrincipals() (graphResult, *graphFault) {
	var all []servicePrincipal
	for _, app := range c.t.apps {
		if !app.entry.absent && !app.entry.principalLags.take(LagList) && !app.entry.principalLags.is(LagObject) {
			all = append(all, app.describePrincipal())
		}
	}
	for _, identity := range c.t.identities {
		all = append(all, identity.describePrincipal())
	}
	return list(c, "servicePrincipals", all, "id", "appId", "displayName", "servicePrincipalNames", "servicePrincipalType", "alternativeNames", "tags")
}

func (c *graphCall) getPrincipal() (graphResult, *graphFault) {
	app, principal, f := c.principal(c.keys[0])
	if f != nil {
		return graphResult{}, f
	}
	if app != nil {
		app.entry.lags.take(LagDisabled)
	}
	if app != nil && app.isAgent() {
		return c.entity(http.StatusOK, "servicePrincipals", app.describeAgent())
	}
	return c.entity(http.StatusOK, "servicePrincipals", principal)
}

func (c *graphCall) createPrincipal() (graphResult, *graphFault) {
	var wanted servicePrincipal
	if f := c.read(&wanted); f != nil {
		return graphResult{}, f
	}
	return c.addPrincipal(wanted, mayWriteApp)
}

// addPrincipal creates the service principal of an application of this tenant, of a multitenant one
// of another, or of Microsoft's. own is what it needs for one of this tenant.
func (c *graphCall) addPrincipal(wanted servicePrincipal, own privilege) (graphResult, *graphFault) {
	backing := badRequest("The appId '%s' of the service principal does not reference a valid application object.", clip(wanted.AppID)).
		with("NoBackingApplicationObject", "appId")
	foreign := denied("When using this permission, the backing application of the service principal being created must in the local tenant")
	if !isGUID(wanted.AppID) {
		return graphResult{}, invalid("appId", "'%s' is not a GUID", clip(wanted.AppID))
	}
	app := c.t.appWith(func(app *App) bool { return strings.EqualFold(app.ClientID, wanted.AppID) })
	if app != nil && !app.entry.absent {
		return graphResult{}, sameKey("The service principal cannot be created, updated, or restored because the service principal name "+
			app.ClientID+" is already in use.").with("ObjectConflict", "servicePrincipalNames")
	}
	if app != nil && app.isRegistered() {
		if f := c.require(own, app); f != nil {
			return graphResult{}, f
		}
		if app.entry.lags.take(LagBacking) {
			return graphResult{}, backing
		}
		if app.entry.lags.take(LagForbidden) {
			return graphResult{}, foreign
		}
	} else {
		if f := c.require(mayAddForeign, nil); f != nil {
			if c.caller.app && !c.caller.lacks(mayRegister) {
				return graphResult{}, foreign
			}
			return graphResult{}, f
		}
		if app == nil {
			if app = c.t.fromElsewhere(wanted.AppID); app == nil {
				return graphResult{}, backing
			}
			c.t.add(app)
		}
	}
	app.entry.absent, app.entry.principalLags = false, c.d.newLags()
	app.entry.required, app.entry.tags, app.entry.notes = wanted.AppRoleAssignmentRequired, wanted.Tags, wanted.Notes
	return c.entity(http.StatusCreated, "servicePrincipals", app.describePrincipal())
}

// updatePrincipal changes a service principal, or creates it if the request prefers that.
func (c *graphCall) updatePrincipal() (graphResult, *graphFault) {
	key := c.keys[0]
	app, principal, f := c.principal(key)
	if f != nil && key.Property == "appId" && c.createsIfMissing() && c.t.appByClientID(key.Text) == nil {
		wanted := servicePrincipal{AppID: key.Text}
		if len(c.body) > 0 {
			if f := c.read(&wanted); f != nil {
				return graphResult{}, f
			}
		}
		if !strings.EqualFold(wanted.AppID, key.Text) {
			return graphResult{}, badRequest("The appId in the body differs from the one in the address.")
		}
		return c.addPrincipal(wanted, mayWriteApp)
	}
	if f != nil {
		return graphResult{}, f
	}
	if app == nil {
		return graphResult{}, badRequest("A managed identity's service principal can't be changed here.")
	}
	if f := c.require(mayWriteApp, app); f != nil {
		return graphResult{}, f
	}
	changed := copied(principal)
	if f := c.read(&changed); f != nil {
		return graphResult{}, f
	}
	app.entry.required, app.entry.tags, app.entry.notes = changed.AppRoleAssignmentRequired, changed.Tags, changed.Notes
	changed.AppRoleAssignmentRequired, changed.Tags, changed.Notes = principal.AppRoleAssignmentRequired, principal.Tags, principal.Notes
	if name := firstDifference(principal, changed); name != "" {
		return graphResult{}, badRequest("Property '%s' can't be changed here.", name)
	}
	return noContent, nil
}

// deletePrincipal takes the app out of the tenant: its grants and role assignments end.
func (c *graphCall) deletePrincipal() (graphResult, *graphFault) {
	app, _, f := c.principal(c.keys[0])
	if f != nil {
		return graphResult{}, f
	}
	if app == nil || app == c.t.graph || app == c.t.storage {
		return graphResult{}, badRequest("This service principal can't be deleted here.")
	}
	if app.isAgent() {
		return c.deleteAgent()
	}
	if f := c.require(mayWriteApp, app); f != nil {
		return graphResult{}, f
	}
	app.entry.absent = true
	c.t.dropGrants(app)
	return noContent, nil
}

// firstDifference returns the name of a member in which two entities differ, or "".
func firstDifference[T any](before, after T) string {
	was, is := asMap(before), asMap(after)
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if !reflect.DeepEqual(was[name], is[name]) {
			return name
		}
	}
	return ""
}
