package mcpentra

import (
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
)

// knownTemplate replaces the template of a completion by the spelling in which it is
// listed. On a server with policies, a template that is not listed has no completions,
// because which policies apply to them is unknown.
func (a *access) knownTemplate(m *message) error {
	p, ok := m.req.GetParams().(*mcp.CompleteParams)
	if !ok || p == nil || p.Ref == nil || p.Ref.Type == "ref/prompt" || !strings.Contains(p.Ref.URI, "{") {
		return nil
	}
	all, err := (&catalog{m.next}).list(m, m.req, listTemplates)
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
		for name, value := range p.Context.Arguments {
			values[name] = value
		}
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
