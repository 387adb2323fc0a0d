//go:build unix

package interop_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The protocol versions of the two eras: without handshake, and with one.
const (
	modernProtocol = "2026-07-28"
	legacyProtocol = "2025-11-25"
)

// A session is an MCP client of the go-sdk, connected with a user's token.
type session struct {
	ctx context.Context
	*mcp.ClientSession
}

func connect(ctx context.Context, t *testing.T, url, token, protocol string) *session {
	t.Helper()
	transport := &http.Transport{}
	client := mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1"}, nil)
	s, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: url, HTTPClient: &http.Client{Transport: withToken{token, transport}}, MaxRetries: -1,
	}, &mcp.ClientSessionOptions{ProtocolVersion: protocol})
	must(t, err)
	t.Cleanup(func() {
		_ = s.Close()
		transport.CloseIdleConnections()
	})
	return &session{ctx, s}
}

// withToken sends a bearer token with each request.
type withToken struct {
	token string
	next  http.RoundTripper
}

func (a withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+a.token)
	return a.next.RoundTrip(r)
}

// call calls a tool and returns its structured result, and checks that the text
// says the same.
func (s *session) call(t *testing.T, tool string, arguments map[string]any) map[string]any {
	t.Helper()
	result, err := s.CallTool(s.ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	must(t, err)
	if result.IsError {
		t.Fatalf("%s answered an error: %s", tool, text(t, result))
	}
	structured, err := json.Marshal(result.StructuredContent)
	must(t, err)
	answer := decode(t, structured)
	sameJSON(t, tool, answer, decode(t, []byte(text(t, result))))
	return answer
}

// refused calls a tool that must answer an error with all of the given texts.
func (s *session) refused(t *testing.T, tool string, arguments map[string]any, want ...string) string {
	t.Helper()
	result, err := s.CallTool(s.ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	must(t, err)
	got := text(t, result)
	if !result.IsError {
		t.Fatalf("%s answered %s, want an error", tool, got)
	}
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%s answered the error %q, want %q in it", tool, got, w)
		}
	}
	return got
}

// text returns the text of a result that has one text.
func text(t *testing.T, result *mcp.CallToolResult) string {
	t.Helper()
	if len(result.Content) != 1 {
		t.Fatalf("the result has %d contents, want 1", len(result.Content))
	}
	content, ok := result.Content[0].(*mcp.TextContent)
	if !ok {
		t.Fatalf("the result's content is %T, want text", result.Content[0])
	}
	return content.Text
}

func decode(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		t.Fatalf("%v in %q", err, data)
	}
	return object
}

func sameJSON(t *testing.T, what string, a, b map[string]any) {
	t.Helper()
	x, err := json.Marshal(a)
	must(t, err)
	y, err := json.Marshal(b)
	must(t, err)
	if string(x) != string(y) {
		t.Errorf("%s: structured content %s differs from the text %s", what, x, y)
	}
}
