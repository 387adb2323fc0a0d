package entratest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The routes of delegated permission grants.
var grantRoutes = []graphRoute{
	{http.MethodGet, "oauth2PermissionGrants", mayReadGrants, (*graphCall).listGrants},
	{http.MethodPost, "oauth2PermissionGrants", mayGrant, (*graphCall).createGrant},
	{http.MethodGet, "oauth2PermissionGrants/{}", mayReadGrants, (*graphCall).getGrant},
	{http.MethodPatch, "oauth2PermissionGrants/{}", mayGrant, (*graphCall).updateGrant},
	{http.MethodDelete, "oauth2PermissionGrants/{}", mayGrant, (*graphCall).deleteGrant},
}

// describeGrant returns the consent to a client as the directory shows it. Consent for all has no
// user.
func describeGrant(client, resource *App, user string, scopes map[string]bool) oAuth2PermissionGrant {
	grant := oAuth2PermissionGrant{
		ID:       strings.ReplaceAll(derivedID("grant", client.ObjectID, resource.ObjectID, user), "-", ""),
		ClientID: client.ObjectID, ResourceID: resource.ObjectID, ConsentType: "AllPrincipals",
		Scope: strings.Join(slices.Sorted(maps.Keys(scopes)), " "),
	}
	if user != "" {
		grant.ConsentType, grant.PrincipalID = "Principal", &user
	}
	return grant
}

