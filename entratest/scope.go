package entratest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// inToken returns the scopes for an access token. offline_access only requests a refresh token.
func inToken(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == "offline_access" })
}

// short returns the scopes without the resource prefix, which Graph's OpenID Connect scopes can
// have too.
func (t *Tenant) short(resource *App, scopes []string) []string {
	t.mu.Lock()
	prefixes := append(slices.Clone(resource.AppIDURIs), resource.ClientID)
	t.mu.Unlock()
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = scope
		for _, prefix := range prefixes {
			names[i] = strings.TrimPrefix(names[i], prefix+"/")
		}
		if name, ofGraph := strings.CutPrefix(scope, graphURI+"/"); ofGraph && slices.Contains(openIDScopes, name) {
			names[i] = name
		}
	}
	return names
}

// defaultScope requests everything that was consented to.
const defaultScope = ".default"

// A scopeRequest is the content of a scope parameter: scopes of one resource, and possibly of
// OpenID Connect.
type scopeRequest struct {
	resource   *App
	identifier string   // the resource as requested, including a trailing slash
	names      []string // short scopes, or .default alone
	openid     []string // openid, profile, email, offline_access
	bare       bool     // scopes without a resource: they are Graph's
}

// all reports whether the request is for everything that has consent.
func (s scopeRequest) all() bool { return slices.Contains(s.names, defaultScope) }

// target returns the resource of a token for the request.
func (s scopeRequest) target() target {
	return target{s.resource, s.identifier, s.resource.tokenVersion()}
}

// parseScope parses a scope parameter. Each scope is a resource's identifier, a slash, and a name.
// So in https://storage.azure.com//.default the identifier ends with a slash, and so will a v1
// token's audience.
func (t *Tenant) parseScope(parameter string) (scopeRequest, *rejection) {
	all, openid, r := t.parseScopes(parameter)
	switch {
	case r != nil:
		return scopeRequest{}, r
	case len(all) == 0:
		return scopeRequest{}, invalidScope(parameter)
	case len(all) > 1:
		return scopeRequest{}, reject(28000, fmt.Sprintf("Provided value for the input parameter scope is not valid because it contains more than one resource. Scope %s is not valid.", clip(parameter)))
	}
	all[0].openid = openid
	return all[0], nil
}

// parseUserScope is parseScope for requests on behalf of users. They may only request a sign-in:
// the token is then for Microsoft Graph, with the OpenID Connect scopes.
func (t *Tenant) parseUserScope(parameter string) (scopeRequest, *rejection) {
	all, openid, r := t.parseScopes(parameter)
	if r == nil && len(all) == 0 && len(openid) > 0 {
		return scopeRequest{resource: t.graph, identifier: graphURI, openid: openid, bare: true}, nil
	}
	return t.parseScope(parameter)
}

// parseScopes parses a scope parameter that may name several resources. Authorization requests
// may, because a user can consent to several at once.
func (t *Tenant) parseScopes(parameter string) (all []scopeRequest, openid []string, r *rejection) {
	for scope := range strings.FieldsSeq(parameter) {
		if name := strings.TrimPrefix(scope, graphURI+"/"); slices.Contains(openIDScopes, name) { // these belong to Graph
			openid = append(openid, name)
			continue
		}
		if all, r = t.addScope(all, scope); r != nil {
			return nil, nil, r
		}
	}
	for _, s := range all {
		if s.all() && len(s.names) > 1 {
			return nil, nil, reject(70011, fmt.Sprintf("The provided request must include a 'scope' input parameter. The provided value for the "+
				"input parameter 'scope' is not valid. The scope %s is not valid. .default scope can't be combined with resource-specific scopes.", clip(parameter)))
		}
	}
	return all, openid, nil
}

func (t *Tenant) addScope(all []scopeRequest, scope string) ([]scopeRequest, *rejection) {
	slash := strings.LastIndexByte(scope, '/')
	if slash == 0 || slash == len(scope)-1 {
		return nil, invalidScope(scope)
	}
	identifier, name := graphURI, scope // a bare scope belongs to Microsoft Graph
	if slash > 0 {
		identifier, name = scope[:slash], scope[slash+1:]
	}
	t.mu.Lock()
	resource := t.appByIdentifier(identifier)
	offers := resource != nil && slices.Contains(resource.Scopes, name)
	t.mu.Unlock()
	switch {
	case resource == nil:
		return nil, unknownResource(identifier, t.id)
	case name != defaultScope && !offers:
		return nil, reject(650053, fmt.Sprintf("The application asked for scope '%s' that doesn't exist on the resource '%s'.", clip(name), resource.ClientID))
	}
	for i := range all {
		if all[i].resource == resource {
			all[i].names = append(all[i].names, name)
			return all, nil
		}
	}
	return append(all, scopeRequest{resource: resource, identifier: identifier, names: []string{name}, bare: slash < 0}), nil
}

