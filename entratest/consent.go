package entratest

import (
	"fmt"
	"maps"
	"slices"
)

// Consent grants admin consent for the whole tenant: client may use resource on behalf of users
// with these scopes, or with all scopes that the resource offers if none are given. It adds to
// earlier consent. It panics if the resource does not offer a scope.
func (t *Tenant) Consent(client, resource *App, scopes ...string) {
	offered := resource.offered()
	if len(scopes) == 0 {
		scopes = offered
	}
	for _, scope := range scopes {
		if !slices.Contains(offered, scope) {
			panic(fmt.Sprintf("entratest: Consent: %s offers no scope %q, only %q", resource.name(), scope, offered))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	addTo(t.consents, grantKey{client, resource}, scopes)
}

// RevokeConsent revokes all consent for client to use resource, including users' own. Issued
// tokens stay valid until they expire.
func (t *Tenant) RevokeConsent(client, resource *App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.consents, grantKey{client, resource})
	maps.DeleteFunc(t.userConsents, func(key userGrantKey, _ map[string]bool) bool {
		return key.client == client && key.resource == resource
	})
}

// A userGrantKey is a client, a resource, and the object ID of the user who consented.
type userGrantKey struct {
	client, resource *App
	user             string
}

// ConsentUser grants one user's consent, like the consent page. It adds to earlier consent.
func (t *Tenant) ConsentUser(user *User, client, resource *App, scopes ...string) {
	if len(scopes) == 0 {
		scopes = resource.offered()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	addTo(t.userConsents, userGrantKey{client, resource, user.ObjectID}, scopes)
}

// A ConsentPolicy says who may consent to a client's requests.
type ConsentPolicy int

// The consent policies of a tenant.
const (
	// ConsentPolicyUsers lets users consent to all but a resource's AdminScopes.
	ConsentPolicyUsers ConsentPolicy = iota
	// ConsentPolicyAdmins lets only administrators consent (AADSTS90094).
	ConsentPolicyAdmins
	// ConsentPolicyAdminsOnRequest lets users request an administrator's consent (AADSTS90095).
	ConsentPolicyAdminsOnRequest
)

// SetConsentPolicy sets who may consent. The default is ConsentPolicyUsers. Consent that was
// already granted stays.
func (t *Tenant) SetConsentPolicy(p ConsentPolicy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.consentPolicy = p
}

// hasAnyConsent reports whether the client has any consent for the user, or needs none for some app.
func (t *Tenant) hasAnyConsent(client *App, user string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.appWith(func(resource *App) bool { return len(resource.preAuthorizedFor(client)) > 0 }) != nil {
		return true
	}
	for key := range t.consents {
		if key.client == client {
			return true
		}
	}
	for key := range t.userConsents {
		if key.client == client && key.user == user {
			return true
		}
	}
	return false
}

// consented returns the scopes, sorted, that client may use on resource for the user: by admin
// consent, the user's own, because the resource has authorized the client beforehand, or because an
// agent identity inherits its blueprint's consent.
func (t *Tenant) consented(client, resource *App, user string) []string {
	parent, inheritable := client.inherited(resource)
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[string]bool{}
	maps.Copy(all, t.consents[grantKey{client, resource}])
	maps.Copy(all, t.userConsents[userGrantKey{client, resource, user}])
	for _, scope := range resource.preAuthorizedFor(client) {
		all[scope] = true
	}
	if parent != nil {
		of := map[string]bool{}
		maps.Copy(of, t.consents[grantKey{parent, resource}])
		maps.Copy(of, t.userConsents[userGrantKey{parent, resource, user}])
		maps.DeleteFunc(of, func(scope string, _ bool) bool { return !inheritable.scopes.has(scope) })
		maps.Copy(all, of)
	}
	return slices.Sorted(maps.Keys(all))
}
