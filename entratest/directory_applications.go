package entratest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entratest/internal/odata"
)

// The routes of applications.
var applicationRoutes = []graphRoute{
	{http.MethodGet, "applications", mayReadApps, (*graphCall).listApplications},
	{http.MethodPost, "applications", mayRegister, (*graphCall).createApplication},
	{http.MethodGet, "applications/{}", mayReadApps, (*graphCall).getApplication},
	{http.MethodPatch, "applications/{}", mayWriteApp, (*graphCall).updateApplication},
}

// application returns the app that a key in the path names, unless the directory does not show it
// yet.
func (c *graphCall) application(key odata.Segment) (*App, *graphFault) {
	named := map[string]func(*App) string{
		"":           func(app *App) string { return app.entry.id },
		"id":         func(app *App) string { return app.entry.id },
		"appId":      func(app *App) string { return app.ClientID },
		"uniqueName": func(app *App) string { return app.entry.uniqueName() },
	}[key.Property]
	if named == nil {
		return nil, badRequest("'%s' is no key of an application.", clip(key.Property))
	}
	app := c.t.appWith(func(app *App) bool { return app.isRegistered() && strings.EqualFold(named(app), key.Text) })
	if app == nil {
		return nil, notFound(key.Text)
	}
	if app.entry.lags.take(LagObject) {
		return app, notFound(key.Text)
	}
	return app, nil
}

// ownApplication returns the application in the path, if the caller may change it.
func (c *graphCall) ownApplication() (*App, *graphFault) {
	app, f := c.application(c.keys[0])
	if f != nil {
		return nil, f
	}
	return app, c.require(mayWriteApp, app)
}

// shown returns the app as a response has it: key material only if the one object's keyCredentials
// are selected, and no secret.
func (c *graphCall) shown(app *App, keys bool) application {
	doc := app.outdated()
	doc.PasswordCredentials, doc.KeyCredentials = nil, nil
	for _, secret := range app.secrets {
		if !secret.lags.take(LagCredential) {
			doc.PasswordCredentials = append(doc.PasswordCredentials, secret.passwordCredential)
		}
	}
	for _, certificate := range app.certificates {
		if certificate.lags.take(LagCredential) {
			continue
		}
		if !keys {
			certificate.Key = nil
		}
		doc.KeyCredentials = append(doc.KeyCredentials, certificate.keyCredential)
	}
	return doc
}

func (c *graphCall) listApplications() (graphResult, *graphFault) {
	var all []application
	for _, app := range c.t.apps {
		if app.isRegistered() && !app.entry.lags.take(LagList) && !app.entry.lags.is(LagObject) {
			all = append(all, c.shown(app, false))
		}
	}
	return list(c, "applications", all, "id", "appId", "displayName", "uniqueName", "identifierUris", "signInAudience", "tags")
}

func (c *graphCall) getApplication() (graphResult, *graphFault) {
	app, f := c.application(c.keys[0])
	if f != nil {
		return graphResult{}, f
	}
	doc := c.shown(app, slices.Contains(c.selected(), "keyCredentials"))
	app.entry.lags.take(LagDisabled)
	return c.entity(http.StatusOK, "applications", doc)
}

func (c *graphCall) createApplication() (graphResult, *graphFault) { return c.register("", false) }

// register creates an application, or a blueprint, from the request's body. If uniqueName is not
// empty, it has that name.
func (c *graphCall) register(uniqueName string, blueprint bool) (graphResult, *graphFault) {
	if blueprint {
		if f := c.require(mayCreateBlueprint, nil); f != nil {
			return graphResult{}, f
		}
		if f := c.checkSponsors(); f != nil {
			return graphResult{}, f
		}
	} else if c.caller.app || !c.d.noRegistrars {
		if c.caller.lacks(mayRegister) {
			return graphResult{}, denied("Insufficient privileges to complete the operation.")
		}
	} else if f := c.require(mayRegister, nil); f != nil {
		return graphResult{}, f
	}
	app := &App{tenant: c.t, ClientID: newGUID(), AppIDURIs: []string{}, AccessTokenVersion: 1, blueprint: blueprint}
	app.entry.id, app.entry.absent, app.entry.owners = newGUID(), true, []string{c.caller.objectID}
	app.entry.written.CreatedDateTime = c.t.stampNow()
	old := app.describe()
	doc := copied(old)
	if f := c.read(&doc); f != nil {
		return graphResult{}, f
	}
	if uniqueName != "" {
		if doc.UniqueName != nil && *doc.UniqueName != uniqueName {
			return graphResult{}, badRequest("The uniqueName in the body differs from the one in the address.")
		}
		doc.UniqueName = &uniqueName
	}
	certificates, f := c.check(app, old, &doc)
	if f != nil {
		return graphResult{}, f
	}
	c.t.add(app)
	app.certificates = certificates
	app.apply(doc)
	app.entry.lags = c.d.newLags()
	app.entry.lags[LagDisabled] = 0
	return c.entity(http.StatusCreated, "applications", c.shown(app, false))
}

// updateApplication changes an application, or creates it if the request prefers that.
func (c *graphCall) updateApplication() (graphResult, *graphFault) {
	app, f := c.application(c.keys[0])
	if app == nil && f.status == http.StatusNotFound && c.keys[0].Property == "uniqueName" && c.createsIfMissing() {
		return c.register(c.keys[0].Text, false)
	}
	if f != nil {
		return graphResult{}, f
	}
	if f := c.require(mayWriteApp, app); f != nil {
		return graphResult{}, f
	}
	if app.entry.lags.take(LagConflict) {
		return graphResult{}, conflict("Directory_ConcurrencyViolation", "The object was modified by another request. Try again.")
	}
	doc := copied(app.describe())
	if f := c.read(&doc); f != nil {
		return graphResult{}, f
	}
	certificates, f := c.check(app, app.outdated(), &doc)
	if f == nil && len(certificates) > len(app.certificates) {
		f = c.require(mayAddProof, app)
	}
	if f != nil {
		return graphResult{}, f
	}
	app.certificates = certificates
	app.apply(doc)
	return noContent, nil
}
