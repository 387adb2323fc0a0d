package mcpentra

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// A policyCheck decides twice about what a caller asks for: before dispatch, by what the
// body seems to say, so that a refusal has its status; and by what the SDK has read,
// which is what will be done.
type policyCheck struct {
	access       *access
	refuser      *refuser
	sessions     *sessions
	cursors      sealer
	primingDelay time.Duration
}

// request is the check before dispatch. It lets later refusals become the answer. It
// belongs inside readBody.
func (p *policyCheck) request(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := edge.BodyOf(r)
		if body == nil {
			next.ServeHTTP(w, r)
			return
		}
		c := callOf(r.Context())
		d, err := p.foresee(c, r, body)
		switch {
		case err != nil:
			p.refuser.reject(w, r, refusalOf(http.StatusBadRequest, "The request can't be read: "+err.Error(), body))
		case d != nil:
			p.refuser.refuse(w, r, d)
		case isBatch(body): // one refusal must not hide the results of others
			next.ServeHTTP(w, r)
		default:
			c.answer = &c.late
			c.answer.w, c.answer.r, c.answer.delay = w, r, p.primingDelay
			defer c.answer.finish()
			next.ServeHTTP(c.answer, r)
		}
	})
}

// foresee decides by what the body seems to say. It is right for all requests but those
// made to deceive it.
func (p *policyCheck) foresee(c *call, r *http.Request, body []byte) (*denial, error) {
	if p.access.isFree() {
		return nil, nil
	}
	targets, err := targetsOf(c.seen[:0], r.Header, body)
	if err == nil {
		err = checkTargets(targets)
	}
	if err != nil {
		return nil, err
	}
	d := p.access.decide(c.caller, targets)
	if d == nil {
		p.access.noteUse(c.usage, targets...) // before the client can know of its stream
		d = p.sessions.mayAnswer(r)
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
	purpose := "mcpentra-cursor."
	if m.caller != nil {
		purpose += m.caller.UserID()
	}
	return &toolset.ResourcePolicy{
		Refuse: refuse,
		Seal:   func(cursor string) string { return p.cursors.sealText(purpose, []byte(cursor)) },
		Open: func(sealed string) (string, bool) {
			cursor, ok := p.cursors.openText(purpose, sealed)
			return string(cursor), ok
		},
	}
}

var (
	errNotJSON    = errors.New("it is no JSON-RPC message")
	errParameters = errors.New("a parameter is of the wrong type")
)

// namedInHeaders is the protocol version from which on the headers name what a
// request uses. The SDK refuses one whose headers differ from its body.
const namedInHeaders = "2026-07-28"

// targetsOf adds what the request seems to use.
func targetsOf(all []target, h http.Header, body []byte) ([]target, error) {
	if name := h.Get("Mcp-Name"); name != "" && h.Get("Mcp-Protocol-Version") >= namedInHeaders {
		switch method := h.Get("Mcp-Method"); method {
		case "tools/call", "prompts/get", "resources/read":
			a := asked{Name: name, URI: name}
			return a.appendTargets(all, method), nil
		}
	}
	return targetsIn(all, body)
}

// targetsIn adds what the JSON-RPC message or batch uses.
func targetsIn(all []target, body []byte) ([]target, error) {
	type message struct {
		Method string `json:"method"`
		Params asked  `json:"params"`
	}
	messages := make([]message, 1)
	var err error
	if isBatch(body) {
		err = json.Unmarshal(body, &messages)
	} else {
		err = json.Unmarshal(body, &messages[0])
	}
	// A wrong type ends nothing: all the rest is decoded.
	_, wrongType := errors.AsType[*json.UnmarshalTypeError](err)
	if err != nil && !wrongType {
		return nil, errNotJSON
	}
	for i := range messages {
		all = messages[i].Params.appendTargets(all, messages[i].Method)
	}
	if wrongType && len(all) > 0 {
		return nil, errParameters
	}
	return all, nil
}
