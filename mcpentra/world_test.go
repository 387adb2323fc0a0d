package mcpentra_test

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // for tests and examples of defaults; the others have their own
	_ = flag.Set("test.parallel", "6")             // the parallel ones wait, most of their time; the command line still decides
	goleak.VerifyTestMain(m)
}

// resourceURL is what the tests' servers are called by clients; they are
// reached by loopback address.
const resourceURL = "https://mcp.example.com/mcp"

// A world is a tenant, a blob service and a server between them.
type world struct {
	tenant      *entratest.Tenant
	blobs       *blobtest.Server
	alice, bob  *entratest.User
	api, client *entratest.App
	verifier    *entraauth.Verifier
	exchanger   *obo.Exchanger
	log         *lines
	options     []mcpentra.Option
	server      *mcpentra.Server
	url         string // of the MCP endpoint
}

func newWorld(t testing.TB, opts ...mcpentra.Option) *world {
	t.Helper()
	w := &world{tenant: entratest.NewTenant(nil), log: &lines{}}
	t.Cleanup(w.tenant.Close)
	w.alice = w.tenant.AddUser("alice@contoso.example", "Alice")
	w.bob = w.tenant.AddUser("bob@contoso.example", "Bob")
	w.api = w.tenant.AddApp("MCP server", "access_as_user")
	w.client = w.tenant.AddClient("MCP client")
	w.tenant.Consent(w.api, w.tenant.Storage(), "user_impersonation")
	w.blobs = blobtest.NewServer(&blobtest.Options{Key: w.tenant.PublicKey, Issuer: w.tenant.V1Issuer()})
	t.Cleanup(w.blobs.Close)
	w.blobs.AddContainer("docs")
	w.blobs.Put("docs", "hello.txt", []byte("Hello, Alice"), "text/plain")
	w.blobs.Grant(w.alice.ObjectID, "docs", "")

	logger := w.logger()
	var err error
	w.verifier = w.newVerifier(t)
	w.exchanger, err = obo.NewExchanger(w.tenant.ID(), w.api.ClientID, clientauth.Secret(w.api.AddSecret()), &obo.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: logger,
	})
	must(t, err)
	w.options = opts
	w.rebuild(t)
	return w
}

// rebuild makes the server anew, of what the world has now.
func (w *world) rebuild(t testing.TB) {
	t.Helper()
	logger := w.logger()
	set, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{
		HTTPClient: w.blobs.HTTPClient(), Logger: logger, Tools: []string{"read_blob_with_token"},
	})
	must(t, err)
	w.server, err = mcpentra.NewServer(resourceURL, w.verifier, append([]mcpentra.Option{
		mcpentra.WithExchanger(w.exchanger), mcpentra.WithTools(mcpentra.IdentityTools(w.verifier), set), mcpentra.WithLogger(logger),
	}, w.options...)...)
	must(t, err)
	t.Cleanup(w.server.EndSessions)
	w.url = serve(t, w.server) + "/mcp"
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (w *world) token(u *entratest.User) string { return w.tenant.Token(u, w.client, w.api) }

// connect returns a session of the SDK's client for the holder of the token.
func (w *world) connect(t testing.TB, token, protocol string) *mcp.ClientSession {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return w.connectWith(t, withToken{token, transport}, protocol)
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

func call(t testing.TB, s *mcp.ClientSession, tool string, args any) (*mcp.CallToolResult, string) {
	t.Helper()
	result, err := s.CallTool(context.Background(), &mcp.CallToolParams{Name: tool, Arguments: args})
	must(t, err)
	if len(result.Content) == 0 {
		t.Fatalf("%s: no content", tool)
	}
	return result, result.Content[0].(*mcp.TextContent).Text
}

// post sends a raw request and returns status, headers and body.
func (w *world) post(t testing.TB, body string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	return do(t, http.MethodPost, w.url, body, header)
}

// connections are those of all tests to their servers, which close them.
var connections = &http.Transport{MaxIdleConnsPerHost: 4}

func do(t testing.TB, method, url, body string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	return doOver(t, connections, method, url, body, header)
}

func doOver(t testing.TB, transport http.RoundTripper, method, url, body string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range header {
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	resp, err := transport.RoundTrip(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, resp.Header, string(data)
}

func decode(t testing.TB, data string) map[string]any {
	t.Helper()
	var m map[string]any
	must(t, json.Unmarshal([]byte(data), &m))
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lines is a log that a test can read.
type lines struct {
	mu      sync.Mutex
	text    strings.Builder
	written chan struct{} // closed by the next write; nil if nobody waits
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.written != nil {
		close(l.written)
		l.written = nil
	}
	return l.text.Write(p)
}

// await waits for the log to have the part.
func (l *lines) await(t testing.TB, part string) {
	t.Helper()
	for {
		l.mu.Lock()
		if strings.Contains(l.text.String(), part) {
			l.mu.Unlock()
			return
		}
		if l.written == nil {
			l.written = make(chan struct{})
		}
		written := l.written
		l.mu.Unlock()
		select {
		case <-written:
		case <-t.Context().Done():
			t.Fatalf("the log has no %q:\n%s", part, l)
		}
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tokenHolder sends the token that it holds at the time.
type tokenHolder struct {
	mu    sync.Mutex
	token string
}

func (h *tokenHolder) set(token string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.token = token
}

func (h *tokenHolder) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	token := h.token
	h.mu.Unlock()
	return withToken{token, http.DefaultTransport}.RoundTrip(r)
}

func (w *world) connectWith(t testing.TB, transport http.RoundTripper, protocol string) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(context.Background(), &mcp.StreamableClientTransport{
		Endpoint: w.url, HTTPClient: &http.Client{Transport: transport}, MaxRetries: -1,
	}, &mcp.ClientSessionOptions{ProtocolVersion: protocol})
	must(t, err)
	t.Cleanup(func() {
		_ = session.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return session
}

func (w *world) newVerifier(t testing.TB) *entraauth.Verifier {
	t.Helper()
	v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(),
	})
	must(t, err)
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// serve serves a handler on loopback and returns its URL.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		connections.CloseIdleConnections()
		s.Close()
	})
	return s.URL
}
