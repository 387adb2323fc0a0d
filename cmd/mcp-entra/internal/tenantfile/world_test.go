package tenantfile_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

const fullFile = `
tenants:
- name: contoso
  tokenLifetime: 70m
  apps:
  - name: api
    clientId: 11111111-1111-1111-1111-111111111111
    appIdUris: [https://mcp.example.com/mcp, "api://11111111-1111-1111-1111-111111111111"]
    tokenVersion: 2
    scopes: [read, write]
    adminScopes: [write]
    roles: [Reader]
    optionalClaims: [idtyp, email]
    groupClaims: true
    knownClients: [client]
    permissions: [{resource: graph, scopes: [User.Read]}]
    secrets: [{file: api.secret}, {value: given-secret, expires: 2030-01-01T00:00:00Z}]
    certificates: [api.pem]
    federatedCredentials:
    - managedIdentity: umi
    - {cluster: aks, subject: "system:serviceaccount:ns:api"}
    - {issuer: "https://issuer.example.com", publicKey: issuer.pem, keyId: k1, subject: repo}
    ownSigningKey: true
  - name: client
    public: true
    redirects: {desktop: [http://localhost], spa: [http://localhost:6274/cb]}
  - name: daemon
    secrets: [{value: daemon-secret}]
    assignedRoles: {api: [Reader], graph: [Application.ReadWrite.All]}
  users:
  - {upn: alice@contoso.example, name: Alice, email: alice@mail.example, admin: true, groups: [staff], assignedRoles: {api: [Reader]}}
  - {upn: bob@contoso.example, disabled: true, directoryRoles: [Application Developer]}
  groups: [{name: staff}]
  managedIdentities: [{name: umi, assignedRoles: {api: [Reader]}}]
  clusters: [{name: aks}]
  consents:
  - {client: api, resource: storage}
  - {client: client, resource: api, scopes: [read], user: alice@contoso.example}
  conditionalAccess: [{resource: graph, require: c1}]
  directory: {domains: [contoso.example], usersMayNotRegister: true, loopbackUris: true}
  faults: [{endpoint: keys, status: 503, times: 1}]
- name: fabrikam
  users: [{upn: carol@fabrikam.example}]
clock: {start: 2029-12-31T12:00:00Z}
`

// A fixture is a world and where its files are.
type fixture struct {
	*tenantfile.World
	dir     string
	contoso *tenantfile.Tenant
	issuer  *rsa.PrivateKey
}

