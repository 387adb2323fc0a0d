package setup

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// With agents, the API's application is an agent identity blueprint (Microsoft Entra Agent ID), and the agents are
// its children. All of it is Microsoft Graph v1.0.

const (
	blueprintType = "#microsoft.graph.agentIdentityBlueprint"
	// maxInheritable is how many resources a blueprint's children inherit permissions of.
	maxInheritable = 10
)

// shadowing are permissions whose presence makes Graph ignore a token's permissions for agents.
var shadowing = []string{"Directory.AccessAsUser.All", "Directory.ReadWrite.All"}

// AgentsRefused says why Graph refuses the plan's steps about agents with a token that has these permissions, or nil.
func AgentsRefused(p *Plan, permissions []string) error {
	if !slices.ContainsFunc(p.Steps, func(s Step) bool { return strings.HasPrefix(s.Permission, "Agent") }) {
		return nil
	}
	for _, name := range shadowing {
		if slices.Contains(permissions, name) {
			return fmt.Errorf("this sign-in's token carries %s, as the Azure CLI's tokens for users always do, and so Microsoft Graph ignores its permissions for agents and answers 403. "+
				"Use an application of your own instead: set AZURE_TENANT_ID and AZURE_CLIENT_ID, and then either -auth env with its secret or certificate, where it has the application permissions %s, "+
				"or -auth device or browser, where it has them as delegated permissions", name, strings.Join(needed(p), ", "))
		}
	}
	return nil
}

// needed lists the permissions that the plan's steps need.
func needed(p *Plan) []string {
	var all []string
	for _, s := range p.Steps {
		all = union(all, []string{s.Permission})
	}
	slices.Sort(all)
	return all
}

// path returns the path for changes of the application and for its removal.
func (a App) path() string {
	path := "/applications/" + placeholder(a.Key, "id")
	if a.IsBlueprint() {
		path += graph.Blueprint
	}
	return path
}

// agentKey is the key of an agent in placeholders and step ids.
func agentKey(i int) string {
	if i == 0 {
		return "agent"
	}
	return "agent" + strconv.Itoa(i+1)
}

