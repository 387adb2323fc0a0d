package mcpentra_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// An auditor reads the lines of requests, as JSON and as text.
type auditor struct {
	t          *testing.T
	json, text *lines
	read       [2]int
	schema     *jsonschema.Resolved
	seen       map[string]bool // the fields, those of groups after their group and a dot
	golden     strings.Builder
}

func newAuditor(t *testing.T) *auditor {
	t.Helper()
	schema := auditSchema(t)
	for _, s := range []*jsonschema.Schema{schema, schema.Properties["caller"], schema.Properties["detail"]} {
		s.AdditionalProperties = &jsonschema.Schema{Not: &jsonschema.Schema{}} // operators' loggers may add fields, not ours
	}
	resolved, err := schema.Resolve(nil)
	must(t, err)
	return &auditor{t: t, json: &lines{}, text: &lines{}, schema: resolved, seen: map[string]bool{}}
}

func auditSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile("../docs/audit.schema.json")
	must(t, err)
	schema := new(jsonschema.Schema)
	must(t, json.Unmarshal(data, schema))
	return schema
}

// on makes the world's server log to the auditor.
func (a *auditor) on(w *world) *world {
	a.t.Helper()
	debug := &slog.HandlerOptions{Level: slog.LevelDebug}
	w.options = append(w.options, mcpentra.WithLogger(slog.New(slog.NewMultiHandler(slog.NewJSONHandler(a.json, debug), slog.NewTextHandler(a.text, debug)))))
	w.rebuild(a.t)
	return w
}

// take adds the new lines of requests to the golden file, checked.
func (a *auditor) take(kind string, want int) {
	a.t.Helper()
	var texts []string
	logged, told := a.json.String()[a.read[0]:], a.text.String()[a.read[1]:]
	a.read[0], a.read[1] = a.read[0]+len(logged), a.read[1]+len(told)
	for line := range strings.Lines(told) {
		if strings.Contains(line, ` msg="mcp request" `) {
			texts = append(texts, line)
		}
	}
	fmt.Fprintf(&a.golden, "# %s\n", kind)
	n := 0
	for line := range strings.Lines(logged) {
		var event map[string]any
		must(a.t, json.Unmarshal([]byte(line), &event))
		if event["msg"] != "mcp request" {
			continue
		}
		if err := a.schema.Validate(event); err != nil {
			a.t.Errorf("%s: %s does not match docs/audit.schema.json: %v", kind, line, err)
		}
		names := fieldsOf(event)
		for _, name := range names {
			a.seen[name] = true
		}
		if n < len(texts) {
			if got := fieldsInText(texts[n]); !slices.Equal(got, names) {
				a.t.Errorf("%s: the line as text has the fields %v, as JSON %v", kind, got, names)
			}
		}
		n++
		fixed, err := json.Marshal(changeless("", event))
		must(a.t, err)
		fmt.Fprintf(&a.golden, "%s\n", fixed)
	}
	if n != want || len(texts) != want {
		a.t.Errorf("%s: %d lines as JSON, %d as text, want %d: %s", kind, n, len(texts), want, logged)
	}
}

func fieldsOf(event map[string]any) (names []string) {
	for name, value := range event {
		group, isGroup := value.(map[string]any)
		if !isGroup {
			names = append(names, name)
		}
		for _, inner := range fieldsOf(group) {
			names = append(names, name+"."+inner)
		}
	}
	return slices.Sorted(slices.Values(names))
}

var (
	quotedText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	textField  = regexp.MustCompile(`(?:^| )([a-z_.]+)=`)
	guid       = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	anyHost    = regexp.MustCompile(`(localhost|127\.0\.0\.1):\d+`)
)

func fieldsInText(line string) (names []string) {
	for _, m := range textField.FindAllStringSubmatch(quotedText.ReplaceAllString(line, `""`), -1) {
		names = append(names, m[1])
	}
	return slices.Sorted(slices.Values(names))
}

// changeless replaces what differs from run to run.
func changeless(name string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = changeless(key, v[key])
		}
	case []any:
		for i := range v {
			v[i] = changeless("", v[i])
		}
	case float64:
		if name == "duration" || name == "retry_after" {
			return "{nanoseconds}"
		}
	case string:
		switch name {
		case "time", "request_id", "uti", "stack", "correlation_id", "trace_id", "span_id":
			return "{" + name + "}"
		}
		return anyHost.ReplaceAllString(guid.ReplaceAllString(v, "{id}"), "{host}")
	}
	return value
}

