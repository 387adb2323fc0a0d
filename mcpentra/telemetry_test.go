package mcpentra_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry/telemetrytest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// observed returns a recorder, and the options that report to it.
func observed(opts ...mcpentra.Option) (*telemetrytest.Recorder, []mcpentra.Option) {
	r := telemetrytest.New()
	return r, append(opts, mcpentra.WithTracerProvider(r.TracerProvider()), mcpentra.WithMeterProvider(r.MeterProvider()))
}

// addFailures adds tools that fail in each way.
func addFailures(w *world) {
	for name, err := range map[string]error{
		"fails": errors.New("secret text"), "breaks": &jsonrpc.Error{Code: -32050, Message: "secret text"},
	} {
		mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: name, Description: "Fails."},
			func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
				return nil, nil, err
			})
	}
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "panics", Description: "Panics."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			panic("secret text")
		})
}

// Each message has one span, and each refused request; span, metrics and log say the same.
func TestSpans(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		r, opts := observed(mode.opts...)
		w := policyWorld(t, opts...)
		addFailures(w)
		known := w.begin(t, mode.name, strings.TrimPrefix(w.bearer(nil)["Authorization"], "Bearer "), "2025-11-25")
		with := func(name, value string) map[string]string {
			header := map[string]string{name: value}
			maps.Copy(header, known)
			header[name] = value
			return header
		}
		get := func(method, params string) string {
			return `{"jsonrpc":"2.0","id":7,"method":"` + method + `","params":` + params + `}`
		}
		for _, c := range []struct {
			name   string
			body   string
			header map[string]string
			span   string
			want   map[attribute.Key]string
			status codes.Code
			metric string // of mcpentra.requests
		}{
			{"allowed", callBody("secure_ping"), known, "tools/call secure_ping", map[attribute.Key]string{
				telemetry.MCPMethod: "tools/call", telemetry.GenAIOperation: "execute_tool", telemetry.GenAITool: "secure_ping",
				telemetry.Outcome: "ok", telemetry.NetworkTransport: "tcp", telemetry.ErrorType: "", telemetry.Reason: "", telemetry.RPCResponseCode: "",
			}, codes.Unset, "gen_ai.tool.name=secure_ping,mcp.method.name=tools/call,mcpentra.outcome=ok"},
			{"a prompt", get("prompts/get", `{"name":"greet"}`), known, "prompts/get greet", map[attribute.Key]string{
				telemetry.GenAIPrompt: "greet", telemetry.GenAIOperation: "", telemetry.Outcome: "ok",
			}, codes.Unset, "gen_ai.prompt.name=greet,mcp.method.name=prompts/get,mcpentra.outcome=ok"},
			{"a resource", get("resources/read", `{"uri":"note://own"}`), known, "resources/read", map[attribute.Key]string{telemetry.Outcome: "ok"},
				codes.Unset, "mcp.method.name=resources/read,mcpentra.outcome=ok"},
			{"a tool's error", callBody("fails"), known, "tools/call fails", map[attribute.Key]string{
				telemetry.Outcome: "error", telemetry.ErrorType: "tool_error", telemetry.RPCResponseCode: "",
			}, codes.Error, "gen_ai.tool.name=fails,mcp.method.name=tools/call,mcpentra.outcome=error"},
			{"an error with a code", callBody("breaks"), known, "tools/call breaks", map[attribute.Key]string{
				telemetry.Outcome: "error", telemetry.ErrorType: "-32050", telemetry.RPCResponseCode: "-32050",
			}, codes.Error, "gen_ai.tool.name=breaks,mcp.method.name=tools/call,mcpentra.outcome=error"},
			{"a panic", callBody("panics"), known, "tools/call panics", map[attribute.Key]string{
				telemetry.Outcome: "error", telemetry.ErrorType: "-32603",
			}, codes.Error, "gen_ai.tool.name=panics,mcp.method.name=tools/call,mcpentra.outcome=error"},
			{"a tool that nobody has", callBody("invented"), known, "tools/call _OTHER", map[attribute.Key]string{
				telemetry.GenAITool: "_OTHER", telemetry.Outcome: "error",
			}, codes.Error, "gen_ai.tool.name=_OTHER,mcp.method.name=tools/call,mcpentra.outcome=error"},
			{"a prompt that nobody has", get("prompts/get", `{"name":"invented"}`), known, "prompts/get _OTHER", map[attribute.Key]string{
				telemetry.GenAIPrompt: "_OTHER",
			}, codes.Error, "gen_ai.prompt.name=_OTHER,mcp.method.name=prompts/get,mcpentra.outcome=error"},
			{"a method that nobody has", get("invented/method", `{}`), known, "_OTHER", map[attribute.Key]string{
				telemetry.MCPMethod: "_OTHER", telemetry.Outcome: "refused", telemetry.Reason: "method_not_found", telemetry.RPCResponseCode: "-32601",
			}, codes.Error, "mcp.method.name=_OTHER,mcpentra.outcome=refused,mcpentra.reason=method_not_found"},
			{"refused by a policy", callBody("report"), known, "tools/call report", map[attribute.Key]string{
				telemetry.Outcome: "refused", telemetry.Reason: "user_role_missing", telemetry.HTTPStatus: "403", telemetry.HTTPMethod: "POST",
				telemetry.ErrorType: "-32003", telemetry.RPCResponseCode: "-32003", telemetry.GenAITool: "report",
			}, codes.Error, "gen_ai.tool.name=report,mcp.method.name=tools/call,mcpentra.outcome=refused,mcpentra.reason=user_role_missing"},
			{"refused by what the SDK read", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"report","NAME":"secure_ping"}}`, known,
				"tools/call report", map[attribute.Key]string{telemetry.Outcome: "refused", telemetry.Reason: "user_role_missing"},
				codes.Error, "gen_ai.tool.name=report,mcp.method.name=tools/call,mcpentra.outcome=refused,mcpentra.reason=user_role_missing"},
			{"no token", callBody("secure_ping"), nil, "POST", map[attribute.Key]string{
				telemetry.Outcome: "refused", telemetry.Reason: "no_token", telemetry.HTTPStatus: "401", telemetry.ErrorType: "", telemetry.MCPMethod: "", telemetry.RPCResponseCode: "",
			}, codes.Unset, "mcpentra.outcome=refused,mcpentra.reason=no_token"},
			{"a foreign host", callBody("secure_ping"), with("Host", "evil.example"), "POST", map[attribute.Key]string{
				telemetry.Outcome: "refused", telemetry.Reason: "host_not_allowed", telemetry.HTTPStatus: "403",
			}, codes.Unset, "mcpentra.outcome=refused,mcpentra.reason=host_not_allowed"},
			{"not JSON", `{`, known, "POST", map[attribute.Key]string{telemetry.Reason: "not_json", telemetry.HTTPStatus: "400"},
				codes.Unset, "mcpentra.outcome=refused,mcpentra.reason=not_json"},
			{"a notification", `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`, known, "notifications/roots/list_changed",
				map[attribute.Key]string{telemetry.Outcome: "ok"}, codes.Unset, "mcp.method.name=notifications/roots/list_changed,mcpentra.outcome=ok"},
		} {
			before, counted := len(r.Spans()), r.Series(telemetry.Requests.Name)[c.metric]
			w.post(t, c.body, c.header)
			if c.name == "a notification" && mode.name == "sessions" {
				w.post(t, callBody("secure_ping"), known) // the SDK has read the notification before
			}
			var found []telemetrytest.Span
			for _, s := range r.Spans()[before:] {
				if s.Kind == trace.SpanKindServer && s.Name == c.span {
					found = append(found, s)
				}
			}
			if len(found) != 1 {
				t.Errorf("%s, %s: %d spans %q in %+v, want 1", mode.name, c.name, len(found), c.span, r.Spans()[before:])
				continue
			}
			span := found[0]
			if isNotification := c.name == "a notification" && mode.name == "sessions"; span.Parent.IsValid() != isNotification || span.Status != c.status || span.StatusText != "" {
				t.Errorf("%s, %s: got parent %v, status %v %q; want a root, %v", mode.name, c.name, span.Parent, span.Status, span.StatusText, c.status)
			}
			for key, want := range c.want {
				if got := span.Attributes[key]; got != want {
					t.Errorf("%s, %s: %s is %q, want %q", mode.name, c.name, key, got, want)
				}
			}
			if got := r.Series(telemetry.Requests.Name)[c.metric]; got != counted+1 {
				t.Errorf("%s, %s: %q is %v, want %v; all: %v", mode.name, c.name, c.metric, got, counted+1, r.Series(telemetry.Requests.Name))
			}
			if id := "trace_id=" + span.Context.TraceID().String() + " span_id=" + span.Context.SpanID().String(); !strings.Contains(w.log.String(), id) {
				t.Errorf("%s, %s: no line of the log has %s", mode.name, c.name, id)
			}
		}
	}
}

// Whose trace a message's span belongs to.
func TestWhoseTrace(t *testing.T) {
	t.Parallel()
	const other = "1af7651916cd43dd8448eb211c80319c"
	header := "00-" + traceSent + "-b7ad6b7169203331-00"
	meta := "00-" + other + "-c7ad6b7169203331-01"
	loopback := mcpentra.WithTrustedProxies(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	for _, c := range []struct {
		name         string
		options      []mcpentra.Option
		header, meta string
		trace, link  string // "" is one of our own, and none
		callers      string // in the log
	}{
		{"nobody's", nil, "", "", "", "", ""},
		{"a stranger's", nil, header, "", "", traceSent, traceSent},
		{"a stranger's in the message", nil, "", meta, "", other, other},
		{"a proxy's", []mcpentra.Option{loopback}, header, "", traceSent, "", traceSent},
		{"a proxy's, and a stranger's in the message", []mcpentra.Option{loopback}, header, meta, traceSent, other, other},
		{"anybody's", []mcpentra.Option{mcpentra.WithTraceFromHeader()}, header, "", traceSent, "", traceSent},
		{"anybody's, in the message", []mcpentra.Option{mcpentra.WithTraceFromMeta()}, "", meta, other, "own", other},
		{"both", []mcpentra.Option{mcpentra.WithTraceFromMeta(), loopback}, header, meta, other, traceSent, other},
		{"malformed", []mcpentra.Option{mcpentra.WithTraceFromMeta(), loopback}, "00-" + traceSent + "-b7ad6b7169203331", strings.Repeat("0", 1<<12), "", "", ""},
		{"malformed, and good", []mcpentra.Option{mcpentra.WithTraceFromMeta(), loopback}, header, "00-x", traceSent, "", traceSent},
	} {
		r, opts := observed(c.options...)
		w := newWorld(t, opts...)
		var inTool trace.SpanContext
		mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "look", Description: "Looks."},
			func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
				inTool = trace.SpanContextFromContext(ctx)
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "seen"}}}, nil, nil
			})
		headers := map[string]string{"Authorization": "Bearer " + w.token(w.alice), "Tracestate": "vendor=stranger", "Baggage": "user=stranger"}
		if c.header != "" {
			headers["Traceparent"] = c.header
		}
		status, _, body := w.post(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","arguments":{},"_meta":{"traceparent":%q,"tracestate":"vendor=stranger","baggage":"user=stranger"}}}`, c.meta), headers)
		if status != http.StatusOK {
			t.Fatalf("%s: got %d %s, want 200", c.name, status, body)
		}
		spans := r.Named("tools/call look")
		if len(spans) != 1 {
			t.Fatalf("%s: got %+v, want one span", c.name, r.Spans())
		}
		s := spans[0]
		if got := s.Parent.TraceID().String(); c.trace != "" && got != c.trace || c.trace == "" && s.Parent.IsValid() {
			t.Errorf("%s: the parent is of %s, want %q", c.name, got, c.trace)
		}
		link := ""
		if len(s.Links) > 0 {
			link = s.Links[0].SpanContext.TraceID().String()
		}
		if len(s.Links) > 1 || c.link == "own" && len(s.Links) != 1 || c.link != "own" && link != c.link {
			t.Errorf("%s: linked to %+v, want %q", c.name, s.Links, c.link)
		}
		if inTool.SpanID() != s.Context.SpanID() {
			t.Errorf("%s: the tool's context has the span %v, want %v", c.name, inTool.SpanID(), s.Context.SpanID())
		}
		if got, want := s.Context.TraceState().String() != "", c.trace == traceSent; got != want {
			t.Errorf("%s: tracestate %q, want one: %t", c.name, s.Context.TraceState(), want)
		}
		wantLine := ""
		if c.callers != "" {
			wantLine = " caller_trace_id=" + c.callers
		}
		if line := "span_id=" + s.Context.SpanID().String() + wantLine + " method=tools/call"; !strings.Contains(w.log.String(), line) {
			t.Errorf("%s: the log is %s, want %q", c.name, w.log, line)
		}
	}
}

// Each message of a batch has a span of its own, below that of the request.
func TestSpansOfBatch(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		r, opts := observed(mode.opts...)
		w := newWorld(t, opts...)
		header := w.begin(t, mode.name, w.token(w.alice), "2025-03-26")
		before := len(r.Spans())
		status, _, body := w.post(t, batchOf(3, "secure_ping"), header)
		if status != http.StatusOK {
			t.Fatalf("%s: got %d %s, want 200", mode.name, status, body)
		}
		var request telemetrytest.Span
		calls := 0
		for _, s := range r.Spans()[before:] {
			switch s.Name {
			case "POST":
				request = s
			case "tools/call secure_ping":
				if calls++; s.Parent.SpanID() != request.Context.SpanID() {
					t.Errorf("%s: the parent is %v, want the request's %v", mode.name, s.Parent.SpanID(), request.Context.SpanID())
				}
			}
		}
		if calls != 3 {
			t.Errorf("%s: %d spans, want 3 in %+v", mode.name, calls, r.Spans()[before:])
		}
	}
}
