package mcpentra

import (
	"errors"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// access is who may use what. It is immutable once the server is made.
type access struct {
	tools, resources, prompts []rule
	// standsFor are of the tool sets: the tool that a resource stands for, or "".
	standsFor []func(uri string) string
}

// kind is what a request uses.
type kind int

const (
	tool kind = iota
	resource
	prompt
)

// A target is one thing that a request uses: a tool or prompt by name, a resource
// by URI or template.
type target struct {
	kind kind
	name string
}

// isFree reports whether nobody needs more than the verifier's policy.
func (a *access) isFree() bool { return len(a.tools)+len(a.resources)+len(a.prompts) == 0 }

// visit shows the policies that the target needs besides the verifier's own.
func (a *access) visit(t target, show func(*entraauth.Policy)) {
	rules := a.tools
	switch t.kind {
	case resource:
		rules = a.resources
		for _, toolFor := range a.standsFor {
			if name := toolFor(t.name); name != "" {
				a.visit(target{tool, name}, show)
			}
		}
	case prompt:
		rules = a.prompts
	}
	for i := range rules {
		if rules[i].matches(t.name) {
			show(&rules[i].policy)
		}
	}
}

// A denial is why a caller may not do what a request asks for.
type denial struct {
	refusal *entraauth.Error
	targets []target         // what the request wants to use
	needs   entraauth.Policy // all scopes that it takes
}

// decide returns nil if the caller may use all targets. It is asked twice for a
// request: before dispatch, of what the body seems to say, and by the receiving
// middleware, of what the SDK has read.
//
// Of several reasons it gives the one that no new token helps against, if there
// is such: a client that signs in anew only to be refused again is worse off.
func (a *access) decide(id *entraauth.Identity, targets []target) *denial {
	var worst *entraauth.Error
	for _, t := range targets {
		a.visit(t, func(p *entraauth.Policy) {
			if e, ok := errors.AsType[*entraauth.Error](p.Check(id)); ok && (worst == nil || remediable(worst) && !remediable(e)) {
				worst = e
			}
		})
	}
	if worst == nil {
		return nil
	}
	d := &denial{refusal: worst, targets: targets}
	for _, t := range targets {
		a.visit(t, d.addScopes)
	}
	return d
}

// remediable reports whether a new token of the same user may help.
func remediable(e *entraauth.Error) bool { return !errors.Is(e.Kind, entraauth.ErrNotPermitted) }

// addScopes adds the scopes that a challenge must ask for: of any-of lists the
// first, unless another is wanted anyway.
func (d *denial) addScopes(p *entraauth.Policy) {
	d.needs.Scopes = append(d.needs.Scopes, p.Scopes...)
	wanted := func(scope string) bool { return slices.Contains(d.needs.Scopes, scope) }
	if len(p.AnyScope) > 0 && !slices.ContainsFunc(p.AnyScope, wanted) {
		d.needs.Scopes = append(d.needs.Scopes, p.AnyScope[0])
	}
}

// shows reports whether lists show the target to the caller: what it may use, and
// what a user may use after asking for more scopes or a stronger sign-in. Were
// that hidden, no client would ever ask.
func (a *access) shows(id *entraauth.Identity, t target) bool {
	d := a.decide(id, []target{t})
	return d == nil || id != nil && id.Kind() == entraauth.User && remediable(d.refusal)
}

// filter takes out of a listing what the caller may not use.
func (a *access) filter(id *entraauth.Identity, result mcp.Result) {
	switch r := result.(type) {
	case *mcp.ListToolsResult:
		r.Tools = keep(r.Tools, func(t *mcp.Tool) bool { return a.shows(id, target{tool, t.Name}) })
	case *mcp.ListResourcesResult:
		r.Resources = keep(r.Resources, func(x *mcp.Resource) bool { return a.shows(id, target{resource, x.URI}) })
	case *mcp.ListResourceTemplatesResult:
		r.ResourceTemplates = keep(r.ResourceTemplates, func(x *mcp.ResourceTemplate) bool {
			return a.shows(id, target{resource, x.URITemplate})
		})
	case *mcp.ListPromptsResult:
		r.Prompts = keep(r.Prompts, func(x *mcp.Prompt) bool { return a.shows(id, target{prompt, x.Name}) })
	}
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
