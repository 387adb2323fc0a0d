package mcpentra_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// BenchmarkToolCall is an authenticated tools/call over HTTP on loopback, as a
// client on a kept connection sees it.
func BenchmarkToolCall(b *testing.B) {
	b.Run("stateless", func(b *testing.B) { benchmarkToolCall(b) })
	b.Run("sessions", func(b *testing.B) { benchmarkToolCall(b, mcpentra.WithSessions()) })
}

func benchmarkToolCall(b *testing.B, opts ...mcpentra.Option) {
	w := newWorld(b, append(opts, mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e9}))...)
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secure_ping","arguments":{}}}`
	token := "Bearer " + w.token(w.alice)
	_, header, _ := w.post(b, initialize, map[string]string{"Authorization": token})
	b.Cleanup(func() {
		for session := range w.server.MCP().Sessions() {
			_ = session.Close()
		}
	})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, w.url, strings.NewReader(body))
		must(b, err)
		req.Header.Set("Authorization", token)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if session := header.Get("Mcp-Session-Id"); session != "" {
			req.Header.Set("Mcp-Session-Id", session)
			req.Header.Set("Mcp-Protocol-Version", "2025-11-25")
		}
		resp, err := client.Do(req)
		must(b, err)
		data, err := io.ReadAll(resp.Body)
		must(b, err)
		must(b, resp.Body.Close())
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(data), "successful") {
			b.Fatalf("got %d %s, want 200 and successful", resp.StatusCode, data)
		}
	}
}
