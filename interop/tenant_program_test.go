//go:build unix

package interop_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const tenantYAML = `
tenants:
- name: contoso
  apps:
  - name: api
    clientId: 6f1c1a2b-0000-4000-8000-000000000001
    appIdUris: [https://mcp.example.com/mcp]
    tokenVersion: 2
    scopes: [access_as_user]
    secrets: [{file: api.secret}]
  - name: web
    redirects: {web: [http://localhost:5000/callback]}
    secrets: [{file: web.secret}]
  - {name: client, public: true, redirects: {desktop: [http://localhost]}}
  - {name: browser, public: true, redirects: {spa: [http://localhost:6274/oauth/callback]}}
  users: [{upn: alice@contoso.example, name: Alice}]
  consents: [{client: api, resource: storage}]
`

// A tenantProgram is mcp-entra tenant, run as a program of its own.
type tenantProgram struct {
	*process
	program, dir, config string
	Authority            string `json:"authorityHost"`
	CA                   string `json:"ca"`
	KeyFile              string `json:"keyFile"`
	Tenants              []struct {
		ID, Authority, Issuer string
		IdentityEndpoint      string
		IdentityHeader        string
		Users                 []struct{ ObjectID string }
		Apps                  []struct{ Name, ClientID string }
		ManagedIdentities     []struct{ ClientID string }
	}
}

var wholeObject = regexp.MustCompile(`(?m)^(\{.*\})$`)

func startTenantProgram(t *testing.T, flags ...string) *tenantProgram {
	t.Helper()
	return startTenant(t, tenantYAML, flags...)
}

// startTenant starts the program with a file.
func startTenant(t *testing.T, file string, flags ...string) *tenantProgram {
	t.Helper()
	p := &tenantProgram{program: mcpEntra, dir: t.TempDir()}
	p.config = filepath.Join(p.dir, "config.json")
	must(t, os.WriteFile(filepath.Join(p.dir, "tenant.yaml"), []byte(file), 0o600))
	args := append([]string{"tenant", "-json", "-addr", "127.0.0.1:0", "-control", "127.0.0.1:0", "-state", filepath.Join(p.dir, "tenant.json")}, flags...)
	p.process = start(t, "mcp-entra tenant", command(deadline(t, 3*time.Minute), p.dir, nil, p.program, append(args, "tenant.yaml")...))
	object := p.waitFor(t, p.stdout, wholeObject)
	must(t, json.Unmarshal([]byte(object), p))
	must(t, os.WriteFile(p.config, []byte(object), 0o600))
	return p
}

// secret returns the client secret that the program has made.
func (p *tenantProgram) secret(t *testing.T, app string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, app+".secret"))
	must(t, err)
	return strings.TrimSpace(string(data))
}

// signIn runs a program of clients/, which trusts the CA by the variable, and checks its tokens.
func (p *tenantProgram) signIn(t *testing.T, trust, folder, path, script string) {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("clients", folder))
	must(t, err)
	client := start(t, script, command(deadline(t, 2*time.Minute), dir, map[string]string{
		"CONFIG": p.config, trust: p.CA, "API_SECRET": p.secret(t, "api"), "WEB_SECRET": p.secret(t, "web"),
	}, path, script))
	if code := client.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	got := decode(t, []byte(client.stdout.String()))
	tenant := p.Tenants[0]
	keys := p.keys(t)
	for name, want := range map[string]struct{ aud, app, user string }{
		"code":               {tenant.Apps[0].ClientID, tenant.Apps[1].ClientID, tenant.Users[0].ObjectID},
		"device code":        {tenant.Apps[0].ClientID, tenant.Apps[2].ClientID, tenant.Users[0].ObjectID},
		"on behalf of":       {"https://storage.azure.com", tenant.Apps[0].ClientID, tenant.Users[0].ObjectID},
		"client credentials": {"https://storage.azure.com", tenant.Apps[0].ClientID, ""},
	} {
		text, _ := got[name].(string)
		claims := jwt.MapClaims{}
		if _, err := jwt.ParseWithClaims(text, claims, keys, jwt.WithValidMethods([]string{"RS256"})); err != nil {
			t.Errorf("%s: %v: %.300q", name, err, text)
			continue
		}
		_, delegated := claims["scp"]
		if claims["aud"] != want.aud || claims["azp"] != want.app && claims["appid"] != want.app || delegated != (want.user != "") ||
			delegated && claims["oid"] != want.user {
			t.Errorf("%s: claims %v, want %+v", name, claims, want)
		}
	}
}

