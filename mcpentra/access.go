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

// access decides who may use what. It does not change after NewServer, except for what
// tool sets bring later.
type access struct {
	tools, resources, prompts []rule
	// standsFor are the tool sets' functions from a resource to the tool that it stands
	// for, or "".
	standsFor []func(uri string) string
	brought   atomic.Pointer[broughtRules] // see broughtNow
}

// broughtRules are what tool sets bring, possibly while requests are served. They are
// replaced, never changed.
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

// bring adds what a tool set brings. It is not called concurrently.
func (a *access) bring(tools []rule, standsFor ...func(uri string) string) {
	old := a.broughtNow()
	a.brought.Store(&broughtRules{slices.Concat(old.tools, tools), slices.Concat(old.standsFor, standsFor)})
}

// A rule is a policy for whatever matches a pattern.
type rule struct {
	resourceuri.Pattern
	policy entraauth.Policy
}

// rules returns the options' rules for that kind.
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

// isFree reports whether there are no policies but the verifier's.
func (a *access) isFree() bool {
	return len(a.tools)+len(a.resources)+len(a.prompts)+len(a.broughtNow().tools) == 0
}

// visit calls show with each policy that applies to the target; for a resource, with
// those for every reading of its URI.
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

// showHolding calls show with the policies that apply to a URI with these readings.
func showHolding(rules []rule, show func(*entraauth.Policy), readings []string, complete bool) {
	for i := range rules {
		if !complete || rules[i].Matches(readings...) {
			show(&rules[i].policy)
		}
	}
}

// showCovering calls show with the policies that apply to all URIs of a template.
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

// toolsFor returns the tools that a resource with these readings stands for.
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
	targets []target            // what the request wants to use
	needs   []*entraauth.Policy // all that apply to it
}

// Error implements error: the text for the caller.
func (d *denial) Error() string { return d.refusal.Error() }

// Unwrap returns the refusal.
func (d *denial) Unwrap() error { return d.refusal }

// decide returns nil if the caller may use all targets. It runs twice for a request:
// before dispatch, with what the body seems to say, and in the receiving middleware, with
// what the SDK has read.
//
// Failures that a new token cannot fix are reported first: otherwise the client would
// sign in again only to be refused again.
func (a *access) decide(id *entraauth.Identity, targets []target) *denial {
	return deny(id, targets, func(show func(*entraauth.Policy)) {
		for _, t := range targets {
			a.visit(t, show)
		}
	})
}

// deny returns the denial if the caller fails a policy that visit shows.
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
	visit(d.need)
	return d
}

// remediable reports whether a new token of the same user may help.
func remediable(e *entraauth.Error) bool { return !errors.Is(e.Kind, entraauth.ErrNotPermitted) }

// need notes a policy whose scopes the challenge must ask for.
func (d *denial) need(p *entraauth.Policy) {
	if !slices.Contains(d.needs, p) {
		d.needs = append(d.needs, p)
	}
}

// scopes returns what the challenge asks for: the scopes that meet all policies at once.
func (d *denial) scopes(v *entraauth.Verifier, resource string) []string {
	all := make([]entraauth.Policy, len(d.needs))
	for i, p := range d.needs {
		all[i] = *p
	}
	return v.ScopesFor(resource, all...)
}

// shows reports whether lists show the target to the caller. They show what the caller
// may use, and what a user may use with more scopes or a stronger sign-in: if that were
// hidden, no client would ask for it.
func (a *access) shows(id *entraauth.Identity, t target) bool {
	d := a.decide(id, []target{t})
	return d == nil || obtainable(id, d.refusal)
}

// obtainable reports whether the caller can fix the refusal by asking for more.
func obtainable(id *entraauth.Identity, e *entraauth.Error) bool {
	return id != nil && id.Kind() == entraauth.KindUser && remediable(e)
}

// filter removes what the caller may not use from a list, and reports whether the result
// is a list.
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

// keep returns the elements that pass, in a new slice that is never null in JSON.
func keep[T any](all []T, pass func(T) bool) []T {
	some := make([]T, 0, len(all))
	for _, x := range all {
		if pass(x) {
			some = append(some, x)
		}
	}
	return some
}

// A usage is the policies that the answer to a request depends on: those that let its
// caller use or list what it does. Everything sent for the request, now or when its
// stream is resumed, goes only to callers who meet them. A nil usage notes nothing.
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
func (u *usage) decide(id *entraauth.Identity) *denial { return decideAll(id, []*usage{u}) }

// decideAll returns nil if the caller may have what is sent for each of the requests.
func decideAll(id *entraauth.Identity, usages []*usage) *denial {
	var policies []*entraauth.Policy
	for _, u := range usages {
		u.mu.Lock()
		policies = append(policies, u.policies...)
		u.mu.Unlock()
	}
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

// noteView notes that the answer is this caller's view of a list, which depends on all
// policies.
func (a *access) noteView(u *usage, id *entraauth.Identity) {
	if u == nil {
		return
	}
	for _, rules := range [][]rule{a.tools, a.resources, a.prompts, a.broughtNow().tools} {
		u.noteMet(id, rules)
	}
}

// noteResources notes that the answer depends on which resources this caller may use.
func (a *access) noteResources(u *usage, id *entraauth.Identity) {
	if u != nil {
		u.noteMet(id, a.resources)
	}
}
