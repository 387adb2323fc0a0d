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
	id, err := mcpauth.Caller(ctx)
	if (id == nil) != (err != nil) || id != nil && id != entraauth.FromContext(ctx) {
		panic(fmt.Sprintf("Caller() = %v, %v; FromContext() = %v", id, err, entraauth.FromContext(ctx)))
	}
	if err != nil {
		return nil, nil, err
	}
	text := id.ObjectID() + " " + req.Extra.Header.Get("Authorization")
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
}

func (f *fixture) bearer(u *entratest.User) string {
	return "Bearer " + f.tenant.Token(u, f.client, f.api)
}

// handler returns the SDK's handler, with sessions or without.
func (f *fixture) handler(stateless bool) http.Handler {
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return f.server }, &mcp.StreamableHTTPOptions{Stateless: stateless})
}

func (f *fixture) guarded(next http.Handler) http.Handler {
	return f.verifier.Middleware(&entraauth.BearerCheck{WriteBody: mcpauth.WriteBody})(next)
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
		t.Fatalf("initialize: got %d %s, want 200, an id", status, body)
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

// The body answers the request that was refused, and the SDK reads it so.
func TestWriteBody(t *testing.T) {
	t.Parallel()
	refused := &entraauth.Error{Kind: entraauth.ErrExpired, Reason: "expired", Remedy: "Sign in <again>"}
	for name, row := range map[string]struct{ method, contentType, body, id string }{
		"number":           {"POST", "application/json", `{"jsonrpc":"2.0","id":7,"method":"x"}`, "7"},
		"text":             {"POST", "application/json; charset=utf-8", `{"method":"x","params":{"id":1},"id":"a\"b"}`, `"a\"b"`},
		"no id":            {"POST", "application/json", `{"method":"notifications/x"}`, "null"},
		"id is an object":  {"POST", "application/json", `{"id":{"a":1}}`, "null"},
		"id is null":       {"POST", "application/json", `{"id":null}`, "null"},
		"id is a bool":     {"POST", "application/json", `{"id":true}`, "null"},
		"long id":          {"POST", "application/json", `{"id":"` + strings.Repeat("a", 60<<10) + `"}`, `"` + strings.Repeat("a", 60<<10) + `"`},
		"endless id":       {"POST", "application/json", `{"id":"` + strings.Repeat("a", 70<<10) + `"}`, "null"},
		"empty id":         {"POST", "application/json", `{"id":"","method":"x"}`, `""`},
		"zero":             {"POST", "application/json", `{"id":0}`, "0"},
		"negative":         {"POST", "application/json", `{"id":-7}`, "-7"},
		"above 2^53":       {"POST", "application/json", `{"id":9007199254740993}`, "9007199254740993"},
		"fraction":         {"POST", "application/json", `{"id":1.50}`, "1.50"},
		"type in capitals": {"POST", "Application/JSON", `{"id":1}`, "1"},
		"batch":            {"POST", "application/json", `[{"id":1}]`, "null"},
		"broken":           {"POST", "application/json", `{"id":1`, "1"},
		"id out of reach":  {"POST", "application/json", `{"params":"` + strings.Repeat("a", 70<<10) + `","id":1}`, "null"},
		"not JSON by type": {"POST", "text/plain", `{"id":1}`, "1"},
		"GET":              {"GET", "application/json", ``, "null"},
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
	for _, seed := range []string{`{"id":1}`, `{"id":"x"}`, `{"id":-1.5e3}`, `[]`, `{"id":"\ud800"}`, `{"a":{"id":1},"id":2}`, `{"id":-1e593`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		req := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		mcpauth.WriteError(rec, req, 403, -32003, "no")
		var answer struct{ ID json.RawMessage }
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
			t.Fatalf("WriteError writes %q: %v, want JSON", rec.Body, err)
		}
		if string(answer.ID) == "null" {
			return
		}
		// An id that the SDK can't read, such as -1e593, goes back to the client that has sent it.
		if _, err := jsonrpc.DecodeMessage(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"method":"x"}`, answer.ID)); err != nil {
			return
		}
		if _, err := jsonrpc.DecodeMessage(rec.Body.Bytes()); err != nil {
			t.Fatalf("WriteError writes %q, which the SDK reads with %v, want nil", rec.Body, err)
		}
	})
}

// Tools see the headers of a request, but no credential: neither the caller's nor
// what gateways and platforms add.
func TestToolsSeeNoCredentials(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	seen := make(chan http.Header, 1)
	f.server.AddReceivingMiddleware(mcpauth.Receive)
	mcp.AddTool(f.server, &mcp.Tool{Name: "headers"}, func(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		seen <- req.Extra.Header
		return &mcp.CallToolResult{}, nil, nil
	})
	s := httptest.NewServer(f.guarded(mcpauth.Bridge(mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return f.server }, &mcp.StreamableHTTPOptions{Stateless: true}))))
	t.Cleanup(s.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"headers","arguments":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	token := f.tenant.Token(f.alice, f.client, f.api)
	hidden := map[string]string{
		"Cookie": "AppServiceAuthSession=x", "X-MS-TOKEN-AAD-ACCESS-TOKEN": "x", "x-ms-token-aad-id-token": "x", "X-MS-TOKEN-AAD-REFRESH-TOKEN": "x",
		"X-MS-CLIENT-PRINCIPAL": "e30=", "X-Ms-Client-Principal-Id": "x", "X-Ms-Client-Principal-Name": "x", "Proxy-Authorization": "Basic eDp5",
		"X-Forwarded-Access-Token": "x", "X-Auth-Request-Access-Token": "x", "X-Auth-Request-Email": "x", "DPoP": "x", "X-Original-Authorization": "x",
		"X-Api-Key": "x", "Api-Key": "x", "Ocp-Apim-Subscription-Key": "x", "X-Functions-Key": "x", "X-Zumo-Auth": "x", "X-ARR-ClientCert": "x",
		"X-Forwarded-Client-Cert": "x", "X-Amzn-Oidc-Data": "x", "Cf-Access-Jwt-Assertion": "x", "X-Goog-Iap-Jwt-Assertion": "x", "X-Identity": "x",
		"X-Session": "x", "X-Csrf-Value": "x", "X-Xsrf": "x", "X-Pwd": "x", "X-Original-Url": "/mcp?access_token=abc", "X-Sas-Url": "https://a.example/b?sv=1&sig=abc",
		"X-Anything": token, "X-Other": "Bearer abc", "X-Third": "a=1; t=" + token,
	}
	shown := map[string]string{
		"User-Agent": "test/1", "Accept-Language": "ja", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "X-MCP-Toolsets": "blobs",
		"X-Project": "eyes", "X-Forwarded-For": "192.0.2.1", "Idempotency-Key": "7", "Mcp-Protocol-Version": "2025-11-25", "Mcp-Param-Token": "7",
	}
	for name, value := range hidden {
		req.Header.Set(name, value)
	}
	for name, value := range shown {
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, want 200", resp.StatusCode)
	}
	got := <-seen
	for name := range hidden {
		if v := got.Values(name); len(v) > 0 {
			t.Errorf("a tool sees %s: %q, want none", name, v)
		}
	}
	for name, want := range shown {
		if v := got.Get(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	if v := got.Get("Authorization"); v != "Bearer verified" {
		t.Errorf("Authorization is %q, want \"Bearer verified\"", v)
	}
}
