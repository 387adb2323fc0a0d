package obo

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
)

// agent is an agent identity (Microsoft Entra Agent ID) that the exchanger acts as. Its blueprint is
// the app.
type agent struct {
	id     string // its application ID, in lower case
	number uint32 // from 1; for keys in memory only, because replicas may list agents in another order
}

// agentOf returns the allowed agent with the application ID, or nil.
func (a *app) agentOf(id string) *agent {
	if !authority.IsGUID(id) {
		return nil
	}
	return a.agents[strings.ToLower(id)]
}

// setAgents takes the allow-list, in the operator's order.
func (a *app) setAgents(ids []string) {
	a.agents = make(map[string]*agent, len(ids))
	for i, id := range ids {
		id = strings.ToLower(id)
		a.agents[id] = &agent{id: id, number: uint32(i + 1)}
	}
}

func (a *app) agentIDs() []string { return slices.Sorted(maps.Keys(a.agents)) }

// checkAgent checks ids[i] of the allow-list.
func checkAgent(ids []string, i int, tenantID, clientID string) error {
	id := ids[i]
	if err := authority.CheckGUID(id); err != nil {
		return err
	}
	switch {
	case strings.EqualFold(id, clientID):
		return fmt.Errorf("%s is the client ID, which is the blueprint's; list its agent identities", id)
	case strings.EqualFold(id, tenantID):
		return fmt.Errorf("%s is the tenant ID; list application IDs of agent identities", id)
	}
	for j, other := range ids[:i] {
		if strings.EqualFold(id, other) {
			return fmt.Errorf("%s is the same as Options.Agents[%d]", id, j)
		}
	}
	return nil
}

// notAllowed is the error of a credential for the id, which is no agent of the exchanger's.
func (a *app) notAllowed(id string, named bool) *Error {
	switch {
	case !named:
		return refuse(ErrAgentNotAllowed, "the server acts on behalf of users only as an agent identity, and none is named",
			askOperator+"name one of the configured agents for each user")
	case len(a.agents) == 0:
		return refuse(ErrAgentNotAllowed, "the server does not act as an agent identity on behalf of users",
			askOperator+"configure the agents that it may act as")
	}
	e := refuse(ErrAgentNotAllowed, "the server does not act as this agent identity on behalf of users",
		askOperator+"add the agent to the configured ones, if it may act for users here")
	if authority.IsGUID(id) { // anything else may be a secret
		e.agent = strings.ToLower(id)
	}
	return e
}

// checkAudience rejects a token that is certainly for another app before Entra would (AADSTS50013): an
// agent exchanges only tokens for its blueprint, which the exchanger knows from its configuration.
// Only Entra knows the app's other App ID URIs, which v1 tokens may have as audience.
func (a *app) checkAudience(who claims) *Error {
	id := who.audience
	if scheme := "api://"; len(id) > len(scheme) && strings.EqualFold(id[:len(scheme)], scheme) {
		id = id[len(scheme):]
	}
	if !authority.IsGUID(id) || strings.EqualFold(id, a.clientID) {
		return nil
	}
	return refuse(ErrMisconfigured, "the user's token is for another app than the agent's blueprint (as in AADSTS50013)", a.sameBlueprint())
}

func (a *app) sameBlueprint() string {
	return fmt.Sprintf(askOperator+"use the blueprint's own registration as the API: the audience of users' tokens must be its client ID %s "+
		"or one of its App ID URIs, and the agent must be its child", a.clientID)
}

// blamesAssertion reports whether the code says that the user's token is for another app, or isn't
// Entra's.
func blamesAssertion(code int) bool { return code == 50013 || code == 500131 || code == 900384 }

// rejectsAssertion reports whether a refusal of the second step says that Entra rejects the assertion
// that proves the agent: by its code, or, if nobody knows that, as RFC 6749, section 5.2, has it.
func rejectsAssertion(e *Error) bool {
	_, known := lookup(e.AADSTS)
	return clientcred.Blames(e.AADSTS) || !known && e.OAuthError == "invalid_client" && errors.Is(e.Kind, ErrMisconfigured)
}

// blamesRegistration reports whether the code is about an app's registration. An agent has none.
func blamesRegistration(code int) bool {
	switch code {
	case 50194, 65002, 82001, 82002, 82008, 700025, 700038, 7000216, 7000218:
		return true
	}
	return false
}

