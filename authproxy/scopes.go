package authproxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A scopeSet holds the scopes of the API behind the proxy. Within the proxy, a scope goes by its
// short name, as in the claim scp: "access_as_user".
type scopeSet struct {
	full  []string // as configured; the first is the default
	names []string // the short names, likewise
	appID string   // of the API
	self  bool     // the proxy's app is the API's
}

// newScopeSet checks the scopes of the API with the App ID URIs.
func newScopeSet(full []string, appID string, uris []string, self bool) (*scopeSet, error) {
	s := &scopeSet{full: slices.Clone(full), appID: appID, self: self}
	var faults []error
	if len(full) == 0 {
		faults = append(faults, errors.New("there are none, and users sign in for scopes; name one in the verifier's policy"))
	}
	for _, scope := range full {
		prefix, name := cutScope(scope)
		switch {
		case prefix == "" || name == "" || name == ".default" || strings.ContainsFunc(scope, notScopeChar):
			faults = append(faults, fmt.Errorf("%q is not a scope in full form, such as api://%s/access_as_user", scope, appID))
		case !strings.EqualFold(prefix, appID) && !slices.Contains(uris, prefix):
			faults = append(faults, fmt.Errorf("%q is not a scope of the verifier's API, whose App ID URIs are %s", scope, strings.Join(uris, ", ")))
		case slices.Contains(s.names, name):
			faults = append(faults, fmt.Errorf("there are two scopes %q; list each name once", name))
		}
		s.names = append(s.names, name)
	}
	return s, errors.Join(faults...)
}

// notScopeChar reports whether the character can't be in a scope (RFC 6749, section 3.3).
func notScopeChar(r rune) bool { return r <= ' ' || r == '"' || r == '\\' || r > '~' }

// cutScope cuts a scope at its last slash. A bare scope has no prefix.
func cutScope(scope string) (prefix, name string) {
	i := strings.LastIndexByte(scope, '/')
	return scope[:max(i, 0)], scope[i+1:]
}

// pick returns the short names of our scopes in a client's scope parameter: bare, in full, or
// with the API's application ID. All others are dropped: openid and the like, because there are
// no ID tokens; foreign ones, because the token would be for another API.
func (s *scopeSet) pick(parameter string) []string {
	var names []string
	for scope := range strings.FieldsSeq(parameter) {
		if name := s.nameOf(scope); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// nameOf returns the short name of a scope of ours, or "".
func (s *scopeSet) nameOf(scope string) string {
	prefix, name := cutScope(scope)
	i := slices.Index(s.names, name)
	if i < 0 || prefix != "" && scope != s.full[i] && !strings.EqualFold(prefix, s.appID) {
		return ""
	}
	return name
}

// ours returns those of the names that are scopes of ours.
func (s *scopeSet) ours(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(s.names, name) })
}

// fullForm returns the scopes as clients know them. It leaves out names that are not ours.
func (s *scopeSet) fullForm(names []string) []string {
	var full []string
	for _, name := range names {
		if i := slices.Index(s.names, name); i >= 0 {
			full = append(full, s.full[i])
		}
	}
	return full
}

// ofToken returns the scopes of a token in full form. Those that Options.Scopes lacks have the
// prefix of the default one.
func (s *scopeSet) ofToken(names []string) []string {
	prefix, _ := cutScope(s.full[0])
	full := make([]string, len(names))
	for i, name := range names {
		full[i] = prefix + "/" + name
		if ours := s.fullForm([]string{name}); len(ours) > 0 {
			full[i] = ours[0]
		}
	}
	return full
}

// entraForm returns the scopes as Entra expects them: an app must name itself by its client ID
// (AADSTS90009).
func (s *scopeSet) entraForm(names []string) []string {
	if !s.self {
		return s.fullForm(names)
	}
	scopes := s.ours(names)
	for i, name := range scopes {
		scopes[i] = s.appID + "/" + name
	}
	return scopes
}

// offlineAccess is the scope that asks for a refresh token.
const offlineAccess = "offline_access"

// forToken returns the scope parameter of a token request to Entra.
func (s *scopeSet) forToken(names []string, refresh bool) string {
	scopes := s.entraForm(names)
	if refresh {
		scopes = append(scopes, offlineAccess)
	}
	return strings.Join(scopes, " ")
}
