package mcpentra

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

// WithTracerProvider reports a span to OpenTelemetry for each message, and for each HTTP
// request that is refused before its messages are read. The context of a tool has the span of
// its call, so that the tool's own spans are its children. Without this option nothing of
// OpenTelemetry is called. The packages that tools use have providers of their own in their
// Options. [docs/telemetry.md] lists all names.
//
// A request that names a trace (the header traceparent, W3C Trace Context) does not continue
// it: a stranger could then decide what is sampled, and mix its spans with those of others. The
// span begins a trace of its own, and has a link to the caller's. The header of a proxy of
// [WithTrustedProxies] is believed, with its tracestate; [WithTraceFromHeader] and
// [WithTraceFromMeta] believe everybody's. The header baggage is never read. A handler around the
// server's that puts a span into the request's context is the program's own: its span is the parent.
//
// [docs/telemetry.md]: https://github.com/mcpentra/mcp-entra-go/blob/main/docs/telemetry.md
func WithTracerProvider(tracers trace.TracerProvider) Option {
	return func(c *config) error {
		if telemetry.IsNil(tracers) {
			return errors.New("WithTracerProvider: the provider is nil; pass one, or leave the option out")
		}
		c.tracers = tracers
		return nil
	}
}

// WithTraceFromHeader continues the trace that any request's header traceparent names, whoever
// sends it, with the caller's decision whether it is sampled. Use it only where all clients are
// your own: for gateways, [WithTrustedProxies] is enough.
func WithTraceFromHeader() Option {
	return func(c *config) error {
		c.traceFromHeader = true
		return nil
	}
}

// WithTraceFromMeta continues the trace that a message's params._meta.traceparent names (MCP's
// SEP-414), with the caller's decision whether it is sampled. The body is always the client's,
// whatever proxy passes it on, so use it only where all clients are your own. The span of such a
// message has a link to that of its HTTP request; its tracestate and baggage are never read.
func WithTraceFromMeta() Option {
	return func(c *config) error {
		c.traceFromMeta = true
		return nil
	}
}

// asServer are the options of each span: the rest is set where somebody will see it.
var asServer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}

// traced is the stage that begins the span of a request with messages. The span of other
// requests begins when they are refused: a stream's would be open for hours.
func (o *observer) traced(next http.Handler) http.Handler {
	if !o.Traces() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			c := callOf(r.Context())
			c.Context = o.begin(c, r)
		}
		next.ServeHTTP(w, r)
	})
}

// begin begins the span of an HTTP request, and returns the context for spans below it. Once others
// may use the call as their context, it must not be replaced.
func (o *observer) begin(c *call, r *http.Request) context.Context {
	ctx, caller := c.Context, spanContext(c.traceparent)
	around := trace.SpanContextFromContext(r.Context()) // of a handler around the server's
	believed := caller.IsValid() && !around.IsValid() && (o.fromHeader || o.proxies.Sent(r))
	if believed {
		if states := r.Header["Tracestate"]; len(states) == 1 {
			if state, err := trace.ParseTraceState(states[0]); err == nil {
				caller = caller.WithTraceState(state)
			}
		}
		ctx = trace.ContextWithRemoteSpanContext(ctx, caller)
	}
	name := httpName(r.Method)
	ctx, c.span = o.Start(ctx, name, asServer...)
	c.spanBegun = true
	if c.span.Recording() {
		if name == telemetry.SpanHTTP {
			name = telemetry.Other
		}
		c.span.Set(telemetry.HTTPMethod.String(name), telemetry.NetworkTransport.String(telemetry.TCP))
	}
	if !believed && caller.TraceID() != around.TraceID() {
		c.span.Link(caller)
	}
	return ctx
}

// beginSignIn begins the span of a request to the authorization proxy.
func (o *observer) beginSignIn(r *http.Request) {
	if o.Traces() {
		c := callOf(r.Context())
		c.Context = o.begin(c, r)
	}
}

// signedIn describes the span of a request to the authorization proxy. Sign-ins are measured by
// the proxy.
func (o *observer) signedIn(r *http.Request, outcome string, status int) {
	v := verdict{outcome: outcome, byHTTP: true, status: status}
	v.describe(callOf(r.Context()).span)
}

// hasAnswer reports whether the request's answer is that of its only message: then both have one
// span. A notification is accepted before it is read.
func (c *call) hasAnswer() bool { return !c.isBatch && len(c.messages) == 1 && c.messages[0].IsCall() }

// endSpan ends the span of the HTTP request, unless it is that of a message by now.
func (c *call) endSpan() {
	if !c.spanTaken.Swap(true) {
		c.span.End()
	}
}

// beginMessage begins the span of a message: that of its request, if it is the only one there.
func (o *observer) beginMessage(m *rpcMessage) {
	if !o.Traces() {
		return
	}
	inMeta, c := traceparentIn(m.req), m.call
	if inMeta != "" {
		m.traceparent = inMeta
	}
	meta := spanContext(inMeta)
	ctx, ofMeta := m.Context, o.fromMeta && meta.IsValid()
	var request telemetry.Span
	if c != nil {
		request = c.span
		ctx = request.Within(ctx) // a session's context has the span of another request
	}
	if ofMeta {
		ctx = trace.ContextWithRemoteSpanContext(ctx, meta)
	}
	if c != nil && !ofMeta && c.hasAnswer() && !c.spanTaken.Swap(true) {
		m.Context, m.span = ctx, request
	} else {
		m.Context, m.span = o.Start(ctx, m.method, asServer...)
	}
	if m.span.Recording() { // its own spans may be seen before it ends
		v := verdict{method: m.method}
		v.tool, v.prompt = o.named(m.targets, nil)
		m.span.Rename(v.operation())
	}
	switch {
	case ofMeta:
		m.span.Link(request.Context())
	case meta.TraceID() != m.span.Context().TraceID():
		m.span.Link(meta)
	}
}

