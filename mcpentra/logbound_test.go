package mcpentra_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// Whatever a stranger or a user sends, by whichever member of the request, a line of
// the log stays short and says how long it was.
func TestLogLinesAreBounded(t *testing.T) {
	t.Parallel()
	const size = 60_000 // net/http's client and server take headers of so much
	long := strings.Repeat("A", size)
	w := newWorld(t, mcpentra.WithTrustedProxies(netip.MustParsePrefix("127.0.0.0/8")), mcpentra.WithToolPolicy("*", entraauth.Policy{Scopes: []string{"access_as_user"}}))
	good := "Bearer " + w.token(w.alice)
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "panics"}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) { panic(long) })
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "fails"}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
		return nil, nil, fmt.Errorf("echo: %w", errors.Join(errors.New(long), errors.New(long)))
	})
	rpc := func(method, params string) string {
		return `{"jsonrpc":"2.0","id":"` + long + `","method":"` + method + `","params":` + params + `}`
	}
	for name, row := range map[string]struct {
		header map[string]string
		path   string
		body   string
		silent bool // nothing that is worth a line
	}{
		"Host":              {map[string]string{"Host": long}, "/mcp", rpc("tools/list", "{}"), false},
		"X-Forwarded-Host":  {map[string]string{"X-Forwarded-Host": long}, "/mcp", rpc("tools/list", "{}"), false},
		"X-Forwarded-For":   {map[string]string{"X-Forwarded-For": long}, "/mcp", rpc("tools/list", "{}"), false},
		"Origin":            {map[string]string{"Origin": "https://" + long}, "/mcp", rpc("tools/list", "{}"), false},
		"Origin by Host":    {map[string]string{"Origin": "https://" + long, "Host": long}, "/mcp", "", false},
		"path":              {nil, "/" + long, "", false},
		"path with escapes": {nil, "/" + url.PathEscape(strings.Repeat("é\n", 5000)), "", false},
		"User-Agent":        {map[string]string{"User-Agent": long}, "/mcp", rpc("tools/list", "{}"), false},
		"Traceparent":       {map[string]string{"Traceparent": long}, "/mcp", rpc("tools/list", "{}"), false},
		"session":           {map[string]string{"Authorization": good, "Mcp-Session-Id": long}, "/mcp", rpc("tools/list", "{}"), false},
		"Content-Type":      {map[string]string{"Authorization": good, "Content-Type": long}, "/mcp", rpc("tools/list", "{}"), false},
		"Authorization":     {map[string]string{"Authorization": "Bearer " + long}, "/mcp", rpc("tools/list", "{}"), false},
		"protocol version":  {map[string]string{"Authorization": good, "Mcp-Protocol-Version": "1" + long}, "/mcp", rpc("tools/list", "{}"), false},
		"Mcp-Name":          {map[string]string{"Authorization": good, "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": long}, "/mcp", rpc("tools/call", `{"name":"x"}`), true},
		"method":            {map[string]string{"Authorization": good}, "/mcp", rpc(long, "{}"), false},
		"unknown tool":      {map[string]string{"Authorization": good}, "/mcp", rpc("tools/call", `{"name":"`+long+`"}`), false},
		"unknown resource":  {map[string]string{"Authorization": good}, "/mcp", rpc("resources/read", `{"uri":"note://`+long+`"}`), false},
		"unknown prompt":    {map[string]string{"Authorization": good}, "/mcp", rpc("prompts/get", `{"name":"`+long+`"}`), false},
		"argument":          {map[string]string{"Authorization": good}, "/mcp", rpc("tools/call", `{"name":"read_blob_with_token","arguments":{"`+long+`":1}}`), false},
		"panic":             {map[string]string{"Authorization": good}, "/mcp", rpc("tools/call", `{"name":"panics"}`), false},
		"failure":           {map[string]string{"Authorization": good}, "/mcp", rpc("tools/call", `{"name":"fails"}`), false},
	} {
		before := len(w.log.String())
		status, header, _ := do(t, http.MethodPost, strings.TrimSuffix(w.url, "/mcp")+row.path, row.body, row.header)
		lines := w.log.String()[before:]
		if lines == "" && !row.silent {
			t.Errorf("%s: no line for a %d, want one", name, status)
		}
		if id := header.Get("X-Request-Id"); !row.silent && !strings.Contains(lines, id) {
			t.Errorf("%s: no line with the request id %s: %.300s", name, id, lines)
		}
		for line := range strings.Lines(lines) {
			if len(line) > 13_000 || len(line) > 4000 && !strings.Contains(line, "stack=") {
				t.Errorf("%s: a line of %d bytes, want at most 4000, or 13000 with a stack: %.300s", name, len(line), line)
			}
		}
		if strings.Contains(lines, strings.Repeat("A", 100)) && !strings.Contains(lines, " bytes)") {
			t.Errorf("%s: what was cut off is not counted: %.500s", name, lines)
		}
	}
}

// Each reason with which the server refuses has a section of its own.
func TestReasonsAreDocumented(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../docs/troubleshooting.md")
	must(t, err)
	files, err := filepath.Glob("*.go")
	must(t, err)
	reasons := map[string]bool{}
	for _, file := range files {
		code, err := os.ReadFile(file)
		must(t, err)
		for _, m := range regexp.MustCompile(`(?:rejection\{|WriteRefusal\(|reason, message :?=)[^"{}]*"([a-z_]+)"`).FindAllStringSubmatch(string(code), -1) {
			reasons[m[1]] = true
		}
	}
	if len(reasons) < 10 {
		t.Fatalf("reasons found in the code: %v, want at least 10", reasons)
	}
	for reason := range reasons {
		if reason != "internal_error" && !strings.Contains(string(docs), "\n### "+reason+"\n") {
			t.Errorf("docs/troubleshooting.md has no section %q", reason)
		}
	}
}

