package mcpentra_test

import (
	"context"
	"fmt"

	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// batchOf is a batch of n calls of the tool.
func batchOf(n int, tool string) string {
	calls := make([]string, n)
	for i := range calls {
		calls[i] = fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":{}}}`, i+1, tool)
	}
	return "[" + strings.Join(calls, ",") + "]"
}

// A hold is a tool whose calls wait for the test, and are counted.
type hold struct {
	mu                  sync.Mutex
	running, most, runs int
	changed             *sync.Cond
	end                 chan struct{}
}

func addHold(w *world) *hold {
	h := &hold{end: make(chan struct{})}
	h.changed = sync.NewCond(&h.mu)
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "hold", Description: "Waits."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			h.count(1)
			<-h.end
			h.count(-1)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "held"}}}, nil, nil
		})
	return h
}

func (h *hold) count(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running += n; n > 0 {
		h.runs++
	}
	h.most = max(h.most, h.running)
	h.changed.Broadcast()
}

// wait waits until n calls run.
func (h *hold) wait(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.running != n {
		h.changed.Wait()
	}
}

// modes are the two kinds of server. Its header is that of a client which has
// begun what it must.
var modes = []struct {
	name string
	opts []mcpentra.Option
}{{"stateless", nil}, {"sessions", []mcpentra.Option{mcpentra.WithSessions()}}}

// begin returns the header of requests of the token's holder: in a session, if the
// server has them.
func (w *world) begin(t testing.TB, mode, token, protocol string) map[string]string {
	t.Helper()
	header := map[string]string{"Authorization": "Bearer " + token}
	if mode == "sessions" {
		status, h, body := w.post(t, strings.Replace(initialize, "2025-11-25", protocol, 1), header)
		if status != http.StatusOK {
			t.Fatalf("initialize: got %d %s, want 200", status, body)
		}
		header["Mcp-Session-Id"] = h.Get("Mcp-Session-Id")
		server := w.server.MCP()
		t.Cleanup(func() {
			for session := range server.Sessions() {
				_ = session.Close()
			}
		})
	}
	header["Mcp-Protocol-Version"] = protocol
	return header
}

func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			w := newWorld(t, mode.opts...)
			header := w.begin(t, mode.name, w.token(w.alice), "2025-03-26")
			for _, row := range []struct {
				name, protocol, body string
				status               int
				want                 string
			}{
				{"full", "2025-03-26", batchOf(32, "secure_ping"), http.StatusOK, `"id":32`},
				{"without version", "", batchOf(2, "secure_ping"), http.StatusOK, `"id":2`},
				{"indented", "2025-03-26", "\r\n\t " + strings.ReplaceAll(batchOf(32, "secure_ping"), ",", " ,\n "), http.StatusOK, `"id":32`},
				{"of a text with brackets", "2025-03-26", `[{"jsonrpc":"2.0","id":"],[\"{,","method":"ping"}]`, http.StatusOK, "],["},
				{"of notifications", "2025-03-26", "[" + strings.Repeat(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"},`, 31) +
					`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}]`, http.StatusAccepted, ""},
				{"one more", "2025-03-26", batchOf(33, "secure_ping"), http.StatusBadRequest, "at most 32"},
				{"of notifications, one more", "2025-03-26", "[" + strings.Repeat(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"},`, 32) +
					`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}]`, http.StatusBadRequest, "at most 32"},
				{"thousands", "2025-03-26", batchOf(5000, "secure_ping"), http.StatusBadRequest, "at most 32"},
				{"millions of nothing", "2025-03-26", "[1" + strings.Repeat(",1", 1<<20) + "]", http.StatusBadRequest, "at most 32"},
				{"of batches", "2025-03-26", "[" + strings.Repeat("[[]],", 40) + "[]]", http.StatusBadRequest, "at most 32"},
				{"empty", "2025-03-26", "[ ]", http.StatusBadRequest, "empty"},
				{"empty, without version", "", "[]", http.StatusBadRequest, "empty"},
				{"of a version without", "2025-06-18", batchOf(1, "secure_ping"), http.StatusBadRequest, "no batches"},
				{"of a version without", "2025-11-25", batchOf(2, "secure_ping"), http.StatusBadRequest, "no batches"},
				{"of a version without", "2026-07-28", batchOf(2, "secure_ping"), http.StatusBadRequest, "no batches"},
			} {
				h := map[string]string{"Authorization": header["Authorization"], "Mcp-Session-Id": header["Mcp-Session-Id"], "Mcp-Protocol-Version": row.protocol}
				for name, value := range h {
					if value == "" {
						delete(h, name)
					}
				}
				status, answer, body := w.post(t, row.body, h)
				if status != row.status || !strings.Contains(body, row.want) {
					t.Errorf("%s (%s): %d %.200s, want %d %s", row.name, row.protocol, status, body, row.status, row.want)
				}
				if status == http.StatusBadRequest && (answer.Get("Content-Type") != "application/json" || decode(t, body)["error"] == nil) {
					t.Errorf("%s: got %.200s, want a JSON-RPC error", row.name, body)
				}
			}
		})
	}
}

