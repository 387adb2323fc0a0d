package mcpentra_test

import (
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// The protocol eras: with initialize, and without.
var protocols = []string{"2025-06-18", "2025-11-25", "2026-07-28"}

func TestToolsInEachProtocolEra(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			s := w.connect(t, w.token(w.alice), protocol)
			if got := s.InitializeResult().ProtocolVersion; got != protocol {
				t.Errorf("speaks %s, want %v", got, protocol)
			}
			tools, err := s.ListTools(t.Context(), nil)
			must(t, err)
			var names []string
			for _, tool := range tools.Tools {
				names = append(names, tool.Name)
				a := tool.Annotations
				if tool.Title == "" || a == nil || a.DestructiveHint == nil || a.OpenWorldHint == nil {
					t.Errorf("%s lacks a title or annotations", tool.Name)
				}
			}
			if strings.Join(names, " ") != "get_user_info read_blob_with_token secure_ping" {
				t.Errorf("tools %v, want \"get_user_info read_blob_with_token secure_ping\"", names)
			}
			if _, text := call(t, s, "secure_ping", nil); decode(t, text)["message"] != "Authenticated ping successful" {
				t.Errorf("secure_ping: got %s, want \"Authenticated ping successful\"", text)
			}
			_, text := call(t, s, "get_user_info", nil)
			info := decode(t, text)
			claims := info["user_claims"].(map[string]any)
			if claims["oid"] != w.alice.ObjectID || claims["scp"] != "access_as_user" || info["issuer"] != w.tenant.V1Issuer() {
				t.Errorf("get_user_info: got %s, want Alice, access_as_user and the issuer", text)
			}
			for _, c := range info["validation"].([]any) {
				if check := c.(map[string]any); check["result"] != "passed" {
					t.Errorf("a rule failed: got %v, want passed", check)
				}
			}
			if _, text := call(t, s, "read_blob_with_token", map[string]any{"blob_path": "hello.txt"}); decode(t, text)["text"] != "Hello, Alice" {
				t.Errorf("read_blob_with_token: got %s, want \"Hello, Alice\"", text)
			}
		})
	}
	if !strings.Contains(w.log.String(), "tool=read_blob_with_token caller.user="+strings.ToLower(w.tenant.ID()+"."+w.alice.ObjectID)) {
		t.Errorf("no line for the call: %s", w.log)
	}
}

func TestBobIsRefusedAlicesBlob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	result, text := call(t, w.connect(t, w.token(w.bob), ""), "read_blob_with_token", map[string]any{"blob_path": "hello.txt"})
	if !result.IsError || !strings.Contains(text, "Storage Blob Data Reader") || strings.Contains(text, "Hello") {
		t.Errorf("Bob: error %v, %s; want true, the role he lacks, and no content", result.IsError, text)
	}
}

func TestConsentMissingIsSaidPlainly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tenant.RevokeConsent(w.api, w.tenant.Storage())
	result, text := call(t, w.connect(t, w.token(w.alice), ""), "read_blob_with_token", map[string]any{"blob_path": "hello.txt"})
	if !result.IsError || !strings.Contains(text, "AADSTS65001") || strings.Contains(text, "Trace ID") {
		t.Errorf("error %v, %s; want true, AADSTS65001, and no trace id", result.IsError, text)
	}
}

const listTools = `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{}}`

func TestRefusalsOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithAllowedOrigins("http://localhost:6274"))
	good := "Bearer " + w.token(w.alice)
	idToken := "Bearer " + w.tenant.IDToken(w.alice, w.api)
	for _, row := range []struct {
		name   string
		header map[string]string
		body   string
		status int
		text   string
	}{
		{"good", map[string]string{"Authorization": good}, listTools, 200, "secure_ping"},
		{"no token", nil, listTools, 401, "No Bearer token found in Authorization header"},
		{"garbage", map[string]string{"Authorization": "Bearer x"}, listTools, 401, "not a well-formed JWT"},
		{"ID token", map[string]string{"Authorization": idToken}, listTools, 401, "ID token"},
		{"foreign Host", map[string]string{"Authorization": good, "Host": "evil.example"}, listTools, 403, "Host not allowed"},
		{"public Host", map[string]string{"Authorization": good, "Host": "MCP.example.com:443"}, listTools, 200, "secure_ping"},
		{"foreign Origin", map[string]string{"Authorization": good, "Origin": "https://evil.example"}, listTools, 403, "Origin not allowed"},
		{"null Origin", map[string]string{"Authorization": good, "Origin": "null"}, listTools, 403, "Origin not allowed"},
		{"own Origin", map[string]string{"Authorization": good, "Origin": "https://mcp.example.com"}, listTools, 200, "secure_ping"},
		{"allowed Origin", map[string]string{"Authorization": good, "Origin": "http://localhost:6274"}, listTools, 200, "secure_ping"},
		{"allowed Origin, no token", map[string]string{"Origin": "http://localhost:6274"}, listTools, 401, "No Bearer token"},
		{"huge body", map[string]string{"Authorization": good}, `{"jsonrpc":"2.0","id":7,"method":"` + strings.Repeat("x", 5<<20) + `"}`, 413, ""},
		{"no JSON", map[string]string{"Authorization": good}, "{", 400, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			status, header, body := w.post(t, row.body, row.header)
			if status != row.status || !strings.Contains(body, row.text) {
				t.Errorf("%d %s; want %d with %q", status, body, row.status, row.text)
			}
			if status == 401 || status == 403 {
				rpc := decode(t, body)
				if rpc["jsonrpc"] != "2.0" || rpc["id"] != 7.0 || rpc["error"].(map[string]any)["message"] == "" {
					t.Errorf("got %s, want a JSON-RPC error for the request", body)
				}
			}
			if c := header.Get("WWW-Authenticate"); status == 401 && (!strings.Contains(c, `resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"`) ||
				!strings.Contains(c, `scope="api://`+w.api.ClientID+`/access_as_user"`)) {
				t.Errorf("challenge %q, want resource_metadata and the scope", c)
			}
		})
	}
}

