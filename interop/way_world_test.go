//go:build unix

package interop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What a tenant has before anybody registers an MCP server in it.
const emptyTenant = `
tenants:
- name: contoso
  apps:
  - name: pipeline
    secrets: [{file: pipeline.secret}]
    assignedRoles:
      graph: [Application.ReadWrite.All, DelegatedPermissionGrant.ReadWrite.All, AppRoleAssignment.ReadWrite.All, Directory.Read.All]
  users:
  - {upn: alice@contoso.example, name: Alice}
  - {upn: admin@contoso.example, name: Admin, admin: true}
  managedIdentities: [{name: files-identity}]
  directory: {loopbackUris: %t} # whether App ID URIs may be on this machine
`

// A way is what somebody has who sets up the example server: a tenant, storage and an operator's
// shell. All programs run by themselves, and trust the tenant's CA by the documented variables.
type way struct {
	ctx     context.Context
	tenant  *tenantProgram
	dir     string // where the operator's files are
	alice   *person
	storage *azurite
}

func newWay(t *testing.T, loopbackURIs bool) *way {
	t.Helper()
	w := &way{ctx: deadline(t, 3*time.Minute), tenant: startTenant(t, fmt.Sprintf(emptyTenant, loopbackURIs)), dir: t.TempDir()}
	w.alice = newPerson(t, "alice@contoso.example", w.tenant.CA)
	w.storage = startAzurite(w.ctx, t, signedBy(t, w.tenant.CA), "0")
	w.storage.seed(w.ctx, t, []document{{path: "hello.txt", data: []byte("Hello, Alice")}})
	return w
}

// A gateway is the TLS proxy in front of a server, which has a URL before the server runs.
type gateway struct {
	url    string // of the MCP endpoint
	server atomic.Pointer[url.URL]
}

func (w *way) startGateway(t *testing.T) *gateway {
	t.Helper()
	c := signedBy(t, w.tenant.CA)
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	must(t, err)
	g := &gateway{}
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(g.server.Load())
			r.Out.Host = r.In.Host
		},
	}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(rw).EnableFullDuplex() // docs/clients.md says why
		proxy.ServeHTTP(rw, r)
	}))
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	front.StartTLS()
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		transport.CloseIdleConnections()
	})
	_, port, err := net.SplitHostPort(front.Listener.Addr().String())
	must(t, err)
	g.url = "https://localhost:" + port + "/mcp"
	return g
}

// entra runs mcp-entra to its end, as the operator or a user, with these variables besides the CA.
func (w *way) entra(t *testing.T, env map[string]string, args ...string) (p *process, code int) {
	t.Helper()
	p = w.startEntra(t, env, args...)
	return p, p.wait()
}

func (w *way) startEntra(t *testing.T, env map[string]string, args ...string) *process {
	t.Helper()
	all := map[string]string{"SSL_CERT_FILE": w.tenant.CA, "AZURE_AUTHORITY_HOST": w.tenant.Authority}
	maps.Copy(all, env)
	return start(t, "mcp-entra "+strings.Join(args[:min(2, len(args))], " "), command(w.ctx, w.dir, all, mcpEntra, args...))
}

// setup runs mcp-entra setup as the pipeline, and wants this exit code.
func (w *way) setup(t *testing.T, want int, args ...string) (stdout string) {
	t.Helper()
	p, code := w.entra(t, w.pipeline(t), append([]string{"setup", args[0], "-graph-host", w.tenant.Authority}, args[1:]...)...)
	if code != want {
		t.Fatalf("setup %v = %d, want %d", args, code, want)
	}
	return p.stdout.String()
}

// pipeline is the variables with which the pipeline signs in.
func (w *way) pipeline(t *testing.T) map[string]string {
	t.Helper()
	tenant := w.tenant.Tenants[0]
	return map[string]string{"AZURE_TENANT_ID": tenant.ID, "AZURE_CLIENT_ID": tenant.Apps[0].ClientID, "AZURE_CLIENT_SECRET": w.tenant.secret(t, "pipeline")}
}

// graph sends a request to Microsoft Graph, as somebody does by hand.
func (w *way) graph(t *testing.T, method, path string, body any) {
	t.Helper()
	token, code := w.entra(t, nil, "tenant", "token", "-state", w.tenant.KeyFile, "-client", "pipeline", "-api", "graph")
	if code != 0 {
		t.Fatalf("tenant token = %d", code)
	}
	data, err := json.Marshal(body)
	must(t, err)
	r, err := http.NewRequestWithContext(w.ctx, method, w.tenant.Authority+"/v1.0"+path, bytes.NewReader(data))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token.stdout.String()))
	response, err := w.alice.client.Do(r)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s %v", method, path, response.Status, answer, err)
	}
}

// startServer starts the example server with the .env that setup wrote.
func (w *way) startServer(t *testing.T, env map[string]string) (p *process, origin string) {
	t.Helper()
	all := w.serverEnvironment()
	maps.Copy(all, env)
	p = start(t, "examples/server", command(w.ctx, w.dir, all, exampleServer))
	return p, "http://" + p.waitFor(t, p.stderr, serverListens)
}

// serverEnvironment is what the server has besides its .env: the CA, the storage if there is one, and
// what a platform sets.
func (w *way) serverEnvironment() map[string]string {
	env := map[string]string{
		"SSL_CERT_FILE": w.tenant.CA, "IDENTITY_ENDPOINT": w.tenant.Tenants[0].IdentityEndpoint, "IDENTITY_HEADER": w.tenant.Tenants[0].IdentityHeader, "PORT": "0",
	}
	if w.storage != nil {
		env["AZURE_STORAGE_ACCOUNT_URL"], env["AZURE_STORAGE_CONTAINER"] = w.storage.accountURL(), container
	}
	return env
}

// printed returns what setup printed in a line.
func printed(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("setup printed no %s:\n%s", pattern, text)
	}
	return m[1]
}
