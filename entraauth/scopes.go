package entraauth

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A hierarchy has the broader scopes of each scope that is implied, however many steps lie
// between them. It is complete from the start, so that a check is one look-up and no
// allocation. A nil hierarchy implies nothing.
type hierarchy map[string][]string

// newHierarchy returns the hierarchy of [Options].ImpliedScopes, and reports its faults.
func newHierarchy(implied map[string][]string, fault func(field string, err error)) hierarchy {
	broader := slices.Sorted(maps.Keys(implied))
	for _, broad := range broader {
		checkImplied(broad, implied[broad], fault)
	}
	found := cycles(implied)
	for _, cycle := range found {
		fault("ImpliedScopes", fmt.Errorf("%s is a cycle, and no scope is broader than itself; remove one of them", strings.Join(cycle, " implies ")))
	}
	if len(implied) == 0 || len(found) > 0 {
		return nil
	}
	h := make(hierarchy)
	for _, broad := range broader {
		for narrow := range reachable(implied, broad) {
			h[narrow] = append(h[narrow], broad)
		}
	}
	return h
}

// checkImplied reports what is wrong with one entry by itself.
func checkImplied(broad string, narrower []string, fault func(field string, err error)) {
	field := fmt.Sprintf("ImpliedScopes[%q]", broad)
	fault("ImpliedScopes", checkScope(broad))
	if len(narrower) == 0 {
		fault(field, errors.New("the list is empty, so it implies nothing; name a scope, or leave the entry out"))
	}
	for i, narrow := range narrower {
		fault(field, checkScope(narrow))
		switch {
		case slices.Contains(narrower[:i], narrow):
			fault(field, fmt.Errorf("%q is there twice; list it once", narrow))
		case narrow == broad:
			fault(field, fmt.Errorf("%q implies itself; list the scopes that are narrower", narrow))
		}
	}
}

// reachable returns the scopes that a scope implies, in one step or more.
func reachable(implied map[string][]string, broad string) map[string]bool {
	found := make(map[string]bool)
	next := []string{broad}
	for len(next) > 0 {
		last := len(next) - 1
		scope := next[last]
		next = next[:last]
		for _, narrow := range implied[scope] {
			if !found[narrow] {
				found[narrow] = true
				next = append(next, narrow)
			}
		}
	}
	return found
}

// cycles returns cycles that share no scope, with the first scope repeated at the end: where
// many overlap, one is enough to see why. A scope that implies itself is a fault of its own.
func cycles(implied map[string][]string) (found [][]string) {
	done, told := make(map[string]bool), make(map[string]bool)
	var path []string
	var visit func(scope string)
	visit = func(scope string) {
		if i := slices.Index(path, scope); i >= 0 {
			isTold := func(scope string) bool { return told[scope] }
			if i < len(path)-1 && !slices.ContainsFunc(path[i:], isTold) {
				found = append(found, append(slices.Clone(path[i:]), scope))
				for _, scope := range path[i:] {
					told[scope] = true
				}
			}
			return
		}
		if done[scope] {
			return
		}
		path = append(path, scope)
		for _, narrow := range implied[scope] {
			visit(narrow)
		}
		path = path[:len(path)-1]
		done[scope] = true
	}
	for _, scope := range slices.Sorted(maps.Keys(implied)) {
		visit(scope)
	}
	return found
}

// has reports whether the scopes have this one or a broader one.
func (h hierarchy) has(scopes []string, scope string) bool {
	return slices.Contains(scopes, scope) || h.implied(scopes, scope)
}

// implied reports whether one of the scopes is broader than this one.
func (h hierarchy) implied(scopes []string, scope string) bool {
	for _, broad := range h[scope] {
		if slices.Contains(scopes, broad) {
			return true
		}
	}
	return false
}

// implies reports whether the scope is broader than one of the others.
func (h hierarchy) implies(scope string, others []string) bool {
	return slices.ContainsFunc(others, func(other string) bool { return slices.Contains(h[other], scope) })
}

// A scopeNeed is what one policy requires: all scopes of one list, and one of another.
type scopeNeed struct{ all, oneOf []string }

// spares reports whether the need is still met without the scope. The set has all that its
// members imply.
func (n *scopeNeed) spares(set []string, scope string) bool {
	remains := func(other string) bool { return other != scope && slices.Contains(set, other) }
	return !slices.Contains(n.all, scope) && (!slices.Contains(n.oneOf, scope) || slices.ContainsFunc(n.oneOf, remains))
}

// narrowest returns scopes that meet all needs, in the order in which the needs name them.
// Neither a part of them nor narrower ones would do. Of alternatives it takes the narrowest,
// or the first of several.
//
// The set always has all that its members imply. So it is the least possible when none of
// those at its top, which no other implies, can be left out.
func (h hierarchy) narrowest(needs []scopeNeed) []string {
	var set, wanted []string
	for _, n := range needs {
		for _, scope := range slices.Concat(n.all, n.oneOf) {
			if !slices.Contains(set, scope) {
				set = append(set, scope)
			}
		}
		wanted = append(wanted, n.all...)
		if i := slices.IndexFunc(n.oneOf, func(scope string) bool { return !h.implies(scope, n.oneOf) }); i >= 0 {
			wanted = append(wanted, n.oneOf[i])
		}
	}
	set = slices.DeleteFunc(set, func(scope string) bool { return !h.has(wanted, scope) })
	for i := len(set) - 1; i >= 0; i-- {
		needed := func(n scopeNeed) bool { return !n.spares(set, set[i]) }
		if !h.implied(set, set[i]) && !slices.ContainsFunc(needs, needed) {
			set = slices.Delete(set, i, i+1)
			i = len(set) // what it implied may be at the top now
		}
	}
	if h == nil {
		return set
	}
	return slices.DeleteFunc(slices.Clone(set), func(scope string) bool { return h.implied(set, scope) })
}
