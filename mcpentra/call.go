package mcpentra

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/actions"
	"github.com/mcpentra/mcp-entra-go/internal/bridge"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
	"github.com/mcpentra/mcp-entra-go/internal/requestline"
	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
	"github.com/mcpentra/mcp-entra-go/internal/trail"
)

// A call is an HTTP request on its way to a tool: what the server reads from it and what
// its stages add. It is made once and is the request's context. TokenInfo carries it to
// the messages in the body, so no stage looks anything up twice and no session can give
// one caller's call to another caller (see bridged).
type call struct {
	context.Context // of the HTTP request

	id       string              // generated here: client-supplied IDs could forge other requests' log entries
	client   netip.Addr          // the sender's address; see edge.Proxies
	host     string              // from the request; several are separated by commas
	caller   *entraauth.Identity // nil until the bearer check has passed
	lease    *lease              // of the caller's limits; nil until there is a caller
	data     []byte              // the body, read in full; nil if there is none
	isBatch  bool                // the body is
	messages []rpcwire.Message   // in the body, up to one more than a batch may have
	answer   *answer             // nil while it can't be changed
	usage    *usage              // what the answer depends on; nil where nobody asks: without sessions
	told     told                // which messages have their line in the log
	ticket   *ticket             // leads the messages here

	traceparent string         // the caller's (W3C Trace Context), or "": a hint, not unique
	span        telemetry.Span // of the request, and of its message if it has one
	spanBegun   bool           // before others may use the call
	spanTaken   atomic.Bool    // a message ends it, or it has ended

	// The memory of the stages, in one piece with the call.
	writer  edge.Writer
	body    edge.Body
	late    answer
	written reply
	leased  lease
	one     [1]rpcwire.Message
	seen    [1]target
	first   rpcMessage
	taken   atomic.Bool // first is
}

type callKey struct{}

// newCall returns the call of a request, and the request with the call as its context.
func newCall(r *http.Request) (*call, *http.Request) {
	c := &call{Context: r.Context(), id: rand.Text()}
	if parents := r.Header["Traceparent"]; len(parents) == 1 {
		c.traceparent = parseTraceparent(parents[0])
	}
	if entraauth.FromContext(c.Context) != nil { //nolint:contextcheck // set by a handler around ours: a session would keep it
		c.Context = entraauth.NewContext(c.Context, nil)
	}
	return c, r.WithContext(c) //nolint:contextcheck // a call is made from the request's context
}

// Value implements [context.Context].
func (c *call) Value(key any) any {
	switch key {
	case callKey{}:
		return c
	case tokenInfoKey:
		if c.ticket != nil {
			return &c.ticket.info
		}
	}
	return c.Context.Value(key)
}

// callOf returns the call that the context belongs to, or nil if there is none.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

const (
	// maxBatch is how many messages a batch may have.
	maxBatch = 32
	// maxValues bounds the JSON values of a message of which parts are kept: "[]" is two
	// bytes on the wire and two hundred in memory.
	maxValues = 1000
)

// read parses the call's body once, for all stages.
func (c *call) read(body []byte) {
	c.data = body
	c.isBatch = rpcwire.IsBatch(body)
	c.messages = rpcwire.Parse(c.one[:0], body, maxBatch+1)
}

// isSmall reports whether each message of the call is small. The SDK does not say which
// message of a batch it has read.
func (c *call) isSmall(bytes int) bool {
	for i := range c.messages {
		if text := c.messages[i].Of(c.data); len(text) > bytes || jsonspan.Count(text) > maxValues {
			return false
		}
	}
	return true
}

// soleMethod returns the method of the call's only message, or "".
func (c *call) soleMethod() string {
	if c == nil || c.isBatch || len(c.messages) != 1 {
		return ""
	}
	return c.messages[0].Method
}

// requestID returns the id of the context's HTTP request, which its answer carries as
// X-Request-Id; "" if there is none.
func requestID(ctx context.Context) string {
	if c := callOf(ctx); c != nil {
		return c.id
	}
	return ""
}

// appendAttrs adds the call's id, the client's address and the traces to a log line, as far as
// they are known.
func (c *call) appendAttrs(attrs []slog.Attr) []slog.Attr {
	if c == nil {
		return attrs
	}
	return appendTraces(c.appendIDs(attrs), c.span.Context(), c.traceparent)
}

