package mcpentra

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// A policyCheck decides twice about a request: before dispatch, by what the body seems to
// say, so that a refusal has its HTTP status; and by what the SDK has read, which is what
// runs.
type policyCheck struct {
	access       *access
	refuser      *refuser
	sessions     *sessions
	cursors      *seal.Sealer
	primingDelay time.Duration
}

// request is the check before dispatch. It also lets a later refusal become the answer.
func (p *policyCheck) request(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r.Context())
		if c.data == nil {
			next.ServeHTTP(w, r)
			return
		}
		decided := p.refuser.log.observer.deciding(r.Context(), c.span)
		d, err := p.foresee(c, r)
		if d != nil { // otherwise the message's own decision is the one that counts
			decided(d)
		}
		switch {
		case err != nil:
			p.refuser.reject(w, r, refusalOf(http.StatusBadRequest, "The request can't be read: "+err.Error(), c.data))
		case d != nil:
			p.refuser.refuse(w, r, d)
		case c.isBatch: // one refusal must not hide the results of others
			next.ServeHTTP(w, r)
		default:
			c.answer = &c.late
			c.answer.w, c.answer.r, c.answer.delay = w, r, p.primingDelay
			defer c.answer.finish()
			next.ServeHTTP(c.answer, r)
		}
	})
}

var (
	errMore    = errors.New("something follows the message")
	errNotJSON = errors.New("it is not JSON")
)

// foresee decides by what the body seems to say. It is right for every request that is
// not made to deceive it.
func (p *policyCheck) foresee(c *call, r *http.Request) (d *denial, err error) {
	if p.access.isFree() {
		return d, nil
	}
	if rpcwire.HasMore(c.data, c.messages) {
		return nil, errMore
	}
	targets, err := targetsOf(c, r.Header)
	if err == nil {
		err = checkTargets(targets)
	}
	if err != nil {
		return nil, err
	}
	if d = p.access.decide(c.caller, targets); d == nil {
		p.access.noteUse(c.usage, targets...) // before the client can know of its stream
		d = p.sessions.mayAnswer(c, r)
	}
	if d != nil && !json.Valid(c.data) { // another token would not help
		return nil, errNotJSON
	}
	return d, nil
}

// enter is the check of a message. It also gives URIs their canonical spelling.
func (p *policyCheck) enter(m *rpcMessage) error {
	if !uses(m.method) {
		return nil
	}
	if err := checkTargets(m.targets); err != nil {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
	}
	decided := p.refuser.log.observer.deciding(m, m.span)
	d := p.access.decide(m.caller, m.targets)
	decided(d)
	if d != nil {
		p.refuser.refuseLate(m, d)
		return d
	}
	p.access.noteUse(m.usage, m.targets...)
	if err := respell(m); err != nil {
		return err
	}
	if m.respelled { // the log names what is used, whatever its spelling
		a := askedBy(m.req)
		m.targets = a.appendTargets(m.targets[:0], m.method)
	}
	return p.access.knownTemplate(m)
}

// leave removes from lists and completions what the caller may not use.
func (p *policyCheck) leave(m *rpcMessage) {
	if m.err != nil || p.access.isFree() {
		return
	}
	if p.access.filter(m.caller, m.result) {
		p.access.noteView(m.usage, m.caller)
	}
	if params, ok := m.req.GetParams().(*mcp.CompleteParams); ok {
		p.access.noteView(m.usage, m.caller)
		p.access.filterCompletion(m.caller, params, m.result)
	}
}

// mayUse reports whether the message's caller may use the tool.
func (p *policyCheck) mayUse(m *rpcMessage, name string) bool {
	t := target{tool, name}
	may := p.access.decide(m.caller, []target{t}) == nil
	if may {
		p.access.noteUse(m.usage, t)
	}
	return may
}

// resources returns which resources the message's caller may use, through any tool; nil
// if all of them.
func (p *policyCheck) resources(m *rpcMessage) *toolset.ResourcePolicy {
	if len(p.access.resources) == 0 {
		return nil
	}
	p.access.noteResources(m.usage, m.caller)
	refuse := p.access.refusesResources(m.caller, m.method, m.targets)
	if refuse == nil {
		return nil
	}
	var user string
	if m.caller != nil {
		user = m.caller.UserID()
	}
	return &toolset.ResourcePolicy{
		Refuse: refuse,
		Seal:   func(cursor string) string { return p.cursors.SealText([]byte(cursor), user) },
		Open: func(sealed string) (string, bool) {
			cursor, err := p.cursors.OpenText(sealed, user)
			return string(cursor), err == nil
		},
	}
}

// namedInHeaders is the protocol version from which on the headers name what a
// request uses. The SDK refuses one whose headers differ from its body.
const namedInHeaders = "2026-07-28"

// targetsOf returns what the request seems to use, by its headers or its body.
func targetsOf(c *call, h http.Header) (all []target, err error) {
	all = c.seen[:0]
	if name := h.Get("Mcp-Name"); name != "" && h.Get("Mcp-Protocol-Version") >= namedInHeaders {
		switch method := h.Get("Mcp-Method"); method {
		case "tools/call", "prompts/get", "resources/read":
			a := asked{Name: name, URI: name}
			return a.appendTargets(all, method), nil
		}
	}
	for i := range c.messages {
		m := &c.messages[i]
		if !uses(m.Method) {
			continue
		}
		a, err := askedIn(c.data, m.Params)
		if err != nil {
			return nil, err
		}
		all = a.appendTargets(all, m.Method)
	}
	return all, nil
}

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

// refusesResources returns a function that says why the caller may not use a resource, by
// URI or template; nil if the caller may use all. A refusal asks for all scopes that the
// request needs, and has the targets that the request names.
//
// Only rules for resources count: those for the tool have been checked, and would recurse
// if the resource stood for a tool.
func (a *access) refusesResources(id *entraauth.Identity, method string, targets []target) func(uri string) error {
	var failed []rule
	for _, r := range a.resources {
		if d := deny(id, nil, func(show func(*entraauth.Policy)) { show(&r.policy) }); d != nil &&
			(method != listResources || !obtainable(id, d.refusal)) { // which shows what the caller can ask for
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
		if d == nil { // a policy can be met a moment later
			return nil
		}
		return d
	}
}

// showsFor returns showHolding for a URI, or showCovering for a template.
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
func (a *access) knownTemplate(m *rpcMessage) error {
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

// mayClose reports whether a policy that the caller fails may apply to some resource whose
// URI begins so. Such a resource could stand for any tool.
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
