package mcpentra

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

// WithMeterProvider reports messages, refusals, limits, sessions and streams to OpenTelemetry. Without this option nothing of OpenTelemetry is called. The packages that tools
// use have providers of their own in their Options. [docs/telemetry.md] lists all names.
//
// [docs/telemetry.md]: https://github.com/mcpentra/mcp-entra-go/blob/main/docs/telemetry.md
func WithMeterProvider(meters metric.MeterProvider) Option {
	return func(c *config) error {
		if telemetry.IsNil(meters) {
			return errors.New("WithMeterProvider: the provider is nil; pass one, or leave the option out")
		}
		c.meters = meters
		return nil
	}
}

// An observer tells OpenTelemetry what the log says about messages and requests, at the same
// place. It does nothing without providers.
type observer struct {
	*telemetry.Telemetry
	fromHeader, fromMeta bool // whose trace is continued
	proxies              edge.Proxies
	names                registeredNames

	requests  *telemetry.Counter[requestKey]
	refusals  *telemetry.Counter[string] // by reason
	limits    *telemetry.Counter[string] // by limit
	durations *telemetry.Histogram[operationKey]
}

// A requestKey is the attributes of a request that is counted.
type requestKey struct{ method, tool, prompt, outcome, reason string }

// An operationKey is the attributes of a message whose duration is measured.
type operationKey struct {
	method, tool, prompt, failure string
	code                          int64
}

func newObserver(c *config) *observer {
	o := &observer{Telemetry: telemetry.New(c.tracers, c.meters), fromHeader: c.traceFromHeader, fromMeta: c.traceFromMeta, proxies: c.proxies}
	o.names.add(tool, c.names[listTools])
	o.names.add(prompt, c.names[listPrompts])
	if !o.Measures() {
		return o
	}
	known := []requestKey{{outcome: outcomeFailed, reason: "internal_error"}}
	for _, method := range telemetry.Methods {
		known = append(known, requestKey{method: method, outcome: outcomeOK})
	}
	for name := range c.names[listTools] {
		known = append(known, requestKey{method: "tools/call", tool: name, outcome: outcomeOK}, requestKey{method: "tools/call", tool: name, outcome: outcomeFailed})
	}
	for name := range c.names[listPrompts] {
		known = append(known, requestKey{method: "prompts/get", prompt: name, outcome: outcomeOK}, requestKey{method: "prompts/get", prompt: name, outcome: outcomeFailed})
	}
	o.requests = telemetry.NewCounter(o.Telemetry, telemetry.Requests, requestKey.attributes, known...)
	one := func(key attribute.Key) func(string) []attribute.KeyValue {
		return func(value string) []attribute.KeyValue { return []attribute.KeyValue{key.String(value)} }
	}
	o.refusals = telemetry.NewCounter(o.Telemetry, telemetry.Refusals, one(telemetry.Reason), telemetry.Reasons...)
	o.limits = telemetry.NewCounter(o.Telemetry, telemetry.LimitsHit, one(telemetry.Limit), telemetry.Limits...)
	o.durations = telemetry.NewHistogram(o.Telemetry, telemetry.OperationDuration, operationKey.attributes)
	return o
}

func (k requestKey) attributes() []attribute.KeyValue {
	return notEmpty(telemetry.MCPMethod.String(k.method), telemetry.GenAITool.String(k.tool), telemetry.GenAIPrompt.String(k.prompt),
		telemetry.Outcome.String(k.outcome), telemetry.Reason.String(k.reason))
}

func (k operationKey) attributes() []attribute.KeyValue {
	code, operation := "", ""
	if k.code != 0 {
		code = strconv.FormatInt(k.code, 10)
	}
	if k.method == "tools/call" {
		operation = telemetry.ExecuteTool
	}
	return notEmpty(telemetry.MCPMethod.String(k.method), telemetry.GenAIOperation.String(operation), telemetry.GenAITool.String(k.tool),
		telemetry.GenAIPrompt.String(k.prompt), telemetry.ErrorType.String(k.failure), telemetry.RPCResponseCode.String(code))
}

func notEmpty(attrs ...attribute.KeyValue) []attribute.KeyValue {
	return slices.DeleteFunc(attrs, func(a attribute.KeyValue) bool { return a.Value.AsString() == "" })
}

// A verdict is what became of a message, or of a request whose messages were not read.
type verdict struct {
	method, tool, prompt string // "" if unknown
	outcome, reason      string
	byHTTP               bool
	status               int   // of the HTTP answer; 0 if not known
	code                 int64 // JSON-RPC's; 0 without an error
	failed               bool  // with an error without a code, or with a result that is one
	toolError            bool  // the result is
}

// failure returns the kind of error as the conventions have it; "" without one. A request's
// refusal is none of the server's, as the conventions of HTTP have it.
func (v *verdict) failure() string {
	switch {
	case v.toolError:
		return telemetry.ToolError
	case v.method == "" && v.status >= http.StatusInternalServerError:
		return strconv.Itoa(v.status)
	case v.method == "":
		return ""
	case v.code != 0:
		return strconv.FormatInt(v.code, 10)
	case v.failed:
		return telemetry.Other
	}
	return ""
}

