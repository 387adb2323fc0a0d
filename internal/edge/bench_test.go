package edge_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// BenchmarkBody measures reading a body, besides allocating one of its size.
func BenchmarkBody(b *testing.B) {
	for _, size := range []int{200, 20_000, 1 << 20} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			sent := bytes.NewReader(bytes.Repeat([]byte("x"), size))
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.ContentLength = int64(size)
			w := httptest.NewRecorder()
			var body edge.Body
			room, source := &budget{room: 1 << 62}, io.NopCloser(sent)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = sent.Seek(0, io.SeekStart)
				r.Body = source
				if why := body.Receive(w, r, edge.BodyLimits{Bytes: 4 << 20, Timeout: time.Second}, room); why != nil {
					b.Fatal(why)
				}
			}
		})
	}
}

// BenchmarkHostCheck measures ordinary requests and unusual spellings.
func BenchmarkHostCheck(b *testing.B) {
	c := newCheck(b, resource, []string{"inner.example"}, nil)
	proxies := edge.Proxies{netip.MustParsePrefix("10.0.0.0/24")}
	for _, row := range []struct {
		name, peer, host string
		forwarded        http.Header
	}{
		{"direct", "192.0.2.1:4711", "mcp.example.com", nil},
		{"port", "192.0.2.1:4711", "mcp.example.com:8443", nil},
		{"loopback", "127.0.0.1:4711", "127.0.0.1:8000", nil},
		{"proxy", "10.0.0.9:80", "inner.example", http.Header{"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Host": {"mcp.example.com"}}},
		{"spelling", "192.0.2.1:4711", "MCP.example.com", nil},
	} {
		b.Run(row.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
			r.RemoteAddr, r.Host = row.peer, row.host
			if row.forwarded != nil {
				r.Header = row.forwarded
			}
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				_, host := proxies.Client(r)
				if why := c.Check(w, r, host, false); why != nil {
					b.Fatal(why)
				}
			}
		})
	}
}

// BenchmarkWriter measures an answer as the SDK writes it: an event and a flush.
func BenchmarkWriter(b *testing.B) {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader([]byte("{}")))
	answer := &deadlines{ResponseWriter: httptest.NewRecorder()}
	event := []byte("event: message\ndata: {}\n\n")
	var w edge.Writer
	b.ReportAllocs()
	for b.Loop() {
		w.Init(answer, r, time.Second, time.Second)
		_, _ = w.Write(event)
		w.Flush()
		w.Finish()
	}
	b.ReportMetric(float64(answer.set)/float64(b.N), "deadlines/op")
}
