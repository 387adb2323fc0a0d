package entratest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entratest/internal/odata"
)

const inheritablePath = "applications/{}/" + blueprintType + "/inheritablePermissions"

// The routes of what agent identities inherit.
var inheritanceRoutes = []graphRoute{
	{http.MethodGet, inheritablePath, mayReadBlueprint, (*graphCall).listInheritable},
	{http.MethodPost, inheritablePath, mayWriteBlueprint, (*graphCall).createInheritable},
	{http.MethodGet, inheritablePath + "/{}", mayReadBlueprint, (*graphCall).getInheritable},
	{http.MethodPatch, inheritablePath + "/{}", mayWriteBlueprint, (*graphCall).updateInheritable},
	{http.MethodDelete, inheritablePath + "/{}", mayWriteBlueprint, (*graphCall).deleteInheritable},
}

// maxInheritable limits the resources that children of a blueprint inherit from.
const maxInheritable = 10

type inheritablePermission struct {
	ResourceAppID     string            `json:"resourceAppId"`
	InheritableScopes inheritableScopes `json:"inheritableScopes"`
	InheritableRoles  inheritableRoles  `json:"inheritableRoles"`
}

type inheritableScopes struct {
	Type   string             `json:"@odata.type"`
	Kind   string             `json:"kind"`
	Scopes odata.List[string] `json:"scopes,omitempty"`
}

type inheritableRoles struct {
	Type  string             `json:"@odata.type"`
	Kind  string             `json:"kind"`
	Roles odata.List[string] `json:"roles,omitempty"`
}

// described returns Graph's type and kind of inherited permissions; what is "Scopes" or "Roles".
func (h heritable) described(what string) (typeName, kind string, names []string) {
	switch {
	case h.all:
		return "microsoft.graph.allAllowed" + what, "allAllowed", nil
	case len(h.names) > 0:
		return "microsoft.graph.enumerated" + what, "enumerated", h.names
	}
	return "microsoft.graph.no" + what, "none", nil
}

// heritableOf reads Graph's type.
func heritableOf(typeName, what string, names []string) (heritable, *graphFault) {
	switch kind, _ := strings.CutPrefix(strings.TrimPrefix(typeName, "#"), "microsoft.graph."); {
	case strings.EqualFold(kind, "allAllowed"+what):
		return heritable{all: true}, nil
	case strings.EqualFold(kind, "no"+what):
		return heritable{}, nil
	case strings.EqualFold(kind, "enumerated"+what) && len(names) > 0:
		return heritable{names: slices.Clone(names)}, nil
	}
	return heritable{}, badRequest("The inheritable %s must be of the type allAllowed%[1]s, enumerated%[1]s with %s, or no%[1]s.", what, strings.ToLower(what))
}

func (i inheritance) describe() inheritablePermission {
	doc := inheritablePermission{ResourceAppID: i.resource}
	doc.InheritableScopes.Type, doc.InheritableScopes.Kind, doc.InheritableScopes.Scopes = i.scopes.described("Scopes")
	doc.InheritableRoles.Type, doc.InheritableRoles.Kind, doc.InheritableRoles.Roles = i.roles.described("Roles")
	return doc
}

// readInheritance merges the request's body into what is inherited.
func (c *graphCall) readInheritance(old inheritance) (inheritance, *graphFault) {
	doc := old.describe()
	doc.InheritableScopes.Scopes, doc.InheritableRoles.Roles = nil, nil // what is sent replaces them
	if old.resource == "" {
		doc.InheritableScopes.Type = "" // required
	}
	sentScopes, sentRoles := doc.InheritableScopes, doc.InheritableRoles
	if f := c.read(&doc); f != nil {
		return old, f
	}
	if !isGUID(doc.ResourceAppID) || old.resource != "" && doc.ResourceAppID != old.resource {
		return old, badRequest("The resourceAppId '%s' is not a GUID, or not the one in the address.", clip(doc.ResourceAppID))
	}
	changed := old
	changed.resource = strings.ToLower(doc.ResourceAppID)
	var f *graphFault
	if old.resource == "" || !slices.Equal(doc.InheritableScopes.Scopes, sentScopes.Scopes) || doc.InheritableScopes.Type != sentScopes.Type {
		if changed.scopes, f = heritableOf(doc.InheritableScopes.Type, "Scopes", doc.InheritableScopes.Scopes); f != nil {
			return old, f
		}
	}
	if !slices.Equal(doc.InheritableRoles.Roles, sentRoles.Roles) || doc.InheritableRoles.Type != sentRoles.Type {
		if changed.roles, f = heritableOf(doc.InheritableRoles.Type, "Roles", doc.InheritableRoles.Roles); f != nil {
			return old, f
		}
	}
	return changed, nil
}

