package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A patient is a setup on this machine, as the example server's variables describe it.
type patient struct {
	tenant    *entratest.Tenant
	variables map[string]string
	token     string
	secret    string
	client    *http.Client
}

// newPatient serves an MCP server at http://localhost:PORT/mcp, beside a tenant and a Blob service.
func newPatient(t *testing.T) *patient {
	t.Helper()
	tenant := entratest.New(t, nil)
	blobs := blobtest.New(t, &blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
	api, client, alice := tenant.AddApp("API", "access_as_user"), tenant.AddClient("client"), tenant.AddUser("alice@contoso.example", "Alice")
	api.AccessTokenVersion = 2
	tenant.Consent(client, api, "access_as_user")
	tenant.Consent(api, tenant.Storage(), "user_impersonation")
	blobs.AddContainer("documents")
	blobs.Grant(alice.ObjectID, "documents", "")

	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		HTTPClient: tenant.HTTPClient(), AuthorityHost: tenant.AuthorityHost(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = verifier.Close() })
	front := httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := mcpentra.NewServer("http://localhost:"+port+"/mcp", verifier,
		mcpentra.WithTools(mcpentra.IdentityTools(verifier)), mcpentra.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	front.Config.Handler = server
	front.Start()
	t.Cleanup(front.Close)

	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(tenant.CertificatePEM())
	pool.AppendCertsFromPEM(blobs.CertificatePEM())
	p := &patient{tenant: tenant, token: tenant.Token(alice, client, api, "access_as_user"), secret: api.AddSecret()}
	p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}}
	p.variables = map[string]string{
		"TENANT_ID": tenant.ID(), "API_APP_ID": api.ClientID, "AZURE_AUTHORITY_HOST": tenant.AuthorityHost(),
		"USE_OBO_FLOW": "true", "ENTRA_APP_CLIENT_SECRET": p.secret, "PORT": port,
		"AZURE_STORAGE_ACCOUNT_URL": blobs.URL(), "AZURE_STORAGE_CONTAINER": "documents",
	}
	return p
}

// signIn sets the variables of an application that signs in to Microsoft Graph with these roles.
func (p *patient) signIn(roles ...string) {
	operator := p.tenant.AddApp("operator")
	p.tenant.GrantRoles(operator, p.tenant.Graph(), roles...)
	p.variables["AZURE_TENANT_ID"], p.variables["AZURE_CLIENT_ID"] = p.tenant.ID(), operator.ClientID
	p.variables["AZURE_CLIENT_SECRET"] = operator.AddSecret()
}

