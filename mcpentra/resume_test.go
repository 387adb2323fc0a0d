package mcpentra_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

var eventID = regexp.MustCompile(`(?m)^id: (\S+)`)

// A stream that broke is resumed by its user, and by nobody else.
func TestResumeStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithSessions())
	resumed := make(chan struct{})
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "slow"}, func(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		req.Extra.CloseSSEStream(mcp.CloseSSEStreamArgs{RetryAfter: time.Millisecond})
		select {
		case <-resumed:
		case <-ctx.Done():
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "for Alice"}}}, nil, nil
	})
	alice, bob := "Bearer "+w.token(w.alice), "Bearer "+w.token(w.bob)
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	_, header, _ := w.post(t, initialize, map[string]string{"Authorization": alice})
	session := header.Get("Mcp-Session-Id")
	as := func(authorization string) map[string]string {
		return map[string]string{"Authorization": authorization, "Mcp-Session-Id": session, "Mcp-Protocol-Version": "2025-11-25"}
	}
	t.Cleanup(func() { do(t, http.MethodDelete, w.url, "", as(alice)) })

	// The server hangs up before the answer.
	status, _, body := w.post(t, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"slow","arguments":{}}}`, as(alice))
	id := eventID.FindStringSubmatch(body)
	if status != http.StatusOK || id == nil || strings.Contains(body, "for Alice") {
		t.Fatalf("got %d %s, want 200 and no \"for Alice\", an id", status, body)
	}
	close(resumed)
	resume := func(authorization string) (int, string) {
		h := as(authorization)
		h["Accept"], h["Last-Event-ID"] = "text/event-stream", id[1]
		status, _, body := do(t, http.MethodGet, w.url, "", h)
		return status, body
	}
	if status, body := resume(bob); status != http.StatusNotFound || strings.Contains(body, "for Alice") {
		t.Errorf("Bob resumes Alice's stream: got %d %s, want 404 and no \"for Alice\"", status, body)
	}
	if status, body := resume("Bearer garbage"); status != http.StatusUnauthorized {
		t.Errorf("nobody resumes Alice's stream: got %d %s, want 401", status, body)
	}
	if status, body := resume(alice); status != http.StatusOK || !strings.Contains(body, "for Alice") {
		t.Errorf("Alice resumes her stream: got %d %s, want 200 and \"for Alice\"", status, body)
	}
}
