package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A user signs in by what the server's refusal says, or by what the flags say.
func TestLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	scope := w.api.AppIDURI() + "/access_as_user"
	for name, args := range map[string][]string{
		"by URL":           {"-browser", w.url},
		"by URL, device":   {"-device", w.url},
		"by flags":         {"-browser", "-tenant", w.tenant.ID(), "-scope", scope},
		"by flags, device": {"-device", "-tenant", w.tenant.ID(), "-scope", scope},
		"by URL and scope": {"-browser", "-scope", w.api.AppIDURI() + "/Ping.Read", w.url},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := func(p *process) {
				w.at(t)(p)
				p.stderr = w.prompts(t, p.stderr)
			}
			args := append([]string{"login", "-client", w.client.ClientID}, args...)
			code, out, errs := start(t, change, args...)
			if code != exitOK {
				t.Fatalf("exit code %d\n%s%s", code, out, errs)
			}
			for _, want := range []string{"user     " + w.alice.UserPrincipalName, "tenant   " + w.tenant.ID(), "scopes   " + w.api.AppIDURI() + "/", "expires  20", "-print-token prints it"} {
				if !strings.Contains(out, want) {
					t.Errorf("%q does not say %q", out, want)
				}
			}
			if strings.Contains(out+errs, "eyJ") {
				t.Errorf("a token is shown: %s%s", out, errs)
			}
		})
	}
}

// Without -client, the user signs in with the Azure CLI's, which mcp-entra setup pre-authorizes.
func TestLoginByDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, r := range w.tenant.Registrations() {
		if r.ClientID == "04b07795-8ddb-461a-bbee-02f9e1bf7b46" {
			w.tenant.Consent(r.App, w.api, "access_as_user")
		}
	}
	code, out, errs := start(t, func(p *process) { w.at(t)(p); p.terminal = true }, "login", w.url)
	if code != exitOK || !strings.Contains(out, w.alice.UserPrincipalName) {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// The token goes where the flags say, and nowhere else.
func TestLoginKeepsWhatIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	isToken := func(s string) bool {
		code, _, _ := call(t, strings.TrimSpace(s), "", w.url)
		return code == exitOK
	}
	login := func(args ...string) (code int, stdout, stderr string) {
		return start(t, w.at(t), append([]string{"login", "-browser", "-client", w.client.ClientID}, args...)...)
	}
	code, out, errs := login("-print-token", w.url)
	if code != exitOK || !isToken(out) || strings.Contains(errs, strings.TrimSpace(out)) {
		t.Errorf("-print-token: exit code %d, a token: %v\n%s", code, isToken(out), errs)
	}
	code, out, _ = login("-json", w.url)
	var who struct{ User, Tenant, Expires string }
	if err := json.Unmarshal([]byte(out), &who); err != nil || code != exitOK || who.User != w.alice.UserPrincipalName || who.Tenant != w.tenant.ID() || strings.Contains(out, "eyJ") {
		t.Errorf("-json: exit code %d, %v, %+v", code, err, who)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "token.txt")
	if err := os.WriteFile(file, []byte("old"), 0o644); err != nil { // as others may read it
		t.Fatal(err)
	}
	code, out, errs = login("-out", file, w.url)
	data, err := os.ReadFile(file)
	if err != nil || code != exitOK || !isToken(string(data)) || strings.Contains(out+errs, "eyJ") {
		t.Errorf("-out: exit code %d, %v, a token: %v\n%s%s", code, err, isToken(string(data)), out, errs)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("-out: %v, mode %v, want 0600", err, info.Mode())
	}
	refused, _, _ := start(t, w.at(t), "login", "-browser", "-client", w.tenant.ID(), "-out", filepath.Join(folder, "none"), w.url)
	if entries, _ := os.ReadDir(folder); refused != exitFailed || len(entries) != 1 {
		t.Errorf("a refused sign-in: exit code %d, and files are left: %v", refused, entries)
	}
	for name, out := range map[string]string{"a folder": folder, "a folder that is not there": filepath.Join(folder, "x", "y")} {
		if code, _, errs := login("-out", out, w.url); code != exitFailed || !strings.Contains(errs, "-out: ") || strings.Contains(errs, "Sign in with") {
			t.Errorf("-out names %s: exit code %d, %s, want a fault before the sign-in", name, code, errs)
		}
	}
}

func TestLoginRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noRedirect, webOnly := w.tenant.AddClient("no redirect"), w.tenant.AddApp("web")
	webOnly.AddRedirectURI(entratest.PlatformWeb, "http://localhost")
	scope := w.api.AppIDURI() + "/access_as_user"
	open := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(open.Close)
	bare := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(bare.Close)
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			rw.Header().Set("Content-Type", "application/json")
			_, _ = rw.Write([]byte(`{"resource":"http://` + r.Host + `","authorization_servers":["https://login.example.com"],"scopes_supported":["a"]}`))
			return
		}
		rw.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(other.Close)
	const id = "12345678-1234-1234-1234-123456789abc"
	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"no redirect":       {[]string{"-browser", "-client", noRedirect.ClientID, w.url}, exitFailed, []string{"AADSTS500113", "add http://localhost", noRedirect.ClientID}},
		"a web application": {[]string{"-browser", "-client", webOnly.ClientID, w.url}, exitFailed, []string{"AADSTS", "To fix this"}},
		"unknown client":    {[]string{"-device", "-client", id, w.url}, exitFailed, []string{"AADSTS700016", "check -client"}},
		"unknown tenant":    {[]string{"-device", "-client", w.client.ClientID, "-tenant", id, "-scope", scope}, exitFailed, []string{"AADSTS90002", "check -tenant"}},
		"unknown API":       {[]string{"-device", "-client", w.client.ClientID, "-tenant", w.tenant.ID(), "-scope", "https://mcp.example.com/mcp/access_as_user"}, exitFailed, []string{"AADSTS500011", "App ID URI of https://mcp.example.com/mcp/access_as_user"}},
		"unknown scope":     {[]string{"-browser", "-client", w.client.ClientID, "-scope", w.api.AppIDURI() + "/Nope", w.url}, exitFailed, []string{"AADSTS650053", "check its name"}},
		"no MCP server":     {[]string{"-device", open.URL}, exitFailed, []string{"200 OK without a token", "URL of the MCP endpoint"}},
		"no metadata":       {[]string{"-device", bare.URL}, exitFailed, []string{"the server's metadata doesn't say where to sign in"}},
		"another spelling":  {[]string{"-device", w.url + "/"}, exitFailed, []string{w.url + "/ is not the server's URL", "says " + w.url + ". Use that"}},
		"not Entra":         {[]string{"-device", other.URL}, exitFailed, []string{"https://login.example.com is not a tenant of Microsoft Entra ID"}},
		"no way":            {[]string{w.url}, exitUsage, []string{"-browser or -device"}},
		"nothing":           {nil, exitUsage, []string{"the server's URL, or -tenant and -scope"}},
		"two outputs":       {[]string{"-print-token", "-json", w.url}, exitUsage, []string{"exclude each other"}},
		"plain http":        {[]string{"-device", "http://mcp.example.com/mcp"}, exitUsage, []string{"must begin with https://"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := start(t, w.at(t), append([]string{"login"}, c.args...)...)
			if code != c.code || out != "" {
				t.Errorf("exit code %d, want %d; output %q", code, c.code, out)
			}
			for _, want := range c.want {
				if !strings.Contains(errs, want) {
					t.Errorf("%q does not say %q", errs, want)
				}
			}
		})
	}
}