// examine runs the command, with the user's token on standard input.
func (p *patient) examine(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return start(t, func(process *process) {
		process.lookup = func(name string) (string, bool) { v, ok := p.variables[name]; return v, ok }
		process.stdin, process.client = strings.NewReader("Bearer "+p.token+"\n"), p.client
	}, append([]string{"doctor", "-graph-host", p.tenant.AuthorityHost()}, args...)...)
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*patient)
		args   []string
		code   int
		want   []string // in the output
	}{
		"healthy":           {nil, []string{"-token", "-"}, exitOK, []string{"ok       call", "ok       data-role", "0 failed"}},
		"without a token":   {nil, nil, exitOK, []string{"not run  exchange              because no user's token was given (-token)"}},
		"a wrong secret":    {func(p *patient) { p.variables["ENTRA_APP_CLIENT_SECRET"] = "wrong~secret" }, nil, exitDiffers, []string{"failed   proof", "AADSTS7000215", "docs/doctor.md#proof", "1 failed"}},
		"a line break":      {func(p *patient) { p.variables["ENTRA_APP_CLIENT_SECRET"] += "\n" }, nil, exitDiffers, []string{"failed   config", "line break", "not run  proof                 because config failed", "1 failed"}},
		"a secret as id":    {func(p *patient) { p.variables["API_APP_ID"] = p.secret }, nil, exitDiffers, []string{"failed   config", "may be a secret and are not shown", "1 failed"}},
		"a wrong authority": {func(p *patient) { p.variables["AZURE_AUTHORITY_HOST"] = "http://login.example.com" }, nil, exitDiffers, []string{"failed   config", "not run  dns                   because config failed", "1 failed"}},
		"only two checks":   {nil, []string{"-only", "challenge,keys"}, exitOK, []string{"ok       keys", "ok       challenge", "2 ok, 0 warnings, 0 failed, 0 not run"}},
		"one client":        {nil, []string{"-client", "vscode"}, exitOK, []string{"warning  client-vscode", "AADSTS9010010", "1 warnings"}},
		"signed in": {func(p *patient) { p.signIn("Application.Read.All", "Directory.Read.All") }, []string{"-auth", "env", "-token", "-"}, exitOK,
			[]string{"ok       registration", "ok       app-id-uri", "ok       downstream-grant", "ok       redirects", "warning  pre-authorized"}},
		"signed in without permission": {func(p *patient) { p.signIn() }, []string{"-auth", "env"}, exitOK, []string{"this sign-in may not read the app registration: it needs Application.Read.All"}},
		"signed in with a wrong secret": {func(p *patient) { p.signIn("Application.Read.All"); p.variables["AZURE_CLIENT_SECRET"] = "wrong" }, []string{"-auth", "env"}, exitOK,
			[]string{"warning  registration", "AADSTS7000215"}},
		"a stranger's view":      {func(p *patient) { p.variables = map[string]string{} }, []string{"-url", "https://127.0.0.1:1/mcp", "-only", "server"}, exitDiffers, []string{"failed   server"}},
		"nothing configured":     {func(p *patient) { p.variables = map[string]string{} }, nil, exitFailed, []string{"nothing is configured"}},
		"unknown check":          {nil, []string{"-only", "clocks"}, exitUsage, []string{`no check "clocks"`, "the nearest is clock "}},
		"unlike any check":       {nil, []string{"-only", "xyzzy"}, exitUsage, []string{`no check "xyzzy"`, "clock, "}},
		"unknown client":         {nil, []string{"-client", "vs-code"}, exitUsage, []string{`no known client "vs-code"`, "vscode"}},
		"unknown sign-in":        {nil, []string{"-auth", "password"}, exitUsage, []string{"cli, browser, device, env"}},
		"a secret as a client":   {nil, []string{"-client", "hunter2~aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, exitUsage, []string{"may be a secret", "vscode"}},
		"a secret as a check":    {nil, []string{"-only", "hunter2~aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, exitUsage, []string{"may be a secret", "clock, "}},
		"a URL with a password":  {nil, []string{"-url", "https://user:hunter2@mcp.example.com/mcp"}, exitUsage, []string{"without user"}},
		"a URL without a scheme": {nil, []string{"-url", "localhost:8000/mcp"}, exitUsage, []string{"such as https://mcp.example.com/mcp"}},
		"arguments":              {nil, []string{"keys"}, exitUsage, []string{"there are no arguments"}},
		"no such variable":       {nil, []string{"-token", "env:NOTHING"}, exitUsage, []string{"is not set"}},
		"no such file":           {nil, []string{"-token", "/nonexistent/token"}, exitFailed, []string{"can't be opened"}},
		"help":                   {nil, []string{"-h"}, exitOK, []string{"Examples:", "-report"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPatient(t)
			if c.change != nil {
				c.change(p)
			}
			code, stdout, stderr := p.examine(t, c.args...)
			if code != c.code {
				t.Errorf("mcp-entra doctor %q = %d, want %d\n%s%s", c.args, code, c.code, stdout, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout+stderr, want) {
					t.Errorf("the output does not say %q:\n%s%s", want, stdout, stderr)
				}
			}
			for _, hidden := range []string{p.secret, p.token, "hunter2"} {
				if strings.Contains(stdout+stderr, hidden) {
					t.Error("a secret is in the output")
				}
			}
		})
	}
}

// A token on the command line is refused, and not shown again.
func TestDoctorTokenOnTheCommandLine(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	for _, args := range [][]string{{"-token", p.token}, {p.token}, {"-only", p.token}, {"-" + p.token}, {"-client", p.token}} {
		code, stdout, stderr := p.examine(t, args...)
		if code != exitUsage || strings.Contains(stdout+stderr, p.token) {
			t.Errorf("doctor %.20q… = %d, want %d, and the token shown nowhere: %v", args, code, exitUsage, strings.Contains(stdout+stderr, p.token))
		}
	}
}

// The token comes from a file or a variable, too.
func TestDoctorToken(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("Authorization: Bearer "+p.token), 0o600); err != nil {
		t.Fatal(err)
	}
	p.variables["ALICE"] = p.token
	for _, source := range []string{"-", file, "env:ALICE"} {
		code, stdout, stderr := p.examine(t, "-token", source, "-only", "user-token")
		if code != exitOK || !strings.Contains(stdout, "ok       user-token") {
			t.Errorf("-token %s = %d, %s%s; want 0, ok", source, code, stdout, stderr)
		}
	}
}

// A report to share has no ids, no hosts and no addresses, and still shows what equals what.
func TestDoctorReport(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	p.variables["AZURE_STORAGE_ACCOUNT_URL"] = "https://contosofiles.blob.core.windows.net"
	p.variables["PUBLIC_URL"] = "https://mcp.contoso.com"
	code, stdout, _ := p.examine(t, "-report", "-json", "-token", "-")
	var report struct {
		Checks []struct {
			ID, Status string
			Findings   []struct{ Problem, Expected, Came string }
		}
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != exitDiffers || len(report.Checks) < 30 {
		t.Fatalf("doctor -report -json = %d, %d checks, %v; want %d and JSON", code, len(report.Checks), err, exitDiffers)
	}
	for _, hidden := range []string{p.variables["TENANT_ID"], p.variables["API_APP_ID"], "contoso", p.token, p.secret} {
		if strings.Contains(stdout, hidden) {
			t.Errorf("the report has %q", hidden)
		}
	}
	if !regexp.MustCompile(`issuer https://localhost:\d+/id-1/v2\.0`).MatchString(stdout) || !strings.Contains(stdout, "tenant id-1,") {
		t.Errorf("the report does not show the tenant as id-1 everywhere:\n%s", stdout)
	}
}