// The SDK's client goes on after a refusal, for the body answers its request.
func TestClientSurvivesARefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, protocol := range protocols {
		holder := &tokenHolder{token: w.token(w.alice)}
		s := w.connectWith(t, holder, protocol)
		holder.set(w.tenant.Mint(w.api, 1, func(_, c map[string]any) { c["scp"] = "other" }))
		if _, err := s.ListTools(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "Required scope is missing") {
			t.Fatalf("%s: refused with %v, want an error and \"Required scope is missing\"", protocol, err)
		}
		holder.set(w.token(w.alice))
		if _, err := s.ListTools(t.Context(), nil); err != nil {
			t.Errorf("%s: with a good token again: got %v, want nil", protocol, err)
		}
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithAllowedOrigins("http://localhost:6274"))
	ask := map[string]string{"Origin": "http://localhost:6274", "Access-Control-Request-Method": "POST"}
	status, header, _ := do(t, http.MethodOptions, w.url, "", ask)
	if status != http.StatusNoContent || header.Get("Access-Control-Allow-Origin") != "http://localhost:6274" ||
		!strings.Contains(header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("got %d %v, want 204, http://localhost:6274 and Authorization", status, header)
	}
	ask["Origin"] = "https://evil.example"
	if status, header, _ := do(t, http.MethodOptions, w.url, "", ask); status != 403 || header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign page: got %d %v, want 403, no Access-Control-Allow-Origin", status, header)
	}
	// OPTIONS that is no preflight needs a token like everything else.
	if status, _, _ := do(t, http.MethodOptions, w.url, "", map[string]string{"Origin": "http://localhost:6274"}); status != 401 {
		t.Errorf("OPTIONS without preflight: got %d, want 401", status)
	}
}

func TestMetadataAndHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := strings.TrimSuffix(w.url, "/mcp")
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
		status, header, body := do(t, http.MethodGet, base+path, "", map[string]string{"Origin": "https://anything.example"})
		m := decode(t, body)
		if status != 200 || header.Get("Access-Control-Allow-Origin") != "*" || m["resource"] != resourceURL ||
			m["authorization_servers"].([]any)[0] != w.tenant.AuthorityHost()+"/"+w.tenant.ID()+"/v2.0" ||
			m["scopes_supported"].([]any)[0] != "api://"+w.api.ClientID+"/access_as_user" {
			t.Errorf("%s: got %d %s, want 200, for all, with resource, authorization server and scope", path, status, body)
		}
	}
	must(t, w.verifier.Ready(t.Context())) // a probe does not wait for the keys for long
	status, _, body := do(t, http.MethodGet, base+"/health", "", map[string]string{"Host": "10.0.0.7"})
	if status != 200 || decode(t, body)["status"] != "ok" {
		t.Errorf("health: got %d %s, want 200, ok", status, body)
	}
	if status, _, _ := do(t, http.MethodGet, base+"/elsewhere", "", nil); status != 404 {
		t.Errorf("elsewhere: got %d, want 404", status)
	}
}

func TestHealthWithoutKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Drop: true})
	// A second server, whose verifier has never had keys.
	v := w.newVerifier(t)
	srv, err := mcpentra.NewServer(resourceURL, v)
	must(t, err)
	url := serve(t, srv)
	if status, _, body := do(t, http.MethodGet, url+"/health", "", nil); status != 503 || strings.Contains(body, "localhost") {
		t.Errorf("health: got %d %s, want 503 and no localhost", status, body)
	}
	status, header, body := do(t, http.MethodPost, url+"/mcp", listTools, map[string]string{"Authorization": "Bearer " + w.token(w.alice)})
	if status != 503 || header.Get("Retry-After") == "" || decode(t, body)["error"] == nil {
		t.Errorf("call: got %d %s, want 503, a Retry-After and an error", status, body)
	}
}

func TestResultsArePrivate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithServerOptions(func(o *mcp.ServerOptions) {
		o.Instructions = "Be kind."
		o.SetCacheable = nil
	}))
	s := w.connect(t, w.token(w.alice), "2026-07-28")
	tools, err := s.ListTools(t.Context(), nil)
	must(t, err)
	if tools.CacheScope != "private" {
		t.Errorf("cacheScope %q, want private", tools.CacheScope)
	}
	if s.InitializeResult().Instructions != "Be kind." {
		t.Error("the server options are not used, want them")
	}
}

func TestNewServerReportsAllFaults(t *testing.T) {
	t.Parallel()
	_, err := mcpentra.NewServer("http://mcp.example.com/mcp/", nil,
		mcpentra.WithExchanger(nil), mcpentra.WithTools(nil), mcpentra.WithAllowedOrigins("https://a.example/x"), mcpentra.WithImplementation(nil))
	if err == nil {
		t.Fatal("NewServer = nil, want all faults")
	}
	for _, part := range []string{"resource URL", "verifier", "WithExchanger", "WithTools", "WithAllowedOrigins", "WithImplementation"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not named in: %v", part, err)
		}
	}
	w := newWorld(t)
	for _, u := range []string{"", "mcp.example.com", "http://mcp.example.com/mcp", "https://h/mcp/", "https://h/mcp?x=1", "https://h/mcp#x", "https://u@h/mcp", "https://h/health", "https://h/{x}"} {
		if _, err := mcpentra.NewServer(u, w.verifier); err == nil {
			t.Errorf("%q accepted, want an error", u)
		}
	}
	for _, u := range []string{"https://mcp.example.com", "http://localhost:8000/mcp", "http://127.0.0.1:8000/a/b"} {
		if _, err := mcpentra.NewServer(u, w.verifier); err != nil {
			t.Errorf("%q: got %v, want nil", u, err)
		}
	}
}

func TestCredentialOutsideACall(t *testing.T) {
	t.Parallel()
	if _, err := mcpentra.Credential(t.Context()); !errors.Is(err, mcpentra.ErrNoCaller) {
		t.Errorf("got %v, want %v", err, mcpentra.ErrNoCaller)
	}
}

func TestNoTokenInLogs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens := []string{w.token(w.alice), w.token(w.bob)}
	for _, token := range tokens {
		s := w.connect(t, token, "")
		call(t, s, "get_user_info", nil)
		call(t, s, "read_blob_with_token", map[string]any{"blob_path": "hello.txt"})
	}
	for _, r := range w.tenant.Requests() {
		if a := r.Form.Get("assertion"); a != "" {
			tokens = append(tokens, a)
		}
		if s := r.Form.Get("client_secret"); s != "" && strings.Contains(w.log.String(), s) {
			t.Error("the log holds the client secret")
		}
	}
	for _, token := range tokens {
		for part := range strings.SplitSeq(token, ".") {
			if strings.Contains(w.log.String(), part[:24]) && !strings.HasPrefix(part, "eyJ") {
				t.Errorf("the log holds a part of a token: %s…", part[:24])
			}
			if strings.HasPrefix(part, "eyJ") && strings.Contains(w.log.String(), part) {
				t.Errorf("the log holds a header or payload: %s…", part[:24])
			}
		}
	}
}

var update = flag.Bool("update", false, "write the golden files")

// What clients see of the identity tools: a changed description shows in review.
func TestToolSchemas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tools, err := w.connect(t, w.token(w.alice), "").ListTools(t.Context(), nil)
	must(t, err)
	for _, tool := range tools.Tools {
		if tool.Name == "read_blob_with_token" {
			continue // blobtool's
		}
		got, err := json.MarshalIndent(tool, "", "  ")
		must(t, err)
		path := filepath.Join("testdata", tool.Name+".json")
		if *update {
			must(t, os.MkdirAll("testdata", 0o750))
			must(t, os.WriteFile(path, append(got, '\n'), 0o600))
		}
		want, err := os.ReadFile(path)
		must(t, err)
		if string(want) != string(got)+"\n" {
			t.Errorf("%s differs (go test -update writes it):\n%s", path, got)
		}
		if strings.Contains(string(got), `"null"`) {
			t.Errorf("%s: some clients refuse a list of types: %s", tool.Name, got)
		}
	}
}
