//go:build unix

package interop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A proxyWorld is what a client meets where an authorization proxy is mounted: a server whose tools
// want more and more, a tenant that knows the proxy's app and no client, and a desk, as in package
// mcpclients.
type proxyWorld struct {
	ctx    context.Context
	tenant *entratest.Tenant
	app    *entratest.App // of the API and of the proxy
	issuer string
	url    string // of the MCP endpoint
	trust  string // file with the CA that signed the tenant's and the server's certificate
	alice  *person
	log    *output

	next   *mcpentra.Server // serves later, unless nil
	server atomic.Pointer[mcpentra.Server]
	asked  atomic.Int64 // how many consents were given or refused
	ahead  atomic.Int64 // seconds that the tenant's and the server's clock are ahead of the client's
}

// The tests of a proxyWorld are parallel within a test, and not beside other tests: what is parallel
// waits for its turn, and the deadlines of all worlds go on meanwhile.

// newProxyWorld starts one, with the proxy's options and changes of the tenant's.
func newProxyWorld(t *testing.T, o authproxy.Options, change ...func(*entratest.Options)) *proxyWorld {
	t.Helper()
	w := &proxyWorld{ctx: deadline(t, 2*time.Minute), log: newOutput()}
	dir := t.TempDir()
	w.trust = filepath.Join(dir, "ca.pem")
	ca, err := entratest.OpenCA(w.trust, filepath.Join(dir, "ca.key"))
	must(t, err)
	tenant := &entratest.Options{Now: w.now, CA: ca}
	for _, f := range change {
		f(tenant)
	}
	w.tenant = entratest.NewTenant(tenant)
	t.Cleanup(w.tenant.Close)
	for _, name := range []string{"alice", "bob"} {
		w.tenant.AddUser(name+"@contoso.example", strings.ToUpper(name[:1])+name[1:])
	}
	w.alice = w.person(t, "alice")

	front := httptest.NewUnstartedServer(nil) // has its address already
	_, port, err := net.SplitHostPort(front.Listener.Addr().String())
	must(t, err)
	w.issuer = "https://localhost:" + port
	w.url = w.issuer + "/mcp"
	w.app = w.tenant.AddApp("Notes", "access_as_user", "notes_write")
	w.app.AccessTokenVersion = 2
	w.app.OptionalClaims = []string{"upn", "xms_cc"}
	w.app.AddRedirectURI(entratest.PlatformWeb, w.issuer+"/oauth/callback")
	w.server.Store(w.newServer(t, o, 1))
	front.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/consent" {
			w.asked.Add(1)
		}
		w.server.Load().ServeHTTP(rw, r)
	})
	c := signedBy(t, w.trust)
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	must(t, err)
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // browsers look at a certificate and hang up
	front.StartTLS()
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		if t.Failed() {
			t.Logf("the server's log:\n%s", w.log)
		}
	})
	return w
}

func (w *proxyWorld) now() time.Time {
	return time.Now().Add(time.Duration(w.ahead.Load()) * time.Second)
}

// newServer returns the server, whose proxy has a key of these bytes.
func (w *proxyWorld) newServer(t *testing.T, o authproxy.Options, key byte) *mcpentra.Server {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	verifier, err := entraauth.NewVerifier(w.tenant.ID(), w.app.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: logger, Now: w.now,
	})
	must(t, err)
	t.Cleanup(func() { _ = verifier.Close() })
	o.Name = "Notes"
	o.HTTPClient, o.AuthorityHost, o.Logger, o.Now = w.tenant.HTTPClient(), w.tenant.AuthorityHost(), logger, w.now
	proxy, err := authproxy.New(w.issuer, w.tenant.ID(), w.app.ClientID, clientauth.Secret(w.app.AddSecret()), [][]byte{bytes.Repeat([]byte{key}, 32)}, &o)
	must(t, err)
	say := func(name, text string) mcpentra.ToolSet {
		return mcpentra.Tool(&mcp.Tool{Name: name, Description: "Is a test's."},
			func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
			})
	}
	server, err := mcpentra.NewServer(w.url, verifier,
		mcpentra.WithAuthProxy(proxy), mcpentra.WithLogger(logger),
		mcpentra.WithTools(mcpentra.IdentityTools(verifier), say("write_note", "written"), say("sign_note", "signed")),
		mcpentra.WithToolPolicy("write_note", entraauth.Policy{Scopes: []string{"access_as_user", "notes_write"}}),
		mcpentra.WithToolPolicy("sign_note", entraauth.Policy{AuthContext: "c1"}))
	must(t, err)
	return server
}

