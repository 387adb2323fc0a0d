package blobtool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

var tenant *entratest.Tenant

func TestMain(m *testing.M) {
	tenant = entratest.NewTenant(nil) // one for all tests: making its key takes a while
	goleak.VerifyTestMain(closing{m})
}

// closing runs the tests and then closes the tenant, before goroutines are counted.
type closing struct{ *testing.M }

func (c closing) Run() int {
	defer tenant.Close()
	return c.M.Run()
}

// world is a storage account, and an MCP server with the blob tools over HTTP. Its
// callers' bearer tokens are their names.
type world struct {
	storage    *blobtest.Server
	client     *entratest.App
	alice, bob *entratest.User
	dir        string // download folder
	url        string
	logs       *syncBuffer
	set        *blobtool.Set

	mu         sync.Mutex
	credential blobtool.CredentialFunc
	causes     []error // of failed calls, as middleware sees them
	tokens     map[*entratest.User]string
}

// newWorld starts it. change may alter the options; the download folder is set.
func newWorld(t testing.TB, change func(*blobtool.Options)) *world {
	t.Helper()
	return newWorldOn(t, nil, change)
}

// newWorldOn starts one on a storage account of that kind.
func newWorldOn(t testing.TB, kind func(*blobtest.Options), change func(*blobtool.Options)) *world {
	t.Helper()
	w, o := newStorage(t, kind, change)
	w.serve(t, w.storage.URL(), o)
	return w
}

// newAccountWorld starts one with the tools for all containers.
func newAccountWorld(t testing.TB, change func(*blobtool.Options)) *world {
	t.Helper()
	w, o := newStorage(t, nil, func(o *blobtool.Options) {
		o.DownloadDir = ""
		if change != nil {
			change(o)
		}
	})
	set, err := blobtool.NewAccount(w.storage.URL(), w.findCredential, o)
	if err != nil {
		t.Fatal(err)
	}
	w.serveSet(t, set)
	return w
}

// newStorage starts the storage account and returns the options for its tools.
func newStorage(t testing.TB, kind func(*blobtest.Options), change func(*blobtool.Options)) (*world, *blobtool.Options) {
	t.Helper()
	account := blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()}
	if kind != nil {
		kind(&account)
	}
	w := &world{
		storage: blobtest.NewServer(&account),
		client:  tenant.AddClient("client"),
		alice:   tenant.AddUser("alice@contoso.com", "Alice"),
		bob:     tenant.AddUser("bob@contoso.com", "Bob"),
		dir:     t.TempDir() + "/downloads",
		logs:    &syncBuffer{},
	}
	t.Cleanup(w.storage.Close)
	w.storage.AddContainer("docs")
	w.storage.Grant(w.alice.ObjectID, "docs", "")
	o := blobtool.Options{
		HTTPClient:  w.storage.HTTPClient(),
		DownloadDir: w.dir,
		Logger:      slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	return w, &o
}

// serve puts the tools for the account at that URL before MCP clients.
func (w *world) serve(t testing.TB, accountURL string, o *blobtool.Options) {
	t.Helper()
	set, err := blobtool.New(accountURL, "docs", w.findCredential, o)
	if err != nil {
		t.Fatal(err)
	}
	w.serveSet(t, set)
}

// serveSet puts the tools of a set before MCP clients.
func (w *world) serveSet(t testing.TB, set *blobtool.Set) {
	t.Helper()
	w.set = set
	set.SetRetryDelay(time.Millisecond)
	var options mcp.ServerOptions
	set.Configure(&options)
	server := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, &options)
	set.Register(server)
	server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			res, err := next(ctx, method, req)
			cause := err
			if r, ok := res.(*mcp.CallToolResult); ok && r.IsError {
				cause = r.GetError()
			}
			if cause != nil {
				w.mu.Lock()
				w.causes = append(w.causes, cause)
				w.mu.Unlock()
			}
			return res, err
		}
	})
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		return &auth.TokenInfo{UserID: w.userID(token), Expiration: time.Now().Add(time.Hour)}, nil
	}
	front := httptest.NewServer(auth.RequireBearerToken(verify, nil)(handler))
	t.Cleanup(front.Close)
	w.url = front.URL
}

// userID is the id of a user as this module writes it, {tenant}.{object}; any other
// caller's is the bearer token itself.
func (w *world) userID(bearer string) string {
	switch bearer {
	case "alice":
		return tenant.ID() + "." + w.alice.ObjectID
	case "bob":
		return tenant.ID() + "." + w.bob.ObjectID
	case "nobody":
		return ""
	}
	return bearer
}

