package entratest

import (
	"fmt"
	"slices"
)

// AddBlueprint registers an agent identity blueprint (Microsoft Entra Agent ID) that offers the
// scopes: an API, and the parent of the agent identities that it acts as. Only the blueprint has
// credentials. It gets v1 tokens; to change that, set [App.AccessTokenVersion].
func (t *Tenant) AddBlueprint(name string, scopes ...string) *App {
	return t.register(&App{Name: name, Scopes: slices.Clone(scopes), blueprint: true})
}

// AddAgent adds an agent identity, a child of the blueprint: a service principal without a
// registration, credentials or redirect URIs of its own. It can be the client of [Tenant.Token] (a
// person through an agent) and of [Tenant.AppToken] (an agent on its own). Its ObjectID equals its
// ClientID, as in Entra.
func (t *Tenant) AddAgent(blueprint *App, name string) *App {
	blueprint.mustBeBlueprint("AddAgent")
	if blueprint.tenant != t {
		panic(fmt.Sprintf("entratest: AddAgent: blueprint %q belongs to another tenant; see AddServicePrincipal", blueprint.name()))
	}
	return t.register(newAgent(blueprint, name))
}

// newAgent returns an agent identity that is in no tenant yet.
func newAgent(blueprint *App, name string) *App {
	id := newGUID()
	return &App{ClientID: id, ObjectID: id, Name: name, AppIDURIs: []string{}, parent: blueprint}
}

// AddAgentClient adds an agent identity that is a public client, as Entra makes one of a client with
// a Client ID Metadata Document and of an agent on a user's device (both previews): users sign in
// with it like with [Tenant.AddClient]'s. Its claims name itself as the blueprint, as those of
// agents with a single instance do.
func (t *Tenant) AddAgentClient(name string) *App {
	client := newAgent(nil, name)
	client.parent, client.public = client, true
	return t.register(client)
}

// AddAgentUser adds an agent user: the user account of the agent, which can't sign in. A token of
// [Tenant.Token] for it is an agent user's.
func (t *Tenant) AddAgentUser(agent *App, userPrincipalName, displayName string) *User {
	if agent.parent == nil || agent.tenant != t {
		panic(fmt.Sprintf("entratest: AddAgentUser: %q is not an agent identity of this tenant", agent.name()))
	}
	user := newUser(t, userPrincipalName, displayName)
	user.agent = agent
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users = append(t.users, user)
	return user
}

// mustCrossTenants panics for an agent identity, which has one tenant.
func (a *App) mustCrossTenants() {
	if a.isAgent() {
		panic(fmt.Sprintf("entratest: AddServicePrincipal: %q is an agent identity, which has one tenant: add its blueprint, and an agent of that", a.name()))
	}
}

// mustTakeRedirects panics for an agent identity that is no public client.
func (a *App) mustTakeRedirects() {
	if a.isAgent() && !a.public {
		panic(fmt.Sprintf("entratest: AddRedirectURI: %q is an agent identity, which signs nobody in; see AddAgentClient", a.name()))
	}
}

// mustBeBlueprint panics unless the app is a blueprint.
func (a *App) mustBeBlueprint(method string) {
	if !a.blueprint {
		panic(fmt.Sprintf("entratest: %s: %q is not a blueprint; see AddBlueprint", method, a.name()))
	}
}

// mustHoldCredentials panics for an agent identity: whatever proves it belongs to its blueprint.
func (a *App) mustHoldCredentials(method string) {
	if a.isAgent() {
		panic(fmt.Sprintf("entratest: %s: %q is an agent identity, which has no credentials: add them to its blueprint", method, a.name()))
	}
}

// isAgent reports whether the app is an agent identity.
func (a *App) isAgent() bool { return a.parent != nil }

// Facets of actors and subjects, as public tokens have them. Of the numbers, only 11 (agent
// identity) and 13 (agent user) are documented; their order means nothing
// (https://learn.microsoft.com/entra/agent-id/agent-token-claims).
const (
	facetsOfPerson       = "3 6"
	facetsOfAgentUser    = "3 13"
	facetsOfApp          = "9 3"
	facetsOfAgent        = "9 3 11"
	facetsOfAgentAsActor = "3 9 11"
)

// addFacets adds the optional claims about agents. The actor is the token's client, or nil for a
// managed identity.
func addFacets(claims map[string]any, names []string, actor *App, subject string) {
	isAgent := actor != nil && actor.isAgent()
	for _, name := range names {
		switch {
		case name == "xms_sub_fct":
			claims[name] = subject
		case name == "xms_act_fct" && isAgent:
			claims[name] = facetsOfAgentAsActor
		case name == "xms_act_fct":
			claims[name] = facetsOfApp
		case name == "xms_par_app_azp" && isAgent:
			claims[name] = actor.parent.ClientID
		}
	}
}
