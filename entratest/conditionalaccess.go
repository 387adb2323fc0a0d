package entratest

import (
	"encoding/json"
	"fmt"
	"slices"
)

// A policySet holds the conditional access policies of a resource.
type policySet struct {
	mfa     string // ID of the policy that requires multifactor authentication, or empty
	context string // the required authentication context, or empty
	blocked bool
}

// RequireMFA adds a conditional access policy: tokens for resource require multifactor
// authentication at sign-in (amr contains mfa). Otherwise the sign-in pages ask for it, and the
// token endpoint returns AADSTS50076 with a claims challenge.
func (t *Tenant) RequireMFA(resource *App) {
	t.changePolicy(resource, func(p *policySet) { p.mfa = newGUID() })
}

// RequireAuthenticationContext adds a conditional access policy: tokens for resource require a
// sign-in that meets the authentication context, such as "c1", in the claim acrs.
func (t *Tenant) RequireAuthenticationContext(resource *App, context string) {
	t.changePolicy(resource, func(p *policySet) { p.context = context })
}

// BlockAccess adds a conditional access policy that blocks all tokens for resource
// (AADSTS53003).
func (t *Tenant) BlockAccess(resource *App) {
	t.changePolicy(resource, func(p *policySet) { p.blocked = true })
}

// ClearConditionalAccess removes all policies for resource.
func (t *Tenant) ClearConditionalAccess(resource *App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.policies, resource)
}

func (t *Tenant) changePolicy(resource *App, change func(*policySet)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.policies[resource]
	change(&p)
	t.policies[resource] = p
}

func (t *Tenant) policyOf(resource *App) policySet {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.policies[resource]
}

// access checks a sign-in against a resource's policies and the claims that the client requests.
func (t *Tenant) access(resource *App, asked claimsRequest, s signIn) *rejection {
	p := t.policyOf(resource)
	switch {
	case p.blocked:
		return reject(53003, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.")
	case p.mfa != "" && !s.MFA:
		return moreNeeded(resource, "capolids", map[string]any{"essential": true, "values": []string{p.mfa}})
	case p.context != "" && !slices.Contains(s.Contexts, p.context):
		return moreNeeded(resource, "acrs", map[string]any{"essential": true, "value": p.context})
	case len(asked.policies) > 0 && !s.MFA:
		return moreNeeded(resource, "capolids", map[string]any{"essential": true, "values": asked.policies})
	case !asked.metBy(s):
		return moreNeeded(resource, "acrs", map[string]any{"essential": true, "values": asked.contexts})
	}
	return nil
}

// moreNeeded returns the rejection that tells the client what the user must do.
func moreNeeded(resource *App, claim string, demand map[string]any) *rejection {
	challenge, err := json.Marshal(map[string]any{"access_token": map[string]any{claim: demand}})
	must(err)
	r := reject(50076, fmt.Sprintf("Due to a configuration change made by your administrator, or because you moved to a new location, "+
		"you must use multi-factor authentication to access '%s'.", resource.ClientID))
	r.claims = string(challenge)
	return r
}

// policy checks a sign-in for all resources of the errand.
func (t *Tenant) policy(job *errand, s signIn) *rejection {
	for _, scope := range job.scopes {
		if r := t.access(scope.resource, job.claims, s); r != nil {
			return r
		}
	}
	if len(job.scopes) == 0 {
		return t.access(t.graph, job.claims, s)
	}
	return nil
}

// contextsOf returns the authentication contexts that an approval meets.
func (t *Tenant) contextsOf(job *errand) []string {
	contexts := slices.Clone(job.claims.contexts)
	for _, scope := range job.scopes {
		if p := t.policyOf(scope.resource); p.context != "" {
			contexts = append(contexts, p.context)
		}
	}
	return contexts
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// A requirement is a conditional access policy that makes every exchange fail.
type requirement struct {
	claims string
	code   int
}

// RequireClaims makes On-Behalf-Of exchanges of client for resource fail with a claims challenge.
// The error has this AADSTS code (0 means 50076, multifactor authentication) and claims, a JSON
// object that the user's client signs in with again, such as
// {"access_token":{"acrs":{"essential":true,"value":"c1"}}}. They fail until
// [Tenant.ClearRequiredClaims] is called, however the user signs in.
func (t *Tenant) RequireClaims(client, resource *App, claims string, code int) {
	if code == 0 {
		code = 50076
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requirements[grantKey{client, resource}] = requirement{claims: claims, code: code}
}

// ClearRequiredClaims undoes [Tenant.RequireClaims].
func (t *Tenant) ClearRequiredClaims(client, resource *App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.requirements, grantKey{client, resource})
}

func (t *Tenant) required(client, resource *App) (requirement, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.requirements[grantKey{client, resource}]
	return r, ok
}