// checkAgents returns what is wrong with the agents as a whole.
func (s Spec) checkAgents() []error {
	if len(s.Agents) == 0 {
		if s.Sponsor != "" {
			return []error{errors.New("sponsor is for agents: name them, or leave it out")}
		}
		return nil
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for i, name := range s.Agents {
		if slices.ContainsFunc(s.Agents[:i], func(other string) bool { return strings.EqualFold(name, other) }) {
			fault("the agent %s appears twice", shown(name))
		}
	}
	if s.Sponsor == "" {
		fault("agents needs sponsor: the object ID of the user who answers for the agents, which Entra requires")
	}
	if s.Proof == (Proof{}) {
		fault("agents needs proof: an agent identity has no credentials, so the API authenticates for it, such as with a managed-identity")
	}
	if s.MultiTenant {
		fault("agents is for audience: single: agent identities belong to one tenant")
	}
	if s.AuthProxy == proxyIsAPI {
		fault("agents needs auth-proxy: own: whether people can sign in with a blueprint is not documented")
	}
	if len(s.Resources) > maxInheritable {
		fault("agents is for at most %d resources: a blueprint's children inherit permissions of no more; there are %d", maxInheritable, len(s.Resources))
	}
	return faults
}

// makeBlueprint adds to the desired API what agents need. What is a blueprint stays one.
func makeBlueprint(api *App, spec Spec, have App) {
	if len(spec.Agents) == 0 && !have.IsBlueprint() {
		return
	}
	api.Type = blueprintType
	api.IsFallbackPublicClient = nil // a blueprint has no such member
	for _, name := range spec.Agents {
		api.Agents = append(api.Agents, graph.AgentIdentity{DisplayName: name, BlueprintID: "${api.appId}"})
	}
	if len(spec.Agents) == 0 {
		return
	}
	for i, r := range spec.Resources {
		api.Inheritable = append(api.Inheritable, graph.InheritablePermission{
			ResourceAppID: placeholder(resourceKey(spec, i), "appId"),
			Scopes:        graph.InheritableScopes{Type: graph.EnumeratedScopes, Scopes: r.Scopes},
		})
	}
}

// blueprint reads what an application has as a blueprint.
func (o *observer) blueprint(ctx context.Context, app *App) error {
	if app.Key != apiKey || !app.IsBlueprint() {
		if app.Key == apiKey && len(o.spec.Agents) > 0 {
			o.fault("the application %s (client ID %s) is not an agent identity blueprint, and Entra can't convert it: with agents, choose another name, for a new application with another client ID; "+
				"its clients then sign in and consent again, and its App ID URIs must be removed from the former one", app.Name, app.AppID)
		}
		return nil
	}
	var err error
	if app.Inheritable, err = o.graph.InheritablePermissions(ctx, app.ID); err != nil && !o.unread(err, "inheritable permissions of "+app.Name, blueprint) {
		return err
	}
	if app.Agents, err = o.graph.AgentIdentities(ctx, app.AppID); err != nil && !o.unread(err, "agent identities of "+app.Name, agentRead) {
		return err
	}
	for i, name := range o.spec.Agents {
		same := slices.DeleteFunc(slices.Clone(app.Agents), func(a graph.AgentIdentity) bool { return a.DisplayName != name })
		if len(same) == 0 {
			continue
		}
		o.state.Known[agentKey(i)+".id"] = same[0].ID
		if len(same) > 1 {
			o.state.Notes = append(o.state.Notes, fmt.Sprintf("%d agent identities of %s are called %s; the oldest, %s, is the one: delete the others", len(same), app.Name, quoted(name), same[0].ID))
		}
		if enabled := same[0].AccountEnabled; enabled != nil && !*enabled {
			o.state.Notes = append(o.state.Notes, "somebody has disabled the agent identity "+quoted(name)+": it gets no tokens")
		}
	}
	return nil
}

// inheritable plans which permissions the agents inherit. One that inherits all that is granted, as some guides set it
// up, stays.
func (p *planner) inheritable(want, have App) {
	if p.unread("inheritable permissions of " + want.Name) {
		return
	}
	all := "/applications/" + placeholder(want.Key, "id") + graph.Blueprint + "/inheritablePermissions"
	for _, h := range have.Inheritable {
		if slices.ContainsFunc(want.Inheritable, func(w graph.InheritablePermission) bool { return p.known(w.ResourceAppID) == h.ResourceAppID }) {
			continue
		}
		if !p.spec.Exclusive {
			p.keep(want, "inheritable permissions of %s", h.ResourceAppID)
			continue
		}
		p.step(Step{ID: "inherit/drop-" + h.ResourceAppID, Title: "Let agents inherit nothing of " + h.ResourceAppID, Method: "DELETE", Path: all + "/" + url.PathEscape(h.ResourceAppID)}, blueprint, nil)
	}
	for i, w := range want.Inheritable {
		key := resourceKey(p.spec, i)
		s := Step{
			ID: "inherit/" + key, Title: "Let agents inherit " + strings.Join(w.Scopes.Scopes, " ") + " of " + p.resourceName(key),
			Method: "POST", Path: all, Read: all + "/" + w.ResourceAppID,
		}
		j := slices.IndexFunc(have.Inheritable, func(h graph.InheritablePermission) bool { return p.known(w.ResourceAppID) == h.ResourceAppID })
		if j < 0 {
			p.step(s, blueprint, w)
			continue
		}
		h := have.Inheritable[j].Scopes
		if h.All() && !p.spec.Exclusive {
			p.plan.Notes = append(p.plan.Notes, "agents inherit all permissions of "+p.resourceName(key)+" that are granted to "+want.Name+", not only those in the file; exclusive: true changes that")
			continue
		}
		scopes, differs := p.texts(want, "inheritable permission of "+p.resourceName(key), w.Scopes.Scopes, h.Scopes)
		if differs || h.All() {
			s.Method, s.Path = "PATCH", s.Read
			p.step(s, blueprint, map[string]any{"inheritableScopes": graph.InheritableScopes{Type: graph.EnumeratedScopes, Scopes: scopes}})
		}
	}
}

// agents plans the agent identities, found by their names.
func (p *planner) agents(want, have App) {
	if p.unread("agent identities of " + want.Name) {
		return
	}
	for _, h := range have.Agents {
		if slices.ContainsFunc(want.Agents, func(w graph.AgentIdentity) bool { return w.DisplayName == h.DisplayName }) {
			continue
		}
		if p.spec.Exclusive {
			p.removeAgent("agent/drop-"+h.ID, h, false)
		} else {
			p.keep(want, "agent identity %s (%s)", h.DisplayName, h.ID)
		}
	}
	for i, w := range want.Agents {
		if p.plan.Known[agentKey(i)+".id"] != "" {
			continue
		}
		p.step(Step{
			ID: agentKey(i) + "/create", Title: "Create the agent identity " + w.DisplayName, Method: "POST", Path: "/servicePrincipals" + graph.Agent, Once: true, Needs: []string{want.Key + "/principal"},
			Captures: []Capture{{Name: agentKey(i) + ".id", Member: "id"}},
		}, agentNew, map[string]any{"displayName": w.DisplayName, "agentIdentityBlueprintId": w.BlueprintID, "sponsors@odata.bind": p.sponsors()})
	}
}

// sponsors are the references that a new blueprint and a new agent identity need.
func (p *planner) sponsors() []string { return []string{p.plan.Graph + "/users/" + p.spec.Sponsor} }

func (p *planner) removeAgent(id string, h graph.AgentIdentity, purge bool) {
	p.step(Step{ID: id, Title: "Delete the agent identity " + h.DisplayName, Method: "DELETE", Path: "/servicePrincipals/" + url.PathEscape(h.ID) + graph.Agent}, agentGone, nil)
	if purge {
		p.step(Step{ID: id + "-for-good", Title: "Delete the agent identity " + h.DisplayName + " for good", Method: "DELETE", Needs: []string{id},
			Path: "/directory/deletedItems/" + url.PathEscape(h.ID)}, agentGone, nil)
	}
}

// removeAgents plans to delete our agents. It goes before the blueprint: what Entra deletes after it, it deletes hours
// later.
func (p *planner) removeAgents(w, h App, purge bool) {
	for i, agent := range w.Agents {
		for _, a := range h.Agents {
			if a.DisplayName == agent.DisplayName && a.ID == p.plan.Known[agentKey(i)+".id"] {
				p.removeAgent(agentKey(i)+"/delete", a, purge)
			}
		}
	}
}

// stripInheritable takes what our agents inherit off a blueprint that stays.
func (p *planner) stripInheritable(w, h App) {
	for i, x := range w.Inheritable {
		for _, y := range h.Inheritable {
			if p.known(x.ResourceAppID) == y.ResourceAppID && !y.Scopes.All() {
				p.step(Step{ID: "inherit/strip-" + resourceKey(p.spec, i), Title: "Let agents inherit nothing of " + y.ResourceAppID, Method: "DELETE",
					Path: "/applications/" + placeholder(w.Key, "id") + graph.Blueprint + "/inheritablePermissions/" + url.PathEscape(y.ResourceAppID)}, blueprint, nil)
			}
		}
	}
}

// remedyForAgents says what to do about a refused step about agents, or nothing.
func remedyForAgents(s Step, e *graph.Error) string {
	switch {
	case strings.HasPrefix(s.ID, "inherit/") && e.Status == 400:
		return "Microsoft's reference lets a blueprint name the permissions that its agents inherit (enumeratedScopes); its how-to has allAllowedScopes alone. " +
			"If the answer refuses the kind, have an Agent ID Administrator set it to allAllowedScopes: agents then inherit what is granted to the blueprint, and no more. Setup leaves that as it is. " +
			"Some of Microsoft Graph's permissions are refused for agents in any case."
	case e.Status == 400 && strings.Contains(strings.ToLower(e.Message), "sponsor"):
		return "Set sponsor in the file to the object ID of a user of this tenant who answers for the agents."
	case strings.HasPrefix(e.Code, "Agent") && strings.HasSuffix(e.Code, "Exceeded"):
		return "The tenant has as many blueprints or agent identities as it may, the deleted ones included: delete some permanently."
	}
	return ""
}
