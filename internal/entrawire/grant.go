package entrawire

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// A Grant is a kind of token request. Grants of agents also say which other parameters a request
// may have, because a request that Entra reads differently from us would be for the blueprint
// itself.
type Grant struct {
	grantType string
	fixed     map[string]string   // parameters that must have one value
	oneOf     map[string][]string // parameters that must have one of these values
	needs     string              // the parameter that must be present, with any value
	proved    bool                // it must have exactly one proof of the app
	scope     string              // its only scope, besides OpenID Connect's
	only      []string            // all parameters that it may have, if not nil
	refreshes bool                // its user keeps the refresh tokens
}

const (
	jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer" //nolint:gosec // a name, not a credential
	// assertionType is the client_assertion_type of a JWT (RFC 7523, section 2.2).
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// The grants that this module uses. There is none for a token for the app itself
// (client_credentials); see [AgentAssertion] for the only use of that grant type.
var (
	// OnBehalfOf exchanges a user's token (RFC 7523, with Entra's extension).
	OnBehalfOf = Grant{grantType: jwtBearer, fixed: map[string]string{"requested_token_use": "on_behalf_of"}, needs: "assertion"}
	// AuthorizationCode redeems a code (RFC 6749, section 4.1.3).
	AuthorizationCode = Grant{grantType: "authorization_code", needs: "code", refreshes: true}
	// RefreshToken redeems a refresh token (RFC 6749, section 6).
	RefreshToken = Grant{grantType: "refresh_token", needs: "refresh_token", refreshes: true}
)

// AgentAssertion is the first step of an agent identity's exchange: its blueprint gets the
// assertion that proves one of the agents, and nothing else. The scope is the cloud's for token
// exchange. Client IDs are in lower case.
func AgentAssertion(blueprint, scope string, agents []string) Grant {
	return Grant{
		grantType: "client_credentials",
		fixed:     map[string]string{"client_id": blueprint},
		oneOf:     map[string][]string{"fmi_path": agents},
		proved:    true,
		scope:     scope,
		only: []string{"grant_type", "client_id", "fmi_path", "scope", "client_secret", "client_assertion", "client_assertion_type",
			"client_info"},
	}
}

// AgentOnBehalfOf is the second step: one of the agents exchanges a user's token, proved by an
// assertion and not by a secret, which only the blueprint has.
func AgentOnBehalfOf(agents []string) Grant {
	return Grant{
		grantType: jwtBearer,
		fixed:     map[string]string{"requested_token_use": "on_behalf_of"},
		oneOf:     map[string][]string{"client_id": agents},
		needs:     "assertion",
		proved:    true,
		only: []string{"grant_type", "client_id", "requested_token_use", "assertion", "scope", "claims", "client_assertion",
			"client_assertion_type", "client_info"},
	}
}

// check says why a form, whose parameters stand once each, is not a request of the grant.
func (g Grant) check(form url.Values) error {
	if form.Get("grant_type") != g.grantType {
		return fmt.Errorf("not sent: a token request must have the grant_type %s", g.grantType)
	}
	for _, name := range slices.Sorted(maps.Keys(g.fixed)) {
		if form.Get(name) != g.fixed[name] {
			return fmt.Errorf("not sent: a token request must have the %s %s", name, g.fixed[name])
		}
	}
	for name, values := range g.oneOf {
		if !slices.Contains(values, form.Get(name)) {
			return fmt.Errorf("not sent: the token request's %s is not a configured agent's", name)
		}
	}
	if g.needs != "" && form.Get(g.needs) == "" {
		return fmt.Errorf("not sent: a token request must have a %s", g.needs)
	}
	if g.proved && !hasOneProof(form) {
		return errors.New("not sent: a token request must have either a client secret or a client assertion")
	}
	if g.scope != "" && !isOnlyScope(form.Get("scope"), g.scope) {
		return fmt.Errorf("not sent: the token request's scope must be %s", g.scope)
	}
	return g.checkNames(form)
}

func (g Grant) checkNames(form url.Values) error {
	if g.only == nil {
		return nil
	}
	for name := range form {
		if !slices.Contains(g.only, name) {
			return fmt.Errorf("not sent: the token request has a parameter that the %s grant of agents doesn't have", g.grantType)
		}
	}
	return nil
}

func hasOneProof(form url.Values) bool {
	if form.Get("client_secret") != "" {
		return !form.Has("client_assertion") && !form.Has("client_assertion_type")
	}
	return !form.Has("client_secret") && form.Get("client_assertion") != "" && form.Get("client_assertion_type") == assertionType
}

// isOnlyScope reports whether the scopes are want and some of the three that MSAL adds, each once.
func isOnlyScope(scopes, want string) bool {
	allowed := map[string]bool{want: true, "openid": true, "offline_access": true, "profile": true}
	for s := range strings.SplitSeq(scopes, " ") {
		if !allowed[s] {
			return false
		}
		delete(allowed, s)
	}
	return !allowed[want]
}

// repeated reports whether a parameter appears twice (RFC 6749, section 3.2), also in
// another spelling that a server may take for the same: "GRANT_TYPE", "grant_type[]".
func repeated(form url.Values) bool {
	seen := make(map[string]bool)
	for name, values := range form {
		name = strings.Map(func(r rune) rune {
			if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
				return r
			}
			return -1
		}, strings.ToLower(strings.ToUpper(name)))
		if len(values) != 1 || seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}