// deciding returns a function that makes the span of a policy decision, which began now. Where
// nobody sees the span above it, there is none.
func (o *observer) deciding(ctx context.Context, of telemetry.Span) (decided func(*denial)) {
	if !of.Recording() {
		return func(*denial) {}
	}
	begun := time.Now()
	return func(d *denial) {
		_, span := o.Start(of.Within(ctx), telemetry.SpanPolicy, trace.WithTimestamp(begun))
		if d == nil {
			span.Set(telemetry.Outcome.String(outcomeOK))
		} else {
			span.Set(telemetry.Outcome.String(outcomeRefused), telemetry.Reason.String(d.refusal.Reason))
		}
		span.End()
	}
}

// httpMethods are those of RFC 9110 and RFC 5789: a client could invent any number of others.
var httpMethods = []string{
	http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions, http.MethodHead, http.MethodPut,
	http.MethodPatch, http.MethodConnect, http.MethodTrace,
}

func httpName(method string) string {
	if slices.Contains(httpMethods, method) {
		return method
	}
	return telemetry.SpanHTTP
}

// operation is the name of a message's span.
func (v *verdict) operation() string { return strings.TrimSpace(v.method + " " + v.tool + v.prompt) }

// describe sets what became of a message or a request on its span.
func (v *verdict) describe(span telemetry.Span) {
	if !span.Recording() {
		return
	}
	var room [12]attribute.KeyValue
	attrs := append(room[:0], telemetry.Outcome.String(v.outcome))
	if v.reason != "" {
		attrs = append(attrs, telemetry.Reason.String(v.reason))
	}
	if v.method != "" {
		attrs = append(attrs, telemetry.MCPMethod.String(v.method))
		if v.method == "tools/call" {
			attrs = append(attrs, telemetry.GenAIOperation.String(telemetry.ExecuteTool))
		}
		if v.tool != "" {
			attrs = append(attrs, telemetry.GenAITool.String(v.tool))
		}
		if v.prompt != "" {
			attrs = append(attrs, telemetry.GenAIPrompt.String(v.prompt))
		}
		span.Rename(v.operation())
	}
	if v.byHTTP {
		attrs = append(attrs, telemetry.NetworkTransport.String(telemetry.TCP))
	}
	if v.status != 0 {
		attrs = append(attrs, telemetry.HTTPStatus.Int(v.status))
	}
	if v.code != 0 && v.method != "" {
		attrs = append(attrs, telemetry.RPCResponseCode.String(strconv.FormatInt(v.code, 10)))
	}
	span.Set(attrs...)
	if failure := v.failure(); failure != "" {
		span.Fail(failure)
	}
}

// traceparentIn returns the traceparent in a message's params._meta, or "".
func traceparentIn(req mcp.Request) string {
	params := req.GetParams()
	if v := reflect.ValueOf(params); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return ""
	}
	s, _ := params.GetMeta()["traceparent"].(string)
	return parseTraceparent(s)
}

// lengthOfTraceparent is that of version 00, and of what is understood of later ones.
const lengthOfTraceparent = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// parseTraceparent returns the part of a traceparent that is understood, or "" if that is not a
// valid one (https://www.w3.org/TR/trace-context/#traceparent-header).
func parseTraceparent(s string) string {
	const length = lengthOfTraceparent
	if len(s) < length || (len(s) > length && (s[length] != '-' || s[:2] == "00")) {
		return ""
	}
	for i := range length {
		c := s[i]
		if hyphen := i == 2 || i == 35 || i == 52; hyphen != (c == '-') || !hyphen && !strings.ContainsRune("0123456789abcdef", rune(c)) {
			return ""
		}
	}
	if s[:2] == "ff" || strings.Trim(s[3:35], "0") == "" || strings.Trim(s[36:52], "0") == "" {
		return ""
	}
	return strings.Clone(s[:length])
}

// traceID returns the trace id of a parsed traceparent, or "".
func traceID(traceparent string) string {
	if traceparent == "" {
		return ""
	}
	return traceparent[3:35]
}

// spanContext returns the span that a parsed traceparent names, which is not valid for "".
func spanContext(traceparent string) trace.SpanContext {
	if traceparent == "" {
		return trace.SpanContext{}
	}
	var c trace.SpanContextConfig
	c.TraceID, _ = trace.TraceIDFromHex(traceparent[3:35])
	c.SpanID, _ = trace.SpanIDFromHex(traceparent[36:52])
	if flags, err := strconv.ParseUint(traceparent[53:55], 16, 8); err == nil {
		c.TraceFlags = trace.TraceFlags(flags) & trace.FlagsSampled
	}
	c.Remote = true
	return trace.NewSpanContext(c)
}
