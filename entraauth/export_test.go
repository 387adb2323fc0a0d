package entraauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// RuleNames are all rules that can be taken out of the list.
func RuleNames() []string {
	var names []string
	for _, r := range rules {
		names = append(names, r.name)
	}
	return names
}

// DisableRule takes a rule out of the list and returns how to put it back. Tests
// prove with it that their tokens would be accepted without the rule.
func DisableRule(name string) (restore func()) {
	whole := rules
	i := slices.IndexFunc(whole, func(r rule) bool { return r.name == name })
	rules = slices.Delete(slices.Clone(whole), i, i+1)
	return func() { rules = whole }
}

// AgentRules are functions that each disable one decision about agents, and return a
// function that restores it.
func AgentRules() map[string]func() (restore func()) {
	all := map[string]func() func(){}
	for _, name := range []string{"agent claims", "agent"} {
		all[name] = func() func() { return DisableRule(name) }
	}
	for i, c := range contradictions {
		all[c.expected] = func() func() {
			contradictions[i].holds = func(*claims) bool { return false }
			return func() { contradictions[i].holds = c.holds }
		}
	}
	return all
}

// Reasons are all reason codes with their summaries.
func Reasons() map[string]string { return summaries }

// CachedTokens is how many verified tokens are remembered.
func (v *Verifier) CachedTokens() int { return v.tokens.Len() }

// Members returns the members of a JSON object as the claims of a token are read.
func Members(text string) (map[string]string, error) {
	all := map[string]string{}
	err := eachMember(text, func(name, value string) error {
		all[name] = value
		return nil
	})
	return all, err
}

// Facets returns which of the numbers that decide are in facets, a JSON value.
func Facets(value string) (agent, agentUser bool, err error) {
	f, err := readFacets(value)
	return f.agent, f.agentUser, err
}

// ErrNotJSON is the error of Members for a text that breaks the grammar.
var ErrNotJSON = errNotJSON

// Implying returns a verifier with this hierarchy and policy, and nothing that fetches
// keys: tests need thousands. Its callers are those of CallerWith.
func Implying(implied map[string][]string, p Policy) (*Verifier, error) {
	var faults []error
	v := &Verifier{policy: p, api: application{uris: []string{"api://x"}}}
	v.implied = newHierarchy(implied, func(field string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", field, err))
		}
	})
	return v, errors.Join(faults...)
}

// CallerWith is a user with a token that has these scopes.
func (v *Verifier) CallerWith(scopes ...string) *Identity {
	return &Identity{kind: KindUser, scopes: scopes, implied: v.implied}
}

// ShortScopesFor is ScopesFor without what precedes the names.
func (v *Verifier) ShortScopesFor(policies ...Policy) []string {
	scopes := v.ScopesFor("", policies...)
	for i, scope := range scopes {
		scopes[i] = strings.TrimPrefix(scope, v.api.scopePrefix(""))
	}
	return scopes
}
