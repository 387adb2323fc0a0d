package mcpentra_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

const traceSent = "0af7651916cd43dd8448eb211c80319c"

func TestTraceID(t *testing.T) {
	t.Parallel()
	for traceparent, want := range map[string]string{
		"00-" + traceSent + "-b7ad6b7169203331-01":                  traceSent,
		"cc-" + traceSent + "-b7ad6b7169203331-01-what-comes-later": traceSent,
		"": "",
		"00-" + traceSent + "-b7ad6b7169203331-01-x":                "",
		"00-" + traceSent + "-b7ad6b7169203331-0":                   "",
		"00-" + traceSent + "-b7ad6b7169203331-01x":                 "",
		"cc-" + traceSent + "-b7ad6b7169203331-01x":                 "",
		"ff-" + traceSent + "-b7ad6b7169203331-01":                  "",
		"00-" + strings.ToUpper(traceSent) + "-b7ad6b7169203331-01": "",
		"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01":    "",
		"00-" + traceSent + "-0000000000000000-01":                  "",
		"00_" + traceSent + "_b7ad6b7169203331_01":                  "",
		"00-" + traceSent[:31] + "\n-b7ad6b7169203331-01":           "",
	} {
		if got := mcpentra.TraceID(traceparent); got != want {
			t.Errorf("%q: %q, want %q", traceparent, got, want)
		}
	}
}

func FuzzTraceID(f *testing.F) {
	f.Add("00-" + traceSent + "-b7ad6b7169203331-01")
	f.Fuzz(func(t *testing.T, traceparent string) {
		id := mcpentra.TraceID(traceparent)
		if id != "" && (len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "") {
			t.Errorf("%q: got %q, want 32 hexadecimal digits or none", traceparent, id)
		}
	})
}

// A call's context has the id of its own request, with sessions too; the answer
// has it; and nobody can choose it.
func TestRequestID(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			w := newWorld(t, mode.opts...)
			mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "id"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: mcpentra.RequestID(ctx)}}}, nil, nil
			})
			seen := &headers{next: http.DefaultTransport}
			s := w.connectWith(t, withToken{w.token(w.alice), seen}, "2025-11-25")
			known := map[string]bool{}
			for range 5 {
				_, text := call(t, s, "id", nil)
				if text == "" || text != seen.last().Get("X-Request-Id") || known[text] || text == "chosen" {
					t.Errorf("the tool sees %q, the client %q; want the same new id", text, seen.last().Get("X-Request-Id"))
				}
				known[text] = true
			}
		})
	}
	if id := mcpentra.RequestID(t.Context()); id != "" {
		t.Errorf("outside of requests: got %q, want no id", id)
	}
}

// headers sends a request id of its own and keeps the header of the last answer
// to a POST.
type headers struct {
	next http.RoundTripper
	mu   sync.Mutex
	got  http.Header
}

func (h *headers) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("X-Request-Id", "chosen")
	resp, err := h.next.RoundTrip(r)
	if err == nil && r.Method == http.MethodPost {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got = resp.Header
	}
	return resp, err
}

func (h *headers) last() http.Header {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got
}

func TestTraceInTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(t, listTools, map[string]string{"Host": "evil.example", "Traceparent": "00-" + traceSent + "-b7ad6b7169203331-01"})
	if !strings.Contains(w.log.String(), "caller_trace_id="+traceSent) {
		t.Errorf("got %s, want the traceSent in it", w.log)
	}
}
