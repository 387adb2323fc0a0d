package mcpentra

import (
	"context"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
)

// MayUseResource returns nil if the policies of [WithResourcePolicy] let the caller of
// this tool call use the resource with that URI, and otherwise an error that says why
// not. Call it in a tool whose results are also resources; otherwise the policy closes
// the resource, and the tool still shows it:
//
//	if err := mcpentra.MayUseResource(ctx, "note://team/"+url.PathEscape(in.Name)); err != nil {
//		return nil, out, err
//	}
//
// The call is then answered as resources/read is: with the status and the challenge
// that a client acts on, as long as no part of the answer has been sent. A tool that
// lists should leave out what is refused. The policies of tools are not checked again,
// and a server without resource policies allows every resource. Outside of a call the
// error is [ErrNoCaller].
func MayUseResource(ctx context.Context, uri string) error {
	m := messageOf(ctx)
	if m == nil || m.caller == nil {
		return ErrNoCaller
	}
	policy := m.Resources()
	if policy == nil {
		return nil
	}
	return policy.Refuse(strings.ReplaceAll(uri, "{", "%7B")) // a URI, never a template
}

// refusesResources returns why the caller may not use a resource, by URI or template;
// nil if everything may be used. A refusal asks for all scopes that the
// request takes, and has the targets that the request names.
//
// Only rules for resources count: those for the tool have been asked, and would be
// asked forever if the resource stood for a tool.
func (a *access) refusesResources(id *entraauth.Identity, method string, targets []target) func(uri string) error {
	var failed []rule
	for _, r := range a.resources {
		if d := deny(id, nil, func(show func(*entraauth.Policy)) { show(&r.policy) }); d != nil &&
			(method != listResources || !obtainable(id, d.refusal)) { // which shows what there is for the asking
			failed = append(failed, r)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return func(uri string) error {
		holds := showsFor(uri)
		refused := false
		holds(failed, func(*entraauth.Policy) { refused = true })
		if !refused {
			return nil
		}
		d := deny(id, targets, func(show func(*entraauth.Policy)) {
			holds(a.resources, show)
			for _, t := range targets {
				a.visit(t, show)
			}
		})
		if d == nil { // a policy may be met a moment later
			return nil
		}
		return d
	}
}

// showsFor returns what shows the policies of rules for a URI, or for all URIs of a
// template.
func showsFor(uri string) func(rules []rule, show func(*entraauth.Policy)) {
	if strings.Contains(uri, "{") {
		return func(rules []rule, show func(*entraauth.Policy)) { showCovering(rules, show, uri) }
	}
	all, complete := resourceuri.Readings(uri)
	return func(rules []rule, show func(*entraauth.Policy)) { showHolding(rules, show, all, complete) }
}
