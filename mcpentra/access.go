package mcpentra

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
)

// access is who may use what. Except for what tool sets bring along, it is immutable
// once the server is made.
type access struct {
	tools, resources, prompts []rule
	// standsFor are of the tool sets: the tool that a resource stands for, or "".
	standsFor []func(uri string) string
	brought   atomic.Pointer[broughtRules] // see broughtNow
}

// broughtRules are what tool sets bring along, also later than [NewServer], while requests
// are served: they are replaced, never changed.
type broughtRules struct {
	tools     []rule
	standsFor []func(uri string) string
}

func (a *access) broughtNow() *broughtRules {
	if b := a.brought.Load(); b != nil {
		return b
	}
	return &broughtRules{}
}

// bring adds what a tool set brings along. It is not called concurrently.
func (a *access) bring(tools []rule, standsFor ...func(uri string) string) {
	old := a.broughtNow()
	a.brought.Store(&broughtRules{slices.Concat(old.tools, tools), slices.Concat(old.standsFor, standsFor)})
}

// A rule is a policy for whatever matches a pattern.
type rule struct {
	resourceuri.Pattern
	policy entraauth.Policy
}

// rules are those of the options for things of that kind.
func (a *access) rules(k kind) *[]rule {
	switch k {
	case tool:
		return &a.tools
	case prompt:
		return &a.prompts
	case resource, template:
	}
	return &a.resources
}

// isFree reports whether nobody needs more than the verifier's policy.
func (a *access) isFree() bool {
	return len(a.tools)+len(a.resources)+len(a.prompts)+len(a.broughtNow().tools) == 0
}

// visit shows the policies that the target needs beyond the verifier's own; for a
// resource, those of every reading of its URI.
func (a *access) visit(t target, show func(*entraauth.Policy)) {
	switch t.kind {
	case tool:
		showMatching(a.tools, show, t.name)
		showMatching(a.broughtNow().tools, show, t.name)
	case prompt:
		showMatching(a.prompts, show, t.name)
	case resource:
		all, complete := resourceuri.Readings(t.name)
		showHolding(a.resources, show, all, complete)
		a.visitTools(append(all, t.name), show)
	case template:
		showCovering(a.resources, show, t.name)
		a.visitTools([]string{resourceuri.CanonicalTemplate(t.name), t.name}, show)
	}
}

// showHolding shows the policies of the rules that hold for a URI, by its readings.
func showHolding(rules []rule, show func(*entraauth.Policy), readings []string, complete bool) {
	for i := range rules {
		if !complete || rules[i].Matches(readings...) {
			show(&rules[i].policy)
		}
	}
}

// showCovering shows those of the rules that hold for all URIs of a template.
func showCovering(rules []rule, show func(*entraauth.Policy), template string) {
	for i := range rules {
		if rules[i].MatchesAll(template) {
			show(&rules[i].policy)
		}
	}
}

func showMatching(rules []rule, show func(*entraauth.Policy), name string) {
	for i := range rules {
		if rules[i].Matches(name) {
			show(&rules[i].policy)
		}
	}
}

// visitTools visits the tools that a resource stands for.
func (a *access) visitTools(uris []string, show func(*entraauth.Policy)) {
	for _, name := range a.toolsFor(uris...) {
		a.visit(target{tool, name}, show)
	}
}

