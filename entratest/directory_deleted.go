package entratest

import (
	"net/http"
	"slices"
	"strings"
)

// The routes of deletion.
var deletedRoutes = []graphRoute{
	{http.MethodDelete, "applications/{}", mayDeleteApp, (*graphCall).deleteApplication},
	{http.MethodGet, "directory/deletedItems/microsoft.graph.application", mayReadApps, (*graphCall).listDeleted},
	{http.MethodGet, "directory/deletedItems/{}", mayReadApps, (*graphCall).getDeleted},
	{http.MethodPost, "directory/deletedItems/{}/restore", mayDeleteApp, (*graphCall).restore},
	{http.MethodDelete, "directory/deletedItems/{}", mayDeleteApp, (*graphCall).purge},
}

// deleteApplication deletes an application and its service principal, whose grants and role
// assignments end.
func (c *graphCall) deleteApplication() (graphResult, *graphFault) {
	app, f := c.application(c.keys[0])
	if f == nil {
		f = c.require(mayDeleteApp, app)
	}
	if f != nil {
		return graphResult{}, f
	}
	c.t.apps = slices.DeleteFunc(slices.Clone(c.t.apps), func(other *App) bool { return other == app })
	c.t.dropGrants(app)
	c.d.deleted = append(c.d.deleted, &deletedApp{app, *c.t.stampNow()})
	return noContent, nil
}

func (d *deletedApp) describe() application {
	doc := d.app.describe()
	at := d.at
	doc.DeletedDateTime = &at
	for i := range doc.KeyCredentials {
		doc.KeyCredentials[i].Key = nil
	}
	return doc
}

func (c *graphCall) listDeleted() (graphResult, *graphFault) {
	var all []application
	for _, item := range c.d.deleted {
		if !item.app.isAgent() {
			all = append(all, item.describe())
		}
	}
	return list(c, "applications", all, "id", "appId", "displayName", "uniqueName", "identifierUris")
}

// deletedItem returns the deleted application in the path.
func (c *graphCall) deletedItem() (*deletedApp, *graphFault) {
	for _, item := range c.d.deleted {
		id := item.app.entry.id
		if item.app.isAgent() {
			id = item.app.ObjectID
		}
		if strings.EqualFold(id, c.keys[0].Text) {
			return item, nil
		}
	}
	return nil, notFound(c.keys[0].Text)
}

func (c *graphCall) getDeleted() (graphResult, *graphFault) {
	item, f := c.deletedItem()
	if f != nil {
		return graphResult{}, f
	}
	if item.app.isAgent() {
		return c.entity(http.StatusOK, "directoryObjects", item.app.describeAgent())
	}
	return c.entity(http.StatusOK, "directoryObjects", item.describe())
}

// restore brings an application back with its service principal, but without grants and role
// assignments.
func (c *graphCall) restore() (graphResult, *graphFault) {
	item, f := c.removeDeleted()
	if f != nil {
		return graphResult{}, f
	}
	c.t.apps = append(c.t.apps, item.app)
	if item.app.isAgent() {
		return c.entity(http.StatusOK, "directoryObjects", item.app.describeAgent())
	}
	return c.entity(http.StatusOK, "directoryObjects", c.shown(item.app, false))
}

func (c *graphCall) purge() (graphResult, *graphFault) {
	if _, f := c.removeDeleted(); f != nil {
		return graphResult{}, f
	}
	return noContent, nil
}

// removeDeleted takes the deleted application in the path from the deleted items.
func (c *graphCall) removeDeleted() (*deletedApp, *graphFault) {
	item, f := c.deletedItem()
	if f != nil {
		return nil, f
	}
	if f := c.require(mayDeleteApp, item.app); f != nil {
		return nil, f
	}
	c.d.deleted = slices.DeleteFunc(c.d.deleted, func(other *deletedApp) bool { return other == item })
	return item, nil
}
