package entratest

import (
	"fmt"
	"slices"
	"strings"
)

// defaultScope asks for everything that was consented to.
const defaultScope = ".default"

// A scopeRequest is what a request's scope parameter asks for: scopes of one
// resource, and perhaps those of OpenID Connect.
type scopeRequest struct {
	resource   *App
	identifier string   // the resource as it was asked for, trailing slash included
	names      []string // short scopes, or .default alone
	openid     []string // openid, profile, email, offline_access
}

// all reports whether the request is for everything that was consented to.
func (s scopeRequest) all() bool { return slices.Contains(s.names, defaultScope) }

// target returns what a token for the request is for.
func (s scopeRequest) target() target {
	return target{s.resource, s.identifier, s.resource.tokenVersion()}
}

// parseScope reads a scope parameter. Each scope is a resource's identifier, a
// slash, and a name; so in https://storage.azure.com//.default the
// identifier ends with a slash, and a v1 token's audience will too.
func (t *Tenant) parseScope(parameter string) (scopeRequest, *rejection) {
	var s scopeRequest
	for scope := range strings.FieldsSeq(parameter) {
		if slices.Contains([]string{"openid", "profile", "email", "offline_access"}, scope) {
			s.openid = append(s.openid, scope)
			continue
		}
		if r := t.addScope(&s, scope); r != nil {
			return s, r
		}
	}
	switch {
	case s.resource == nil:
		return s, invalidScope(parameter)
	case s.all() && len(s.names) > 1:
		return s, reject(70011, fmt.Sprintf("The provided request must include a 'scope' input parameter. The provided value for the "+
			"input parameter 'scope' is not valid. The scope %s is not valid. .default scope can't be combined with resource-specific scopes.", clip(parameter)))
	}
	return s, nil
}

func (t *Tenant) addScope(s *scopeRequest, scope string) *rejection {
	slash := strings.LastIndexByte(scope, '/')
	if slash <= 0 || slash == len(scope)-1 {
		return invalidScope(scope)
	}
	identifier, name := scope[:slash], scope[slash+1:]
	t.mu.Lock()
	resource := t.appByIdentifier(identifier)
	t.mu.Unlock()
	switch {
	case resource == nil:
		return unknownResource(identifier, t.id)
	case s.resource != nil && s.resource != resource:
		return reject(28000, fmt.Sprintf("Provided value for the input parameter scope is not valid because it contains more than one resource. Scope %s is not valid.", clip(scope)))
	case name != defaultScope && !slices.Contains(resource.Scopes, name):
		return reject(650053, fmt.Sprintf("The application asked for scope '%s' that doesn't exist on the resource '%s'.", clip(name), resource.ClientID))
	}
	s.resource, s.identifier = resource, identifier
	s.names = append(s.names, name)
	return nil
}

func invalidScope(scope string) *rejection {
	return reject(70011, fmt.Sprintf("The provided request must include a 'scope' input parameter. The provided value for the "+
		"input parameter 'scope' is not valid. The scope %s is not valid.", clip(scope)))
}

func unknownResource(identifier, tenantID string) *rejection {
	return reject(500011, fmt.Sprintf("The resource principal named %s was not found in the tenant named %s. "+
		"It may not have been installed in the tenant, or the request went to the wrong tenant.", clip(identifier), tenantID))
}
