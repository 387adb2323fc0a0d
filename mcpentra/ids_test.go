package mcpentra_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// wireIDs are ids as a client may write them. Each is to come back to the byte.
var wireIDs = []string{
	`""`, `0`, `-0`, `-7`, `1`, `9007199254740992`, `9007199254740993`, `-9007199254740993`, `9223372036854775807`, `18446744073709551616`,
	`123456789012345678901234567890`, `1.5`, `1.0`, `1e3`, `1E+2`, `-0.25`, `"x"`, `"1"`, `"null"`, `"a\"b\\"`, `"\u00e9"`, `"é"`, `"\ud800"`, `"<&>"`, `"a\/b"`,
	`"` + strings.Repeat("x", 5000) + `"`,
}

// sentIDs returns the raw ids of all messages in an answer.
func sentIDs(t testing.TB, body string) (all []string) {
	t.Helper()
	for _, data := range append(regexp.MustCompile(`(?m)^data: (.+)$`).FindAllStringSubmatch(body, -1), []string{"", body}) {
		var message struct{ ID json.RawMessage }
		var batch []struct{ ID json.RawMessage }
		if json.Unmarshal([]byte(data[1]), &message) == nil && message.ID != nil {
			all = append(all, string(message.ID))
		} else if json.Unmarshal([]byte(data[1]), &batch) == nil {
			for _, m := range batch {
				all = append(all, string(m.ID))
			}
		}
	}
	return all
}

// In results, errors and refusals, of each protocol, with and without sessions.
func TestIDsComeBackAsTheyCame(t *testing.T) {
	t.Parallel()
	unlimited := mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e6, Burst: 1e6})
	stateless, sessions := newWorld(t, unlimited), withSessions(t, unlimited)
	good := "Bearer " + stateless.token(stateless.alice)
	modern := map[string]string{"Authorization": good, "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}}`
	_, h, body := sessions.post(t, initialize, map[string]string{"Authorization": "Bearer " + sessions.token(sessions.alice)})
	if h.Get("Mcp-Session-Id") == "" {
		t.Fatalf("got %s, want an Mcp-Session-Id", body)
	}
	inSession := map[string]string{"Authorization": "Bearer " + sessions.token(sessions.alice), "Mcp-Session-Id": h.Get("Mcp-Session-Id")}
	for _, row := range []struct {
		name   string
		w      *world
		body   string // with %s for the id
		header map[string]string
		status int
	}{
		{"result", stateless, `{"jsonrpc":"2.0","id":%s,"method":"tools/list"}`, map[string]string{"Authorization": good}, 200},
		{"result, id last", stateless, `{"method":"tools/list","params":{},"jsonrpc":"2.0","id":%s}`, map[string]string{"Authorization": good}, 200},
		{"result of 2026-07-28", stateless, `{"jsonrpc":"2.0","id":%s,"method":"tools/list","params":{` + meta + `}}`, modern, 200},
		{"result in a session", sessions, `{"jsonrpc":"2.0","id":%s,"method":"tools/list"}`, inSession, 200},
		{"error", stateless, `{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"none"}}`, map[string]string{"Authorization": good}, 200},
		{"error in a session", sessions, `{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"none"}}`, inSession, 200},
		{"unknown method", stateless, `{"jsonrpc":"2.0","id":%s,"method":"x/y"}`, map[string]string{"Authorization": good}, 200},
		{"unknown method of 2026-07-28", stateless, `{"jsonrpc":"2.0","id":%s,"method":"x/y","params":{` + meta + `}}`,
			map[string]string{"Authorization": good, "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "x/y"}, 404},
		{"a header is missing in 2026-07-28", stateless, `{"jsonrpc":"2.0","id":%s,"method":"tools/list","params":{` + meta + `}}`,
			map[string]string{"Authorization": good, "Mcp-Protocol-Version": "2026-07-28"}, 400},
		{"no token", stateless, `{"jsonrpc":"2.0","id":%s,"method":"tools/list"}`, nil, 401},
		{"foreign host", stateless, `{"jsonrpc":"2.0","id":%s,"method":"tools/list"}`, map[string]string{"Host": "evil.example"}, 403},
		{"unknown session", sessions, `{"jsonrpc":"2.0","id":%s,"method":"tools/list"}`, map[string]string{"Authorization": inSession["Authorization"], "Mcp-Session-Id": "x"}, 404},
		{"wrong Content-Type", stateless, `{"jsonrpc":"2.0","id":%s,"method":"tools/list"}`, map[string]string{"Authorization": good, "Content-Type": "text/plain"}, 415},
	} {
		for _, id := range wireIDs {
			status, _, body := row.w.post(t, fmt.Sprintf(row.body, id), row.header)
			if got := sentIDs(t, body); status != row.status || len(got) != 1 || got[0] != id {
				t.Errorf("%s: id %.50s: %d with ids %.100q, want %d: %.300s", row.name, id, status, got, row.status, body)
			}
		}
	}
	// All at once, in a batch.
	var batch []string
	for _, id := range wireIDs {
		batch = append(batch, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/list"}`, id))
	}
	_, _, body = stateless.post(t, "["+strings.Join(batch, ",")+"]", map[string]string{"Authorization": good})
	got := sentIDs(t, body)
	if len(got) != len(wireIDs) {
		t.Errorf("a batch of %d has %d answers, want %v", len(wireIDs), len(got), len(wireIDs))
	}
	for _, id := range wireIDs {
		if !strings.Contains(body, `"id":`+id+`,`) {
			t.Errorf("in a batch, %.50s did not come back", id)
		}
	}
	if logs := stateless.log.String() + sessions.log.String(); strings.Contains(logs, "panic") {
		t.Error("a tool panicked, want no panic")
	}
}

// Two ids that are one number to the SDK are two requests, and each is canceled alone.
func TestIDsAboveFloatsAreTold(t *testing.T) {
	t.Parallel()
	w := withSessions(t)
	begun, ended := make(chan string, 2), make(chan string, 2)
	type in struct {
		Which string `json:"which"`
	}
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "wait_for_cancel"}, func(ctx context.Context, _ *mcp.CallToolRequest, in in) (*mcp.CallToolResult, any, error) {
		begun <- in.Which
		<-ctx.Done()
		ended <- in.Which
		return nil, nil, ctx.Err()
	})
	header := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
	_, h, _ := w.post(t, initialize, header)
	header["Mcp-Session-Id"] = h.Get("Mcp-Session-Id")
	answers := make(chan string, 2)
	for _, id := range []string{"9007199254740993", "9007199254740992"} {
		go func() {
			_, _, body := w.post(t, `{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call","params":{"name":"wait_for_cancel","arguments":{"which":"`+id+`"}}}`, header)
			answers <- body
		}()
		<-begun
	}
	for _, id := range []string{"9007199254740993", "9007199254740992"} {
		status, _, body := w.post(t, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`+id+`}}`, header) //nolint:misspell // the protocol's spelling
		if status != http.StatusAccepted {
			t.Fatalf("cancel: got %d %s, want 202", status, body)
		}
		if got := <-ended; got != id {
			t.Errorf("canceling %s ended %s, want %v", id, got, id)
		}
		if got := sentIDs(t, <-answers); len(got) != 1 || got[0] != id {
			t.Errorf("the answer to %s has ids %v", id, got)
		}
	}
	// The SDK's text about an id has the client's id.
	go func() {
		_, _, _ = w.post(t, `{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"wait_for_cancel","arguments":{"which":"x"}}}`, header)
	}()
	<-begun
	_, _, body := w.post(t, `{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}`, header)
	if got := sentIDs(t, body); len(got) != 1 || got[0] != "1.5" || !strings.Contains(body, "duplicate in-flight request ID 1.5") {
		t.Errorf("an id that is in use: %s", body)
	}
	_, _, _ = w.post(t, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1.5}}`, header) //nolint:misspell // the protocol's spelling
	<-ended
}