// person returns a user at a browser of their own, who stays at the proxy's and the tenant's pages.
func (w *proxyWorld) person(t *testing.T, name string) *person {
	t.Helper()
	return newPerson(t, name+"@contoso.example", w.trust)
}

// startDesk starts where scripts turn to for what is not theirs to do, and returns its URL:
//
//	POST /open?url=…    Alice opens the page and does what it asks: where it sent the browser
//	POST /visit?url=…   the same, and the browser goes there
//	POST /later         time passes: tokens expire. For how many seconds, for clients that renew
//	                    them by their own clock
func (w *proxyWorld) startDesk(t *testing.T) string {
	t.Helper()
	open := func(at *person) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			back, err := at.browse(r.Context(), r.URL.Query().Get("url"), nil)
			if err != nil {
				http.Error(rw, err.Error(), http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(rw).Encode(map[string]string{"back": back.String()}) // the client may be gone
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /open", open(w.alice.until(w.issuer, w.tenant.AuthorityHost())))
	mux.HandleFunc("POST /visit", open(w.alice))
	mux.HandleFunc("POST /later", func(rw http.ResponseWriter, _ *http.Request) {
		w.later()
		_, _ = fmt.Fprint(rw, w.ahead.Load()) // the client may be gone
	})
	desk := httptest.NewServer(mux)
	t.Cleanup(desk.Close)
	return desk.URL
}

// later makes two hours pass: longer than any access token lives.
func (w *proxyWorld) later() {
	w.ahead.Add(int64(2 * time.Hour / time.Second))
	if w.next != nil {
		w.server.Store(w.next)
	}
}

// run runs a client's script to its end, and returns what it said of each step.
func (w *proxyWorld) run(t *testing.T, env map[string]string, program string, args ...string) map[string]string {
	t.Helper()
	all := map[string]string{
		"NODE_EXTRA_CA_CERTS": w.trust, "SSL_CERT_FILE": w.trust, "PYTHONDONTWRITEBYTECODE": "1",
		"MCP_URL": w.url, "DESK_URL": w.startDesk(t), "STEPS": "list call expiry write",
	}
	maps.Copy(all, env)
	p := start(t, filepath.Base(program), command(w.ctx, t.TempDir(), all, program, args...))
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	said := map[string]string{}
	for line := range strings.Lines(p.stdout.String()) {
		var step struct{ Step, Text string }
		must(t, json.Unmarshal([]byte(line), &step))
		said[step.Step] = step.Text
	}
	return said
}

// entra returns how the proxy got tokens from Entra, in order, and fails if Entra refused anything.
func (w *proxyWorld) entra(t *testing.T) string {
	t.Helper()
	var grants []string
	for _, r := range w.tenant.Requests() {
		if r.AADSTS != 0 {
			t.Errorf("%s %s: AADSTS%d: %s", r.Method, r.Path, r.AADSTS, r.Refusal)
		}
		if grant := r.Form.Get("grant_type"); grant != "" {
			grants = append(grants, grant)
		}
	}
	return strings.Join(grants, " ")
}

// checkLog fails if the server has written a token or a secret.
func (w *proxyWorld) checkLog(t *testing.T) {
	t.Helper()
	if tokenMaterial.MatchString(w.log.String()) {
		t.Error("the server has written a token")
	}
}

// script returns the path of a script of mcpclients.
func script(t *testing.T, parts ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"mcpclients"}, parts...)...))
	must(t, err)
	_, err = os.Stat(path)
	must(t, err)
	return path
}

// mcpPython returns the Python that has the SDKs.
func mcpPython(t *testing.T) string { return script(t, "python", ".venv", "bin", "python") }
