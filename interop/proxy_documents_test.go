//go:build unix

package interop_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// A document is a client ID metadata document like the one of a client that people use: what is in
// it, and the redirect that the client sends. As of 2026-11, from the clients' issue trackers:
// anthropics/claude-code#37747 and #64705, anomalyco/opencode#47737, which names Codex' URL, and
// microsoft/vscode#278512 with #252226.
type clientDocument struct {
	name, url string
	redirects []string
	sent      string
	from      string // what the consent page shows of where it comes from
	more      map[string]any
}

var clientDocuments = []clientDocument{
	{
		"Claude Code", "https://claude.ai/oauth/claude-code-client-metadata",
		[]string{"http://localhost/callback", "http://127.0.0.1/callback"}, "http://localhost:58135/callback", "claude.ai",
		map[string]any{"client_uri": "https://claude.ai", "token_endpoint_auth_method": "none"}, // application_type is missing
	},
	{
		"Codex", "https://chatgpt.com/oauth/codex/client.json",
		[]string{"http://127.0.0.1/callback", "http://localhost/callback"}, "http://127.0.0.1:37819/callback", "chatgpt.com",
		map[string]any{"application_type": "native", "token_endpoint_auth_method": "none", "token_endpoint_auth_methods_supported": []string{"none"}},
	},
	{
		"opencode", "https://opencode.ai/oauth/opencode/client.json",
		[]string{"http://127.0.0.1/callback", "http://localhost/callback"}, "http://127.0.0.1:19876/callback", "opencode.ai",
		map[string]any{
			"application_type": "native", "logo_uri": "https://opencode.ai/logo.png",
			"token_endpoint_auth_method": "none", "token_endpoint_auth_methods_supported": []string{"none"},
		},
	},
	{
		"VS Code", "https://vscode.dev/oauth/client-metadata.json",
		[]string{"https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect", "http://127.0.0.1/", "http://127.0.0.1:33418/"}, "http://127.0.0.1:59656/", "are those of", // its preset
		map[string]any{"application_type": "native", "token_endpoint_auth_method": "none"}, // with https redirects
	},
}

// publish serves the documents, and returns the client with which a proxy reaches them whatever
// their host.
func publish(t *testing.T, documents ...clientDocument) *http.Client {
	t.Helper()
	published := map[string][]byte{}
	for _, d := range documents {
		members := map[string]any{
			"client_id": d.url, "client_name": d.name, "redirect_uris": d.redirects,
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
		}
		maps.Copy(members, d.more)
		data, err := json.Marshal(members)
		must(t, err)
		published[strings.TrimPrefix(d.url, "https://")] = data
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		data, ok := published[r.Host+r.URL.Path]
		if !ok {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = rw.Write(data) // the proxy may have hung up
	}))
	t.Cleanup(server.Close)
	client := server.Client()
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig.ServerName = "example.com" // the certificate's
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	t.Cleanup(transport.CloseIdleConnections)
	return client
}

// Each client's document, with the redirect that it sends: the consent page names the document's
// host or the client's preset, and the client, which never registered, gets tokens and refreshes them.
func TestProxyDocuments(t *testing.T) {
	w := newProxyWorld(t, authproxy.Options{UnsafeDocumentClient: publish(t, clientDocuments...)})
	for _, d := range clientDocuments {
		t.Run(d.name, func(t *testing.T) {
			w.client(d.url, "", oauth2.AuthStyleInParams, d.sent).checkSignIn(t, d.name, d.from, "This computer")
		})
	}
	w.entra(t)
	w.checkLog(t)
}

// checkSignIn signs Alice in, at a browser that has seen nothing yet, refreshes, and calls. The
// consent page must show the words.
func (c *proxyClient) checkSignIn(t *testing.T, words ...string) {
	t.Helper()
	user := c.world.person(t, "alice")
	page := c.world.page(t, user, c.begin(nil).page)
	for _, want := range words {
		if !strings.Contains(page, want) {
			t.Errorf("the consent page has no %q: %s", want, page)
		}
	}
	token := c.signIn(t, user)
	if got := c.world.whoami(t, c.refresh(t, token)); got != user.name {
		t.Errorf("the server's user is %q, want %q", got, user.name)
	}
}

// Clients that register themselves with the redirects of their makers: the consent page names whose
// they are. Each may refresh, and prove itself as it registered to.
func TestProxyRegistrations(t *testing.T) {
	w := newProxyWorld(t, authproxy.Options{PrivateSchemes: []string{authproxy.CursorRedirect}})
	for name, c := range map[string]struct {
		method    string
		redirects []string
		words     []string
	}{
		"Claude":         {"none", []string{"https://claude.ai/api/mcp/auth_callback"}, []string{"Claude", "claude.ai"}},
		"ChatGPT":        {"client_secret_post", []string{"https://chatgpt.com/connector_platform_oauth_redirect"}, []string{"ChatGPT", "chatgpt.com"}},
		"Cursor":         {"none", []string{authproxy.CursorRedirect}, []string{"Cursor"}},
		"VS Code":        {"none", []string{"https://vscode.dev/redirect", "https://insiders.vscode.dev/redirect", "http://127.0.0.1/", "http://127.0.0.1:33418/"}, []string{"VS Code", "vscode.dev"}},
		"Copilot Studio": {"", []string{"https://global.consent.azure-apim.net/redirect/cr123-5fnotes"}, []string{"Copilot Studio", "global.consent.azure-apim.net"}},
	} {
		t.Run(name, func(t *testing.T) { w.register(t, name, c.method, c.redirects...).checkSignIn(t, c.words...) })
	}
	w.entra(t)
	w.checkLog(t)
}

// SDKs' and the Inspector's clients that have a document use it: none registers itself.
func TestProxyDocumentsOfClients(t *testing.T) {
	byName := map[string]clientDocument{}
	for _, d := range clientDocuments {
		byName[d.name] = d
	}
	for _, c := range []struct {
		name, document string
		program        string
		args           []string
	}{
		{"TypeScript SDK 1", "Claude Code", node(t), []string{script(t, "node", "sdk.mjs")}},
		{"TypeScript SDK 2", "opencode", node(t), []string{script(t, "node", "client.mjs"), "modern"}},
		{"Python SDK", "Codex", mcpPython(t), []string{script(t, "python", "mcp_client.py"), "auto"}},
		{"FastMCP", "Codex", mcpPython(t), []string{script(t, "python", "fastmcp_client.py"), "auto"}},
		{"Go SDK", "Claude Code", goSDK, nil},
		{"Inspector", "Inspector", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, ok := byName[c.document]
			if !ok { // its user publishes one
				d = clientDocument{name: "Inspector", url: "https://inspector.example.com/client.json", redirects: []string{"http://127.0.0.1/oauth/callback"}}
			}
			w := newProxyWorld(t, authproxy.Options{UnsafeDocumentClient: publish(t, d), NoRegistration: true})
			if c.program == "" {
				w.newInspector(t).call(t, "secure_ping", proxyWell["call"], true, "--client-metadata-url", d.url)
			} else if said := w.run(t, map[string]string{"CLIENT_METADATA_URL": d.url, "STEPS": "call"}, c.program, c.args...); said["call"] != proxyWell["call"] {
				t.Errorf("call: %q, want %q", said["call"], proxyWell["call"])
			}
			w.entra(t)
			w.checkLog(t)
		})
	}
}

// page returns the text of the page at an address.
func (w *proxyWorld) page(t *testing.T, user *person, address string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(w.ctx, http.MethodGet, address, nil)
	must(t, err)
	resp, err := user.client.Do(request)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(data)
}
