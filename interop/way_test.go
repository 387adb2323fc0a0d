//go:build unix

package interop_test

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The way in, as docs/setup.md has it: registered, checked, served, and signed in to by clients that
// know no more than what setup printed. Nobody pastes a token.
func TestWay(t *testing.T) {
	t.Parallel()
	w := newWay(t, true)
	gateway := w.startGateway(t)
	w.writeSpec(t, gateway.url)

	w.setup(t, 2, "plan")
	text := w.setup(t, 0, "apply", "-env", ".env")
	variables, err := os.ReadFile(filepath.Join(w.dir, ".env"))
	must(t, err)
	if again := w.setup(t, 0, "apply", "-env", ".env"); !strings.HasPrefix(again, "No change") {
		t.Errorf("the second apply printed %s", again)
	}
	if after, err := os.ReadFile(filepath.Join(w.dir, ".env")); err != nil || string(after) != string(variables) {
		t.Errorf("the second apply wrote %q (%v), the first %q", after, err, variables)
	}
	w.setup(t, 0, "check")

	w.graph(t, http.MethodPatch, "/applications(uniqueName='files-mcp')", map[string]any{"identifierUris": []string{"api://" + printed(t, text, `API_APP_ID=(\S+)`)}})
	if drift := w.setup(t, 2, "check"); !strings.Contains(drift, "api/server-uris") {
		t.Errorf("check does not name the URI that was removed by hand: %s", drift)
	}
	w.setup(t, 0, "apply")

	server, origin := w.startServer(t, nil)
	at, err := url.Parse(origin)
	must(t, err)
	gateway.server.Store(at)
	if log := server.stderr.String(); strings.Contains(log, "AADSTS") {
		t.Error("the server warns of clients that Entra will refuse")
	}
	w.doctor(t, w.logIn(t, gateway.url))
	t.Run("clients", func(t *testing.T) { w.signInAll(t, gateway.url, text) })
	if code := server.terminate(t); code != 0 {
		t.Errorf("the server's exit code is %d", code)
	}
	checkLog(t, server, []string{w.tenant.secret(t, "pipeline"), w.tenant.Tenants[0].IdentityHeader})

	client := printed(t, text, `inspector +client ID (\S+)`)
	w.setup(t, 0, "destroy", "-purge")
	w.setup(t, 2, "check")
	p, code := w.entra(t, nil, "login", "-device", "-client", client, "-tenant", w.tenant.Tenants[0].ID, "-scope", gateway.url+"/access_as_user")
	if code != 1 || !strings.Contains(p.stderr.String(), "AADSTS700016") {
		t.Errorf("login after destroy = %d, want 1 and AADSTS700016", code)
	}
}

// writeSpec writes README's mcp-entra.yaml, with the URL and the identity that are there, and more
// clients.
func (w *way) writeSpec(t *testing.T, url string) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	must(t, err)
	_, rest, ok := strings.Cut(string(readme), "```yaml\n")
	text, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("README.md has no YAML")
	}
	for old, value := range map[string]string{
		"https://mcp.example.com/mcp":          url,
		"11111111-2222-3333-4444-555555555555": w.tenant.Tenants[0].ManagedIdentities[0].ClientID,
		"inspector]":                           "inspector, go-sdk, typescript-sdk, python-sdk]",
	} {
		if strings.Count(text, old) != 1 {
			t.Fatalf("README.md's YAML has not %q once: %s", old, text)
		}
		text = strings.ReplaceAll(text, old, value)
	}
	must(t, os.WriteFile(filepath.Join(w.dir, "mcp-entra.yaml"), []byte(text), 0o600))
}

// doctor examines the set-up where the server runs, with its .env and its platform's variables, and
// with a user's token.
func (w *way) doctor(t *testing.T, token string) {
	t.Helper()
	env := w.serverEnvironment()
	maps.Copy(env, w.pipeline(t))
	delete(env, "AZURE_STORAGE_ACCOUNT_URL") // Azurite refuses who has no token otherwise than Azure
	p := start(t, "mcp-entra doctor", command(w.ctx, w.dir, env, mcpEntra, "doctor", "-auth", "env", "-graph-host", w.tenant.Authority, "-client", "inspector", "-token", token))
	if code := p.wait(); code != 0 || !strings.Contains(p.stdout.String(), " 0 failed") {
		t.Errorf("doctor = %d, want 0 and nothing failed", code)
	}
	checkLog(t, p, []string{w.tenant.secret(t, "pipeline"), w.tenant.Tenants[0].IdentityHeader})
}