// many is a tool that asks Entra for a new token nine times.
func many(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	c, err := mcpentra.Credential(ctx)
	for i := 0; i < 9 && err == nil; i++ {
		_, err = c.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{storageScope}, Claims: fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"}}}`, i)})
	}
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil, err
}

const notification = `{"jsonrpc":"2.0","method":%q}`

// Each kind of request writes lines that docs/audit.schema.json describes, with the same fields as
// JSON and as text; what they say is in a golden file.
func TestRequestLines(t *testing.T) {
	t.Parallel()
	a := newAuditor(t)
	a.ordinary()
	a.refused()
	a.entra()
	a.agents()
	a.front()
	compareGolden(t, "request_lines.txt", a.golden.String())
	var described []string
	schema := auditSchema(t)
	for name, s := range schema.Properties {
		for inner := range s.Properties {
			described = append(described, name+"."+inner)
		}
		if len(s.Properties) == 0 {
			described = append(described, name)
		}
	}
	// What the operator's own texts and rare faults add is described, and not made here.
	rare := []string{"detail.cause", "detail.suberror", "detail.retry_after"}
	for _, name := range described {
		if !a.seen[name] && !slices.Contains(rare, name) {
			t.Errorf("docs/audit.schema.json has %s, and no line does", name)
		}
	}
	if missing := slices.DeleteFunc(slices.Sorted(maps.Keys(a.seen)), func(name string) bool { return slices.Contains(described, name) }); len(missing) > 0 {
		t.Errorf("lines have %v, which docs/audit.schema.json lacks", missing)
	}
}

// send posts each body, and takes its line.
func (a *auditor) send(w *world, kind, body string, header map[string]string) {
	a.t.Helper()
	_, _, _ = w.post(a.t, body, header)
	a.take(kind, 1)
}

func (a *auditor) ordinary() {
	_, traces := observed()
	w := a.on(policyWorld(a.t, traces...))
	addWhoami(w)
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "many"}, many)
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "panics"}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
		panic("out of order")
	})
	addWriters(w)
	known := w.bearer(map[string]any{"uti": "token-1"})
	traced := maps.Clone(known)
	traced["Traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	a.send(w, "a call", callBody("secure_ping"), known)
	a.send(w, "a call with an exchange", callBody("whoami"), known)
	a.send(w, "a call with a cached token and a trace", callBody("whoami"), traced)
	a.send(w, "a call with nine exchanges", callBody("many"), known)
	a.send(w, "a resource", readBody("note://own"), known)
	a.send(w, "a prompt", `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"draft"}}`, w.bearer(map[string]any{"uti": "token-1", "scp": "access_as_user Mail.Send"}))
	a.send(w, "a list", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, known)
	a.send(w, "a ping", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, known)
	a.send(w, "a notification", fmt.Sprintf(notification, "notifications/initialized"), known)
	a.send(w, "an unknown notification", fmt.Sprintf(notification, "notifications/unknown"), known)
	_, _, _ = w.post(a.t, batchOf(2, "secure_ping"), known)
	a.take("a batch", 2)
	a.send(w, "a batch with a call that is not allowed", "["+callBody("secure_ping")+","+callBody("report")+"]", known)
	a.send(w, "a tool that panics", callBody("panics"), known)
	a.send(w, "an unknown tool", callBody("nothing"), known)
	a.send(w, "a tool that changes something", callBody("change"), known)
	a.send(w, "a tool that is interrupted while it changes something", callBody("change_and_panic"), known)
	a.send(w, "a tool that changes much", callBody("change_much"), known)
	_, _, _ = w.post(a.t, "["+callBody("change")+","+strings.Replace(callBody("secure_ping"), `"id":7`, `"id":8`, 1)+"]", known)
	a.take("a batch with a tool that changes something", 2)
}

