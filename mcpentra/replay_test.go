package mcpentra_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// changed returns the header with one more value.
func changed(header map[string]string, name, value string) map[string]string {
	header = maps.Clone(header)
	header[name] = value
	return header
}

// strongAndWeak returns the headers of one user with one client application in one
// session, by a token that may do all and by one that may do what needs no policy.
func strongAndWeak(t *testing.T, w *world, protocol string) (strong, weak map[string]string) {
	t.Helper()
	token := w.bearer(map[string]any{"scp": "access_as_user Mail.Read Mail.Send", "roles": []string{"Reader"}, "groups": []string{manager}, "acrs": []string{"c1"}})
	strong = w.begin(t, "sessions", strings.TrimPrefix(token["Authorization"], "Bearer "), protocol)
	return strong, changed(strong, "Authorization", w.bearer(map[string]any{"xms_cc": []string{"cp1"}})["Authorization"])
}

// An answer is replayed to those who may make the call themselves.
func TestReplayIsJudged(t *testing.T) {
	t.Parallel()
	w := policyWorld(t, mcpentra.WithSessions())
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "plan"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, mcpentra.MayUseResource(ctx, "note://team/plan")
	})
	rpc := func(method, params string) string {
		return `{"jsonrpc":"2.0","id":7,"method":"` + method + `","params":` + params + `}`
	}
	for _, row := range []struct {
		name, body, protocol string
		status               int
		challenge            string
	}{
		{"a scope", callBody("mail_read"), "", http.StatusForbidden, "/Mail.Read"},
		{"two scopes", callBody("mail_send"), "", http.StatusForbidden, "/Mail.Send"},
		{"a role", callBody("report"), "", http.StatusForbidden, ""},
		{"a group", callBody("salaries"), "", http.StatusForbidden, ""},
		{"an authentication context", callBody("payout"), "", http.StatusUnauthorized, "insufficient_claims"},
		{"a resource", rpc("resources/read", `{"uri":"note://team/plan"}`), "", http.StatusForbidden, ""},
		{"a resource of a tool", rpc("resources/read", `{"uri":"note://mail/today"}`), "", http.StatusForbidden, "Mail.Read"},
		{"a prompt", rpc("prompts/get", `{"name":"draft"}`), "", http.StatusForbidden, "Mail.Send"},
		{"a completion", rpc("completion/complete", `{"ref":{"type":"ref/resource","uri":"note://team/{name}"},"argument":{"name":"name","value":"p"}}`), "", http.StatusForbidden, ""},
		{"a list", rpc("tools/list", `{}`), "", http.StatusForbidden, ""},
		{"a list of resources", rpc("resources/list", `{}`), "", http.StatusForbidden, ""},
		{"a name with escapes", `{"jsonrpc":"2.0","id":7,"m\u0065thod":"tools\/call","params":{"name":"r\u0065port","arguments":{}}}`, "", http.StatusForbidden, ""},
		{"a batch", "[" + callBody("secure_ping") + "," + strings.Replace(callBody("report"), `"id":7`, `"id":8`, 1) + "]", "2025-03-26", http.StatusForbidden, ""},
		{"a tool that shows a resource", callBody("plan"), "", http.StatusForbidden, ""},
		{"nothing", callBody("secure_ping"), "", http.StatusOK, ""},
		{"a free resource", rpc("resources/read", `{"uri":"note://own"}`), "", http.StatusOK, ""},
		{"a free prompt", rpc("prompts/get", `{"name":"greet"}`), "", http.StatusOK, ""},
		{"a batch of free calls", "[" + callBody("secure_ping") + "," + strings.Replace(callBody("secure_ping"), `"id":7`, `"id":8`, 1) + "]", "2025-03-26", http.StatusOK, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.protocol == "" {
				row.protocol = "2025-11-25"
			}
			strong, weak := strongAndWeak(t, w, row.protocol)
			status, _, body := w.post(t, row.body, strong)
			id := eventID.FindStringSubmatch(body)
			if status != http.StatusOK || id == nil || !strings.Contains(body, `"result"`) || strings.Contains(body, "isError") {
				t.Fatalf("the call: got %d %s, want 200 and %q and no isError, an id", status, body, `"result"`)
			}
			status, h, got := do(t, http.MethodGet, w.url, "", changed(weak, "Last-Event-ID", id[1]))
			if status != row.status || !strings.Contains(h.Get("Www-Authenticate"), row.challenge) {
				t.Errorf("the weaker token: %d %q, want %d %q", status, h.Get("Www-Authenticate"), row.status, row.challenge)
			}
			if replayed := strings.Contains(got, `"result"`); replayed != (row.status == http.StatusOK) {
				t.Errorf("replayed to the weaker token: %v: %s; want what its status says, %d", replayed, got, row.status)
			}
			if status, _, got := do(t, http.MethodGet, w.url, "", changed(strong, "Last-Event-ID", id[1])); status != http.StatusOK || !strings.Contains(got, `"result"`) {
				t.Errorf("the token of the call: got %d %s, want 200 and %q", status, got, `"result"`)
			}
		})
	}
	if log := w.log.String(); !strings.Contains(log, "http_method=GET") || !strings.Contains(log, "reason=user_role_missing") {
		t.Error("the log has no line of a refused GET")
	}
}

