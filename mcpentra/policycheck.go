package mcpentra

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// A policyCheck decides twice about what a caller asks for: before dispatch, by what the
// body seems to say, so that a refusal has its status; and by what the SDK has read,
// which is what will be done.
type policyCheck struct {
	access       *access
	refuser      *refuser
	sessions     *sessions
	cursors      *seal.Sealer
	primingDelay time.Duration
}

// request is the check before dispatch. It lets later refusals become the answer.
func (p *policyCheck) request(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r.Context())
		if c.data == nil {
			next.ServeHTTP(w, r)
			return
		}
		d, err := p.foresee(c, r)
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

// foresee decides by what the body seems to say. It is right for all requests but those
// made to deceive it.
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

// enter is the check of a message. It also gives URIs their one spelling.
func (p *policyCheck) enter(m *message) error {
	if !uses(m.method) {
		return nil
	}
	if err := checkTargets(m.targets); err != nil {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
	}
	if d := p.access.decide(m.caller, m.targets); d != nil {
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

// leave takes out of listings and completions what the caller may not use.
func (p *policyCheck) leave(m *message) {
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
func (p *policyCheck) mayUse(m *message, name string) bool {
	t := target{tool, name}
	may := p.access.decide(m.caller, []target{t}) == nil
	if may {
		p.access.noteUse(m.usage, t)
	}
	return may
}

// resources returns what the message's caller may use of the resources, whatever tool
// shows them; nil if that is everything.
func (p *policyCheck) resources(m *message) *toolset.ResourcePolicy {
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

// targetsOf returns what the request seems to use.
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