// Every line about a request has the same message, says in one vocabulary what was
// refused, and names what the operator can do.
func TestRefusalLines(t *testing.T) {
	t.Parallel()
	log := &lines{}
	w := newWorld(t, mcpentra.WithLogger(slog.New(slog.NewJSONHandler(log, nil))), mcpentra.WithLimits(mcpentra.Limits{BodyBytes: 4096}))
	good := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
	with := func(name, value string) map[string]string {
		return map[string]string{"Authorization": good["Authorization"], name: value}
	}
	for _, row := range []struct {
		name, method, path, body string
		header                   map[string]string
		reason                   string
		status                   float64
		remedy                   string
		answerKnows              bool // the answer may not name the option
	}{
		{"host", "POST", "/mcp", pingWithID, with("Host", "evil.example"), "host_not_allowed", 403, "WithAllowedHosts", false},
		{"origin", "POST", "/mcp", pingWithID, with("Origin", "https://evil.example"), "origin_not_allowed", 403, "WithAllowedOrigins", false},
		{"path", "POST", "/sse", pingWithID, good, "path_not_found", 404, "", false},
		{"HTTP method", "PUT", "/mcp", pingWithID, good, "http_method_not_allowed", 405, "", false},
		{"Accept", "POST", "/mcp", pingWithID, with("Accept", "text/html"), "accept_not_event_stream", 406, "", false},
		{"Content-Type", "POST", "/mcp", pingWithID, with("Content-Type", "text/plain"), "content_type_not_json", 415, "", false},
		{"JSON", "POST", "/mcp", "{", good, "not_json", 400, "", false},
		{"large body", "POST", "/mcp", strings.Replace(pingWithID, "secure_ping", strings.Repeat("x", 5000), 1), good, "body_too_large", 413, "", false},
		{"method", "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"x"}`, good, "method_not_found", 200, "", false},
		{"message", "POST", "/mcp", `{"id":1,"method":"ping"}`, good, "invalid_request", 400, "", false},
		{"token", "POST", "/mcp", pingWithID, nil, "no_token", 401, "", false},
	} {
		before := len(log.String())
		status, header, answer := do(t, row.method, strings.TrimSuffix(w.url, "/mcp")+row.path, row.body, row.header)
		if float64(status) != row.status {
			t.Errorf("%s: %d, want %v", row.name, status, row.status)
		}
		var event map[string]any
		if text := log.String()[before:]; strings.Count(text, "\n") != 1 || json.Unmarshal([]byte(text), &event) != nil {
			t.Fatalf("%s: got %s, want one line", row.name, text)
		}
		for key, want := range map[string]any{
			"msg": "mcp request", "outcome": "refused", "reason": row.reason, "status": row.status, "http_method": row.method, "path": row.path,
			"request_id": header.Get("X-Request-Id"), "client": "127.0.0.1",
		} {
			if event[key] != want {
				t.Errorf("%s: %s is %v, want %v", row.name, key, event[key], want)
			}
		}
		if remedy, _ := event["remedy"].(string); !strings.Contains(remedy, row.remedy) || strings.Contains(answer, "WithAllowed") {
			t.Errorf("%s: remedy %q, answer %s; want %q and no WithAllowed", row.name, remedy, answer, row.remedy)
		}
		if !strings.Contains(answer, `"reason":"`+row.reason+`"`) {
			t.Errorf("%s: the answer has no reason: %s", row.name, answer)
		}
	}
}

// A line names each thing that a request uses, or says how many more there are.
func TestManyTargetsInOneLine(t *testing.T) {
	t.Parallel()
	log := &lines{}
	w := policyWorld(t)
	w.options = append(w.options, mcpentra.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
	w.rebuild(t)
	var calls []string
	for i := range 12 {
		name := "secure_ping"
		if i == 11 {
			name = "report"
		}
		calls = append(calls, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q}}`, i, name))
	}
	_, _, body := w.post(t, "["+strings.Join(calls, ",")+"]", w.bearer(nil))
	text := log.String()
	refused := func(text string) (targets []any, event map[string]any) {
		for line := range strings.Lines(text) {
			var e map[string]any
			must(t, json.Unmarshal([]byte(line), &e))
			if e["outcome"] == "refused" {
				event = e
			}
		}
		targets, _ = event["targets"].([]any)
		return targets, event
	}
	if targets, event := refused(text); len(targets) != 12 || targets[0] != "tool secure_ping" || targets[11] != "tool report" || event["more_targets"] != nil {
		t.Errorf("targets %v (answer %.200s): got %s, want 12 targets, \"tool secure_ping\", \"tool report\", nil", targets, body, text)
	}
	uris, _ := json.Marshal(slices.Repeat([]string{"note://team/x"}, 100))
	header := w.bearer(nil)
	header["Mcp-Protocol-Version"], header["Mcp-Method"] = "2026-07-28", "subscriptions/listen"
	before := len(log.String())
	_, _, body = w.post(t, `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":`+string(uris)+`}}}`, header)
	if targets, event := refused(log.String()[before:]); len(targets) != 32 || event["more_targets"] != 68. || event["method"] != "subscriptions/listen" {
		t.Errorf("targets %v, more %v (answer %.200s): %.1000s; want 32 targets and 68 more", targets, event["more_targets"], body, log.String()[before:])
	}
	if strings.Count(text, `"tool":`) > strings.Count(text, "\n") {
		t.Errorf("a line has one key twice: %s", text)
	}
}
