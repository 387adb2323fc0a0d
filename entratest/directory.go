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

// stampNow returns the time in the precision of Graph's answers.
func (t *Tenant) stampNow() *time.Time {
	now := t.now().UTC().Truncate(time.Second)
	return &now
}