// Each message of a batch counts against the rate, and nothing of one that is refused runs.
func TestBatchesCountByMessage(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			w := newWorld(t, append(mode.opts, mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 0.01, Burst: 50}))...)
			h := addHold(w)
			close(h.end)
			header := w.begin(t, mode.name, w.token(w.alice), "2025-03-26")
			if status, _, body := w.post(t, batchOf(32, "hold"), header); status != http.StatusOK {
				t.Fatalf("got %d %s, want 200", status, body)
			}
			status, answer, body := w.post(t, batchOf(20, "hold"), header)
			if status != http.StatusTooManyRequests || answer.Get("Retry-After") == "" || decode(t, body)["error"] == nil || h.runs != 32 {
				t.Errorf("beyond the burst: got %d %v %s; %d calls ran; want 429, a Retry-After, an error; 32", status, answer, body, h.runs)
			}
			left := 0
			for ; ; left++ {
				if status, _, _ := w.post(t, listTools, header); status == http.StatusTooManyRequests {
					break
				}
			}
			if want := map[string]int{"stateless": 17, "sessions": 16}[mode.name]; left != want { // 50, less 32, less one of the refused batch; initialize
				t.Errorf("%d requests were left, want %d", left, want)
			}
			bob := w.token(w.bob)
			if status, _, body := w.post(t, listTools, map[string]string{"Authorization": "Bearer " + bob}); mode.name == "stateless" && status != http.StatusOK {
				t.Errorf("another user: got %d %s, want 200", status, body)
			}
		})
	}
}

// However a user sends calls, no more run at once than may.
func TestBatchesShareTheUsersPlaces(t *testing.T) {
	t.Parallel()
	const places = 40
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			w := newWorld(t, append(mode.opts, mcpentra.WithLimits(mcpentra.Limits{Concurrent: places, RequestsPerSecond: 1e6, Burst: 1e6}))...)
			h := addHold(w)
			header := w.begin(t, mode.name, w.token(w.alice), "2025-03-26")
			var wg sync.WaitGroup
			wg.Go(func() {
				if status, _, body := w.post(t, batchOf(32, "hold"), header); status != http.StatusOK || strings.Count(body, "held") != 32 {
					t.Errorf("got %d %s, want 200 and 32 answers", status, body)
				}
			})
			h.wait(32)
			if status, _, _ := w.post(t, strings.ReplaceAll(batchOf(9, "hold"), `"id":`, `"id":10`), header); status != http.StatusTooManyRequests {
				t.Errorf("one too many: got %d, want 429", status)
			}
			wg.Go(func() {
				if status, _, body := w.post(t, strings.ReplaceAll(batchOf(8, "hold"), `"id":`, `"id":20`), header); status != http.StatusOK || strings.Count(body, "held") != 8 {
					t.Errorf("got %d %s, want 200 and 8 answers", status, body)
				}
			})
			h.wait(places)
			var many sync.WaitGroup
			for i := range 16 {
				many.Go(func() {
					body := strings.ReplaceAll(batchOf(1+i%4, "hold"), `"id":`, fmt.Sprintf(`"id":%d00`, 5+i))
					if status, _, _ := w.post(t, body, header); status != http.StatusTooManyRequests {
						t.Errorf("no place is left: got %d, want 429", status)
					}
				})
			}
			many.Wait()
			close(h.end)
			wg.Wait()
			if h.most != places || h.runs != places {
				t.Errorf("%d calls ran, %d at once; want %d", h.runs, h.most, places)
			}
			if status, _, body := w.post(t, strings.ReplaceAll(batchOf(32, "hold"), `"id":`, `"id":9000`), header); status != http.StatusOK || strings.Count(body, "held") != 32 {
				t.Errorf("afterwards: got %d %s, want 200 and 32 answers", status, body)
			}
		})
	}
}

// The calls of a batch go on when its client hangs up, and count until they end.
func TestAbandonedBatchCounts(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			w := newWorld(t, append(mode.opts, mcpentra.WithLimits(mcpentra.Limits{Concurrent: 20, RequestsPerSecond: 1e6, Burst: 1e6}))...)
			h := addHold(w)
			header := w.begin(t, mode.name, w.token(w.alice), "2025-03-26")
			conn, _ := dial(t, w.url)
			body := strings.ReplaceAll(batchOf(20, "hold"), `"id":`, `"id":10`)
			_, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nMcp-Session-Id: %s\r\nContent-Type: application/json\r\n"+
				"Accept: application/json, text/event-stream\r\nContent-Length: %d\r\n\r\n%s", header["Authorization"], header["Mcp-Session-Id"], len(body), body)
			must(t, err)
			h.wait(20)
			must(t, conn.Close())
			for range 50 {
				if status, _, body := w.post(t, callBody("hold"), header); status != http.StatusTooManyRequests {
					t.Fatalf("beside 20 abandoned calls: got %d %s, want 429", status, body)
				}
			}
			close(h.end)
			h.wait(0)
			for {
				status, _, body := w.post(t, callBody("hold"), header)
				if status == http.StatusOK && strings.Contains(body, "held") {
					break
				}
				if status != http.StatusTooManyRequests {
					t.Fatalf("afterwards: got %d %s, want 429", status, body)
				}
			}
			if h.most != 20 {
				t.Errorf("%d calls at once, want 20", h.most)
			}
		})
	}
}

// A refused batch of four megabytes costs next to nothing.
func BenchmarkHugeBatch(b *testing.B) {
	w := newWorld(b, mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e9}))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	token, body := w.token(w.alice), "[1"+strings.Repeat(",1", 2<<20-8)+"]"
	b.ReportAllocs()
	for b.Loop() {
		if status, _, _ := send(b, transport, w.url, body, token); status != http.StatusBadRequest {
			b.Fatalf("got %d, want 400", status)
		}
	}
}
