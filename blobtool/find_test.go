package blobtool_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// newAccountWorld starts a storage account, and a server with the tools for all of it.
func newAccountWorld(t testing.TB, change func(*blobtool.Options)) *world {
	t.Helper()
	w := newWorld(t, func(o *blobtool.Options) { o.DownloadDir = "" })
	w.serveAccount(t, change)
	return w
}

// serveAccount puts the tools for all of the account before clients that connect from
// now on.
func (w *world) serveAccount(t testing.TB, change func(*blobtool.Options)) {
	t.Helper()
	o := blobtool.Options{HTTPClient: w.storage.HTTPClient()}
	if change != nil {
		change(&o)
	}
	set, err := blobtool.NewAccount(w.storage.URL(), w.findCredential, &o)
	if err != nil {
		t.Fatal(err)
	}
	w.serveSet(t, set)
}

// call calls a tool, which must succeed, and checks that the text is the same JSON as
// the structured content.
func call[Out any](t testing.TB, session *mcp.ClientSession, tool string, a args) Out {
	t.Helper()
	res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
	if err != nil {
		t.Fatal(err)
	}
	text := res.Content[0].(*mcp.TextContent).Text
	if res.IsError {
		t.Fatalf("%s %v: %s", tool, a, text)
	}
	structured, err := json.Marshal(res.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	var out Out
	if err := errors.Join(json.Unmarshal(structured, &want), json.Unmarshal([]byte(text), &got), json.Unmarshal(structured, &out)); err != nil {
		t.Fatal(err)
	}
	if a, b := mustMarshal(t, got), mustMarshal(t, want); !bytes.Equal(a, b) {
		t.Fatalf("structured content and text differ:\n%s\n%s", a, b)
	}
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
		t.Fatalf("%s %v succeeded: %s", tool, a, text)
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

// What the tools of an account look like: with the argument container, and
// list_containers.
func TestAccountToolSchemas(t *testing.T) {
	w := newAccountWorld(t, nil)
	list, err := w.connect(t, "alice").ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		got, err := json.MarshalIndent(tool, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "account", tool.Name+".json")
		if *update {
			if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || string(want) != string(got)+"\n" {
			t.Errorf("%s is now (go test -update accepts it): %s\n%v", golden, got, err)
		}
		if a := tool.Annotations; a == nil || tool.Title == "" || a.Title == "" || a.DestructiveHint == nil || a.OpenWorldHint == nil || !a.ReadOnlyHint || !a.IdempotentHint {
			t.Errorf("%s: title or annotations are missing: %+v", tool.Name, a)
		}
		if bytes.Contains(got, []byte(`"null"`)) {
			t.Errorf("%s: a schema allows null", tool.Name)
		}
	}
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
