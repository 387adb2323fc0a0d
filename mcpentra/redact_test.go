package mcpentra_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// The line of a failed call has the cause without credentials, and the caller reads what
// the tool said.
func TestFailedCallsLineHasNoCredentials(t *testing.T) {
	t.Parallel()
	log := &lines{}
	w := newWorld(t, mcpentra.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "own"}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
		return nil, nil, errors.New("see https://h/x?sig=SECRET")
	})
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "panics"}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
		panic(azcore.AccessToken{Token: "SECRET"})
	})
	header := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
	if _, _, body := w.post(t, callBody("own"), header); !strings.Contains(body, "see https://h/x?sig=SECRET") {
		t.Errorf("got %s, want what the tool says unchanged", body)
	}
	if _, _, body := w.post(t, callBody("panics"), header); strings.Contains(body, "AccessToken") {
		t.Errorf("got %s, want nothing of the panic", body)
	}
	if text := log.String(); strings.Contains(text, "SECRET") || !strings.Contains(text, "see https://h/x?…") || !strings.Contains(text, "exported.AccessToken") {
		t.Errorf("got %s, want no SECRET and \"see https://h/x?…\" and exported.AccessToken", text)
	}
}

// A panic outside of MCP is one line at ERROR, with the request's id and a stack of
// bounded length.
func TestPanicOfTheHTTPLayer(t *testing.T) {
	t.Parallel()
	log := &lines{}
	w := newWorld(t, mcpentra.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
	front := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Body = panicking{}
		w.server.ServeHTTP(rw, r)
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front+"/mcp", strings.NewReader("{}"))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+w.token(w.alice))
	if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("answered %d, want a connection that is broken off", resp.StatusCode)
	}
	var event map[string]any
	if text := log.String(); strings.Count(text, "\n") != 1 || json.Unmarshal([]byte(text), &event) != nil {
		t.Fatalf("got %s, want one line of JSON", text)
	}
	stack, _ := event["stack"].(string)
	if event["level"] != "ERROR" || event["msg"] != "mcp request" || event["outcome"] != "error" || event["request_id"] == "" ||
		!strings.Contains(stack, "panicking") || len(stack) > 9000 || strings.Contains(log.String(), "SECRET") {
		t.Errorf("got %v, want an error with its stack, and no secret", event)
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("sig=SECRET" + strings.Repeat("x", 5000)) }
func (panicking) Close() error             { return nil }