// keys returns the tenant's keys, fetched by a client that trusts the CA alone.
func (p *tenantProgram) keys(t *testing.T) jwt.Keyfunc {
	t.Helper()
	pool := x509.NewCertPool()
	data, err := os.ReadFile(p.CA)
	must(t, err)
	pool.AppendCertsFromPEM(data)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Tenants[0].Authority+"/discovery/v2.0/keys", nil)
	must(t, err)
	response, err := client.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	var set struct {
		Keys []struct {
			Kid string
			X5c [][]byte
		}
	}
	must(t, json.NewDecoder(response.Body).Decode(&set))
	return func(token *jwt.Token) (any, error) {
		for _, key := range set.Keys {
			if key.Kid == token.Header["kid"] {
				certificate, err := x509.ParseCertificate(key.X5c[0])
				must(t, err)
				return certificate.PublicKey, nil
			}
		}
		return nil, jwt.ErrTokenUnverifiable
	}
}

func TestTenantProgramMSALPython(t *testing.T) {
	t.Parallel()
	startTenantProgram(t).signIn(t, "REQUESTS_CA_BUNDLE", "python", python(t), "tenant.py")
}

func TestTenantProgramMSALNode(t *testing.T) {
	t.Parallel()
	startTenantProgram(t).signIn(t, "NODE_EXTRA_CA_CERTS", "node", node(t), "tenant.mjs")
}

// The lines for other programs that docs/tenant.md and the program itself give.
func TestTenantProgramTrust(t *testing.T) {
	t.Parallel()
	p := startTenantProgram(t)
	metadata := p.Tenants[0].Issuer + "/.well-known/openid-configuration"
	fetch := map[string][]string{
		"REQUESTS_CA_BUNDLE": {python(t), "-c", "import requests,sys; requests.get(sys.argv[1]).raise_for_status()", metadata},
		"SSL_CERT_FILE": {python(t), "-c", "import ssl,sys,urllib.request; c=ssl.create_default_context(); c.verify_flags|=ssl.VERIFY_X509_STRICT; " +
			"urllib.request.urlopen(sys.argv[1],context=c)", metadata},
		"NODE_EXTRA_CA_CERTS": {node(t), "-e", "fetch(process.argv[1]).then(r=>process.exit(r.ok?0:1),e=>{console.error(e);process.exit(1)})", metadata},
	}
	if curl, err := exec.LookPath("curl"); err == nil {
		fetch["CURL_CA_BUNDLE"] = []string{curl, "-sSf", "--noproxy", "*", "-o", os.DevNull, metadata}
	}
	for trust, line := range fetch {
		for _, ca := range []string{p.CA, ""} {
			env := map[string]string{}
			if ca != "" {
				env[trust] = ca
			}
			cmd := command(deadline(t, 3*time.Minute), p.dir, env, line[0], line[1:]...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); (err == nil) != (ca != "") {
				t.Errorf("%s=%q %s: %v\n%s", trust, ca, line[0], err, out.String())
			}
		}
	}
}

// The program ends at once at a SIGTERM, and its control endpoint is reached by the command.
func TestTenantProgramEnds(t *testing.T) {
	t.Parallel()
	p := startTenantProgram(t, "-http")
	cmd := command(deadline(t, 3*time.Minute), p.dir, nil, p.program, "tenant", "token", "-state", p.KeyFile, "-user", "alice", "-client", "client", "-api", "api")
	token, err := cmd.Output()
	must(t, err)
	if parts := bytes.Split(bytes.TrimSuffix(token, []byte("\n")), []byte(".")); len(parts) != 3 || slices.ContainsFunc(parts, func(b []byte) bool { return bytes.ContainsAny(b, " \n") }) {
		t.Errorf("tenant token printed %q, want a token only", token)
	}
	if code := p.terminate(t); code != 0 {
		t.Errorf("ended with %d after SIGTERM, want 0", code)
	}
	if _, err := os.Stat(p.KeyFile); !os.IsNotExist(err) {
		t.Errorf("the key's file is still there: %v", err)
	}
}

// A page of another origin finds in Chromium what it would find at Entra, over plain HTTP.
func TestTenantProgramInChromium(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v. Run: apt-get install --no-install-recommends chromium", err)
	}
	p := startTenantProgram(t, "-http")
	dir, err := filepath.Abs("clients/node")
	must(t, err)
	home, err := os.MkdirTemp("", "interop-chromium-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) }) // Chromium's last words may still be under way
	client := start(t, "spa.mjs", command(deadline(t, 2*time.Minute), dir,
		map[string]string{"HOME": home, "TMPDIR": home, "CONFIG": p.config, "CHROMIUM": chromium}, node(t), "spa.mjs"))
	if code := client.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	got := decode(t, []byte(client.stdout.String()))
	member := func(name, member string) string {
		object, _ := got[name].(map[string]any)
		text, _ := object[member].(string)
		return text
	}
	if strings.Count(member("browser", "access_token"), ".") != 2 {
		t.Errorf("the page's own client: %v, want a token", got["browser"])
	}
	if text := member("client", "error_description"); !strings.HasPrefix(text, "AADSTS9002326") {
		t.Errorf("a desktop client's code: %v, want AADSTS9002326", got["client"])
	}
	if text := member("header", "error"); !strings.Contains(text, "Failed to fetch") {
		t.Errorf("metadata with a header of MCP: %v, want a refusal by CORS", got["header"])
	}
}
