package mcpauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fixture is a tenant and an MCP server made with the SDK alone.
type fixture struct {
	tenant      *entratest.Tenant
	alice, bob  *entratest.User
	api, client *entratest.App
	verifier    *entraauth.Verifier
	server      *mcp.Server
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{tenant: entratest.NewTenant(nil)}
	t.Cleanup(f.tenant.Close)
	f.alice = f.tenant.AddUser("alice@contoso.example", "Alice")
	f.bob = f.tenant.AddUser("bob@contoso.example", "Bob")
	f.api = f.tenant.AddApp("API", "access_as_user")
	f.client = f.tenant.AddClient("Client")
	v, err := entraauth.NewVerifier(f.tenant.ID(), f.api.ClientID, &entraauth.Options{
		HTTPClient: f.tenant.HTTPClient(), AuthorityHost: f.tenant.AuthorityHost(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	f.verifier = v
	f.server = mcp.NewServer(&mcp.Implementation{Name: "mine", Version: "1"}, nil)
	mcp.AddTool(f.server, &mcp.Tool{Name: "whoami", Description: "Says who calls."}, whoami)
	return f
}

func whoami(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	text := "nobody"
	if id := entraauth.FromContext(ctx); id != nil {
		text = id.ObjectID()
	}
	text += " " + req.Extra.Header.Get("Authorization")
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
}

func (f *fixture) bearer(u *entratest.User) string {
	return "Bearer " + f.tenant.Token(u, f.client, f.api)
}

// handler returns the SDK's handler, with sessions.
func (f *fixture) handler() http.Handler {
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return f.server }, nil)
}

func (f *fixture) guarded(next http.Handler) http.Handler {
	return f.verifier.Middleware(&entraauth.Guard{WriteBody: mcpauth.WriteBody})(next)
}

const (
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	callWhoami = `{"jsonrpc":"2.0","id":"two","method":"tools/call","params":{"name":"whoami","arguments":{}}}`
)

func send(t *testing.T, method, url, authorization, session, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range map[string]string{"Authorization": authorization, "Mcp-Session-Id": session} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(data)
}

// session opens a session as the holder of the authorization, and ends it with the test.
func session(t *testing.T, url, authorization string) string {
	t.Helper()
	status, header, body := send(t, http.MethodPost, url, authorization, "", initialize)
	id := header.Get("Mcp-Session-Id")
	if status != http.StatusOK || id == "" {
		t.Fatalf("initialize: %d %s", status, body)
	}
	t.Cleanup(func() {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", authorization)
		req.Header.Set("Mcp-Session-Id", id)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	})
	return id
}

func TestBothHalves(t *testing.T) {
	f := newFixture(t)
	f.server.AddReceivingMiddleware(mcpauth.Receive)
	s := httptest.NewServer(f.guarded(mcpauth.Bridge(f.handler())))
	t.Cleanup(s.Close)
	id := session(t, s.URL, f.bearer(f.alice))
	status, _, body := send(t, http.MethodPost, s.URL, f.bearer(f.alice), id, callWhoami)
	if status != 200 || !strings.Contains(body, f.alice.ObjectID+" Bearer verified") {
		t.Errorf("Alice: %d %s", status, body)
	}
	// The SDK binds the session to the UserID that Bridge sets.
	if status, _, body := send(t, http.MethodPost, s.URL, f.bearer(f.bob), id, callWhoami); status != http.StatusForbidden {
		t.Errorf("Bob in Alice's session: %d %s", status, body)
	}
}

func TestEitherHalfMissingIsNobody(t *testing.T) {
	t.Run("Receive", func(t *testing.T) {
		f := newFixture(t)
		s := httptest.NewServer(f.guarded(mcpauth.Bridge(f.handler())))
		t.Cleanup(s.Close)
		id := session(t, s.URL, f.bearer(f.alice))
		if _, _, body := send(t, http.MethodPost, s.URL, f.bearer(f.alice), id, callWhoami); !strings.Contains(body, "nobody Bearer verified") {
			t.Errorf("got %s", body)
		}
	})
	t.Run("Bridge", func(t *testing.T) {
		f := newFixture(t)
		f.server.AddReceivingMiddleware(mcpauth.Receive)
		s := httptest.NewServer(f.guarded(f.handler()))
		t.Cleanup(s.Close)
		id := session(t, s.URL, f.bearer(f.alice))
		// Without UserID the SDK lets Bob into the session, and he is not Alice.
		if _, _, body := send(t, http.MethodPost, s.URL, f.bearer(f.bob), id, callWhoami); !strings.Contains(body, `"nobody `) {
			t.Errorf("got %s", body)
		}
	})
	t.Run("Middleware", func(t *testing.T) {
		f := newFixture(t)
		s := httptest.NewServer(mcpauth.Bridge(f.handler()))
		t.Cleanup(s.Close)
		if status, _, _ := send(t, http.MethodPost, s.URL, f.bearer(f.alice), "", initialize); status != http.StatusUnauthorized {
			t.Errorf("status %d", status)
		}
	})
}

// The body answers the request that was refused, and the SDK reads it so.
func TestWriteBody(t *testing.T) {
	refused := &entraauth.Error{Kind: entraauth.ErrExpired, Reason: "expired", Remedy: "Sign in <again>"}
	for name, row := range map[string]struct{ method, contentType, body, id string }{
		"number":           {"POST", "application/json", `{"jsonrpc":"2.0","id":7,"method":"x"}`, "7"},
		"text":             {"POST", "application/json; charset=utf-8", `{"method":"x","params":{"id":1},"id":"a\"b"}`, `"a\"b"`},
		"no id":            {"POST", "application/json", `{"method":"notifications/x"}`, "null"},
		"id is an object":  {"POST", "application/json", `{"id":{"a":1}}`, "null"},
		"id is null":       {"POST", "application/json", `{"id":null}`, "null"},
		"id is a bool":     {"POST", "application/json", `{"id":true}`, "null"},
		"endless id":       {"POST", "application/json", `{"id":"` + strings.Repeat("a", 300) + `"}`, "null"},
		"batch":            {"POST", "application/json", `[{"id":1}]`, "null"},
		"broken":           {"POST", "application/json", `{"id":1`, "1"},
		"id out of reach":  {"POST", "application/json", `{"params":"` + strings.Repeat("a", 70<<10) + `","id":1}`, "null"},
		"not JSON by type": {"POST", "text/plain", `{"id":1}`, "null"},
		"GET":              {"GET", "application/json", `{"id":1}`, "null"},
		"empty":            {"POST", "application/json", ``, "null"},
	} {
		req := httptest.NewRequest(row.method, "/mcp", strings.NewReader(row.body))
		req.Header.Set("Content-Type", row.contentType)
		rec := httptest.NewRecorder()
		mcpauth.WriteBody(rec, req, 401, refused)
		want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32001,"message":"Token expired. Sign in <again>","data":{"reason":"expired"}}}`, row.id)
		if got := strings.TrimSpace(rec.Body.String()); got != want || rec.Code != 401 {
			t.Errorf("%s: %d %s\nwant %s", name, rec.Code, got, want)
		}
	}
}

func FuzzWriteBody(f *testing.F) {
	for _, seed := range []string{`{"id":1}`, `{"id":"x"}`, `{"id":-1.5e3}`, `[]`, `{"id":"\ud800"}`, `{"a":{"id":1},"id":2}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		req := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		mcpauth.WriteError(rec, req, 403, -32003, "no")
		if !json.Valid(rec.Body.Bytes()) {
			t.Fatalf("not JSON: %q", rec.Body)
		}
		if strings.Contains(rec.Body.String(), `"id":null`) {
			return
		}
		if _, err := jsonrpc.DecodeMessage(rec.Body.Bytes()); err != nil {
			t.Fatalf("the SDK can't read %q: %v", rec.Body, err)
		}
	})
}