// checkResource checks the parameter resource (RFC 8707): it must be an App ID URI, and the prefix
// of each scope, character for character. A bare scope has no prefix.
func (t *Tenant) checkResource(form url.Values, scope string) *rejection {
	asked := form.Get("resource")
	if asked == "" {
		return nil
	}
	scopes := slices.DeleteFunc(strings.Fields(scope), func(s string) bool {
		return slices.Contains(openIDScopes, strings.TrimPrefix(s, graphURI+"/"))
	})
	if len(scopes) == 0 {
		return reject(901002, "The 'resource' request parameter is not supported.")
	}
	t.mu.Lock()
	known := t.appWith(func(app *App) bool { return !app.entry.absent && slices.Contains(app.AppIDURIs, asked) }) != nil
	t.mu.Unlock()
	other := func(scope string) bool { return scope[:max(0, strings.LastIndexByte(scope, '/'))] != asked }
	if !known || slices.ContainsFunc(scopes, other) {
		return reject(9010010, "The resource parameter provided in the request doesn't match with the requested scopes.")
	}
	return nil
}

// checkSelf rejects a client that requests a token for itself by name, if it has several.
func (a *App) checkSelf(scopes []scopeRequest) *rejection {
	a.tenant.mu.Lock()
	several := len(a.AppIDURIs) > 1
	a.tenant.mu.Unlock()
	for _, scope := range scopes {
		if several && scope.resource == a && !strings.EqualFold(scope.identifier, a.ClientID) {
			return forItself(a, scope.identifier)
		}
	}
	return nil
}

func forItself(client *App, identifier string) *rejection {
	return reject(90009, fmt.Sprintf("Application '%s'(%s) is requesting a token for itself. "+
		"This scenario is supported only if resource is specified using the GUID based App Identifier.", client.ClientID, identifier))
}

func invalidScope(scope string) *rejection {
	return reject(70011, fmt.Sprintf("The provided request must include a 'scope' input parameter. The provided value for the "+
		"input parameter 'scope' is not valid. The scope %s is not valid.", clip(scope)))
}

func unknownResource(identifier, tenantID string) *rejection {
	return reject(500011, fmt.Sprintf("The resource principal named %s was not found in the tenant named %s. "+
		"It may not have been installed in the tenant, or the request went to the wrong tenant.", clip(identifier), tenantID))
}

// A claimsRequest is the relevant part of a claims parameter (OpenID Connect Core section 5.5):
// what a client repeats from a claims challenge, and its capabilities.
type claimsRequest struct {
	contexts     []string // authentication contexts that the user must meet
	policies     []string // conditional access policies that the user must meet: multifactor authentication
	capabilities []string // of the client; cp1 means that it handles claims challenges
}

type claimDemand struct {
	Value  string   `json:"value"`
	Values []string `json:"values"`
}

func (d *claimDemand) all() []string {
	if d == nil {
		return nil
	}
	if d.Value != "" {
		return append([]string{d.Value}, d.Values...)
	}
	return d.Values
}

// parseClaims parses a claims parameter, which may be absent.
func parseClaims(parameter string) (claimsRequest, *rejection) {
	if parameter == "" {
		return claimsRequest{}, nil
	}
	var asked struct {
		AccessToken struct {
			ACRS         *claimDemand `json:"acrs"`
			Policies     *claimDemand `json:"capolids"`
			Capabilities *claimDemand `json:"xms_cc"`
		} `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(parameter), &asked); err != nil {
		return claimsRequest{}, reject(9002313, "Invalid request. The value of the parameter 'claims' is not a JSON object of the expected form.")
	}
	token := asked.AccessToken
	return claimsRequest{token.ACRS.all(), token.Policies.all(), token.Capabilities.all()}, nil
}

// metBy reports whether a sign-in has all that the request asks for.
func (c claimsRequest) metBy(s signIn) bool {
	if len(c.policies) > 0 && !s.MFA {
		return false
	}
	return !slices.ContainsFunc(c.contexts, func(context string) bool { return !slices.Contains(s.Contexts, context) })
}