func (c *graphCall) listInheritable() (graphResult, *graphFault) {
	app, f := c.blueprint()
	if f != nil {
		return graphResult{}, f
	}
	var all []inheritablePermission
	for _, entry := range app.inheritable {
		all = append(all, entry.describe())
	}
	return list(c, "applications('"+app.entry.id+"')/inheritablePermissions", all, "resourceAppId")
}

// inheritable returns the blueprint in the path and the place of the resource that the second key names.
func (c *graphCall) inheritable() (app *App, place int, f *graphFault) {
	if app, f = c.blueprint(); f != nil {
		return nil, -1, f
	}
	place = slices.IndexFunc(app.inheritable, func(i inheritance) bool { return strings.EqualFold(i.resource, c.keys[1].Text) })
	if place < 0 {
		return nil, -1, notFound(c.keys[1].Text)
	}
	return app, place, nil
}

func (c *graphCall) getInheritable() (graphResult, *graphFault) {
	app, place, f := c.inheritable()
	if f != nil {
		return graphResult{}, f
	}
	return c.inheritableResult(http.StatusOK, app, app.inheritable[place])
}

func (c *graphCall) inheritableResult(status int, app *App, entry inheritance) (graphResult, *graphFault) {
	return c.entity(status, "applications('"+app.entry.id+"')/inheritablePermissions", entry.describe())
}

func (c *graphCall) createInheritable() (graphResult, *graphFault) {
	app, f := c.blueprint()
	if f != nil {
		return graphResult{}, f
	}
	if f := c.require(mayWriteBlueprint, app); f != nil {
		return graphResult{}, f
	}
	entry, f := c.readInheritance(inheritance{})
	switch {
	case f != nil:
		return graphResult{}, f
	case slices.ContainsFunc(app.inheritable, func(i inheritance) bool { return strings.EqualFold(i.resource, entry.resource) }):
		return graphResult{}, sameKey("An inheritablePermission with the resourceAppId " + entry.resource + " already exists.")
	case len(app.inheritable) >= maxInheritable:
		return graphResult{}, badRequest("A blueprint can have at most %d inheritable permissions.", maxInheritable)
	}
	app.inheritable = append(slices.Clone(app.inheritable), entry)
	return c.inheritableResult(http.StatusCreated, app, entry)
}

func (c *graphCall) updateInheritable() (graphResult, *graphFault) {
	app, place, f := c.inheritable()
	if f != nil {
		return graphResult{}, f
	}
	if f := c.require(mayWriteBlueprint, app); f != nil {
		return graphResult{}, f
	}
	entry, f := c.readInheritance(app.inheritable[place])
	if f != nil {
		return graphResult{}, f
	}
	app.inheritable = slices.Clone(app.inheritable)
	app.inheritable[place] = entry
	return noContent, nil
}

func (c *graphCall) deleteInheritable() (graphResult, *graphFault) {
	app, place, f := c.inheritable()
	if f != nil {
		return graphResult{}, f
	}
	if f := c.require(mayWriteBlueprint, app); f != nil {
		return graphResult{}, f
	}
	app.inheritable = slices.Delete(slices.Clone(app.inheritable), place, place+1)
	return noContent, nil
}
