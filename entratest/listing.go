package entratest

import "slices"

// Apps returns the tenant's apps, in the order in which they were added: first Microsoft's own.
func (t *Tenant) Apps() []*App {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.apps)
}

// Users returns the tenant's users, in the order in which they were added.
func (t *Tenant) Users() []*User {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.users)
}

// Public reports whether the app is a public client, which has no secret.
func (a *App) Public() bool { return a.public }

// FirstParty reports whether the app is Microsoft's, such as Azure Storage.
func (a *App) FirstParty() bool { return a.microsoft }
