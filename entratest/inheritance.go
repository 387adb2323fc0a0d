package entratest

import (
	"slices"
	"strings"
)

// An inheritance is what agent identities inherit of what their blueprint has been granted on a
// resource (inheritablePermissions of the blueprint's registration).
type inheritance struct {
	resource      string // client ID
	scopes, roles heritable
}

// A heritable is all permissions of a kind, or those that are named.
type heritable struct {
	all   bool
	names []string
}

func (h heritable) has(name string) bool { return h.all || slices.Contains(h.names, name) }

// AllowInheritance lets agent identities of the blueprint use the scopes on resource that
// [Tenant.Consent] grants the blueprint, or all of them if none are given, as
// inheritablePermissions in its registration do. It grants nothing by itself, and replaces earlier
// inheritance of scopes on the resource.
func (a *App) AllowInheritance(resource *App, scopes ...string) {
	a.mustBeBlueprint("AllowInheritance")
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	entry := a.inheritanceOf(resource)
	entry.scopes = heritable{all: len(scopes) == 0, names: slices.Clone(scopes)}
	a.inheritable = append(slices.DeleteFunc(slices.Clone(a.inheritable), func(i inheritance) bool {
		return i.resource == entry.resource
	}), entry)
}

// inheritanceOf returns what the blueprint lets inherit on a resource. Callers hold the mu of the
// registration's tenant.
func (a *App) inheritanceOf(resource *App) inheritance {
	for _, entry := range a.inheritable {
		if strings.EqualFold(entry.resource, resource.ClientID) {
			return entry
		}
	}
	return inheritance{resource: resource.ClientID}
}

// inherited returns what the agent identity inherits on a resource, and from which blueprint: none
// for apps that are no agent identities.
func (a *App) inherited(resource *App) (*App, inheritance) {
	if !a.isAgent() || a.parent == a {
		return nil, inheritance{}
	}
	registered := a.parent.registration()
	registered.tenant.mu.Lock()
	defer registered.tenant.mu.Unlock()
	return a.parent, registered.inheritanceOf(resource)
}

// rolesOf returns the app's roles on a resource, sorted, with those that it inherits.
func (t *Tenant) rolesOf(client, resource *App) []string {
	roles := t.roles(client.ObjectID, resource)
	if parent, inheritable := client.inherited(resource); parent != nil {
		for _, role := range t.roles(parent.ObjectID, resource) {
			if inheritable.roles.has(role) {
				roles = union(roles, []string{role})
			}
		}
	}
	return roles
}