// grants returns all grants of the tenant, in the order of their IDs. Callers hold t.mu.
func (t *Tenant) grants() []oAuth2PermissionGrant {
	var all []oAuth2PermissionGrant
	for key, scopes := range t.consents {
		all = append(all, describeGrant(key.client, key.resource, "", scopes))
	}
	for key, scopes := range t.userConsents {
		all = append(all, describeGrant(key.client, key.resource, key.user, scopes))
	}
	slices.SortFunc(all, func(a, b oAuth2PermissionGrant) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// setGrant replaces a grant's scopes; nil deletes the grant. Callers hold t.mu.
func (t *Tenant) setGrant(client, resource *App, user string, scopes map[string]bool) {
	if user == "" {
		set(t.consents, grantKey{client, resource}, scopes)
		return
	}
	set(t.userConsents, userGrantKey{client, resource, user}, scopes)
}

func set[K comparable](grants map[K]map[string]bool, key K, values map[string]bool) {
	if values == nil {
		delete(grants, key)
		return
	}
	grants[key] = values
}

// dropGrants deletes all grants and role assignments of the app. Callers hold t.mu.
func (t *Tenant) dropGrants(app *App) {
	maps.DeleteFunc(t.consents, func(key grantKey, _ map[string]bool) bool { return key.client == app || key.resource == app })
	maps.DeleteFunc(t.userConsents, func(key userGrantKey, _ map[string]bool) bool { return key.client == app || key.resource == app })
	maps.DeleteFunc(t.roleAssignments, func(key roleKey, _ map[string]bool) bool {
		return key.resource == app || key.principal == app.ObjectID
	})
}

func (c *graphCall) listGrants() (graphResult, *graphFault) {
	return list(c, "oauth2PermissionGrants", c.t.grants(), "clientId", "resourceId", "principalId", "consentType")
}

// grant returns the grant in the path, with its client and resource.
func (c *graphCall) grant() (grant oAuth2PermissionGrant, client, resource *App, f *graphFault) {
	for _, grant := range c.t.grants() {
		if grant.ID == c.keys[0].Text {
			return grant, c.t.appByObjectID(grant.ClientID), c.t.appByObjectID(grant.ResourceID), nil
		}
	}
	return oAuth2PermissionGrant{}, nil, nil, notFound(c.keys[0].Text)
}

// appByObjectID returns the app with the service principal, or nil. Callers hold t.mu.
func (t *Tenant) appByObjectID(objectID string) *App {
	return t.appWith(func(app *App) bool { return !app.entry.absent && strings.EqualFold(app.ObjectID, objectID) })
}

func (c *graphCall) getGrant() (graphResult, *graphFault) {
	grant, _, _, f := c.grant()
	if f != nil {
		return graphResult{}, f
	}
	return c.entity(http.StatusOK, "oauth2PermissionGrants", grant)
}

func (c *graphCall) createGrant() (graphResult, *graphFault) {
	if f := c.require(mayGrant, nil); f != nil {
		return graphResult{}, f
	}
	var wanted oAuth2PermissionGrant
	if f := c.read(&wanted); f != nil {
		return graphResult{}, f
	}
	user := ""
	switch {
	case wanted.ID != "":
		return graphResult{}, badRequest("Property 'id' is read-only and cannot be set.")
	case wanted.ConsentType == "Principal" && wanted.PrincipalID != nil:
		user = *wanted.PrincipalID
	case wanted.ConsentType != "AllPrincipals" || wanted.PrincipalID != nil:
		return graphResult{}, badRequest("consentType must be AllPrincipals without a principalId, or Principal with one.")
	}
	client, f := c.reference(wanted.ClientID)
	if f != nil {
		return graphResult{}, f
	}
	resource, f := c.reference(wanted.ResourceID)
	if f != nil {
		return graphResult{}, f
	}
	if user != "" {
		known := c.t.userByObjectID(user)
		if known == nil {
			return graphResult{}, missingReference(user)
		}
		user = known.ObjectID
	}
	grant := describeGrant(client, resource, user, nil)
	if slices.ContainsFunc(c.t.grants(), func(g oAuth2PermissionGrant) bool { return g.ID == grant.ID }) {
		return graphResult{}, sameKey("Permission entry already exists.")
	}
	c.t.setGrant(client, resource, user, words(wanted.Scope))
	grant.Scope = wanted.Scope
	return c.entity(http.StatusCreated, "oauth2PermissionGrants", grant)
}

// words returns the set of a grant's scopes. Graph does not check whether the resource offers them.
func words(scope string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(scope) {
		set[word] = true
	}
	return set
}

// reference returns the app whose service principal a body names.
func (c *graphCall) reference(objectID string) (*App, *graphFault) {
	app := c.t.appByObjectID(objectID)
	if app != nil && app.entry.principalLags.take(LagObject) {
		return nil, notFound(objectID)
	}
	if app == nil || app.entry.principalLags.take(LagReference) {
		return nil, missingReference(objectID)
	}
	return app, nil
}

// missingReference is the fault of a body that names what does not exist, or not yet.
func missingReference(objectID string) *graphFault {
	return badRequest("Resource '%s' does not exist or one of its queried reference-property objects are not present.", clip(objectID))
}

// updateGrant replaces a grant's scopes. Nothing else can be changed.
func (c *graphCall) updateGrant() (graphResult, *graphFault) {
	grant, client, resource, f := c.grant()
	if f != nil {
		return graphResult{}, f
	}
	if f := c.require(mayGrant, nil); f != nil {
		return graphResult{}, f
	}
	var wanted struct {
		Scope *string `json:"scope"`
	}
	var any oAuth2PermissionGrant
	if f := c.read(&any); f != nil {
		return graphResult{}, f
	}
	if f := c.read(&wanted); f != nil || wanted.Scope == nil {
		return graphResult{}, badRequest("A property cannot be updated: only the scope of a permission grant can.")
	}
	c.t.setGrant(client, resource, userOf(grant), words(*wanted.Scope))
	return noContent, nil
}

func userOf(grant oAuth2PermissionGrant) string {
	if grant.PrincipalID == nil {
		return ""
	}
	return *grant.PrincipalID
}

func (c *graphCall) deleteGrant() (graphResult, *graphFault) {
	grant, client, resource, f := c.grant()
	if f != nil {
		return graphResult{}, f
	}
	if f := c.require(mayGrant, nil); f != nil {
		return graphResult{}, f
	}
	c.t.setGrant(client, resource, userOf(grant), nil)
	return noContent, nil
}
