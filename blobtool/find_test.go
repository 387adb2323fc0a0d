package blobtool_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// allowOnly puts the tools for all of the account, but for what is not allowed, before
// clients that connect from now on.
func (w *world) allowOnly(t testing.TB, allow ...string) {
	t.Helper()
	set, err := blobtool.NewAccount(w.storage.URL(), w.findCredential, &blobtool.Options{HTTPClient: w.storage.HTTPClient(), Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	w.serveSet(t, set)
}

// callFor calls a tool, which must succeed, and returns its output.
func callFor[Out any](t testing.TB, session *mcp.ClientSession, tool string, a args) Out {
	t.Helper()
	var out Out
	call(t, session, tool, a, &out)
	return out
}

func mustMarshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// refusal calls a tool, which must fail with that kind of error, and returns the text.
func (w *world) refusal(t testing.TB, session *mcp.ClientSession, tool string, a args, kind error) string {
	t.Helper()
	res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
	if err != nil {
		t.Fatal(err)
	}
	text := res.Content[0].(*mcp.TextContent).Text
	if !res.IsError || res.StructuredContent != nil || len(res.Content) != 1 {
		t.Fatalf("%s %v: got %s, want one text, an error", tool, a, text)
	}
	for _, hidden := range []string{"127.0.0.1", "https://127", "RequestId:", "<?xml", "eyJ"} {
		if strings.Contains(text, hidden) {
			t.Errorf("the text holds %q: %s", hidden, text)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if cause := w.causes[len(w.causes)-1]; kind != nil && !errors.Is(cause, kind) {
		t.Errorf("%s %v: %v, want %v", tool, a, cause, kind)
	}
	return text
}

// gauge counts the requests that are on their way at the same time.
type gauge struct {
	next      http.RoundTripper
	mu        sync.Mutex
	now, most int
}

func (g *gauge) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	g.now++
	g.most = max(g.most, g.now)
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.now--
		g.mu.Unlock()
	}()
	return g.next.RoundTrip(r)
}

func sortedStrings(s []string) []string { return slices.Sorted(slices.Values(s)) }