// appendAttrs is that of the message's call, with the message's own span.
func (m *rpcMessage) appendAttrs(attrs []slog.Attr) []slog.Attr {
	return appendTraces(m.call.appendIDs(attrs), m.span.Context(), m.traceparent)
}

func (c *call) appendIDs(attrs []slog.Attr) []slog.Attr {
	if c == nil {
		return attrs
	}
	attrs = append(attrs, slog.String("request_id", c.id))
	if c.client.IsValid() {
		attrs = append(attrs, slog.String("client", c.client.String()))
	}
	return attrs
}

// appendTraces adds the ids of our span and of the caller's trace.
func appendTraces(attrs []slog.Attr, ours trace.SpanContext, callers string) []slog.Attr {
	if ours.IsValid() {
		attrs = append(attrs, slog.String("trace_id", ours.TraceID().String()), slog.String("span_id", ours.SpanID().String()))
	}
	if callers != "" {
		attrs = append(attrs, slog.String("caller_trace_id", traceID(callers)))
	}
	return attrs
}

// A ticket leads the messages of a call to it. It is no part of the call: with sessions the
// SDK keeps the last request of each, and must not keep its body and answer.
type ticket struct {
	info auth.TokenInfo
	call atomic.Pointer[call] // nil once no message needs it
	left atomic.Int32         // messages that are still to end
}

// done ends a message, or the HTTP request of a call without any.
func (t *ticket) done(messages int32) {
	if t != nil && t.left.Add(-messages) == 0 {
		t.call.Store(nil)
	}
}

// carriedCall is where the ticket travels in auth.TokenInfo.Extra.
const carriedCall = "github.com/mcpentra/mcp-entra-go/mcpentra.call"

// bridged passes the call and its caller to the SDK, as mcpauth.Bridge passes a caller. With
// sessions, a message has the context of the request that opened the session, but a
// TokenInfo of its own. Tools see the request's headers, so the credentials are removed
// from those.
func bridged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		callOf(r.Context()).issueTicket()
		r.Header = bridge.Headers(r.Header) // the request is ours since newCall
		next.ServeHTTP(w, r)
	})
}

// issueTicket makes the ticket that leads the call's messages to it.
func (c *call) issueTicket() {
	t := &ticket{}
	t.info = auth.TokenInfo{
		UserID: c.caller.UserID(), Scopes: c.caller.Scopes(), Expiration: c.caller.ExpiresOn(),
		Extra: map[string]any{carriedCall: t, bridge.IdentityKey: c.caller},
	}
	t.call.Store(c)
	for i := range c.messages {
		if c.messages[i].Method != "" {
			t.left.Add(1)
		}
	}
	c.ticket = t
}

// tokenInfoKey is the context key under which the SDK looks for a request's TokenInfo, which
// a call answers itself. auth.RequireBearerToken, the SDK's own way to set it, would read
// the header again and copy the request. If the SDK looks elsewhere one day, no message has
// a caller, and all are refused.
var tokenInfoKey = func() any {
	var asked keyRecorder
	auth.TokenInfoFromContext(&asked)
	return asked.key
}()

// A keyRecorder is a context that keeps the last key that it was asked for.
type keyRecorder struct {
	context.Context
	key any
}

// Value implements [context.Context].
func (r *keyRecorder) Value(key any) any {
	r.key = key
	return nil
}

// carried returns the call that carried the message, or nil.
func carried(req mcp.Request) *call {
	if extra := req.GetExtra(); extra != nil && extra.TokenInfo != nil {
		if t, ok := extra.TokenInfo.Extra[carriedCall].(*ticket); ok {
			return t.call.Load()
		}
	}
	return nil
}

