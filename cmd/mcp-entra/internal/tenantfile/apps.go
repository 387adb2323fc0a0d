package tenantfile

import (
	"cmp"
	"slices"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// addApp registers an app.
func (t *Tenant) addApp(a *AppSpec) {
	app := t.newApp(a)
	app.ClientID, app.ObjectID = a.ClientID, a.ObjectID
	app.AppIDURIs = slices.Clone(a.AppIDURIs)
	app.AccessTokenVersion = cmp.Or(a.TokenVersion, 1)
	app.AdminScopes, app.OptionalClaims = slices.Clone(a.AdminScopes), slices.Clone(a.OptionalClaims)
	app.GroupClaims = a.GroupClaims
	if a.Kind != kindAgent { // which takes none
		app.AddRedirectURI(entratest.PlatformWeb, a.Redirects.Web...)
		app.AddRedirectURI(entratest.PlatformSPA, a.Redirects.SPA...)
		app.AddRedirectURI(entratest.PlatformDesktop, a.Redirects.Desktop...)
	}
	t.apps[a.Name] = app
}

// finishApp adds what refers to other apps, identities and clusters, and the credentials.
func (t *Tenant) finishApp(a *AppSpec, m material) {
	app := t.apps[a.Name]
	for _, client := range a.KnownClients {
		app.KnownClients = append(app.KnownClients, t.apps[client])
	}
	for _, p := range a.Permissions {
		app.RequirePermissions(t.apps[p.Resource], p.Scopes...)
	}
	for _, p := range a.Inheritable {
		app.AllowInheritance(t.apps[p.Resource], p.Scopes...)
	}
	t.assign(app, a.AssignedRoles)
	for i, s := range a.Secrets {
		app.AddKnownSecret(m.secrets[i], s.Expires)
	}
	for _, certificate := range m.certificates {
		app.AddCertificate(certificate)
	}
	for i := range a.FederatedCredentials {
		t.federate(app, &a.FederatedCredentials[i], m, i)
	}
	if a.OwnSigningKey {
		app.AddSigningKey()
	}
}

func (t *Tenant) federate(app *entratest.App, f *FederatedSpec, m material, i int) {
	audience := cmp.Or(f.Audience, tokenExchange)
	switch {
	case f.ManagedIdentity != "":
		app.AddFederatedCredential(t.V2Issuer(), t.identities[f.ManagedIdentity].ObjectID, audience)
	case f.Cluster != "":
		app.AddFederatedCredential(t.clusters[f.Cluster].URL, f.Subject, audience)
	default:
		t.TrustIssuer(f.Issuer, f.KeyID, m.keys[i])
		app.AddFederatedCredential(f.Issuer, f.Subject, audience)
	}
}

// tokenExchange is the audience of federated credentials.
const tokenExchange = "api://AzureADTokenExchange" //nolint:gosec // no credential