// toolsFor returns the tools that a resource stands for, by all of its readings.
func (a *access) toolsFor(uris ...string) (names []string) {
	for _, list := range [][]func(string) string{a.standsFor, a.broughtNow().standsFor} {
		for _, toolFor := range list {
			for _, uri := range uris {
				if name := toolFor(uri); name != "" && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// A denial is why a caller may not do what a request asks for.
type denial struct {
	refusal *entraauth.Error
	targets []target         // what the request wants to use
	needs   entraauth.Policy // all scopes that it takes
}

// Error implements error: the text for the caller.
func (d *denial) Error() string { return d.refusal.Error() }

// Unwrap returns the refusal.
func (d *denial) Unwrap() error { return d.refusal }

// decide returns nil if the caller may use all targets. It is asked twice for a
// request: before dispatch, of what the body seems to say, and by the receiving
// middleware, of what the SDK has read.
//
// Of several reasons it gives the one that no new token helps against, if there
// is such: a client that signs in anew only to be refused again is worse off.
func (a *access) decide(id *entraauth.Identity, targets []target) *denial {
	return deny(id, targets, func(show func(*entraauth.Policy)) {
		for _, t := range targets {
			a.visit(t, show)
		}
	})
}

// deny returns the denial by the policies that visit shows, or nil if the caller meets
// them all.
func deny(id *entraauth.Identity, targets []target, visit func(show func(*entraauth.Policy))) *denial {
	var worst *entraauth.Error
	visit(func(p *entraauth.Policy) {
		if e, ok := errors.AsType[*entraauth.Error](p.Check(id)); ok && (worst == nil || remediable(worst) && !remediable(e)) {
			worst = e
		}
	})
	if worst == nil {
		return nil
	}
	d := &denial{refusal: worst, targets: targets}
	visit(d.addScopes)
	return d
}

// remediable reports whether a new token of the same user may help.
func remediable(e *entraauth.Error) bool { return !errors.Is(e.Kind, entraauth.ErrNotPermitted) }

// addScopes adds the scopes that a challenge must ask for: of any-of lists the
// first, unless another is wanted anyway.
func (d *denial) addScopes(p *entraauth.Policy) {
	wanted := func(scope string) bool { return slices.Contains(d.needs.Scopes, scope) }
	for _, scope := range p.Scopes {
		if !wanted(scope) {
			d.needs.Scopes = append(d.needs.Scopes, scope)
		}
	}
	if len(p.AnyScope) > 0 && !slices.ContainsFunc(p.AnyScope, wanted) {
		d.needs.Scopes = append(d.needs.Scopes, p.AnyScope[0])
	}
}

// shows reports whether lists show the target to the caller: what it may use, and
// what a user may use after asking for more scopes or a stronger sign-in. Were
// that hidden, no client would ever ask.
func (a *access) shows(id *entraauth.Identity, t target) bool {
	d := a.decide(id, []target{t})
	return d == nil || obtainable(id, d.refusal)
}

// obtainable reports whether the caller may use what it was refused after asking for
// more.
func obtainable(id *entraauth.Identity, e *entraauth.Error) bool {
	return id != nil && id.Kind() == entraauth.KindUser && remediable(e)
}

// filter takes out of a listing what the caller may not use, and reports whether the
// result is one.
func (a *access) filter(id *entraauth.Identity, result mcp.Result) bool {
	switch r := result.(type) {
	case *mcp.ListToolsResult:
		r.Tools = keep(r.Tools, func(t *mcp.Tool) bool { return a.shows(id, target{tool, t.Name}) })
	case *mcp.ListResourcesResult:
		r.Resources = keep(r.Resources, func(x *mcp.Resource) bool { return a.shows(id, target{resource, x.URI}) })
	case *mcp.ListResourceTemplatesResult:
		r.ResourceTemplates = keep(r.ResourceTemplates, func(x *mcp.ResourceTemplate) bool {
			return a.shows(id, target{template, x.URITemplate})
		})
	case *mcp.ListPromptsResult:
		r.Prompts = keep(r.Prompts, func(x *mcp.Prompt) bool { return a.shows(id, target{prompt, x.Name}) })
	default:
		return false
	}
	return true
}

// keep returns those that pass, in a slice of their own: never null in JSON.
func keep[T any](all []T, pass func(T) bool) []T {
	some := make([]T, 0, len(all))
	for _, x := range all {
		if pass(x) {
			some = append(some, x)
		}
	}
	return some
}

// A usage is what the answer to a request depends on: the policies that admitted its
// caller to what it uses or lists. Whatever is sent for the request, now or when its
// stream is resumed, goes only to callers who meet them. There are never more of them
// than the server has. A nil usage notes nothing.
type usage struct {
	mu       sync.Mutex
	policies []*entraauth.Policy
	one      [1]*entraauth.Policy // memory of policies
}

// note adds a policy that the caller meets.
func (u *usage) note(p *entraauth.Policy) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.policies == nil {
		u.policies = u.one[:0]
	}
	if !slices.Contains(u.policies, p) {
		u.policies = append(u.policies, p)
	}
}

// noteMet adds the policies of the rules that the caller meets.
func (u *usage) noteMet(id *entraauth.Identity, rules []rule) {
	for i := range rules {
		if rules[i].policy.Check(id) == nil {
			u.note(&rules[i].policy)
		}
	}
}

// decide returns nil if the caller may have what is sent for the request.
func (u *usage) decide(id *entraauth.Identity) *denial {
	u.mu.Lock()
	policies := slices.Clone(u.policies)
	u.mu.Unlock()
	return deny(id, nil, func(show func(*entraauth.Policy)) {
		for _, p := range policies {
			show(p)
		}
	})
}

// noteUse notes that the caller may use the targets.
func (a *access) noteUse(u *usage, targets ...target) {
	if u == nil {
		return
	}
	for _, t := range targets {
		a.visit(t, u.note)
	}
}

// noteView notes that the answer is what this caller is shown of a list, which depends on
// all policies.
func (a *access) noteView(u *usage, id *entraauth.Identity) {
	if u == nil {
		return
	}
	for _, rules := range [][]rule{a.tools, a.resources, a.prompts, a.broughtNow().tools} {
		u.noteMet(id, rules)
	}
}

// noteResources notes that the answer has what this caller may use of the resources,
// whatever tool shows them.
func (a *access) noteResources(u *usage, id *entraauth.Identity) {
	if u != nil {
		u.noteMet(id, a.resources)
	}
}