// An rpcMessage is one JSON-RPC message that the SDK has read. It is the context of its tool
// and holds the result. A call has one, a batch several.
type rpcMessage struct {
	context.Context // of the session, but with this message's own caller, or none

	call        *call               // nil if the message did not come by HTTP
	usage       *usage              // of the call
	span        telemetry.Span      // that of the call, if it is the only message there
	traceparent string              // the caller's, in params._meta or in the header
	caller      *entraauth.Identity // nil if unknown
	method      string
	req         mcp.Request
	next        mcp.MethodHandler // dispatches it
	server      host
	start       time.Time
	targets     []target // what it uses, by what the SDK has read
	sentURI     string   // a resource's URI as the client spelled it
	entered     int      // how many stages it has entered
	respelled   bool     // a URI had another spelling
	counted     bool     // against the limits
	round       int      // how often the user has been asked for consent

	choosing sync.Once                   // of
	actsAs   atomic.Pointer[actingAgent] // as which its tool acts for the caller; nil if it has not asked
	lent     atomic.Bool                 // its tool has the server's own credential
	trail    trail.Trail                 // the token requests that were sent for it
	actions  actions.Log                 // what its tool does to what others see

	result mcp.Result
	err    error
	cause  error  // why it failed: for the log, not for the caller
	reason string // its code, as in docs/troubleshooting.md, if the cause does not have it

	policy     *toolset.ResourcePolicy // see Resources
	policyOnce sync.Once

	running     runningCall
	subscribing *subscribing // nil for most

	one [1]target // memory of targets
}

// A host is what messages need from their server.
type host interface {
	logger() *slog.Logger
	// credential returns the credential of the message's caller.
	credential(*rpcMessage) (azcore.TokenCredential, error)
	mayUse(m *rpcMessage, tool string) bool
	resources(m *rpcMessage) *toolset.ResourcePolicy
}

type messageKey struct{}

// newMessage returns the message of the request, in the context that the SDK has for it.
func newMessage(ctx context.Context, server host, method string, req mcp.Request, next mcp.MethodHandler) *rpcMessage {
	c := carried(req)
	var m *rpcMessage
	if c != nil && !c.taken.Swap(true) {
		m = &c.first
	} else {
		m = &rpcMessage{}
	}
	m.call, m.server, m.method, m.req, m.next, m.start = c, server, method, req, next, time.Now()
	if c != nil {
		m.usage, m.caller, m.traceparent = c.usage, c.caller, c.traceparent
	}
	m.Context = entraauth.NewContext(ctx, m.caller)
	if uses(method) {
		a := askedBy(req)
		m.targets = a.appendTargets(m.one[:0], method)
	}
	return m
}

// Value implements [context.Context].
func (m *rpcMessage) Value(key any) any {
	switch key.(type) {
	case messageKey:
		return m
	case callKey: // even nil: the session has the call of another request
		return m.call
	case requestline.Key:
		return m.server.logger()
	case trail.Key:
		return &m.trail
	case actions.Key:
		return &m.actions
	case toolset.CallerKey:
		return toolset.Caller(m)
	}
	return m.Context.Value(key)
}

// messageOf returns the message that the context belongs to, or nil.
func messageOf(ctx context.Context) *rpcMessage {
	m, _ := ctx.Value(messageKey{}).(*rpcMessage)
	return m
}

// MayUse implements [toolset.Caller].
func (m *rpcMessage) MayUse(tool string) bool { return m.server.mayUse(m, tool) }

// Resources implements [toolset.Caller].
func (m *rpcMessage) Resources() *toolset.ResourcePolicy {
	m.policyOnce.Do(func() { m.policy = m.server.resources(m) })
	return m.policy
}

// refuse makes the refusal the answer to the message's HTTP request, and reports false if
// it is too late.
func (m *rpcMessage) refuse(write func(http.ResponseWriter, *http.Request)) bool {
	return m.call != nil && m.call.answer.refuse(write)
}

// refuseFor is refuse with a reason for the log.
func (m *rpcMessage) refuseFor(reason string, write func(http.ResponseWriter, *http.Request)) {
	m.reason = reason
	m.refuse(write)
}

// stackRoom makes a goroutine's stack 32 KiB, enough for the SDK to decode and validate a
// call, and for most tools.
const stackRoom = 15 << 10

// makeRoom grows the goroutine's stack once, while little of it is in use. The SDK runs
// each message on a new goroutine with a stack of a few KiB, which is copied, frame by
// frame, each time it doubles. The array is never touched; its frame has to fit.
//
//go:noinline
func makeRoom(never bool) {
	if never {
		var b [stackRoom]byte
		fill(&b)
	}
}

//go:noinline
func fill(b *[stackRoom]byte) { b[0] = 1 }
