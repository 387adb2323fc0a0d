package mcpentra_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// open is openOver, over a connection of its own.
func (w *world) open(t testing.TB, method, body string, header map[string]string) (int, *stream) {
	t.Helper()
	return w.openOver(t, &http.Transport{}, method, body, header)
}

// What happens between two checks is not told either.
func TestExpiredStreamIsToldNothing(t *testing.T) {
	t.Parallel()
	w, clock := newsWorld(t, mcpentra.WithSessions())
	s, header := w.listening(t, "sessions", w.holderOf(clock, w.alice.ObjectID, time.Hour), "news://all/1")
	clock.advance(48 * time.Hour)
	header["Authorization"] = "Bearer " + w.holderOf(clock, w.alice.ObjectID, time.Hour)
	if status, _, body := w.post(t, listTools, header); status != http.StatusOK {
		t.Fatalf("a newer token in the session: got %d %s, want 200", status, body)
	}
	w.changed(t, "news://all/1")
	if rest := s.ended(t); strings.Contains(rest, "news://") {
		t.Errorf("told two days after its token expired: got %s, want no news://", rest)
	}
	status, s := w.open(t, http.MethodGet, "", header)
	if status != http.StatusOK {
		t.Fatalf("a new stream: got %d, want 200", status)
	}
	w.changed(t, "news://all/1")
	if data, _ := s.next(t); !strings.Contains(data, "news://all/1") {
		t.Errorf("the new stream: got %s, want news://all/1", data)
	}
}

// A session has the version that the server chose, whatever its client asked for.
func TestSessionIsNeverModern(t *testing.T) {
	t.Parallel()
	w, clock := newsWorld(t, mcpentra.WithSessions())
	for _, asked := range []string{"2026-07-28", "9999-01-01"} {
		header := w.begin(t, "sessions", w.holderOf(clock, w.alice.ObjectID, time.Hour), asked)
		header["Mcp-Protocol-Version"] = "2025-11-25"
		if status, _, body := w.post(t, subscribeTo("news://all/1"), header); status != http.StatusOK || strings.Contains(body, `"error"`) {
			t.Fatalf("%s: subscribe: got %d %s, want 200 and no %q", asked, status, body, `"error"`)
		}
		if status, _, body := w.post(t, `{"jsonrpc":"2.0","id":5,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["news://all/2"]}}}`, header); !strings.Contains(body, "-32601") {
			t.Errorf("%s: listen in a session: %d %s, want -32601", asked, status, body)
		}
		if status, _, body := do(t, http.MethodDelete, w.url, "", header); status >= 300 {
			t.Fatalf("%s: DELETE: got %d %s, want less than 300", asked, status, body)
		}
		if sessions, subscriptions, _ := w.server.Kept(); sessions != 0 || subscriptions != 0 {
			t.Errorf("%s: %d sessions and %d subscriptions are kept after their end, want 0, 0", asked, sessions, subscriptions)
		}
	}
}

// A session that ends, because its user has begun too many, takes its calls along:
// what they wait for, an answer of a client that is gone, will not come.
func TestEvictedSessionsCallsEnd(t *testing.T) {
	t.Parallel()
	const atOnce = 4
	inBubble(t, func(t *testing.T, b *bubble) {
		asks, over := make(chan struct{}, 1), make(chan struct{}, 1)
		mcp.AddTool(b.server.MCP(), &mcp.Tool{Name: "ask"}, func(ctx context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			asks <- struct{}{}
			_, err := r.Session.Elicit(ctx, &mcp.ElicitParams{Message: "?", RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{}}})
			over <- struct{}{}
			return nil, nil, err
		})
		transport := b.transport(t)
		for round := range 3 * atOnce {
			header := map[string]string{"Authorization": "Bearer " + b.token(b.alice), "Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
			status, h, body := doOver(t, transport, http.MethodPost, b.url, strings.Replace(initialize, `"capabilities":{}`, `"capabilities":{"elicitation":{}}`, 1), header)
			if status != http.StatusOK {
				t.Fatalf("round %d: initialize = %d %s, want 200", round, status, body)
			}
			if round >= 2 {
				<-over // of the session that had to go
			}
			header["Mcp-Session-Id"] = h.Get("Mcp-Session-Id")
			ctx, hangUp := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, strings.NewReader(callBody("ask")))
			must(t, err)
			for name, value := range header {
				req.Header.Set(name, value)
			}
			var gone sync.WaitGroup
			gone.Go(func() {
				if resp, err := transport.RoundTrip(req); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
			<-asks
			hangUp()
			gone.Wait()
		}
		b.server.EndSessions()
		for range 2 {
			<-over
		}
	}, mcpentra.WithSessions(), mcpentra.WithLimits(mcpentra.Limits{Concurrent: atOnce, Sessions: 2}))
}