func (a *auditor) refused() {
	w := a.on(policyWorld(a.t, mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 0.001, Burst: 20})))
	known := w.bearer(map[string]any{"uti": "token-2"})
	a.send(w, "no token", callBody("secure_ping"), nil)
	a.send(w, "a token that is none", callBody("secure_ping"), bearerOf("x.y.z"))
	a.send(w, "a token without scope", callBody("secure_ping"), w.bearer(map[string]any{"uti": "token-2", "scp": "other"}))
	a.send(w, "not allowed, before dispatch", callBody("report"), known)
	a.send(w, "not allowed, by what the SDK has read", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"report","NAME":"secure_ping"}}`, known)
	listen := maps.Clone(known)
	listen["Mcp-Protocol-Version"], listen["Mcp-Method"] = "2026-07-28", "subscriptions/listen"
	uris, _ := json.Marshal(slices.Repeat([]string{"note://team/x"}, 40))
	a.send(w, "many resources, not allowed", `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":`+string(uris)+`}}}`, listen)
	host := maps.Clone(known)
	host["Host"] = "evil.example"
	a.send(w, "another host", callBody("secure_ping"), host)
	a.send(w, "an unknown method", `{"jsonrpc":"2.0","id":1,"method":"x"}`, known)
	a.send(w, "parameters of the wrong type", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":1}}`, known)
	a.send(w, "not JSON", "{", known)
	do(a.t, http.MethodGet, w.url, "", known)
	a.take("another HTTP method", 1)
	for status := 0; status != http.StatusTooManyRequests; {
		a.read[0], a.read[1] = len(a.json.String()), len(a.text.String())
		status, _, _ = w.post(a.t, callBody("secure_ping"), known)
	}
	a.take("too many requests", 1)
}

func (a *auditor) entra() {
	w := consentWorld(a.t)
	a.on(w)
	addWhoami(w)
	s := w.connect(a.t, w.token(w.alice), "2025-11-25")
	a.read[0], a.read[1] = len(a.json.String()), len(a.text.String())
	_, _ = call(a.t, s, "whoami", nil)
	a.take("consent required", 1)
	s = w.connectPerson(a.t, w.token(w.bob), "2026-07-28", func(context.Context, string) string { return "decline" }, nil)
	a.read[0], a.read[1] = len(a.json.String()), len(a.text.String())
	_, _ = call(a.t, s, "whoami", nil)
	a.take("consent, asked and declined", 2)
	w = a.on(newWorld(a.t))
	addWhoami(w)
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 53003, Times: 1})
	a.send(w, "an exchange that a policy of the tenant refuses", callBody("whoami"), bearerOf(w.token(w.alice)))
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 50173, Times: 1})
	a.send(w, "an exchange that finds the token revoked", callBody("whoami"), bearerOf(w.token(w.bob)))
}

func (a *auditor) agents() {
	x := newAgency(a.t)
	a.on(x.world)
	a.send(x.world, "a person, as an agent", callBody("act"), bearerOf(x.token(x.alice)))
	a.send(x.world, "an agent on its own, without a credential", callBody("act"), bearerOf(x.agentToken(a.t, x.a)))
	x.tenant.RevokeConsent(x.b, x.tenant.Storage())
	a.send(x.world, "an agent without permissions", callBody("act"), bearerOf(x.token(x.bob)))
	w, _ := lendingWorld(a.t)
	a.on(w)
	a.send(w, "an application with the server's credential", callBody("ask"), w.application("Other"))
}

// front is the authorization proxy.
func (a *auditor) front() {
	w := a.on(newWorld(a.t, mcpentra.WithAuthProxy(newFakeProxy())))
	base := strings.TrimSuffix(w.url, "/mcp")
	do(a.t, http.MethodGet, base+"/.well-known/oauth-authorization-server/mcp", "", nil)
	a.take("the proxy's metadata", 1)
	for _, body := range []string{"code=x", "refuse=x", "fail=x"} {
		do(a.t, http.MethodPost, base+"/auth/token", body, nil)
	}
	a.take("sign-ins: good, refused, failed", 3)
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, base+"/panic", nil)
	must(a.t, err)
	if resp, err := connections.RoundTrip(r); err == nil {
		_ = resp.Body.Close()
		a.t.Errorf("a panic: got %d, want a closed connection", resp.StatusCode)
	}
	a.text.await(a.t, "at the disco")
	a.take("a panic outside of MCP", 1)
}
