package entratest

// AddBlueprint registers an agent identity blueprint (Microsoft Entra Agent ID) that offers the
// scopes: an API with the credentials that its agent identities use.
func (t *Tenant) AddBlueprint(name string, scopes ...string) *App { panic("not yet") }

// AddAgent adds an agent identity, a child of the blueprint. It has no credentials and
// no redirect URIs of its own; it can be the client of [Tenant.Token] (a person through an
// agent) and of [Tenant.AppToken] (an agent on its own).
func (t *Tenant) AddAgent(blueprint *App, name string) *App { panic("not yet") }

// AddAgentUser adds an agent user: the user account of the agent. [Tenant.Token] with it is an agent
// user's token.
func (t *Tenant) AddAgentUser(agent *App, userPrincipalName, displayName string) *User {
	panic("not yet")
}