func startFull(t *testing.T) *fixture {
	t.Helper()
	spec, err := tenantfile.Read([]byte(fullFile))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{dir: t.TempDir()}
	f.issuer, err = rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "api"}, NotAfter: time.Now().AddDate(30, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, f.issuer.Public(), f.issuer)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(f.issuer.Public())
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "api.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	f.write(t, "issuer.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	f.World, err = tenantfile.Start(spec, tenantfile.Options{Addr: "127.0.0.1:0", Dir: f.dir, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	f.contoso = f.Tenants[0]
	return f
}

func (f *fixture) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// post sends a form to an endpoint of Contoso and returns the answer.
func (f *fixture) post(ctx context.Context, t *testing.T, path string, form url.Values) map[string]any {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.contoso.AuthorityHost()+"/"+f.contoso.ID()+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := f.contoso.HTTPClient().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(data, &answer); err != nil {
		t.Fatalf("%s: %v: %s", path, err, data)
	}
	return answer
}

func claimsOf(t *testing.T, token any) map[string]any {
	t.Helper()
	text, _ := token.(string)
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("%v is no token", token)
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(data, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	f := startFull(t)
	made, err := os.ReadFile(filepath.Join(f.dir, "api.secret"))
	if err != nil || len(f.Made) != 1 {
		t.Fatalf("the made secret: %v, %v", f.Made, err)
	}
	if info, err := os.Stat(f.Made[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret's file: %v, %v; want mode 0600", info, err)
	}
	cluster := func() string {
		token, err := f.Token(tenantfile.TokenRequest{Cluster: "aks", Subject: "system:serviceaccount:ns:api"})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	foreign := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": "https://issuer.example.com", "sub": "repo", "aud": "api://AzureADTokenExchange", "exp": f.Clock.Now().Add(time.Hour).Unix(),
	})
	foreign.Header["kid"] = "k1"
	signed, err := foreign.SignedString(f.issuer)
	if err != nil {
		t.Fatal(err)
	}
	const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	for name, proof := range map[string]url.Values{
		"made secret":   {"client_secret": {strings.TrimSpace(string(made))}},
		"given secret":  {"client_secret": {"given-secret"}},
		"cluster":       {"client_assertion_type": {assertionType}, "client_assertion": {cluster()}},
		"other issuer":  {"client_assertion_type": {assertionType}, "client_assertion": {signed}},
		"unknown proof": {"client_secret": {"other-secret"}},
	} {
		proof.Set("client_id", "11111111-1111-1111-1111-111111111111")
		proof.Set("grant_type", "client_credentials")
		proof.Set("scope", "https://storage.azure.com/.default")
		answer := f.post(t.Context(), t, "/oauth2/v2.0/token", proof)
		if got := answer["access_token"] != nil; got != (name != "unknown proof") {
			t.Errorf("%s: %v", name, answer["error_description"])
		}
	}
	if err := f.Clock.Advance(24 * time.Hour); err != nil { // to 2030
		t.Fatal(err)
	}
	answer := f.post(t.Context(), t, "/oauth2/v2.0/token", url.Values{
		"client_id": {"11111111-1111-1111-1111-111111111111"}, "grant_type": {"client_credentials"},
		"scope": {"https://storage.azure.com/.default"}, "client_secret": {"given-secret"},
	})
	if text, _ := answer["error_description"].(string); !strings.HasPrefix(text, "AADSTS7000222") {
		t.Errorf("an expired secret: %v, want AADSTS7000222", answer)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	f := startFull(t)
	for name, c := range map[string]struct {
		request tenantfile.TokenRequest
		claims  map[string]any
		err     string
	}{
		"user": {
			tenantfile.TokenRequest{User: "alice", Client: "client", API: "api"},
			map[string]any{"scp": "read write", "idtyp": "user", "email": "alice@mail.example", "roles": []any{"Reader"}, "ver": "2.0"}, "",
		},
		"by ids": {
			tenantfile.TokenRequest{
				User: "Alice@contoso.example", Client: "client", API: "https://mcp.example.com/mcp", Scopes: []string{"https://mcp.example.com/mcp/read"},
			},
			map[string]any{"scp": "read", "aud": "11111111-1111-1111-1111-111111111111"}, "",
		},
		"app":            {tenantfile.TokenRequest{Client: "daemon", API: "api"}, map[string]any{"roles": []any{"Reader"}, "scp": nil, "idtyp": "app"}, ""},
		"app at Graph":   {tenantfile.TokenRequest{Client: "daemon", API: "graph"}, map[string]any{"roles": []any{"Application.ReadWrite.All"}}, ""},
		"Microsoft's":    {tenantfile.TokenRequest{User: "alice", Client: "api", API: "storage"}, map[string]any{"aud": "https://storage.azure.com"}, ""},
		"tenant":         {tenantfile.TokenRequest{Tenant: "contosso", Client: "daemon", API: "api"}, nil, "there is no such tenant; the nearest is contoso"},
		"no user":        {tenantfile.TokenRequest{User: "alcie", Client: "client", API: "api"}, nil, "user: there is no such user; the nearest is alice"},
		"other tenant's": {tenantfile.TokenRequest{User: "carol", Client: "client", API: "api"}, nil, "user: there is no such user; there are: alice, bob"},
		"no client":      {tenantfile.TokenRequest{User: "alice", API: "api"}, nil, "client: there is no such app"},
		"public alone":   {tenantfile.TokenRequest{Client: "client", API: "api"}, nil, "client is a public client"},
		"no API":         {tenantfile.TokenRequest{User: "alice", Client: "client", API: "aip"}, nil, "api: there is no such app; the nearest is api"},
		"not an API":     {tenantfile.TokenRequest{User: "alice", Client: "client", API: "daemon"}, nil, "daemon offers no scopes"},
		"scope":          {tenantfile.TokenRequest{User: "alice", Client: "client", API: "api", Scopes: []string{"raed"}}, nil, "scopes: there is no such scope of api; the nearest is read"},
		"no cluster":     {tenantfile.TokenRequest{Cluster: "eks", Subject: "s"}, nil, "there is no such cluster"},
		"no subject":     {tenantfile.TokenRequest{Cluster: "aks"}, nil, "subject: expected one such as"},
	} {
		token, err := f.Token(c.request)
		if err != nil || c.err != "" {
			if err == nil || c.err == "" || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		got := claimsOf(t, token)
		for claim, want := range c.claims {
			if !reflect.DeepEqual(got[claim], want) {
				t.Errorf("%s: claim %s is %v, want %v", name, claim, got[claim], want)
			}
		}
	}
	groups, _ := claimsOf(t, mustToken(t, f))["groups"].([]any)
	if len(groups) != 1 || groups[0] != f.contoso.Spec.Groups[0].ObjectID {
		t.Errorf("groups are %v, want that of staff", groups)
	}
}

func mustToken(t *testing.T, f *fixture) string {
	t.Helper()
	token, err := f.Token(tenantfile.TokenRequest{User: "alice", Client: "client", API: "api"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// What the file says of sign-ins: redirects, consents, policies, disabled users.
func TestSignIns(t *testing.T) {
	t.Parallel()
	f := startFull(t)
	client, err := f.contoso.App("client")
	if err != nil {
		t.Fatal(err)
	}
	query := url.Values{
		"client_id": {client.ClientID}, "response_type": {"code"}, "redirect_uri": {"http://localhost:1234"},
		"scope": {"https://mcp.example.com/mcp/read"}, "prompt": {"none"},
	}
	for user, want := range map[string]string{"alice": "", "bob": "AADSTS50057"} {
		who, err := f.contoso.User(user)
		if err != nil {
			t.Fatal(err)
		}
		browser := f.contoso.Browser(who)
		query.Set("prompt", "select_account")
		back, err := browser.Open(t.Context(), f.contoso.AuthorityHost()+"/"+f.contoso.ID()+"/oauth2/v2.0/authorize?"+query.Encode())
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, %v; want %s", user, back, err, want)
			}
			continue
		}
		if err != nil || back.Query().Get("code") == "" {
			t.Errorf("%s: %v, %v; want a code", user, back, err)
		}
	}
}

func TestFilesAndAddresses(t *testing.T) {
	t.Parallel()
	taken := entratest.New(t, nil)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ app, addr, want string }{
		"no certificate": {"certificates: [none.pem]", "127.0.0.1:0", "app a: certificate: open "},
		"no PEM":         {"certificates: [empty]", "127.0.0.1:0", `has no PEM block "CERTIFICATE"`},
		"empty secret":   {"secrets: [{file: empty}]", "127.0.0.1:0", "expected one line of at least 8 characters"},
		"no folder":      {"secrets: [{file: none/secret}]", "127.0.0.1:0", "app a: secret: open "},
		"no key":         {"federatedCredentials: [{issuer: 'https://i.example', subject: s, keyId: k, publicKey: none.pem}]", "127.0.0.1:0", "federated credential: open "},
		"taken address":  {"scopes: []", strings.TrimPrefix(taken.AuthorityHost(), "https://"), "choose another address with -addr"},
	} {
		spec, err := tenantfile.Read([]byte(oneApp(c.app)))
		if err != nil {
			t.Fatal(err)
		}
		w, err := tenantfile.Start(spec, tenantfile.Options{Addr: strings.Replace(c.addr, "localhost", "127.0.0.1", 1), Dir: dir, Now: time.Now})
		if err == nil {
			w.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Start = %v, want an error with %q", name, err, c.want)
		}
	}
}
