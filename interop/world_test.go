//go:build unix

package interop_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A world is what the documented server needs outside itself: an Entra tenant in
// this process, and an Azurite with documents.
type world struct {
	ctx        context.Context
	tenant     *entratest.Tenant
	api        *entratest.App // the MCP server's registration
	secret     string         // of api
	client     *entratest.App // what users call with
	alice, bob *entratest.User
	storage    *azurite
	documents  []document
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{ctx: deadline(t, 3*time.Minute), tenant: entratest.NewTenant(nil), documents: documents()}
	t.Cleanup(w.tenant.Close)
	w.api = w.tenant.AddApp("MCP-Server-API", "access_as_user")
	w.secret = w.api.AddSecret()
	w.client = w.tenant.AddClient("MCP client")
	w.alice = w.tenant.AddUser("alice@contoso.example", "Alice")
	w.bob = w.tenant.AddUser("bob@contoso.example", "Bob")
	w.tenant.Consent(w.api, w.tenant.Storage(), "user_impersonation")
	w.storage = startAzurite(w.ctx, t, newCertificate(t), "0")
	w.storage.seed(w.ctx, t, w.documents)
	return w
}

// token returns what the user's client got by signing in.
func (w *world) token(user *entratest.User) string {
	return w.tenant.Token(user, w.client, w.api, "access_as_user")
}

// document returns the document of that path.
func (w *world) document(t *testing.T, path string) document {
	t.Helper()
	i := slices.IndexFunc(w.documents, func(d document) bool { return d.path == path })
	if i < 0 {
		t.Fatalf("no document %s", path)
	}
	return w.documents[i]
}

// certificates writes a file for SSL_CERT_FILE and returns its path.
func certificates(t *testing.T, pems ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "roots.pem")
	must(t, os.WriteFile(path, slices.Concat(pems...), 0o600))
	return path
}

// environment is the server's, as an operator sets it for local development.
func (w *world) environment(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"TENANT_ID":                 w.tenant.ID(),
		"API_APP_ID":                w.api.ClientID,
		"AZURE_AUTHORITY_HOST":      w.tenant.AuthorityHost() + "/",
		"SSL_CERT_FILE":             certificates(t, w.tenant.CertificatePEM(), w.storage.certificate.pem),
		"USE_OBO_FLOW":              "true",
		"ENTRA_APP_CLIENT_SECRET":   w.secret,
		"AZURE_STORAGE_ACCOUNT_URL": w.storage.accountURL(),
		"AZURE_STORAGE_CONTAINER":   container,
		"PORT":                      "0",
		"LOG_LEVEL":                 "debug",
	}
}

// A server is a running examples/server, or another program with the same variables.
type server struct {
	*process
	origin string // http://127.0.0.1:PORT
	dir    string // its working folder
}

var serverListens = regexp.MustCompile(`msg=serving .*\baddress=(127\.0\.0\.1:[1-9]\d*)\s`)

// startServer starts the example server and waits until it serves.
func (w *world) startServer(t *testing.T, environment map[string]string) *server {
	t.Helper()
	return w.startProgram(t, exampleServer, environment)
}

// startProgram starts a server that TestMain has built.
func (w *world) startProgram(t *testing.T, path string, environment map[string]string, arguments ...string) *server {
	t.Helper()
	dir := t.TempDir()
	p := start(t, filepath.Base(path), command(w.ctx, dir, environment, path, arguments...))
	return &server{process: p, origin: "http://" + p.waitFor(t, p.stderr, serverListens), dir: dir}
}

// url is the MCP endpoint.
func (s *server) url() string { return s.origin + "/mcp" }

// stop ends the server as a platform does, and checks that it went well.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if code := s.terminate(t); code != 0 {
		t.Errorf("the server's exit code after SIGTERM is %d, want 0", code)
	}
	if log := s.stderr.String(); !strings.Contains(log, "msg=stopped") {
		t.Error("the server's log does not say that it stopped")
	}
}

// secrets returns all that was secret in the world's tokens and requests.
func (w *world) secrets() []string {
	secrets := []string{w.secret}
	for _, r := range w.tenant.Requests() {
		for _, name := range []string{"assertion", "client_assertion", "client_secret"} {
			secrets = append(secrets, r.Form[name]...)
		}
		secrets = append(secrets, r.Header["X-Identity-Header"]...)
	}
	return secrets
}

var tokenMaterial = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}`)

// checkLog fails if token material, whole or in part, is in what a program wrote.
func checkLog(t *testing.T, p *process, secrets []string) {
	t.Helper()
	written := p.stdout.String() + p.stderr.String()
	if tokenMaterial.MatchString(written) {
		t.Errorf("%s has written a token", p.name)
	}
	const piece = 20 // characters that are no coincidence
	for _, s := range secrets {
		for part := range strings.SplitSeq(s, ".") {
			ends := []string{part}
			if len(part) > piece {
				ends = []string{part[:piece], part[len(part)-piece:]}
			}
			for _, end := range ends {
				if end != "" && strings.Contains(written, end) {
					t.Errorf("%s has written part of a secret", p.name)
				}
			}
		}
	}
}
