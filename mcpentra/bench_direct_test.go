package mcpentra_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

const benchmarkCall = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","arguments":{"name":"Ada"}}}`

type greeting struct {
	Name string `json:"name"`
}

func greet(_ context.Context, _ *mcp.CallToolRequest, in greeting) (*mcp.CallToolResult, any, error) {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "Hello, " + in.Name}}}, nil, nil
}

// BenchmarkHandler is an authenticated tools/call with policies and a log, without a
// network, and the same tool in the SDK's bare handler: the difference is ours. The bare
// handler is also measured with the stack that ours gives each call at once.
func BenchmarkHandler(b *testing.B) {
	tool := &mcp.Tool{Name: "greet", Description: "Greets."}
	bare := func(middleware ...mcp.Middleware) http.Handler {
		server := mcp.NewServer(&mcp.Implementation{Name: "bare", Version: "1"}, nil)
		mcp.AddTool(server, tool, greet)
		server.AddReceivingMiddleware(middleware...)
		return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
			&mcp.StreamableHTTPOptions{Stateless: true, DisableLocalhostProtection: true})
	}
	b.Run("bare", func(b *testing.B) { benchmarkHandler(b, bare(), "") })
	b.Run("bare with room", func(b *testing.B) {
		benchmarkHandler(b, bare(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				mcpentra.MakeRoom(method == "")
				return next(ctx, method, req)
			}
		}), "")
	})
	b.Run("ours", func(b *testing.B) {
		w := newWorld(b)
		var err error
		w.server, err = mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithExchanger(w.exchanger),
			mcpentra.WithTools(mcpentra.Tool(tool, greet)),
			mcpentra.WithToolPolicy("greet", entraauth.Policy{Scopes: []string{"access_as_user"}}),
			mcpentra.WithLogger(slog.New(slog.NewJSONHandler(io.Discard, nil))), //nolint:sloglint // what a line costs is measured too
			mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e9, Burst: 1e9}))
		must(b, err)
		benchmarkHandler(b, w.server, "Bearer "+w.token(w.alice))
	})
}

func benchmarkHandler(b *testing.B, h http.Handler, authorization string) {
	header := http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		"Mcp-Protocol-Version": {"2025-11-25"}, "User-Agent": {"bench"}, "Accept-Encoding": {"gzip"},
	}
	if authorization != "" {
		header.Set("Authorization", authorization)
	}
	a := &memoryWriter{header: http.Header{}}
	body := &memoryBody{}
	b.ReportAllocs()
	for b.Loop() {
		clear(a.header)
		a.status = 0
		a.body.Reset()
		body.Reset([]byte(benchmarkCall))
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, resourceURL, body)
		must(b, err)
		req.Header, req.ContentLength, req.RemoteAddr = header, int64(len(benchmarkCall)), "192.0.2.1:1234"
		h.ServeHTTP(a, req)
		if a.status != http.StatusOK || !bytes.Contains(a.body.Bytes(), []byte("Hello, Ada")) {
			b.Fatalf("got %d %s, want 200 and the greeting", a.status, &a.body)
		}
	}
}

type memoryBody struct{ bytes.Reader }

func (*memoryBody) Close() error { return nil }

// A memoryWriter is a response in memory that is used again.
type memoryWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) { w.status = status }

func (w *memoryWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.body.Write(p)
}

func (w *memoryWriter) Flush() {}

// A connection knows deadlines.
func (w *memoryWriter) SetReadDeadline(time.Time) error  { return nil }
func (w *memoryWriter) SetWriteDeadline(time.Time) error { return nil }
