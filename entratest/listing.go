package entratest

import "slices"

// A Registration is an app as it is now.
type Registration struct {
	App       *App
	ClientID  string
	Name      string
	AppIDURIs []string
	Scopes    []string
	Public    bool // has no secret
	Microsoft bool // Microsoft's own, such as Azure Storage
	Blueprint bool // of agent identities
	Parent    *App // an agent identity's blueprint, or nil; itself for [Tenant.AddAgentClient]'s
}

// Registrations returns the apps that have a service principal in the tenant, in the order in which
// they were added: first Microsoft's own.
func (t *Tenant) Registrations() []Registration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Registration
	for _, a := range t.apps {
		if !a.entry.absent {
			all = append(all, Registration{
				App: a, ClientID: a.ClientID, Name: a.Name, AppIDURIs: slices.Clone(a.AppIDURIs), Scopes: slices.Clone(a.Scopes),
				Public: a.public, Microsoft: a.microsoft, Blueprint: a.blueprint, Parent: a.parent,
			})
		}
	}
	return all
}

// Users returns the tenant's users, in the order in which they were added.
func (t *Tenant) Users() []*User {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.users)
}
