package tenantfile

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Options says how the tenants of a file run.
type Options struct {
	Addr      string        // host and port of a loopback address
	PlainHTTP bool          // see [entratest.Options]
	CA        *entratest.CA // not with PlainHTTP
	Dir       string        // where relative paths in the file begin
	Logger    *slog.Logger
	Now       func() time.Time // the machine's clock
}

// A World is the tenants of a file, running. Close it when done.
type World struct {
	Clock   *Clock
	Tenants []*Tenant
	Made    []string // secret files that Start made
}

// A Tenant is a running tenant, with the names of its file.
type Tenant struct {
	*entratest.Tenant
	Name       string
	Spec       *TenantSpec
	apps       map[string]*entratest.App
	identities map[string]*entratest.UserAssignedIdentity
	clusters   map[string]*entratest.Issuer
}

// Start reads the files that the spec names and starts its tenants.
func Start(spec *Spec, o Options) (*World, error) {
	l := loader{dir: o.Dir}
	materials := map[*AppSpec]material{}
	for i := range spec.Tenants {
		for j := range spec.Tenants[i].Apps {
			a := &spec.Tenants[i].Apps[j]
			m, err := l.load(a)
			if err != nil {
				return nil, err
			}
			materials[a] = m
		}
	}
	w := &World{Clock: NewClock(o.Now), Made: l.made}
	start := o.Now()
	if !spec.Clock.Start.IsZero() {
		start = spec.Clock.Start
	}
	if err := w.Clock.Set(start.Add(spec.Clock.Offset)); err != nil {
		return nil, err
	}
	for i := range spec.Tenants {
		t, err := w.add(&spec.Tenants[i], o)
		if err != nil {
			w.Close()
			return nil, err
		}
		t.build(materials)
	}
	return w, nil
}

// Close ends the tenants.
func (w *World) Close() {
	for _, t := range w.Tenants {
		defer t.Close() // the first, which has the server, last
	}
}

// add starts a tenant without anything in it. The first one has the server.
func (w *World) add(spec *TenantSpec, o Options) (t *Tenant, err error) {
	defer func() {
		if problem := recover(); problem != nil { // like httptest, entratest panics if it can't listen
			err = fmt.Errorf("%v; choose another address with -addr, or end the program that has it", problem)
		}
	}()
	options := &entratest.Options{TenantID: spec.ID, TokenLifetime: spec.TokenLifetime, Logger: o.Logger}
	t = &Tenant{Name: spec.Name, Spec: spec}
	if len(w.Tenants) == 0 {
		options.Addr, options.PlainHTTP, options.CA, options.Now = o.Addr, o.PlainHTTP, o.CA, w.Clock.Now
		t.Tenant = entratest.NewTenant(options)
	} else {
		t.Tenant = w.Tenants[0].AddTenant(options)
	}
	w.Tenants = append(w.Tenants, t)
	return t, nil
}

// directoryRoles are the roles of users that matter here. "admin" is the Global Administrator.
var directoryRoles = []string{
	string(entratest.RoleApplicationAdministrator), string(entratest.RoleCloudApplicationAdministrator), string(entratest.RoleApplicationDeveloper),
	string(entratest.RolePrivilegedRoleAdministrator), string(entratest.RoleUserAdministrator), string(entratest.RoleDirectoryWriter),
	string(entratest.RoleAgentIDAdministrator), string(entratest.RoleAgentIDDeveloper),
}

var consentPolicies = map[string]entratest.ConsentPolicy{
	"": entratest.ConsentPolicyUsers, "users": entratest.ConsentPolicyUsers,
	"admins": entratest.ConsentPolicyAdmins, "admins-on-request": entratest.ConsentPolicyAdminsOnRequest,
}

// build adds what the tenant has: first what others refer to.
func (t *Tenant) build(materials map[*AppSpec]material) {
	t.apps = map[string]*entratest.App{"storage": t.Storage(), "graph": t.Graph()}
	t.identities, t.clusters = map[string]*entratest.UserAssignedIdentity{}, map[string]*entratest.Issuer{}
	t.SetConsentPolicy(consentPolicies[t.Spec.ConsentPolicy])
	for _, agents := range []bool{false, true} { // after their blueprints
		for i := range t.Spec.Apps {
			if a := &t.Spec.Apps[i]; a.isAgent() == agents {
				t.addApp(a)
			}
		}
	}
	for _, m := range t.Spec.ManagedIdentities {
		identity := t.AddManagedIdentity(m.Name)
		identity.ClientID, identity.ObjectID = m.ClientID, m.ObjectID
		t.identities[m.Name] = identity
		t.assign(identity, m.AssignedRoles)
	}
	for _, c := range t.Spec.Clusters {
		t.clusters[c.Name] = t.AddCluster()
	}
	for i := range t.Spec.Apps {
		a := &t.Spec.Apps[i]
		t.finishApp(a, materials[a])
	}
	t.addUsers()
	t.addPolicies()
	t.setDirectory()
}

func (t *Tenant) assign(p entratest.Principal, roles map[string][]string) {
	for app, names := range roles {
		t.GrantRoles(p, t.apps[app], names...)
	}
}

func (t *Tenant) addUsers() {
	members := map[string][]*entratest.User{}
	for i := range t.Spec.Users {
		u := &t.Spec.Users[i]
		user := t.newUser(u)
		user.ObjectID, user.Email, user.Administrator, user.Disabled = u.ObjectID, u.Email, u.Admin, u.Disabled
		for _, role := range u.Roles {
			user.Roles = append(user.Roles, entratest.Role(role))
		}
		if u.Name == "" {
			user.DisplayName = u.UPN
		}
		for _, group := range u.Groups {
			members[group] = append(members[group], user)
		}
		t.assign(user, u.AssignedRoles)
	}
	for _, g := range t.Spec.Groups {
		t.AddGroup(g.Name, members[g.Name]...).ObjectID = g.ObjectID
	}
}

func (t *Tenant) setDirectory() {
	d, spec := t.Directory(), &t.Spec.Directory
	for _, domain := range spec.Domains {
		d.AddDomain(domain)
	}
	d.SetUsersMayRegister(!spec.UsersMayNotRegister)
	d.SetPolicy(entratest.AppPolicy{
		UniqueTenantIdentifier: spec.UniqueTenantIdentifier, OnlyDefaultURIs: spec.OnlyDefaultURIs, ExcludeV2: spec.ExcludeV2,
		NoPasswords: spec.NoPasswords, LoopbackURIs: spec.LoopbackURIs,
	})
}

func (t *Tenant) addPolicies() {
	for _, c := range t.Spec.Consents {
		client, resource := t.apps[c.Client], t.apps[c.Resource]
		if c.User == "" {
			t.Consent(client, resource, c.Scopes...)
			continue
		}
		user, _ := t.User(c.User)
		t.ConsentUser(user, client, resource, c.Scopes...)
	}
	for _, p := range t.Spec.ConditionalAccess {
		switch resource := t.apps[p.Resource]; p.Require {
		case "mfa":
			t.RequireMFA(resource)
		case "block":
			t.BlockAccess(resource)
		default:
			t.RequireAuthenticationContext(resource, p.Require)
		}
	}
	byEndpoint := map[entratest.Endpoint][]entratest.Fault{}
	for i := range t.Spec.Faults {
		f := &t.Spec.Faults[i]
		endpoint := endpoints[f.Endpoint]
		fault, _ := t.Fault(f) // the names are checked
		byEndpoint[endpoint] = append(byEndpoint[endpoint], fault)
	}
	for endpoint, faults := range byEndpoint {
		t.Fail(endpoint, faults...)
	}
}