// findCredential returns the credential of the call's user.
func (w *world) findCredential(ctx context.Context) (azcore.TokenCredential, error) {
	w.mu.Lock()
	find := w.credential
	w.mu.Unlock()
	if find != nil {
		return find(ctx)
	}
	user := w.alice
	if info := auth.TokenInfoFromContext(ctx); info != nil && info.UserID == w.userID("bob") {
		user = w.bob
	}
	return tokenFunc(func(policy.TokenRequestOptions) (string, error) { return w.storageToken(user), nil }), nil
}

// storageToken returns a user's token for the storage account.
func (w *world) storageToken(user *entratest.User) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	token := w.tokens[user]
	if token == "" { // once: signing takes longer than most calls
		token = tenant.Token(user, w.client, tenant.Storage(), "user_impersonation")
		if w.tokens == nil {
			w.tokens = map[*entratest.User]string{}
		}
		w.tokens[user] = token
	}
	return token
}

// tokenFunc is a credential.
type tokenFunc func(policy.TokenRequestOptions) (string, error)

func (f tokenFunc) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := f(o)
	return azcore.AccessToken{Token: token, ExpiresOn: time.Now().Add(time.Hour)}, err
}

// connect opens a client session as that caller.
func (w *world) connect(t testing.TB, bearer string) *mcp.ClientSession {
	t.Helper()
	return w.connectWith(t, bearer, nil)
}

func (w *world) connectWith(t testing.TB, bearer string, options *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	return w.connectVersion(t, bearer, "", options)
}

// connectVersion is connectWith for a version of the protocol; empty is the newest.
func (w *world) connectVersion(t testing.TB, bearer, version string, options *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	return w.connectClient(t, bearer, version, options, func(*mcp.Client) {})
}

// connectClient is connectVersion for a client that is changed first.
func (w *world) connectClient(t testing.TB, bearer, version string, options *mcp.ClientOptions, change func(*mcp.Client)) *mcp.ClientSession {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, options)
	change(client)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint:   w.url,
		HTTPClient: &http.Client{Transport: &bearerTransport{transport, bearer}},
	}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

type bearerTransport struct {
	next   http.RoundTripper
	bearer string
}

func (b *bearerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.bearer)
	return b.next.RoundTrip(r)
}

// output is the tool's output as a client decodes it.
type output struct {
	Container string `json:"container"`
	BlobPath  string `json:"blob_path"`
	Bytes     int64  `json:"bytes"`
	Text      string `json:"text"`
	Truncated bool   `json:"truncated"`
	LocalPath string `json:"local_path"`
	Warning   string `json:"warning"`
}

type args = map[string]any

// read calls the tool, which must succeed, and checks that the text is the same
// JSON as the structured content.
func read(t testing.TB, session *mcp.ClientSession, a args) output {
	t.Helper()
	res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "read_blob_with_token", Arguments: a})
	if err != nil {
		t.Fatal(err)
	}
	text := res.Content[0].(*mcp.TextContent).Text
	if res.IsError {
		t.Fatalf("%v: got the error %s, want none", a, text)
	}
	structured, err := json.Marshal(res.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	var out, same output
	if err := errors.Join(json.Unmarshal(structured, &out), json.Unmarshal([]byte(text), &same)); err != nil || out != same {
		t.Fatalf("structured content and text differ: %v\n%s\n%s", err, structured, text)
	}
	return out
}

// refused calls the tool, which must fail, and returns the text and the error
// behind it.
func (w *world) refused(t testing.TB, session *mcp.ClientSession, a args) (string, error) {
	t.Helper()
	return w.refusedBy(t, session, "read_blob_with_token", a)
}

// refusedBy is refused for any tool.
func (w *world) refusedBy(t testing.TB, session *mcp.ClientSession, tool string, a args) (string, error) {
	t.Helper()
	res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
	if err != nil {
		t.Fatal(err)
	}
	text := res.Content[0].(*mcp.TextContent).Text
	if !res.IsError || res.StructuredContent != nil || len(res.Content) != 1 {
		t.Fatalf("%v: got %s, want one text, an error", a, text)
	}
	for _, hidden := range []string{"127.0.0.1", "localhost", "https://127", "http://", "RequestId:", w.dir, "<?xml"} {
		if strings.Contains(text, hidden) {
			t.Errorf("the text holds %q: %s", hidden, text)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return text, w.causes[len(w.causes)-1]
}

// syncBuffer is a log that handlers write to at the same time.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
