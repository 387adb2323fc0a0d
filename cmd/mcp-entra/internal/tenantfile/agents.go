package tenantfile

import (
	"slices"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// The kinds of apps of Microsoft Entra Agent ID.
const (
	kindBlueprint   = "blueprint"
	kindAgent       = "agent"
	kindAgentClient = "agent-client" // a public client
)

func (a *AppSpec) isAgent() bool { return a.Kind == kindAgent || a.Kind == kindAgentClient }

// named returns the names of the tenant's apps of the kind.
func (t *TenantSpec) named(kind string) []string {
	return namesOf(slices.DeleteFunc(slices.Clone(t.Apps), func(a AppSpec) bool { return a.Kind != kind }),
		func(a AppSpec) string { return a.Name })
}

// kind checks what the kind of an app demands and excludes.
func (k *checker) kind(c *yamlfile.Cursor, a *AppSpec) {
	switch a.Kind {
	case "", kindBlueprint, kindAgent, kindAgentClient:
	default:
		refer(c.Key("kind"), "kind", a.Kind, []string{kindAgent, kindAgentClient, kindBlueprint})
		return
	}
	if a.Kind == kindAgent {
		refer(c.Key("blueprint"), "app of kind blueprint", a.Blueprint, k.spec.named(kindBlueprint))
	} else if a.Blueprint != "" {
		c.Key("blueprint").Faultf("only an app of kind agent has a blueprint; remove it")
	}
	for i, p := range a.Inheritable {
		at := c.Key("inheritable").Item(i)
		if a.Kind != kindBlueprint {
			at.Faultf("only an app of kind blueprint lets others inherit; remove it")
		} else if k.referResource(at.Key("resource"), p.Resource) {
			subset(at.Key("scopes"), "scope", p.Scopes, k.resources[p.Resource])
		}
	}
	switch {
	case a.Kind == kindBlueprint && a.Public:
		c.Key("public").Faultf("a blueprint is no public client; remove it")
	case a.isAgent():
		a.checkAgent(c)
	}
}

// checkAgent checks that an agent identity has nothing that only registrations have.
func (a *AppSpec) checkAgent(c *yamlfile.Cursor) {
	redirects := len(a.Redirects.Web) + len(a.Redirects.SPA) + len(a.Redirects.Desktop)
	for key, has := range map[string]bool{
		"appIdUris": len(a.AppIDURIs) > 0, "tokenVersion": a.TokenVersion > 0, "scopes": len(a.Scopes) > 0, "roles": len(a.Roles) > 0,
		"secrets": len(a.Secrets) > 0, "certificates": len(a.Certificates) > 0, "federatedCredentials": len(a.FederatedCredentials) > 0,
		"optionalClaims": len(a.OptionalClaims) > 0, "groupClaims": a.GroupClaims, "knownClients": len(a.KnownClients) > 0,
		"permissions": len(a.Permissions) > 0, "ownSigningKey": a.OwnSigningKey, "redirects": a.Kind == kindAgent && redirects > 0,
	} {
		if has {
			c.Key(key).Faultf("an agent identity has no registration of its own; give it to the blueprint, or remove it")
		}
	}
	if a.Kind == kindAgent && a.Public {
		c.Key("public").Faultf("an agent proves itself by its blueprint; for one that is a public client use \"kind: agent-client\"")
	}
}

// newApp adds an app of the right kind. An agent's blueprint must have been added.
func (t *Tenant) newApp(a *AppSpec) *entratest.App {
	switch {
	case a.Kind == kindBlueprint:
		return t.AddBlueprint(a.Name, a.Scopes...)
	case a.Kind == kindAgent:
		return t.AddAgent(t.apps[a.Blueprint], a.Name)
	case a.Kind == kindAgentClient:
		return t.AddAgentClient(a.Name)
	case a.Public:
		app := t.AddClient(a.Name)
		app.Scopes = slices.Clone(a.Scopes)
		return app
	}
	return t.AddApp(a.Name, a.Scopes...)
}

// newUser adds a person, or the agent user of an agent.
func (t *Tenant) newUser(u *UserSpec) *entratest.User {
	if u.Agent != "" {
		return t.AddAgentUser(t.apps[u.Agent], u.UPN, u.Name)
	}
	return t.AddUser(u.UPN, u.Name)
}
