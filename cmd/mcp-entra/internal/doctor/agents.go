package doctor

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// agentClaims are the optional claims that identify agents.
var agentClaims = []string{"xms_sub_fct", "xms_act_fct", "xms_par_app_azp", "idtyp"}

// agents checks what agents need of the registration: the claims that identify them, and for a server that acts as agent
// identities, that these are children of its blueprint and have consent.
func (x *exam) agents(ctx context.Context) Result {
	if !x.JudgesAgents && len(x.Agents) == 0 {
		return notRun("no policy mentions agents, and the server acts as none")
	}
	if x.app == nil {
		return x.like("registration")
	}
	var findings []Finding
	if missing := x.missingClaims(); x.JudgesAgents && len(missing) > 0 {
		findings = append(findings, Finding{Problem: "a policy mentions agents, and tokens don't identify them: an agent user passes for a person",
			Expected: "optional claims of access tokens: " + strings.Join(agentClaims, ", ") + " (with include_user_token)", Came: "without " + strings.Join(missing, ", "),
			Remedy: "Add them to optionalClaims.accessToken in the registration's manifest, or run mcp-entra setup apply"})
	}
	if len(x.Agents) == 0 {
		return judged(findings, "tokens identify agents")
	}
	if !x.app.IsBlueprint() {
		findings = append(findings, Finding{Problem: "the server is configured to act as agent identities, and its application is not their blueprint",
			Expected: "an agent identity blueprint", Came: "an ordinary application",
			Remedy: "Entra can't convert an application: register a blueprint, with agents in mcp-entra setup's file, and set API_APP_ID to its client ID"})
		return judged(findings, "")
	}
	for _, id := range x.Agents {
		found, unread := x.agent(ctx, id)
		if unread != nil {
			return *unread
		}
		findings = append(findings, found...)
	}
	if len(findings) > 0 {
		return judged(findings, "")
	}
	missing, unread := x.agentsConsent(ctx)
	if unread != nil {
		return *unread
	}
	return judged(missing, "agent identities of this blueprint: %s", strings.Join(x.Agents, ", "))
}

// missingClaims returns those of agentClaims that the registration doesn't ask for.
func (x *exam) missingClaims() []string {
	return slices.DeleteFunc(slices.Clone(agentClaims), func(name string) bool {
		return slices.ContainsFunc(x.app.OptionalClaims.AccessToken, func(c graph.OptionalClaim) bool {
			return c.Name == name && c.Source == "" && (name != "idtyp" || slices.Contains(c.AdditionalProperties, "include_user_token"))
		})
	})
}

// agent checks that an agent identity is there, enabled, and a child of the blueprint.
func (x *exam) agent(ctx context.Context, id string) (findings []Finding, unread *Result) {
	var agent graph.AgentIdentity
	err := x.options.Directory.Get(ctx, "/servicePrincipals/"+url.PathEscape(id), &agent)
	f := Finding{Expected: "an agent identity, child of the blueprint " + x.ClientID}
	switch {
	case graph.IsNotFound(err):
		f.Problem, f.Came, f.Remedy = "there is no agent identity "+id+" in this tenant", "none", "Correct the ID, or create the agent identity with mcp-entra setup apply"
	case err != nil:
		r := x.unread("the agent identity "+id, err)
		return nil, &r
	case agent.BlueprintID == "":
		f.Problem, f.Came, f.Remedy = id+" is not an agent identity", printable(agent.DisplayName)+", another service principal", "Use the ID of an agent identity: mcp-entra setup apply prints it"
	case !strings.EqualFold(agent.BlueprintID, x.ClientID):
		f.Problem, f.Came = "the agent identity "+id+" is no child of this blueprint, so Entra refuses its assertion", "a child of "+printable(agent.BlueprintID)
		f.Remedy = "Use an agent identity of this blueprint, or set API_APP_ID to its own"
	case agent.AccountEnabled != nil && !*agent.AccountEnabled:
		f.Problem, f.Expected, f.Came, f.Remedy = "the agent identity "+id+" is disabled", "enabled", "disabled", "Enable it in the Microsoft Entra admin center (Agent ID), if it may act again"
	default:
		return nil, nil
	}
	return []Finding{f}, nil
}

// agentsConsent checks that the agents may use each resource: granted to them, or to the blueprint and inherited.
func (x *exam) agentsConsent(ctx context.Context) (findings []Finding, unread *Result) {
	fail := func(what string, err error) ([]Finding, *Result) {
		r := x.unread(what, err)
		return nil, &r
	}
	if x.principal == nil {
		r := x.like("service-principal")
		return nil, &r
	}
	ofBlueprint, err := x.options.Directory.PermissionGrants(ctx, "clientId", x.principal.ID)
	if err != nil {
		return fail("what the blueprint was granted", err)
	}
	inheritable, err := x.options.Directory.InheritablePermissions(ctx, x.app.ID)
	if graph.IsForbidden(err) {
		r := notRun("this sign-in may not read what agents inherit: it needs AgentIdentityBlueprint.Read.All")
		return nil, &r
	}
	if err != nil {
		return fail("what agents inherit", err)
	}
	for _, resource := range x.Resources {
		found, err := x.principalsOf(ctx, resource)
		if err != nil {
			return fail("the service principal of "+resource, err)
		}
		if len(found) == 0 {
			continue // exchange says so
		}
		inherited := inheritedOf(ofBlueprint, inheritable, found[0])
		for _, id := range x.Agents {
			own, err := x.options.Directory.PermissionGrants(ctx, "clientId", id)
			if err != nil {
				return fail("what the agent identity was granted", err)
			}
			if forAll, _ := granted(append(own, inherited...), found[0]); !forAll {
				onBlueprint, _ := granted(ofBlueprint, found[0])
				findings = append(findings, noConsentForAgent(id, resource, onBlueprint))
			}
		}
	}
	return findings, nil
}

// inheritedOf returns the blueprint's grants on a resource as far as agents inherit them.
func inheritedOf(grants []graph.PermissionGrant, inheritable []graph.InheritablePermission, resource graph.ServicePrincipal) []graph.PermissionGrant {
	i := slices.IndexFunc(inheritable, func(p graph.InheritablePermission) bool { return strings.EqualFold(p.ResourceAppID, resource.AppID) })
	if i < 0 {
		return nil
	}
	var all []graph.PermissionGrant
	for _, g := range grants {
		if g.ResourceID != resource.ID {
			continue
		}
		if !inheritable[i].Scopes.All() {
			g.Scope = strings.Join(slices.DeleteFunc(strings.Fields(g.Scope), func(s string) bool { return !slices.Contains(inheritable[i].Scopes.Scopes, s) }), " ")
		}
		all = append(all, g)
	}
	return all
}

func noConsentForAgent(id, resource string, onBlueprint bool) Finding {
	f := Finding{Problem: fmt.Sprintf("the agent identity %s may not use %s on behalf of users (AADSTS65001)", id, resource),
		Expected: "an administrator's grant to the blueprint's principal, and that agents inherit it; or a grant to the agent identity", Came: "none",
		Remedy: "Only an administrator helps, and no consent page (AADSTS82014): run mcp-entra setup apply, or make both in the Microsoft Entra admin center (Agent ID, the blueprint)"}
	if onBlueprint {
		f.Came = "a grant to the blueprint's principal, which agents don't inherit"
	}
	return f
}
