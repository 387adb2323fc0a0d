package mcpentra_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// addWriters adds tools that say what they change.
func addWriters(w *world) {
	add := func(name string, change func(context.Context)) {
		mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: name}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			change(ctx)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "ok"}}}, nil, nil
		})
	}
	add("change", func(ctx context.Context) {
		mcpentra.Audit(ctx, "delete", "docs")(mcpentra.ActionDone)
		mcpentra.Audit(ctx, "write", "other docs")(mcpentra.ActionRefused)
		mcpentra.Audit(ctx, "ask", "")(mcpentra.ActionAsked)
	})
	add("change_and_panic", func(ctx context.Context) {
		mcpentra.Audit(ctx, "delete", "docs")
		panic("interrupted")
	})
	add("change_much", func(ctx context.Context) {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { mcpentra.Audit(ctx, "write", "docs")(mcpentra.ActionDone) })
		}
		wg.Wait()
	})
}

// What a tool passes to Audit is bounded, forges no other action, and has no token.
func TestAuditOfHostileActions(t *testing.T) {
	t.Parallel()
	a := newAuditor(t)
	w := a.on(newWorld(t))
	token := w.token(w.alice)
	var action, object string
	var outcome mcpentra.ActionOutcome
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "change"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		mcpentra.Audit(ctx, action, object)(outcome)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "ok"}}}, nil, nil
	})
	for _, c := range []struct {
		action, object string
		outcome        mcpentra.ActionOutcome
		want           string
	}{
		{"delete", "docs", "finished", `["unknown delete docs"]`},
		{"Delete all", "docs", "done", `["done _elete_all docs"]`},
		{"", "docs", "done", `["done _ docs"]`},
		{strings.Repeat("a", 100), "docs", "done", `["done ` + strings.Repeat("a", 32) + ` docs"]`},
		{"write", strings.Repeat("b", 1000), "done", `["done write ` + strings.Repeat("b", 64) + `…_(1000_bytes)"]`},
		{"write", "docs\nlevel=ERROR", "done", `["done write docs_level=ERROR"]`},
		{"write", "docs] done delete all\u00a0docs\u2028\u202e", "done", `["done write docs]_done_delete_all_docs__"]`},
		{"write", "\xff", "done", "[\"done write \ufffd\"]"},
		{"write", "Bearer " + token, "done", ""},
		{"write", "https://a.example/x?sig=abcdefgh", "done", `["done write https://a.example/x?…"]`},
	} {
		action, object, outcome = c.action, c.object, c.outcome
		from := len(a.json.String())
		_, _, _ = w.post(t, callBody("change"), bearerOf(token))
		a.take("hostile", 1)
		line := a.json.String()[from:]
		if c.want != "" && !strings.Contains(line, `"actions":`+c.want) || strings.Contains(line, token[:40]) {
			t.Errorf("%q %q %q: got %s, want %s and no token", c.action, c.object, c.outcome, line, c.want)
		}
	}
}

// Outside of a request, and after its line, Audit does nothing.
func TestAuditElsewhere(t *testing.T) {
	t.Parallel()
	mcpentra.Audit(t.Context(), "delete", "docs")(mcpentra.ActionDone)
	w := newWorld(t)
	ended := make(chan func(mcpentra.ActionOutcome), 1)
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "change"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		ended <- mcpentra.Audit(ctx, "delete", "docs")
		return nil, nil, fmt.Errorf("gave up after %v", time.Second)
	})
	_, _, _ = w.post(t, callBody("change"), bearerOf(w.token(w.alice)))
	(<-ended)(mcpentra.ActionDone)
	if log := w.log.String(); !strings.Contains(log, `actions="[unknown delete docs]"`) || strings.Contains(log, "done delete") {
		t.Errorf("got %s, want the action as unknown", log)
	}
}
