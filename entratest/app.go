package entratest

import (
	"fmt"
	"slices"
	"strings"
)

// An App is an application registration and its service principal: an API that clients request
// tokens for, a client that requests them, or both. Set its exported fields before it is used, not
// while requests are running. Microsoft Graph may change them at any time: to see its changes in
// the fields, read them after its response.
type App struct {
	ClientID string // application ID, a GUID
	ObjectID string // of the service principal: the oid of its app-only tokens
	Name     string

	// AppIDURIs are the identifiers with which clients request tokens, besides the client ID: a
	// server's own URL, for example. Defaults to "api://" followed by the client ID. The resource
	// parameter (RFC 8707) must equal one of them, character for character, and so must the prefix
	// of the scopes beside it.
	AppIDURIs []string

	// AccessTokenVersion is the version of tokens for the app as a resource: 1 or 2
	// (requestedAccessTokenVersion in its manifest). Defaults to 1, as in Entra.
	AccessTokenVersion int

	// Scopes are the delegated permissions that the app offers as a resource.
	Scopes []string

	// AdminScopes are the Scopes that only an administrator can consent to.
	AdminScopes []string

	// KnownClients are clients whose consent page includes this app's own permissions when the
	// client requests this app's .default scope (knownClientApplications in its manifest).
	KnownClients []*App

	// OptionalClaims are claims that access tokens for the app have only if its registration lists
	// them: "idtyp" (with include_user_token), "email", "upn" (for v2 tokens; v1 tokens always have
	// it), "xms_cc" (the client's capabilities, if it declares any), and those that identify agents:
	// "xms_sub_fct", "xms_act_fct" and "xms_par_app_azp".
	OptionalClaims []string

	// GroupClaims adds the object IDs of the user's groups to access tokens: up to 200; for more
	// groups, a reference to Microsoft Graph.
	GroupClaims bool

	// Everything is guarded by tenant.mu, except for ClientID, ObjectID, tenant, home, blueprint and
	// parent, which never change.
	tenant        *Tenant
	home          *App // where a multitenant app is registered; nil if it is here
	blueprint     bool // it is an agent identity blueprint
	parent        *App // the blueprint of an agent identity; nil for other apps
	public        bool
	secrets       []clientSecret
	certificates  []appCertificate
	federated     []federatedCredential
	redirects     []redirect
	required      []requiredResourceAccess
	inheritable   []inheritance // of a blueprint's registration, one a resource
	preAuthorized []preAuthorizedApplication
	microsoft     bool        // Microsoft's own: has no registration here, and needs no user's consent among its kind
	ownKey        *signingKey // nil: the tenant's keys sign the app's tokens
	entry         entry
}

// An entry is what only the directory knows of an app.
type entry struct {
	id       string            // of the application; the service principal has another
	scopes   []permissionScope // App.Scopes in detail, and those that are disabled
	roles    []appRole
	owners   []string    // object IDs
	written  application // as Microsoft Graph received it: for the members that no other field has
	disabled []string    // IDs of scopes and roles that were disabled last
	lags     lags

	// Of the service principal.
	absent        bool // the tenant has none
	required      bool // appRoleAssignmentRequired
	tags          []string
	notes         *string
	principalLags lags
}

func (e *entry) uniqueName() string {
	if e.written.UniqueName == nil {
		return ""
	}
	return *e.written.UniqueName
}

func (a *App) principalID() string { return a.ObjectID }

// registration returns the app that holds the credentials and redirect URIs.
func (a *App) registration() *App {
	if a.home != nil {
		return a.home
	}
	return a
}

// isRegistered reports whether the app's registration is in the tenant. Agent identities have none.
func (a *App) isRegistered() bool { return a.home == nil && !a.microsoft && a.parent == nil }

// AddServicePrincipal makes an app from another tenant of the server available in this one: a
// multitenant app. The returned App represents it here. Credentials and redirect URIs are those of
// the registration.
func (t *Tenant) AddServicePrincipal(app *App) *App {
	app.mustCrossTenants()
	return t.register(app.represented())
}