// Progress tokens are ids too; and what a session replays is right.
func TestProgressTokensComeBackAsTheyCame(t *testing.T) {
	t.Parallel()
	w := withSessions(t)
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "progress"}, func(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 1})
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint("token ", req.Params.GetProgressToken())}}}, nil, err
	})
	header := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
	_, h, _ := w.post(t, initialize, header)
	header["Mcp-Session-Id"], header["Mcp-Protocol-Version"] = h.Get("Mcp-Session-Id"), "2025-11-25"
	for _, token := range []string{"7", "9007199254740993", "0.5", `""`, `"x\u0079"`} {
		_, _, body := w.post(t, `{"jsonrpc":"2.0","id":9007199254740995,"method":"tools/call","params":{"_meta":{"progressToken":`+token+`},"name":"progress"}}`, header)
		if !strings.Contains(body, `"progressToken":`+token) || !strings.Contains(body, `"id":9007199254740995`) {
			t.Errorf("progress token %s: got %s, want %q and %q", token, body, `"progressToken":`+token, `"id":9007199254740995`)
		}
		events := regexp.MustCompile(`(?m)^id: (\S+)$`).FindAllStringSubmatch(body, -1)
		if len(events) < 3 {
			t.Fatalf("events: got %s, want at least 3", body)
		}
		header["Last-Event-ID"] = events[0][1]
		_, _, replayed := do(t, http.MethodGet, w.url, "", header)
		delete(header, "Last-Event-ID")
		if !strings.Contains(replayed, `"progressToken":`+token) || !strings.Contains(replayed, `"id":9007199254740995`) {
			t.Errorf("replayed, progress token %s: got %s, want %q and %q", token, replayed, `"progressToken":`+token, `"id":9007199254740995`)
		}
	}
}

// What follows a listen stream names it by its id.
func TestSubscriptionIDsComeBackAsTheyCame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	header := map[string]string{"Authorization": "Bearer " + w.token(w.alice), "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
	_, _, body := w.post(t, `{"jsonrpc":"2.0","id":9007199254740993,"method":"subscriptions/listen","params":{"notifications":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}}}}`, header)
	if !strings.Contains(body, `/subscriptionId":9007199254740993`) || !strings.Contains(body, `"id":9007199254740993`) {
		t.Errorf("got %s, want %q and %q", body, `/subscriptionId":9007199254740993`, `"id":9007199254740993`)
	}
}