// asking is a tool for readers that reports its progress, asks its client, and says
// what it was answered.
func asking() (mcpentra.ToolSet, chan *mcp.CallToolRequest) {
	begun := make(chan *mcp.CallToolRequest, 1)
	return mcpentra.Tool(&mcp.Tool{Name: "asking"}, func(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: "p", Message: "the progress"}); err != nil {
			return nil, nil, err
		}
		req.Extra.CloseSSEStream(mcp.CloseSSEStreamArgs{RetryAfter: time.Millisecond})
		begun <- req
		answer, err := req.Session.Elicit(ctx, &mcp.ElicitParams{Message: "the question", RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{}}})
		if err != nil {
			return nil, nil, err
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "the answer: " + answer.Action}}}, nil, nil
	}, readers), begun
}

// While a call runs, its progress, its questions and its answer go to those who may
// make it, and so does the right to answer.
func TestRunningCallIsForThoseWhoMayMakeIt(t *testing.T) {
	t.Parallel()
	set, begun := asking()
	w := policyWorld(t, mcpentra.WithSessions(), mcpentra.WithTools(set))
	token := w.bearer(map[string]any{"roles": []string{"Reader"}})
	_, h, _ := w.post(t, strings.Replace(initialize, `"capabilities":{}`, `"capabilities":{"elicitation":{}}`, 1), token)
	strong := changed(changed(token, "Mcp-Session-Id", h.Get("Mcp-Session-Id")), "Mcp-Protocol-Version", "2025-11-25")
	t.Cleanup(func() { do(t, http.MethodDelete, w.url, "", strong) })
	weak := changed(strong, "Authorization", w.bearer(nil)["Authorization"])
	w.post(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, strong)

	status, _, body := w.post(t, callBody("asking"), strong) // the server hangs up
	id := eventID.FindStringSubmatch(body)
	if status != http.StatusOK || id == nil {
		t.Fatalf("the call: got %d %s, want 200, an id", status, body)
	}
	<-begun
	if status, _, body := do(t, http.MethodGet, w.url, "", changed(weak, "Last-Event-ID", id[1])); status != http.StatusForbidden || strings.Contains(body, "the ") && !strings.Contains(body, "error") {
		t.Errorf("the weaker token resumes the call: got %d %s, want 403 and no answer", status, body)
	}
	status, s := w.open(t, http.MethodGet, "", changed(strong, "Last-Event-ID", id[1]))
	if status != http.StatusOK {
		t.Fatalf("the token of the call: got %d, want 200", status)
	}
	question := ""
	for !strings.Contains(question, "the question") {
		var open bool
		if question, open = s.next(t); !open {
			t.Fatal("no question came, want one")
		}
	}
	number := decode(t, question)["id"]
	answer := func(header map[string]string, action string) int {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%v,"result":{"action":%q,"content":{}}}`, number, action)
		status, _, _ := w.post(t, body, header)
		return status
	}
	if status := answer(weak, "decline"); status != http.StatusForbidden {
		t.Errorf("the weaker token answers: got %d, want 403", status)
	}
	if status := answer(strong, "accept"); status != http.StatusAccepted {
		t.Errorf("the token of the call answers: got %d, want 202", status)
	}
	if rest := s.ended(t); !strings.Contains(rest, "the answer: accept") {
		t.Errorf("the call: got %s, want \"the answer: accept\"", rest)
	}
	if status := answer(weak, "decline"); status != http.StatusAccepted { // to nothing: the SDK ignores it
		t.Errorf("afterwards: got %d, want 202", status)
	}
}

// What a tool sends after its end does not go to the stream of a later call of the
// same id.
func TestEndedCallHasNoStream(t *testing.T) {
	t.Parallel()
	later := make(chan func() error, 1)
	hold, held := make(chan struct{}), make(chan struct{})
	w := policyWorld(t, mcpentra.WithSessions(), mcpentra.WithTools(
		mcpentra.Tool(&mcp.Tool{Name: "careless"}, func(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			ctx = context.WithoutCancel(ctx)
			later <- func() error {
				return req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: "p", Message: "SECRET"})
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil, nil
		}, entraauth.Policy{UserRoles: []string{"Reader"}}),
		mcpentra.Tool(&mcp.Tool{Name: "hold"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			close(held)
			<-hold
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "held"}}}, nil, nil
		})))
	strong, weak := strongAndWeak(t, w, "2025-11-25")
	if status, _, body := w.post(t, callBody("careless"), strong); status != http.StatusOK || !strings.Contains(body, "done") {
		t.Fatalf("got %d %s, want 200 and done", status, body)
	}
	answer := make(chan string, 1)
	go func() {
		_, _, body := w.post(t, callBody("hold"), weak)
		answer <- body
	}()
	<-held
	if err := (<-later)(); err == nil {
		t.Error("a call that is over could send")
	}
	close(hold)
	if body := <-answer; strings.Contains(body, "SECRET") || !strings.Contains(body, "held") {
		t.Errorf("the weaker token's call was answered %s", body)
	}
}
