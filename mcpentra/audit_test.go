package mcpentra_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// One line for each request, whatever became of it: who, what, the outcome and why,
// and the id that the answer has too.
func TestAudit(t *testing.T) {
	t.Parallel()
	w := policyWorld(t)
	log := &lines{}
	w.options = append(w.options, mcpentra.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
	w.rebuild(t)
	addWhoami(w)
	known := w.bearer(map[string]any{"uti": "token-1"})
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 53003, Times: 1})
	for _, c := range []struct {
		name   string
		body   string
		header map[string]string
		want   map[string]any
	}{
		{"allowed", callBody("secure_ping"), known, map[string]any{"level": "INFO", "method": "tools/call", "tool": "secure_ping", "outcome": "ok"}},
		{"refused by a policy", callBody("report"), known, map[string]any{"level": "WARN", "method": "tools/call", "tool": "report", "outcome": "refused", "reason": "user_role_missing", "status": 403.}},
		{"refused by what the SDK read", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"report","NAME":"secure_ping"}}`, known,
			map[string]any{"level": "WARN", "tool": "report", "outcome": "refused", "reason": "user_role_missing"}},
		{"failed", callBody("whoami"), known, map[string]any{"level": "WARN", "tool": "whoami", "outcome": "error"}},
		{"resource", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"note://own"}}`, known, map[string]any{"resource": "note://own", "outcome": "ok"}},
		{"resource in another spelling", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"NOTE://ow%6E"}}`, known, map[string]any{"resource": "note://own", "outcome": "ok"}},
		{"completion in another spelling", `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"note://x/../ow%6E"},"argument":{"name":"a","value":"b"}}}`, known, map[string]any{"resource": "note://x/own"}},
		{"not JSON, and not allowed", `{"jsonrpc":"2.0","id":01,"method":"tools/call","params":{"name":"report"}}`, known, map[string]any{"outcome": "refused", "reason": "not_json", "status": 400.}},
		{"no token", callBody("secure_ping"), nil, map[string]any{"level": "INFO", "outcome": "refused", "reason": "no_token", "status": 401.}},
		{"token without scope", callBody("secure_ping"), w.bearer(map[string]any{"uti": "token-1", "scp": "other"}), map[string]any{"level": "WARN", "outcome": "refused", "reason": "scope_missing"}},
		{"bad token", callBody("secure_ping"), map[string]string{"Authorization": "Bearer x.y.z"}, map[string]any{"level": "WARN", "outcome": "refused", "reason": "malformed"}},
	} {
		before := len(log.String())
		_, header, _ := w.post(t, c.body, c.header)
		var events []map[string]any
		for line := range strings.Lines(log.String()[before:]) {
			var event map[string]any
			must(t, json.Unmarshal([]byte(line), &event))
			if event["msg"] == "mcp request" {
				events = append(events, event)
			}
		}
		if len(events) == 0 {
			t.Fatalf("%s: got %s, want a line", c.name, log.String()[before:])
		}
		event := events[0]
		if len(events) > 1 {
			t.Errorf("%s: %d lines: got %v, want at most 1", c.name, len(events), events)
		}
		for key, want := range c.want {
			if event[key] != want {
				t.Errorf("%s: %s is %v, want %v", c.name, key, event[key], want)
			}
		}
		if id := header.Get("X-Request-Id"); id == "" || event["request_id"] != id {
			t.Errorf("%s: request id %v, the answer's is %q; want the same", c.name, event["request_id"], id)
		}
		caller, _ := event["caller"].(map[string]any)
		if hasCaller := c.want["reason"] != "no_token" && c.want["reason"] != "malformed"; hasCaller != (caller != nil) ||
			hasCaller && (caller["uti"] != "token-1" || !strings.HasSuffix(caller["user"].(string), w.alice.ObjectID) || caller["client"] != w.client.ClientID) {
			t.Errorf("%s: caller %v, want Alice, her client and token: %t", c.name, caller, hasCaller)
		}
	}
	if text := log.String(); strings.Contains(text, "arguments") || strings.Contains(text, "noted") || strings.Contains(text, "eyJ") {
		t.Error("the log has arguments, content or a token")
	}
	if status, _, _ := do(t, http.MethodGet, w.url, "", known); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %d, want 405", status)
	}
}

// One missing consent, with the packages logging to one place, is one line: with the
// request's id and the reason. (That obo says nothing then is obo's test.)
func TestMissingConsentIsOneLine(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		w := newWorld(t, mode.opts...)
		w.tenant.RevokeConsent(w.api, w.tenant.Storage())
		s := w.connect(t, w.token(w.alice), "2025-11-25")
		before := len(w.log.String())
		if result, text := call(t, s, "read_blob_with_token", map[string]any{"blob_path": "hello.txt"}); !result.IsError || !strings.Contains(text, "65001") {
			t.Fatalf("%s: got %s, want an error with 65001", mode.name, text)
		}
		var told []string
		for line := range strings.Lines(w.log.String()[before:]) {
			if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
				told = append(told, line)
			}
		}
		if len(told) != 1 || !strings.Contains(told[0], `msg="mcp request"`) || !strings.Contains(told[0], "request_id=") ||
			!strings.Contains(told[0], "reason=consent_required") || !strings.Contains(told[0], "AADSTS65001") {
			t.Errorf("%s: %d lines: got %s, want 1 and %q and request_id= and reason=consent_required and AADSTS65001", mode.name, len(told), strings.Join(told, ""), `msg="mcp request"`)
		}
		// The operator reads whose consent is missing, to what, and where to give it.
		if want := "/v2.0/adminconsent with client_id=" + w.api.ClientID + " and scope=https://storage.azure.com/.default"; len(told) == 1 && !strings.Contains(told[0], want) {
			t.Errorf("%s: got %s, want %q", mode.name, told[0], want)
		}
	}
}

// What a client sends neither forges a line nor gets into an id.
func TestHostileLines(t *testing.T) {
	t.Parallel()
	a := newAuditor(t)
	w := a.on(policyWorld(t))
	addWhoami(w)
	const id, bad = "0badc0de-0000-4000-8000-000000000000", "x\nlevel=ERROR msg=\"mcp request\"\r\x1b[31m\u2028\x00"
	quoted, err := json.Marshal(bad)
	must(t, err)
	for _, uti := range []string{id, bad, strings.Repeat("a", 65), "\xff\xfe"} {
		header := w.bearer(map[string]any{"uti": uti})
		for _, name := range []string{"Client-Request-Id", "X-Request-Id", "X-Ms-Client-Request-Id", "X-Correlation-Id", "Traceparent", "Origin-X"} {
			header[name] = id
		}
		text := strings.Trim(string(quoted), `"`)
		for _, body := range []string{
			callBody("whoami"), callBody(text), readBody("note://" + text), callBody("\xff\xfe"),
			`{"jsonrpc":"2.0","id":` + string(quoted) + `,"method":` + string(quoted) + `}`,
			`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":` + string(quoted) + `}}`,
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","_meta":{"exchanges":["` + id + `"],"client-request-id":"` + id + `"}}}`,
		} {
			from := [2]int{len(a.json.String()), len(a.text.String())}
			_, _, _ = w.post(t, body, header)
			a.take("hostile", 1)
			for _, written := range []string{a.json.String()[from[0]:], a.text.String()[from[1]:]} {
				if strings.ContainsAny(strings.ReplaceAll(written, "\n", ""), "\r\x1b\x00") || !utf8.ValidString(written) || strings.Contains(strings.ReplaceAll(written, `uti":"`+id, ""), `"`+id) {
					t.Errorf("%q with the uti %q writes %q; want no control characters, and the client's id nowhere but in uti", body, uti, written)
				}
			}
		}
	}
}

// A line below the level of the operator's handler is not written, whichever it is.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := &lines{}
	w.options = []mcpentra.Option{mcpentra.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError})))}
	w.rebuild(t)
	for _, header := range []map[string]string{nil, {"Authorization": "Bearer " + w.token(w.alice)}, {"Host": "evil.example"}} {
		_, _, _ = w.post(t, callBody("secure_ping"), header)
		_, _, _ = w.post(t, callBody("no_such_tool"), header)
	}
	if got := log.String(); got != "" {
		t.Errorf("the log at level ERROR has %s, want nothing", got)
	}
}

// A tool that ends its goroutine (runtime.Goexit, which tests' FailNow calls) has its
// line too, and the stages are left. The SDK never answers such a call.
func TestGoexit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	receive := w.server.Receive(func(context.Context, string, mcp.Request) (mcp.Result, error) {
		runtime.Goexit()
		return &mcp.CallToolResult{}, nil
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = receive(t.Context(), "tools/call", &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Name: "exit"}})
	}()
	<-done
	if log := w.log.String(); !strings.Contains(log, "tool=exit outcome=error") || !strings.Contains(log, "Goexit") {
		t.Errorf("the log has no line that says that the tool ended its goroutine:\n%s", log)
	}
}