// served reports a message that has been served.
func (o *observer) served(m *rpcMessage, outcome, reason string, took time.Duration) {
	if o.Telemetry == nil {
		return
	}
	v := verdict{method: m.method, outcome: outcome, reason: reason}
	v.byHTTP = m.call != nil
	if result, ok := m.result.(*mcp.CallToolResult); ok && result != nil && result.IsError && m.err == nil {
		v.toolError = true
	}
	if m.err != nil {
		v.failed = true
		if e, ok := errors.AsType[*jsonrpc.Error](m.err); ok {
			v.code = e.Code
		}
	}
	reached := m
	if v.code == jsonrpc.CodeInvalidParams || reason != "" { // as of an invented name: looking for it takes a whole list
		reached = nil
	}
	v.tool, v.prompt = o.named(m.targets, reached)
	o.count(m, &v)
	o.durations.Record(m, operationKey{v.method, v.tool, v.prompt, v.failure(), v.code}, took.Seconds())
	v.describe(m.span)
	m.span.End()
}

// refused reports a request that is refused, or a message that has no other span.
func (o *observer) refused(r *http.Request, v verdict, targets []target) {
	if o.Telemetry == nil {
		return
	}
	if v.method != "" && !slices.Contains(telemetry.Methods, v.method) {
		v.method = telemetry.Other
	}
	v.tool, v.prompt = o.named(targets, nil) //nolint:contextcheck // there is no message yet
	v.byHTTP = true
	c := callOf(r.Context())
	o.count(r.Context(), &v)
	if !o.Traces() {
		return
	}
	if !c.spanBegun { // its context may be invalid: that is up to the provider
		_ = o.begin(c, r)
	}
	if !c.isBatch || v.method == "" {
		v.describe(c.span)
		return
	}
	_, span := o.Start(c, v.method, asServer...)
	v.describe(span)
	span.End()
}

// rejected is refused for a rejection.
func (o *observer) rejected(r *http.Request, why rejection, method string) {
	o.refused(r, verdict{method: method, outcome: outcomeRefused, reason: why.reason, status: why.status, code: int64(why.code)}, nil)
}

func (o *observer) count(ctx context.Context, v *verdict) {
	o.requests.Add(ctx, requestKey{v.method, v.tool, v.prompt, v.outcome, v.reason}, 1)
	if v.outcome == outcomeRefused {
		o.refusals.Add(ctx, v.reason, 1)
	}
	if limit := limitOf[v.reason]; limit != "" {
		o.limits.Add(ctx, limit, 1)
	}
}

// limitOf is the limit that a reason stands for.
var limitOf = map[string]string{
	"too_many_requests":          telemetry.LimitRequests,
	"too_many_body_bytes":        telemetry.LimitBodyBytes,
	"too_many_body_bytes_in_all": telemetry.LimitAllBodyBytes,
	"body_too_large":             telemetry.LimitBodySize,
	"too_many_sessions":          telemetry.LimitSessions,
	"too_many_subscriptions":     telemetry.LimitSubscriptions,
}

// named returns the tool and the prompt that the targets name, if they are registered. m is a message
// that has reached them, or nil.
func (o *observer) named(targets []target, m *rpcMessage) (toolName, promptName string) {
	if len(targets) == 0 {
		return "", ""
	}
	switch t := targets[0]; t.kind {
	case tool:
		return o.names.of(t, m), ""
	case prompt:
		return "", o.names.of(t, m)
	case resource, template:
	}
	return "", ""
}

// registeredNames are the names of tools and prompts that are registered, or have been.
type registeredNames struct {
	known   sync.Map // of target
	catalog *catalog // of what is registered now
}

func (n *registeredNames) add(k kind, all items) {
	for name := range all {
		n.known.Store(target{k, name}, name)
	}
}

// of returns the target's name, or _OTHER if nothing has it. What a program registers while it
// runs is known once a message has reached it.
func (n *registeredNames) of(t target, m *rpcMessage) string {
	if name, ok := n.known.Load(t); ok {
		return name.(string)
	}
	if m != nil && n.catalog != nil && n.catalog.next != nil {
		method := listTools
		if t.kind == prompt {
			method = listPrompts
		}
		if all, _ := n.catalog.listAll(m, m.req, method); all[t.name] != nil {
			n.add(t.kind, items{t.name: all[t.name]})
			return t.name
		}
	}
	return telemetry.Other
}

// watch measures what the server holds until stop.
func (o *observer) watch(s *stages) (stop func()) {
	stops := []func(){
		o.ObserveCount(telemetry.Sessions, func() int {
			s.sessions.mu.Lock()
			defer s.sessions.mu.Unlock()
			return len(s.sessions.byID)
		}),
		o.ObserveCount(telemetry.Streams, func() int {
			s.streams.mu.Lock()
			defer s.streams.mu.Unlock()
			return len(s.streams.open)
		}),
	}
	if rates := &s.admission.users.rates; rates.store != nil {
		stops = append(stops, o.Observe(telemetry.CircuitOpen, func() (float64, bool) {
			if rates.isPaused() {
				return 1, true
			}
			return 0, true
		}, telemetry.Target.String("rates")))
	}
	return func() {
		for _, one := range stops {
			one()
		}
	}
}

// certificate returns getCertificate, which notes for the metric when the certificate of the
// latest handshake ends. stop ends the metric.
func (o *observer) certificate(getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (noting func(*tls.ClientHelloInfo) (*tls.Certificate, error), stop func()) {
	if getCertificate == nil || !o.Measures() {
		return getCertificate, func() {}
	}
	var latest atomic.Pointer[tls.Certificate]
	stop = o.Observe(telemetry.CertificateEnds, func() (float64, bool) {
		c := latest.Load()
		if c == nil || len(c.Certificate) == 0 {
			return 0, false
		}
		leaf := c.Leaf
		if leaf == nil {
			var err error
			if leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
				return 0, false
			}
		}
		return float64(leaf.NotAfter.Unix()), true
	})
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		c, err := getCertificate(hello)
		if err == nil {
			latest.Store(c)
		}
		return c, err
	}, stop
}