// lacksPrincipal reports whether the code says that the tenant doesn't have the resource.
func lacksPrincipal(code int) bool { return code == 50001 || code == 650051 || code == 650052 }

// isPassing reports whether a failure says nothing about the request.
func isPassing(e *Error) bool {
	return errors.Is(e.Kind, ErrUnavailable) || errors.Is(e.Kind, ErrThrottled)
}

// explainFirst rewords a refusal of the first step, which no user can fix: its request has
// nothing to do with a user.
func (a *app) explainFirst(e *Error, g *agent) {
	e.ConsentURL, e.AdminConsentURL, e.operator, e.Claims = "", "", "", ""
	isChild := fmt.Sprintf("check that %s is the application ID of an agent identity in the tenant %s whose blueprint is the app %s", g.id, a.home.id, a.clientID)
	switch {
	case isPassing(e), e.AADSTS == 0 && e.OAuthError == "" && errors.Is(e.Kind, ErrMisconfigured): // not Entra's
	case familyOf(e.AADSTS) == 70021:
		e.Problem += ", or the app has no such agent identity in this tenant"
		e.Remedy += "; if it does, " + isChild
	case clientcred.Blames(e.AADSTS):
		e.Remedy += fmt.Sprintf("; the app is the blueprint %s, because an agent identity has no credentials", a.clientID)
	case e.AADSTS != 0 && errors.Is(e.Kind, ErrMisconfigured) && !blamesAssertion(e.AADSTS), errors.Is(e.Kind, ErrBlocked):
	default:
		e.Kind = ErrMisconfigured
		e.Problem = "Entra ID refuses the blueprint the assertion for its agent identity"
		e.Remedy = askOperator + isChild + lookUp
	}
}

// explainSecond rewords a refusal of the second step: an agent identity has no registration, no
// credential of its own, and no page where anybody could consent.
func (a *app) explainSecond(e *Error, g *agent) {
	e.ConsentURL, e.AdminConsentURL, e.operator, e.proof = "", "", "", false
	isChild := fmt.Sprintf("check that the agent identity %s is a child of the app %s, in the tenant %s", g.id, a.clientID, a.home.id)
	switch _, known := lookup(e.AADSTS); {
	case isPassing(e):
	case lacksPrincipal(e.AADSTS):
		e.Remedy = addPrincipal + "; then " + a.grantRemedy(e.Resource, g)
	case errors.Is(e.Kind, ErrConsentRequired), familyOf(e.AADSTS) == 65005 && e.AADSTS != 650053: // a scope that the resource hasn't
		e.Problem = "the agent identity that the server acts as has no permission for this resource on behalf of the user"
		e.Remedy = a.grantRemedy(e.Resource, g)
	case rejectsAssertion(e):
		e.Problem = "Entra ID rejects the assertion by which the blueprint proves its agent identity"
		e.Remedy = askOperator + isChild
		if !known {
			e.Remedy += lookUp
		}
	case !known && errors.Is(e.Kind, ErrInteractionRequired) && e.Claims == "":
		// Entra's code for a child of another blueprint is not published.
		e.operator = isChild + "; if it is, the user must sign in again"
	case !known && e.OAuthError == "unauthorized_client", blamesRegistration(e.AADSTS):
		e.Problem = "Entra ID rejects the agent identity"
		e.Remedy = askOperator + isChild + lookUp
	case blamesAssertion(e.AADSTS):
		e.Problem = "the user's token is for another app than the agent's blueprint, or its signature is invalid"
		e.Remedy = a.sameBlueprint()
	default:
		switch e.AADSTS {
		case 50105:
			e.Remedy = askAdmin + " to assign you to it"
		case 70001, 700011, 700016:
			e.Problem = "the tenant has no agent identity with this ID, or it is disabled"
			e.Remedy = fmt.Sprintf(askOperator+"check that %s is the application ID of an agent identity in the tenant %s", g.id, a.home.id)
		case 7000112:
			e.Problem = "the agent identity is disabled in the tenant"
			e.Remedy = fmt.Sprintf(askOperator+"have an administrator enable the agent identity %s", g.id)
		}
	}
}

// grantRemedy says which grants let an agent act: Entra shows no page for it (AADSTS82014).
func (a *app) grantRemedy(resource string, g *agent) string {
	return fmt.Sprintf("an administrator must grant the delegated permissions for %s (users can't): either to the principal of the agent's blueprint %s, "+
		"and make them inheritable, or to the agent identity %s itself", resource, a.clientID, g.id)
}