// signInAll signs in with each client.
func (w *way) signInAll(t *testing.T, server, text string) {
	desk := httptest.NewServer(w.desk())
	t.Cleanup(desk.Close)
	script := func(name, trust, client, program string, args ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := printed(t, text, client+` +client ID (\S+)`)
			dir := t.TempDir()
			p := start(t, name, command(w.ctx, dir, map[string]string{
				trust: w.tenant.CA, "MCP_URL": server, "DESK_URL": desk.URL, "CLIENT_ID": id, "STEPS": "list call consent", "PYTHONDONTWRITEBYTECODE": "1",
			}, program, args...))
			if code := p.wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			said := map[string]string{}
			for line := range strings.Lines(p.stdout.String()) {
				var step struct{ Step, Text string }
				must(t, json.Unmarshal([]byte(line), &step))
				said[step.Step] = step.Text
			}
			for step, want := range map[string]string{
				"list": "get_azure_blob_storage_token get_user_info read_blob_with_token secure_ping",
				"call": "Authenticated ping successful", "consent": "Hello, Alice", // the grant stands, so nobody is asked
			} {
				if said[step] != want {
					t.Errorf("%s: %q, want %q", step, said[step], want)
				}
			}
		})
	}
	clients, err := filepath.Abs("mcpclients")
	must(t, err)
	script("Go SDK", "SSL_CERT_FILE", "gosdk", goSDK)
	script("TypeScript SDK 1", "NODE_EXTRA_CA_CERTS", "typescriptsdk", node(t), filepath.Join(clients, "node", "sdk.mjs"))
	script("TypeScript SDK 2", "NODE_EXTRA_CA_CERTS", "typescriptsdk", node(t), filepath.Join(clients, "node", "client.mjs"), "modern")
	script("Python SDK", "SSL_CERT_FILE", "pythonsdk", filepath.Join(clients, "python", ".venv", "bin", "python"), filepath.Join(clients, "python", "mcp_client.py"), "auto")
	t.Run("Inspector", func(t *testing.T) {
		t.Parallel()
		w.inspector(t, server, printed(t, text, `inspector +client ID (\S+)`))
	})
	t.Run("mcp-entra", func(t *testing.T) {
		t.Parallel()
		w.call(t, server)
	})
}

// desk is where the users of SDKs' clients are: POST /open?url=… goes through the pages, and says
// where the last one sends the browser.
func (w *way) desk() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /open", func(rw http.ResponseWriter, r *http.Request) {
		back, err := w.alice.until(w.tenant.Authority).browse(r.Context(), r.URL.Query().Get("url"), nil)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(rw).Encode(map[string]string{"back": back.String()}) // the client may be gone
	})
	return mux
}

// inspector runs the command line that setup printed.
func (w *way) inspector(t *testing.T, server, clientID string) {
	t.Helper()
	p, page := w.startInspector(t, server, clientID, "--format", "json", "--method", "tools/call", "--tool-name", "read_blob_with_token", "--tool-arg", "blob_path=hello.txt")
	w.alice.open(w.ctx, t, page)
	if code := p.wait(); code != 0 || !strings.Contains(p.stdout.String(), "Hello, Alice") {
		t.Errorf("exit code %d", code)
	}
}

// startInspector starts it and returns the page for signing in. Its port for the callback is none
// that other tests use; Entra ignores the port of a redirect on localhost.
func (w *way) startInspector(t *testing.T, server, clientID string, args ...string) (p *process, page string) {
	t.Helper()
	p = start(t, "inspector", command(w.ctx, t.TempDir(), map[string]string{
		"NODE_EXTRA_CA_CERTS": w.tenant.CA, "MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "file",
	}, nodeProgram(t, "mcp-inspector"), append([]string{
		"--cli", server, "--transport", "http", "--client-id", clientID, "--callback-url", "http://localhost:" + freePort(t) + "/oauth/callback",
	}, args...)...))
	return p, p.waitFor(t, p.stderr, regexp.MustCompile(`(https://localhost:\d+/\S+/authorize\?\S+)\s`))
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	_, port, err := net.SplitHostPort(listener.Addr().String())
	must(t, err)
	return port
}

// logIn signs in with the Azure CLI's id, which is pre-authorized, to see what the token says. It
// returns the file with the token.
func (w *way) logIn(t *testing.T, server string) string {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token.txt")
	p := w.startEntra(t, nil, "login", "-device", "-out", token, server)
	w.alice.enterPrinted(w.ctx, t, p)
	if exit := p.wait(); exit != 0 || !strings.Contains(p.stdout.String(), "alice@contoso.example") || strings.Contains(p.stdout.String(), "eyJ") {
		t.Errorf("login = %d", exit)
	}
	kept, err := os.Open(token)
	must(t, err)
	defer func() { _ = kept.Close() }()
	explain := command(w.ctx, w.dir, map[string]string{"SSL_CERT_FILE": w.tenant.CA}, mcpEntra, "explain") // with the server's .env
	explain.Stdin = kept
	if p = start(t, "mcp-entra explain", explain); p.wait() != 0 {
		t.Error("explain refuses the token")
	}
	return token
}

// call reads a blob, with a sign-in in a browser.
func (w *way) call(t *testing.T, server string) {
	t.Helper()
	if text := w.callThroughBrowser(t, server, "read_blob_with_token", `{"blob_path": "hello.txt"}`); decode(t, []byte(text))["text"] != "Hello, Alice" {
		t.Errorf("the tool says %s", text)
	}
}

// callThroughBrowser calls a tool, with a sign-in in a browser, and returns what it prints.
func (w *way) callThroughBrowser(t *testing.T, server, tool, arguments string) string {
	t.Helper()
	programs := t.TempDir()
	must(t, os.Symlink("/bin/true", filepath.Join(programs, "xdg-open"))) // the browser is Alice's
	p := w.startEntra(t, map[string]string{"PATH": programs + ":" + os.Getenv("PATH")}, "call", "-browser", server, tool, arguments)
	w.alice.open(w.ctx, t, p.waitFor(t, p.stderr, regexp.MustCompile(`If none opens: (\S+)\s`)))
	if exit := p.wait(); exit != 0 {
		t.Errorf("call = %d", exit)
	}
	return p.stdout.String()
}

// enterPrinted enters the code that the program shows on the page that it names.
func (p *person) enterPrinted(ctx context.Context, t *testing.T, program *process) {
	t.Helper()
	page := program.waitFor(t, program.stderr, regexp.MustCompile(`Open (https://\S+) in a browser and enter the code \w+`))
	p.enter(ctx, t, page, program.waitFor(t, program.stderr, regexp.MustCompile(`enter the code (\w+)`)))
}
