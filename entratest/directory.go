package entratest

import (
	"slices"
	"strings"
	"time"
)

// A Directory is what Microsoft Graph serves of a tenant at {AuthorityHost}/v1.0, and how it
// behaves. See [Tenant.Directory].
type Directory struct {
	// Everything is guarded by tenant.mu.
	tenant       *Tenant
	domains      []string // verified; the first is the initial one
	noRegistrars bool     // users can't register applications
	policy       AppPolicy
	pageSize     int
	delay        int
	lags         []Lag
	deleted      []*deletedApp
}

// Directory returns the tenant's directory, for changing how it behaves.
//
// It serves applications, service principals, permission grants, role assignments, credentials,
// deleted items and what setting these up needs, with Graph's order, rules and errors
// (docs/entratest.md). Requests need a token for [Tenant.Graph] with the permissions of the step,
// and users also need a role ([User.Roles]). What is changed over Graph holds at once for sign-ins.
func (t *Tenant) Directory() *Directory { return t.directory }

func newDirectory(t *Tenant) *Directory {
	return &Directory{tenant: t, domains: []string{"entratest-" + t.id[:8] + ".onmicrosoft.com"}, pageSize: 100}
}

// App returns the app with the client ID, such as one that was registered over Graph, or nil.
func (d *Directory) App(clientID string) *App {
	d.tenant.mu.Lock()
	defer d.tenant.mu.Unlock()
	return d.tenant.appWith(func(app *App) bool { return strings.EqualFold(app.ClientID, clientID) })
}

// AddDomain adds a verified domain, such as contoso.com: App ID URIs on it and its subdomains are
// always allowed. Each tenant has an initial domain besides.
func (d *Directory) AddDomain(name string) {
	d.tenant.mu.Lock()
	defer d.tenant.mu.Unlock()
	d.domains = append(d.domains, strings.ToLower(name))
}

// SetUsersMayRegister sets whether users without a role may register applications. The default is
// true, as in Entra.
func (d *Directory) SetUsersMayRegister(may bool) {
	d.tenant.mu.Lock()
	defer d.tenant.mu.Unlock()
	d.noRegistrars = !may
}

// SetPageSize sets how many objects a list has before it goes on at @odata.nextLink. The default is
// 100, as in Graph; clients can ask for fewer or, with $top, more.
func (d *Directory) SetPageSize(objects int) {
	d.tenant.mu.Lock()
	defer d.tenant.mu.Unlock()
	d.pageSize = max(1, objects)
}

// An AppPolicy is a tenant's policy for applications (policies/defaultAppManagementPolicy).
type AppPolicy struct {
	// UniqueTenantIdentifier requires new App ID URIs to have a verified domain, the tenant's ID or
	// the application's (uriAdditionWithoutUniqueTenantIdentifier).
	UniqueTenantIdentifier bool
	// OnlyDefaultURIs allows only api://{appId} and api://{tid}/{appId} (nonDefaultUriAddition).
	OnlyDefaultURIs bool
	// ExcludeV2 exempts applications with token version 2 from both (excludeAppsReceivingV2Tokens).
	ExcludeV2 bool
	// NoPasswords forbids new secrets (passwordAddition).
	NoPasswords bool
	// PasswordLifetime is how long new secrets may be valid (passwordLifetime). 0 means any time.
	PasswordLifetime time.Duration

	// LoopbackURIs allows http and https App ID URIs on localhost, 127.0.0.1 and [::1] for
	// applications with token version 2. It is unknown whether Entra does; here it is no part of
	// what Graph shows.
	LoopbackURIs bool
}

// SetPolicy sets the tenant's policy for applications. The default restricts nothing but
// LoopbackURIs. What is registered already stays.
func (d *Directory) SetPolicy(p AppPolicy) {
	d.tenant.mu.Lock()
	defer d.tenant.mu.Unlock()
	d.policy = p
}

// isVerified reports whether a host is a verified domain or below one.
func (d *Directory) isVerified(host string) bool {
	host = strings.ToLower(host)
	return slices.ContainsFunc(d.domains, func(domain string) bool {
		return host == domain || strings.HasSuffix(host, "."+domain)
	})
}

// Delay makes changes slow to spread from now on: for each change, the first requests that it
// concerns get the answers of these lags. A negative number means all requests until
// [Directory.Settle]. Without lags, later changes spread at once.
func (d *Directory) Delay(requests int, forms ...Lag) {
	d.tenant.mu.Lock()
	defer d.tenant.mu.Unlock()
	d.delay, d.lags = requests, forms
}

// Settle ends the delay of all earlier changes.
func (d *Directory) Settle() {
	d.tenant.mu.Lock()
	defer d.tenant.mu.Unlock()
	for _, app := range d.everyApp() {
		clear(app.entry.lags)
		for _, secret := range app.secrets {
			clear(secret.lags)
		}
		for _, certificate := range app.certificates {
			clear(certificate.lags)
		}
		for _, credential := range app.federated {
			clear(credential.lags)
		}
	}
}

// newLags returns the lags of a change that is being made now. Callers hold the tenant's mu.
func (d *Directory) newLags() lags {
	l := lags{}
	for _, form := range d.lags {
		l[form] = d.delay
	}
	return l
}

// deletedLifetime is how long a deleted application can be restored. Until then it holds its App ID
// URIs and its uniqueName.
const deletedLifetime = 30 * 24 * time.Hour

// A deletedApp is an application that can be restored.
type deletedApp struct {
	app *App
	at  time.Time
}

func (d *Directory) deletedApps() []*App {
	apps := make([]*App, len(d.deleted))
	for i, item := range d.deleted {
		apps[i] = item.app
	}
	return apps
}

// everyApp returns the tenant's apps with the deleted ones.
func (d *Directory) everyApp() []*App { return slices.Concat(d.tenant.apps, d.deletedApps()) }

// expire forgets the applications that were deleted long ago.
func (d *Directory) expire() {
	now := d.tenant.now()
	d.deleted = slices.DeleteFunc(d.deleted, func(item *deletedApp) bool { return !now.Before(item.at.Add(deletedLifetime)) })
}

// elsewhere returns the first app with its registration in another tenant of the server that
// matches, or nil. Callers hold the server's graphMu.
func (t *Tenant) elsewhere(matches func(*App) bool) *App {
	for _, other := range t.all() {
		if other == t {
			continue
		}
		other.mu.Lock()
		app := other.appWith(func(app *App) bool { return app.isRegistered() && matches(app) })
		other.mu.Unlock()
		if app != nil {
			return app
		}
	}
	return nil
}

// knowsElsewhere reports whether another tenant has the app.
func (t *Tenant) knowsElsewhere(clientID string) bool {
	return t.elsewhere(func(app *App) bool { return strings.EqualFold(app.ClientID, clientID) }) != nil
}

// takenElsewhere reports whether a multitenant app of another tenant has the App ID URI.
func (t *Tenant) takenElsewhere(uri string) bool {
	return t.elsewhere(func(app *App) bool {
		return app.entry.written.isMultitenant() && slices.ContainsFunc(app.AppIDURIs, func(has string) bool { return strings.EqualFold(has, uri) })
	}) != nil
}

// fromElsewhere returns a new app that represents the multitenant one of another tenant, or nil.
func (t *Tenant) fromElsewhere(clientID string) *App {
	app := t.elsewhere(func(app *App) bool {
		return strings.EqualFold(app.ClientID, clientID) && app.entry.written.isMultitenant()
	})
	if app == nil {
		return nil
	}
	return app.represented()
}