// represented returns an app that represents this one in another tenant.
func (a *App) represented() *App {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	return &App{
		ClientID: a.ClientID, Name: a.Name, AppIDURIs: slices.Clone(a.AppIDURIs), AccessTokenVersion: a.AccessTokenVersion,
		Scopes: slices.Clone(a.Scopes), AdminScopes: slices.Clone(a.AdminScopes),
		entry: entry{scopes: slices.Clone(a.entry.scopes), roles: slices.Clone(a.entry.roles)}, home: a.registration(), public: a.public, blueprint: a.blueprint,
		preAuthorized: slices.Clone(a.preAuthorized),
	}
}

// AddApp registers an app that offers the scopes, such as "access_as_user". It gets v1 tokens; to
// change that, set [App.AccessTokenVersion].
func (t *Tenant) AddApp(name string, scopes ...string) *App {
	return t.register(&App{Name: name, Scopes: slices.Clone(scopes)})
}

// AddClient registers a public client, such as a desktop or command-line program. Its client ID is
// the appid or azp claim of its tokens.
func (t *Tenant) AddClient(name string) *App {
	return t.register(&App{Name: name, public: true})
}

func (t *Tenant) register(app *App) *App {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.add(app)
}

// add is register for callers that hold t.mu.
func (t *Tenant) add(app *App) *App {
	app.tenant = t
	if app.ClientID == "" {
		app.ClientID = newGUID()
	}
	if app.AppIDURIs == nil {
		app.AppIDURIs = []string{"api://" + app.ClientID}
	}
	if app.AccessTokenVersion == 0 {
		app.AccessTokenVersion = 1
	}
	if app.ObjectID == "" {
		app.ObjectID = newGUID()
	}
	if app.entry.id == "" {
		app.entry.id = newGUID()
	}
	if app.entry.written.CreatedDateTime == nil {
		app.entry.written.CreatedDateTime = t.stampNow()
	}
	t.apps = append(t.apps, app)
	return app
}

// appByClientID returns the app that has a service principal in the tenant, or nil. Callers hold
// t.mu.
func (t *Tenant) appByClientID(clientID string) *App {
	return t.appWith(func(app *App) bool { return !app.entry.absent && strings.EqualFold(app.ClientID, clientID) })
}

// appByIdentifier returns the app with the resource identifier and a service principal, or nil.
// Callers hold t.mu.
func (t *Tenant) appByIdentifier(identifier string) *App {
	return t.appWith(func(app *App) bool { return !app.entry.absent && app.isNamed(identifier) })
}

// appWith returns the first app that matches, or nil. Callers hold t.mu.
func (t *Tenant) appWith(matches func(*App) bool) *App {
	if i := slices.IndexFunc(t.apps, matches); i >= 0 {
		return t.apps[i]
	}
	return nil
}

// isNamed reports whether identifier is the app's client ID, or one of its App ID URIs with or
// without one trailing slash. Callers hold t.mu.
func (a *App) isNamed(identifier string) bool {
	return strings.EqualFold(identifier, a.ClientID) || slices.ContainsFunc(a.AppIDURIs, func(uri string) bool {
		return strings.EqualFold(strings.TrimSuffix(identifier, "/"), strings.TrimSuffix(uri, "/"))
	})
}

// AppIDURI returns the first of the app's App ID URIs, or its client ID if it has none.
func (a *App) AppIDURI() string {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	if len(a.AppIDURIs) > 0 {
		return a.AppIDURIs[0]
	}
	return a.ClientID
}

// Scope returns a scope of the app in full, such as "api://{client ID}/access_as_user": what
// clients request. It uses the first of the app's App ID URIs.
func (a *App) Scope(name string) string { return a.AppIDURI() + "/" + name }

func (a *App) name() string {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	return a.Name
}

// answersTo reports whether identifier is one of the app's.
func (a *App) answersTo(identifier string) bool {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	return a.isNamed(identifier)
}

// offered returns the scopes that the app offers.
func (a *App) offered() []string {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	return slices.Clone(a.Scopes)
}

// isPublic reports whether the app is a public client, which has no secret.
func (a *App) isPublic() bool {
	a = a.registration()
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	return a.public
}

// tokenVersion returns 1 or 2.
func (a *App) tokenVersion() int {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	if a.AccessTokenVersion != 1 && a.AccessTokenVersion != 2 {
		panic(fmt.Sprintf("entratest: App.AccessTokenVersion of %q is %d, want 1 or 2", a.Name, a.AccessTokenVersion))
	}
	return a.AccessTokenVersion
}
