package entratest

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// Microsoft's applications that every tenant has here.
const (
	storageClientID       = "e406a681-f3d4-42a8-90b6-c2b029497af1"
	graphClientID         = "00000003-0000-0000-c000-000000000000"
	tokenExchangeClientID = "fb60f99c-7a34-4190-8149-302f77469936"
	tokenExchangeURI      = "api://AzureADTokenExchange"
)

// An App is an application registration and its service principal: an API that clients request
// tokens for, a client that requests them, or both. Set its exported fields before it is used, not
// while requests are running.
type App struct {
	ClientID string // application ID, a GUID
	ObjectID string // of the service principal: the oid of its app-only tokens
	Name     string

	// AppIDURI is an identifier that clients can use to request tokens, besides the client ID.
	// Defaults to "api://" followed by the client ID. A server's own URL works too. A trailing
	// slash does not matter.
	AppIDURI string

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
	// them: "idtyp", "email", "upn" (for v2 tokens; v1 tokens always have it) and "xms_cc" (the
	// client's capabilities, if it declares any).
	OptionalClaims []string

	// GroupClaims adds the object IDs of the user's groups to access tokens: up to 200; for more
	// groups, a reference to Microsoft Graph.
	GroupClaims bool

	tenant       *Tenant
	home         *App // where a multitenant app is registered; nil if it is here
	public       bool
	secrets      []clientSecret
	certificates []*x509.Certificate
	federated    []federatedCredential
	redirects    []redirect
	permissions  []permission
	firstParty   bool
	ownKey       *signingKey // nil: the tenant's keys sign the app's tokens
}

// A permission is a delegated permission that an app's registration lists.
type permission struct {
	resource *App
	scopes   []string
}

// RequirePermissions lists delegated permissions in the app's registration. Users consent to them
// when the app signs them in with a .default scope, and the admin consent page grants them when it
// is called without a scope.
func (a *App) RequirePermissions(resource *App, scopes ...string) {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	a.permissions = append(a.permissions, permission{resource, slices.Clone(scopes)})
}

func (a *App) principalID() string { return a.ObjectID }

// registration returns the app that holds the credentials and redirect URIs.
func (a *App) registration() *App {
	if a.home != nil {
		return a.home
	}
	return a
}

// AddServicePrincipal makes an app from another tenant of the server available in this one: a
// multitenant app. The returned App represents it here. Credentials and redirect URIs are those of
// the registration.
func (t *Tenant) AddServicePrincipal(app *App) *App {
	return t.register(&App{
		ClientID: app.ClientID, Name: app.Name, AppIDURI: app.AppIDURI, AccessTokenVersion: app.AccessTokenVersion,
		Scopes: slices.Clone(app.Scopes), AdminScopes: slices.Clone(app.AdminScopes),
		home: app.registration(), public: app.public,
	})
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

// Graph returns Microsoft Graph: the app 00000003-0000-0000-c000-000000000000 with the App ID URI
// https://graph.microsoft.com, the scopes of OpenID Connect, User.Read and User.Read.All (for
// administrators), and v1 tokens that only Graph can verify. It has only the endpoint
// {AuthorityHost}/v1.0/me here.
func (t *Tenant) Graph() *App { return t.graph }

// Storage returns Azure Storage: the app e406a681-f3d4-42a8-90b6-c2b029497af1 with
// the App ID URI https://storage.azure.com, the scope user_impersonation and v1 tokens.
func (t *Tenant) Storage() *App { return t.storage }

func (t *Tenant) register(app *App) *App {
	app.tenant = t
	if app.ClientID == "" {
		app.ClientID = newGUID()
	}
	if app.AppIDURI == "" {
		app.AppIDURI = "api://" + app.ClientID
	}
	if app.AccessTokenVersion == 0 {
		app.AccessTokenVersion = 1
	}
	app.ObjectID = newGUID()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.apps = append(t.apps, app)
	return app
}

func (t *Tenant) addFirstParty() {
	t.storage = t.register(&App{
		ClientID: storageClientID, Name: "Azure Storage", AppIDURI: "https://storage.azure.com",
		Scopes: []string{"user_impersonation"}, firstParty: true,
	})
	t.graph = t.register(&App{
		ClientID: graphClientID, Name: "Microsoft Graph", AppIDURI: "https://graph.microsoft.com",
		Scopes:      append([]string{"User.Read", "User.Read.All"}, openIDScopes...),
		AdminScopes: []string{"User.Read.All"}, firstParty: true,
	})
	t.register(&App{
		ClientID: tokenExchangeClientID, Name: "AAD Token Exchange Endpoint: Public", AppIDURI: tokenExchangeURI,
		AccessTokenVersion: 2, firstParty: true,
	})
}

// appByClientID returns the app, or nil. Callers hold t.mu.
func (t *Tenant) appByClientID(clientID string) *App {
	for _, app := range t.apps {
		if strings.EqualFold(app.ClientID, clientID) {
			return app
		}
	}
	return nil
}

// appByIdentifier returns the app with the resource identifier, or nil. Callers hold t.mu.
func (t *Tenant) appByIdentifier(identifier string) *App {
	for _, app := range t.apps {
		if app.isNamed(identifier) {
			return app
		}
	}
	return nil
}

// isNamed reports whether identifier is the app's client ID, or its App ID URI with or without one
// trailing slash.
func (a *App) isNamed(identifier string) bool {
	return strings.EqualFold(identifier, a.ClientID) ||
		a.AppIDURI != "" && strings.EqualFold(strings.TrimSuffix(identifier, "/"), strings.TrimSuffix(a.AppIDURI, "/"))
}

// tokenVersion returns 1 or 2.
func (a *App) tokenVersion() int {
	if a.AccessTokenVersion != 1 && a.AccessTokenVersion != 2 {
		panic(fmt.Sprintf("entratest: App.AccessTokenVersion of %q is %d, want 1 or 2", a.Name, a.AccessTokenVersion))
	}
	return a.AccessTokenVersion
}

// openIDScopes are the scopes of OpenID Connect, which name no resource.
var openIDScopes = []string{"openid", "profile", "email", "offline_access"}
