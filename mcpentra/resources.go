package mcpentra

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

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

// knownTemplate replaces the template of a completion by the spelling in which it is
// listed. On a server with policies, a template that is not listed has no completions,
// because which policies apply to them is unknown.
func (a *access) knownTemplate(m *message) error {
	p, ok := m.req.GetParams().(*mcp.CompleteParams)
	if !ok || p == nil || p.Ref == nil || p.Ref.Type == "ref/prompt" || !strings.Contains(p.Ref.URI, "{") {
		return nil
	}
	all, err := (&catalog{m.next}).listAll(m, m.req, listTemplates)
	if all[p.Ref.URI] != nil {
		return nil
	}
	want := resourceuri.CanonicalTemplate(p.Ref.URI)
	for known := range all {
		if resourceuri.CanonicalTemplate(known) == want {
			p.Ref.URI = known
			return nil
		}
	}
	if err != nil || a.isFree() {
		return err
	}
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "there is no such resource template; use one of resources/templates/list"}
}

// filterCompletion removes the values for a template's variable that lead only to
// resources that the caller may not use.
func (a *access) filterCompletion(id *entraauth.Identity, p *mcp.CompleteParams, result mcp.Result) {
	r, ok := result.(*mcp.CompleteResult)
	if !ok || r == nil || p == nil || p.Ref == nil || p.Ref.Type == "ref/prompt" {
		return
	}
	values := map[string]string{}
	if p.Context != nil {
		maps.Copy(values, p.Context.Arguments)
	}
	all := len(r.Completion.Values)
	r.Completion.Values = keep(r.Completion.Values, func(value string) bool {
		values[p.Argument.Name] = value
		begin, settled := resourceuri.Expand(p.Ref.URI, values, p.Argument.Name)
		return a.decide(id, []target{{resource, begin}}) == nil && (settled || !a.mayClose(id, begin))
	})
	if len(r.Completion.Values) < all {
		r.Completion.Total = 0 // it would reveal the others
	}
}

// mayClose reports whether a policy that the caller fails may hold for some resource
// whose URI begins so. Which tools the rest stands for nobody knows.
func (a *access) mayClose(id *entraauth.Identity, begin string) bool {
	fails := func(rules []rule) bool {
		return slices.ContainsFunc(rules, func(r rule) bool { return r.policy.Check(id) != nil })
	}
	b := a.broughtNow()
	if len(a.standsFor)+len(b.standsFor) > 0 && (fails(a.tools) || fails(b.tools)) {
		return true
	}
	return slices.ContainsFunc(a.resources, func(r rule) bool { return r.policy.Check(id) != nil && r.MayMatchBelow(begin) })
}
