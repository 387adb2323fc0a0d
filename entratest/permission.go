package entratest

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// derivedID returns a GUID for what has no ID of its own: always the same for the same parts
// (version 8, RFC 9562 section 5.8).
func derivedID(parts ...string) string {
	b := sha256.Sum256([]byte(strings.ToLower(strings.Join(parts, "\x00"))))
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// permissionScopes returns the app's scopes in detail, also the disabled ones. Callers hold the
// tenant's mu.
func (a *App) permissionScopes() []permissionScope {
	var all []permissionScope
	for _, scope := range a.entry.scopes {
		if !scope.IsEnabled || slices.Contains(a.Scopes, scope.Value) {
			all = append(all, scope)
		}
	}
	for _, name := range a.Scopes {
		if !slices.ContainsFunc(all, func(s permissionScope) bool { return s.IsEnabled && s.Value == name }) {
			all = append(all, permissionScope{
				ID: derivedID(a.ClientID, "scope", name), IsEnabled: true, Value: name,
				AdminConsentDisplayName: &name, AdminConsentDescription: &name,
			})
		}
	}
	for i := range all {
		if all[i].IsEnabled {
			all[i].Type = "User"
			if slices.Contains(a.AdminScopes, all[i].Value) {
				all[i].Type = "Admin"
			}
		}
	}
	return all
}

// scopeID returns the ID of a scope, which a resource need not offer yet. Callers hold the tenant's
// mu.
func (a *App) scopeID(name string) string {
	for _, scope := range a.permissionScopes() {
		if scope.Value == name {
			return scope.ID
		}
	}
	return derivedID(a.ClientID, "scope", name)
}

// scopesWith returns the names of the enabled scopes with these IDs. Callers hold the tenant's mu.
func (a *App) scopesWith(ids []string) []string {
	var names []string
	for _, scope := range a.permissionScopes() {
		if scope.IsEnabled && slices.ContainsFunc(ids, func(id string) bool { return strings.EqualFold(id, scope.ID) }) {
			names = append(names, scope.Value)
		}
	}
	return names
}

// preAuthorizedFor returns the scopes that the client needs no consent for. Callers hold the
// tenant's mu.
func (a *App) preAuthorizedFor(client *App) []string {
	for _, p := range a.preAuthorized {
		if strings.EqualFold(p.AppID, client.ClientID) {
			return a.scopesWith(p.DelegatedPermissionIDs)
		}
	}
	return nil
}

// appRoles returns the app's roles, also those that only [Tenant.GrantRoles] named. Callers hold
// the tenant's mu.
func (a *App) appRoles() []appRole {
	all := slices.Clone(a.entry.roles)
	var names []string
	for key, granted := range a.tenant.roleAssignments {
		if key.resource != a {
			continue
		}
		for name := range granted {
			if !slices.ContainsFunc(all, func(r appRole) bool { return r.Value == name }) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		all = append(all, appRole{
			AllowedMemberTypes: []string{"User", "Application"}, ID: derivedID(a.ClientID, "role", name), IsEnabled: true,
			Value: name, DisplayName: &name, Description: &name,
		})
	}
	return all
}

// dropRoles ends the assignments of roles that the app no longer has. Callers hold t.mu.
func (t *Tenant) dropRoles(app *App) {
	for key, values := range t.roleAssignments {
		if key.resource == app {
			maps.DeleteFunc(values, func(value string, _ bool) bool {
				return !slices.ContainsFunc(app.entry.roles, func(r appRole) bool { return r.Value == value })
			})
		}
	}
}

// RequirePermissions lists delegated permissions in the app's registration. Users consent to them
// when the app signs them in with a .default scope, and the admin consent page grants them when it
// is called without a scope.
func (a *App) RequirePermissions(resource *App, scopes ...string) {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	needed := requiredResourceAccess{ResourceAppID: resource.ClientID}
	for _, scope := range scopes {
		needed.ResourceAccess = append(needed.ResourceAccess, resourceAccess{resource.scopeID(scope), "Scope"})
	}
	a.required = append(a.required, needed)
}

// A permission is delegated permissions that an app's registration lists.
type permission struct {
	resource *App
	scopes   []string
}

// listed returns the permissions in the app's registration, with their resources in this tenant.
func (t *Tenant) listed(app *App) []permission {
	registered := app.registration()
	registered.tenant.mu.Lock()
	required := slices.Clone(registered.required)
	registered.tenant.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []permission
	for _, r := range required {
		resource := t.appByClientID(r.ResourceAppID)
		if resource == nil {
			continue
		}
		var ids []string
		for _, access := range r.ResourceAccess {
			if access.Type == "Scope" {
				ids = append(ids, access.ID)
			}
		}
		if scopes := resource.scopesWith(ids); len(scopes) > 0 {
			all = append(all, permission{resource, scopes})
		}
	}
	return all
}

// claimNames returns the optional claims of tokens for the app. idtyp is one for users' tokens only
// with include_user_token.
func (a *App) claimNames(ofUsers bool) []string {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.OptionalClaims), func(name string) bool {
		return ofUsers && name == "idtyp" && a.entry.appsOnly()
	})
}

// appsOnly reports whether the registration has idtyp without include_user_token.
func (e *entry) appsOnly() bool {
	if e.written.OptionalClaims == nil {
		return false
	}
	return slices.ContainsFunc(e.written.OptionalClaims.AccessToken, func(c optionalClaim) bool {
		return c.Name == "idtyp" && !slices.Contains(c.AdditionalProperties, "include_user_token")
	})
}
