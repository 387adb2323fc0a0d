package entraauth_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// graphScopes are the scopes of the graphs below. Subsets of them are bits of an int.
const graphScopes = "abcdefg"

// A graph says which scope implies which, in one step: each pair of bytes is an arrow.
type graph [len(graphScopes)][len(graphScopes)]bool

func readGraph(data []byte) (g graph) {
	for ; len(data) >= 2; data = data[2:] {
		g[int(data[0])%len(g)][int(data[1])%len(g)] = true
	}
	return g
}

func (g graph) implied() map[string][]string {
	m := map[string][]string{}
	for i := range g {
		for j, arrow := range g[i] {
			if arrow {
				m[graphScopes[i:i+1]] = append(m[graphScopes[i:i+1]], graphScopes[j:j+1])
			}
		}
	}
	return m
}

// closed adds all arrows that follow from others (Warshall).
func (g graph) closed() graph {
	for k := range g {
		for i := range g {
			for j := range g {
				g[i][j] = g[i][j] || g[i][k] && g[k][j]
			}
		}
	}
	return g
}

// with returns the set with all that its members imply. The graph is closed.
func (g graph) with(set int) int {
	for i := range g {
		for j := range g {
			if set&(1<<i) != 0 && g[i][j] {
				set |= 1 << j
			}
		}
	}
	return set
}

func scopesOf(set int) (names []string) {
	for i := range graphScopes {
		if set&(1<<i) != 0 {
			names = append(names, graphScopes[i:i+1])
		}
	}
	return names
}

func setOf(names []string) (set int) {
	for _, name := range names {
		set |= 1 << strings.Index(graphScopes, name)
	}
	return set
}

// checkGraph checks that a graph with a cycle is refused by that cycle's name, and that on
// any other a token has exactly what it implies.
func checkGraph(t *testing.T, g graph) {
	t.Helper()
	implied, all := g.implied(), g.closed()
	cyclic := false
	for i := range all {
		cyclic = cyclic || all[i][i]
	}
	v, err := entraauth.Implying(implied, entraauth.Policy{})
	if cyclic != (err != nil) {
		t.Fatalf("%v: faults %v, want some: %v", implied, err, cyclic)
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			if cycle, _, ok := strings.Cut(strings.TrimPrefix(line, "ImpliedScopes: "), " is a cycle"); ok {
				checkCycle(t, g, strings.Split(cycle, " implies "))
			}
		}
		return
	}
	for set := range 1 << len(graphScopes) {
		id := v.CallerWith(scopesOf(set)...)
		for i := range graphScopes {
			if got, want := id.HasScope(graphScopes[i:i+1]), all.with(set)&(1<<i) != 0; got != want {
				t.Fatalf("%v: a token with %v: HasScope(%c) = %v, want %v", implied, id.Scopes(), graphScopes[i], got, want)
			}
		}
	}
}

func checkCycle(t *testing.T, g graph, cycle []string) {
	t.Helper()
	for i := range len(cycle) - 1 {
		if !g[strings.Index(graphScopes, cycle[i])][strings.Index(graphScopes, cycle[i+1])] {
			t.Errorf("%v: the cycle %v has a step that is none", g.implied(), cycle)
		}
	}
	if len(cycle) < 3 || cycle[0] != cycle[len(cycle)-1] {
		t.Errorf("%v: the cycle %v does not end where it began", g.implied(), cycle)
	}
}

// Whatever a hierarchy looks like, it is refused for its cycles, or is complete.
func FuzzImpliedScopes(f *testing.F) {
	for _, seed := range []string{"", "ab", "abba", "aa", "abbccddeefga", "abacbdcd", "gfedcbag"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkGraph(t, readGraph(data)) })
}

// A token with exactly the scopes of a challenge passes, and none with less does: neither
// with a part of them nor with narrower ones. Both over thousands of random hierarchies and
// policies.
func TestNoLessThanTheChallengePasses(t *testing.T) {
	t.Parallel()
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		var g graph
		for range random.IntN(9) { // broader scopes come first: no cycles
			if i, j := random.IntN(len(g)), random.IntN(len(g)); i < j {
				g[i][j] = true
			}
		}
		checkGraph(t, g)
		policies := make([]entraauth.Policy, 1+random.IntN(3))
		for i := range policies {
			policies[i] = entraauth.Policy{Scopes: shuffled(random, random.IntN(3)), AnyScope: shuffled(random, random.IntN(4))}
		}
		checkNarrowest(t, g, policies)
	}
}

func shuffled(random *rand.Rand, n int) (names []string) {
	for _, i := range random.Perm(len(graphScopes))[:n] {
		names = append(names, graphScopes[i:i+1])
	}
	return names
}

func checkNarrowest(t *testing.T, g graph, policies []entraauth.Policy) {
	t.Helper()
	v, err := entraauth.Implying(g.implied(), policies[0])
	if err != nil {
		t.Fatal(err)
	}
	pass := func(scopes []string) bool {
		id := v.CallerWith(scopes...)
		return !slices.ContainsFunc(policies, func(p entraauth.Policy) bool { return p.Check(id) != nil })
	}
	given := fmt.Sprintf("hierarchy %v, policies %+v", g.implied(), policies)
	challenge := v.ShortScopesFor(policies[1:]...)
	if !pass(challenge) {
		t.Fatalf("%s: a token with the challenge's scopes %v is refused, want it to pass", given, challenge)
	}
	all := g.closed()
	whole := all.with(setOf(challenge))
	for set := range 1 << len(graphScopes) {
		if less := all.with(set); less&^whole == 0 && less != whole && pass(scopesOf(set)) {
			t.Fatalf("%s: the challenge asks for %v, and %v would do", given, challenge, scopesOf(set))
		}
	}
	for _, scope := range challenge {
		others := slices.DeleteFunc(slices.Clone(challenge), func(s string) bool { return s == scope })
		if v.CallerWith(others...).HasScope(scope) {
			t.Fatalf("%s: the challenge %v asks for %s, which the others imply", given, challenge, scope)
		}
	}
}
