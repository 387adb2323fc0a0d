package entratest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entratest/internal/odata"
)

// The types of Microsoft Entra Agent ID, as paths and @odata.type name them.
const (
	blueprintType          = "microsoft.graph.agentIdentityBlueprint"
	blueprintPrincipalType = "microsoft.graph.agentIdentityBlueprintPrincipal"
	agentType              = "microsoft.graph.agentIdentity"
)

// The routes of blueprints, their principals and agent identities.
var agentRoutes = []graphRoute{
	{http.MethodPost, "applications/" + blueprintType, mayCreateBlueprint, (*graphCall).createBlueprint},
	{http.MethodGet, "applications/{}/" + blueprintType, mayReadApps, (*graphCall).getBlueprint},
	{http.MethodPatch, "applications/{}/" + blueprintType, mayWriteBlueprint, (*graphCall).updateBlueprint},
	{http.MethodDelete, "applications/{}/" + blueprintType, mayDeleteBlueprint, (*graphCall).deleteBlueprint},
	{http.MethodPost, "servicePrincipals/" + blueprintPrincipalType, mayCreateBlueprintPrincipal, (*graphCall).createBlueprintPrincipal},
	{http.MethodGet, "servicePrincipals/" + agentType, mayReadAgents, (*graphCall).listAgents},
	{http.MethodPost, "servicePrincipals/" + agentType, mayCreateAgent, (*graphCall).createAgent},
	{http.MethodGet, "servicePrincipals/{}/" + agentType, mayReadAgents, (*graphCall).getAgent},
	{http.MethodDelete, "servicePrincipals/{}/" + agentType, mayDeleteAgent, (*graphCall).deleteAgent},
}

// An agentIdentity is the service principal of an agent, with the members that only agents have.
type agentIdentity struct {
	servicePrincipal
	AgentIdentityBlueprintID string `json:"agentIdentityBlueprintId"` // the blueprint's client ID
	CreatedDateTime          string `json:"createdDateTime"`
}

func (a *App) describeAgent() agentIdentity {
	agent := agentIdentity{servicePrincipal: a.describePrincipal(), AgentIdentityBlueprintID: a.parent.ClientID}
	if at := a.entry.written.CreatedDateTime; at != nil {
		agent.CreatedDateTime = at.Format("2006-01-02T15:04:05Z")
	}
	return agent
}

// blueprint returns the blueprint in the path.
func (c *graphCall) blueprint() (*App, *graphFault) {
	app, f := c.application(c.keys[0])
	if f == nil && !app.blueprint {
		return nil, notBlueprint(c.keys[0].Text)
	}
	return app, f
}

// notBlueprint refuses an ordinary application. What Graph answers is unknown.
func notBlueprint(name string) *graphFault {
	return badRequest("The application '%s' is not of the type '%s'.", clip(name), blueprintType)
}

func (c *graphCall) createBlueprint() (graphResult, *graphFault) { return c.register("", true) }

func (c *graphCall) getBlueprint() (graphResult, *graphFault) {
	if _, f := c.blueprint(); f != nil {
		return graphResult{}, f
	}
	return c.getApplication()
}

func (c *graphCall) updateBlueprint() (graphResult, *graphFault) {
	app, f := c.application(c.keys[0])
	switch {
	case app == nil && f.status == http.StatusNotFound && c.keys[0].Property == "uniqueName" && c.createsIfMissing():
		return c.register(c.keys[0].Text, true)
	case f == nil && !app.blueprint:
		return graphResult{}, notBlueprint(c.keys[0].Text)
	}
	return c.updateApplication()
}

func (c *graphCall) deleteBlueprint() (graphResult, *graphFault) {
	if _, f := c.blueprint(); f != nil {
		return graphResult{}, f
	}
	return c.deleteApplication()
}

// checkSponsors checks the sponsors that a new blueprint or agent identity must have: here, users.
func (c *graphCall) checkSponsors() *graphFault {
	var sent struct {
		Sponsors odata.List[string] `json:"sponsors@odata.bind"`
	}
	if f := c.readSome(&sent); f != nil {
		return f
	}
	if len(sent.Sponsors) == 0 {
		return badRequest("A value is required for property 'sponsors'.")
	}
	for _, reference := range sent.Sponsors {
		_, id, ok := strings.Cut(reference, "/users/")
		user := c.t.userByObjectID(id)
		if !ok || user == nil || user.agent != nil {
			return badRequest("The sponsor '%s' is not a user.", clip(reference))
		}
	}
	return nil
}

