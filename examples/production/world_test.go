package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

const container = "documents"

// program is the path of the built program.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "mcp-production-")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(folder) }()
		program = filepath.Join(folder, "production")
		if out, err := exec.CommandContext(context.Background(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// A world is an Entra tenant and a storage account on this machine, and what the server is told of
// them.
type world struct {
	tenant      *entratest.Tenant
	blobs       *blobtest.Server
	api, client *entratest.App
	users       []*entratest.User
	variables   map[string]string
}

// newWorld has the app authenticate with a certificate for users, and with a secret for sign-ins, so
// that both have an end.
func newWorld(t *testing.T) *world {
	t.Helper()
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("SSL_CERT_FILE is not for this system")
	}
	tenant := entratest.NewTenant(nil)
	t.Cleanup(tenant.Close)
	blobs := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
	t.Cleanup(blobs.Close)
	w := &world{tenant: tenant, blobs: blobs, api: tenant.AddApp("MCP server", "access_as_user"), client: tenant.AddClient("MCP client")}
	tenant.Consent(w.client, w.api)
	w.api.RequirePermissions(tenant.Storage(), "user_impersonation")
	blobs.AddContainer(container)
	blobs.Put(container, "readme.txt", []byte("Documents of Contoso.\n"), "text/plain")
	for i := range 4 {
		user := tenant.AddUser(fmt.Sprintf("user%d@contoso.example", i), "User")
		tenant.ConsentUser(user, w.api, tenant.Storage())
		blobs.Grant(user.ObjectID, container, "")
		w.users = append(w.users, user)
	}
	folder := t.TempDir()
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	w.variables = map[string]string{
		"SSL_CERT_FILE":        writeFile(t, folder, "trust.pem", append(tenant.CertificatePEM(), blobs.CertificatePEM()...)),
		"AZURE_AUTHORITY_HOST": tenant.AuthorityHost(), "TENANT_ID": tenant.ID(), "API_APP_ID": w.api.ClientID,
		"USE_OBO_FLOW": "true", "AZURE_CLIENT_CERTIFICATE_PATH": writeFile(t, folder, "app.pem", certify(t, w.api)),
		"AUTH_PROXY": "true", "AUTH_PROXY_KEYS": key, "AUTH_PROXY_CLIENT_SECRET": w.api.AddSecret(), "CLIENT_SECRET_EXPIRES": "2099-12-31",
		"AZURE_STORAGE_ACCOUNT_URL": blobs.URL(), "AZURE_STORAGE_CONTAINER": container, "DOWNLOAD_DIR": filepath.Join(folder, "downloads"),
		"PORT": "0", "METRICS_ADDR": "127.0.0.1:0", "STORE_KEYS": key,
		"REDIS_URL": "redis://:a-password-of-redis@127.0.0.1:1", // nobody listens there
	}
	return w
}

// certify returns a key and its certificate, which the app has registered.
func certify(t *testing.T, app *entratest.App) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	app.AddCertificate(certificate)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
}

func writeFile(t *testing.T, folder, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *world) token(user *entratest.User) string {
	return w.tenant.Token(user, w.client, w.api, "access_as_user")
}

// A process is a running program.
type process struct {
	name            string
	cmd             *exec.Cmd
	log             *lines
	origin, metrics string // of the server, and of /metrics; filled by start for the server
}

// lines is what a program prints. It can be read meanwhile.
type lines struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{} // closed by the next write
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.b.Write(p)
}

func (l *lines) read() (text string, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String(), l.more
}

func (l *lines) String() string {
	text, _ := l.read()
	return text
}

// launch runs a program, with this environment alone, until the test ends.
func launch(t *testing.T, environment map[string]string, path string, args ...string) *process {
	t.Helper()
	p := &process{name: filepath.Base(path), cmd: exec.CommandContext(context.Background(), path, args...), log: &lines{more: make(chan struct{})}}
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = []string{}
	for name, value := range environment {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s", p.name, p.log)
		}
	})
	return p
}

// start runs the server with the world's variables and these.
func (w *world) start(t *testing.T, change map[string]string) *process {
	t.Helper()
	variables := maps.Clone(w.variables)
	maps.Copy(variables, change)
	p := launch(t, variables, program)
	if variables["METRICS_ADDR"] != "" {
		p.metrics = "http://" + p.await(t, `msg=metrics address=(\S+)`) + "/metrics"
	}
	p.origin = p.await(t, `msg=serving .* url=(\S+)/mcp `)
	return p
}

// await waits until the program has printed what matches, and returns the first group.
func (p *process) await(t *testing.T, pattern string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for text := regexp.MustCompile(pattern); ; {
		log, more := p.log.read()
		if m := text.FindStringSubmatch(log); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("%s does not print %s:\n%s", p.name, pattern, log)
		}
	}
}

// stop asks the program to end, and expects exit code 0.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%s after SIGTERM: %v, want exit code 0", p.name, err)
	}
}

// get returns what a URL answers.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	return send(t, http.MethodGet, url, "", "")
}

func send(t *testing.T, method, url, token, body string) (status int, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// call calls a tool.
func (p *process) call(t *testing.T, token, tool, arguments string) (status int, answer string) {
	t.Helper()
	return send(t, http.MethodPost, p.origin+"/mcp", token,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":`+arguments+`}}`)
}

// load makes the server do a little of everything: calls that work, fail and are refused, and sign-ins.
func (w *world) load(t *testing.T, p *process) {
	t.Helper()
	for _, user := range w.users {
		token := w.token(user)
		for range 2 {
			for tool, arguments := range map[string]string{"secure_ping": "{}", "read_blob_with_token": `{"blob_path":"readme.txt"}`} {
				if status, answer := p.call(t, token, tool, arguments); status != http.StatusOK || strings.Contains(answer, `"isError":true`) {
					t.Fatalf("%s: %d %s, want a result", tool, status, answer)
				}
			}
		}
		p.call(t, token, "read_blob_with_token", `{"blob_path":"missing.txt"}`)
		p.call(t, token, "no_such_tool", `{}`)
	}
	p.call(t, "", "secure_ping", `{}`)
	p.call(t, "nonsense", "secure_ping", `{}`)
	get(t, p.origin+"/authorize?client_id=unknown")
}
