package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/examples/internal/documented"
	"github.com/mcpentra/mcp-entra-go/examples/internal/listening"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

func TestMain(m *testing.M) {
	if os.Getenv(beServer) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// A fixture is the server with its own tenant and storage, over HTTP.
type fixture struct {
	*world
	config   serverconfig.Config
	verifier *entraauth.Verifier
	origin   string // http://localhost:PORT
	log      *lines
	stop     func() // shuts the server down and waits
}

// lines is a log that can be read while it is being written.
type lines struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{} // closed by the next write
}

func newLines() *lines { return &lines{more: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.b.Write(p)
}

// read returns the log, and a channel that is closed when there is more.
func (l *lines) read() (log string, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String(), l.more
}

func (l *lines) String() string {
	log, _ := l.read()
	return log
}

// start serves until the test ends. If change is not nil, it edits the configuration.
func start(t *testing.T, change func(*world, *serverconfig.Config)) *fixture {
	t.Helper()
	return startWith(t, change, func(toEntra http.RoundTripper) http.RoundTripper { return toEntra })
}

// startWith is start with a custom transport between the server and Entra.
func startWith(t *testing.T, change func(*world, *serverconfig.Config), wrap func(toEntra http.RoundTripper) http.RoundTripper) *fixture {
	t.Helper()
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{world: w, origin: listening.Origin(listener), log: newLines()}
	c := w.config(serverconfig.Listen{})
	if change != nil {
		change(w, &c)
	}
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	authority := w.tenant.HTTPClient()
	authority.Transport = wrap(authority.Transport)
	server, verifier, err := documented.NewServer(c, c.ResourceURL(f.origin), documented.Surroundings{
		TokenTool: true, Log: log, Authority: authority, Storage: w.blobs.HTTPClient(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = verifier.Close() })
	f.config, f.verifier = c, verifier
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(f.stop)
	return f
}

// bearer sends a token with each request.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// session opens an MCP session with a token. The era is a protocol version, or "" for the SDK's
// newest.
func session(t *testing.T, url, token, version string) *mcp.ClientSession {
	t.Helper()
	transport := &http.Transport{}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: url, HTTPClient: &http.Client{Transport: bearer{token, transport}}, DisableStandaloneSSE: true,
	}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		transport.CloseIdleConnections()
	})
	return s
}

// as opens a session for the user.
func (f *fixture) as(t *testing.T, user *entratest.User) *mcp.ClientSession {
	t.Helper()
	return session(t, f.origin+"/mcp", f.token(user), "")
}

// result calls a tool and returns its structured content, after checking that the text is the
// same.
func result(t *testing.T, s *mcp.ClientSession, tool string, arguments map[string]any) map[string]any {
	t.Helper()
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if r.IsError {
		t.Fatalf("%s answered: %s", tool, resultText(r))
	}
	structured, ok := r.StructuredContent.(map[string]any)
	if !ok {
		t.Fatalf("%s: structured content is %T", tool, r.StructuredContent)
	}
	if len(r.Content) != 1 {
		t.Fatalf("%s: %d pieces of content, want 1", tool, len(r.Content))
	}
	var text any
	if err := json.Unmarshal([]byte(resultText(r)), &text); err != nil {
		t.Fatalf("%s: the text is not JSON: %v", tool, err)
	}
	if got, want := mustJSON(t, text), mustJSON(t, structured); got != want {
		t.Errorf("%s: text and structured content differ:\n%s\n%s", tool, got, want)
	}
	return structured
}

// refusal calls a tool that must return an error, and returns its text.
func refusal(t *testing.T, s *mcp.ClientSession, tool string, arguments map[string]any) string {
	t.Helper()
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if !r.IsError {
		t.Fatalf("%s answered: %s", tool, resultText(r))
	}
	if r.StructuredContent != nil {
		t.Errorf("%s: an error with structured content %v", tool, r.StructuredContent)
	}
	return resultText(r)
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wantText reports texts that are missing in s.
func wantText(t *testing.T, s string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(s, text) {
			t.Errorf("%q does not say %q", s, text)
		}
	}
}

// post sends a tools/call of secure_ping with these additional headers, and returns the status,
// the challenge, and the message of the JSON-RPC error.
func (f *fixture) post(t *testing.T, header http.Header) (status int, challenge, message string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.origin+"/mcp",
		strings.NewReader(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"secure_ping"}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header.Clone()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Error struct{ Message string } }
	if json.Unmarshal(body, &answer) != nil {
		return response.StatusCode, response.Header.Get("WWW-Authenticate"), string(body)
	}
	return response.StatusCode, response.Header.Get("WWW-Authenticate"), answer.Error.Message
}