// checkBlueprint refuses what a blueprint can't have.
func (a *App) checkBlueprint(doc *application) *graphFault {
	if !a.blueprint {
		return nil
	}
	if doc.IsFallbackPublicClient != nil || len(doc.PublicClient.RedirectURIs)+len(doc.SPA.RedirectURIs) > 0 {
		return refused("AgentBlueprint_IncompatibleProperty", "A property specified in the request is incompatible with agent identity blueprints and can't be set.")
	}
	return nil
}

// createBlueprintPrincipal creates the service principal of a blueprint, which nothing else does.
func (c *graphCall) createBlueprintPrincipal() (graphResult, *graphFault) {
	var wanted servicePrincipal
	if f := c.read(&wanted); f != nil {
		return graphResult{}, f
	}
	app := c.t.appWith(func(app *App) bool { return strings.EqualFold(app.ClientID, wanted.AppID) })
	if app != nil && !app.blueprint {
		return graphResult{}, refused("AgentBlueprintPrincipal_RequireAgentBlueprint", "Agent identity blueprint principals can only be created for Agent Blueprints.")
	}
	return c.addPrincipal(wanted, mayCreateBlueprintPrincipal)
}

func (c *graphCall) listAgents() (graphResult, *graphFault) {
	var all []agentIdentity
	for _, app := range c.t.apps {
		if app.isAgent() && !app.entry.principalLags.take(LagList) && !app.entry.principalLags.is(LagObject) {
			all = append(all, app.describeAgent())
		}
	}
	return list(c, "servicePrincipals/"+agentType, all, "id", "appId", "displayName", "agentIdentityBlueprintId", "tags")
}

// createAgent creates an agent identity, a child of a blueprint that has a principal.
func (c *graphCall) createAgent() (graphResult, *graphFault) {
	var wanted agentIdentity
	if f := c.read(&wanted); f != nil {
		return graphResult{}, f
	}
	parent := c.t.appWith(func(app *App) bool { return strings.EqualFold(app.ClientID, wanted.AgentIdentityBlueprintID) })
	switch {
	case wanted.DisplayName == "":
		return graphResult{}, badRequest("A value is required for property 'displayName'.")
	case len(wanted.PasswordCredentials)+len(wanted.KeyCredentials) > 0:
		return graphResult{}, refused("AgentIdentity_CredentialsNotSupported", "Credentials are not supported for agent identities. All credentials must be added to the agent identity blueprint.")
	case parent == nil:
		return graphResult{}, notFound(wanted.AgentIdentityBlueprintID)
	case !parent.blueprint:
		return graphResult{}, refused("AgentIdentity_IncompatibleParentType", "The specified Application (AppId) isn't an Agent Blueprint.")
	case parent.entry.absent || parent.entry.principalLags.take(LagBacking):
		return graphResult{}, refused("AgentIdentity_AgentBlueprintPrincipalDoesNotExist", "The required agent identity blueprint principal doesn't exist for the specified agent identity blueprint ID.")
	}
	if f := c.require(mayCreateAgent, parent); f != nil {
		return graphResult{}, f
	}
	if f := c.checkSponsors(); f != nil {
		return graphResult{}, f
	}
	agent := newAgent(parent, wanted.DisplayName)
	agent.entry.owners = parent.entry.owners
	c.t.add(agent)
	agent.entry.principalLags = c.d.newLags()
	return c.entity(http.StatusCreated, "servicePrincipals/"+agentType, agent.describeAgent())
}

// agent returns the agent identity in the path.
func (c *graphCall) agent() (*App, *graphFault) {
	app, _, f := c.principal(c.keys[0])
	if f == nil && (app == nil || !app.isAgent()) {
		return nil, notFound(c.keys[0].Text)
	}
	return app, f
}

func (c *graphCall) getAgent() (graphResult, *graphFault) {
	agent, f := c.agent()
	if f != nil {
		return graphResult{}, f
	}
	return c.entity(http.StatusOK, "servicePrincipals/"+agentType, agent.describeAgent())
}

// deleteAgent deletes an agent identity, which can be restored.
func (c *graphCall) deleteAgent() (graphResult, *graphFault) {
	agent, f := c.agent()
	if f != nil {
		return graphResult{}, f
	}
	if f := c.require(mayDeleteAgent, agent); f != nil {
		return graphResult{}, f
	}
	c.t.apps = slices.DeleteFunc(slices.Clone(c.t.apps), func(other *App) bool { return other == agent })
	c.t.dropGrants(agent)
	c.d.deleted = append(c.d.deleted, &deletedApp{agent, *c.t.stampNow()})
	return noContent, nil
}
