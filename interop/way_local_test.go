//go:build unix

package interop_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The way in on http://localhost: an administrator signs setup in by a device's code, and the API
// proves itself with a secret. Where the URL can't be an App ID URI, clients that send no resource
// sign in; where it can, as on docs/tenant.md, all do.
func TestWayOnLocalhost(t *testing.T) {
	t.Parallel()
	for name, loopbackURIs := range map[string]bool{"refused": false, "allowed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wayOnLocalhost(t, loopbackURIs)
		})
	}
}

func wayOnLocalhost(t *testing.T, loopbackURIs bool) {
	t.Helper()
	w := newWay(t, loopbackURIs)
	port := freePort(t)
	endpoint := "http://localhost:" + port + "/mcp"

	text := w.setupAtTerminal(t, "apply", "-name", "files-mcp", "-server", endpoint, "-resource", "storage", "-client", "azurecli", "-client", "inspector",
		"-secret", "-secret-file", ".env", "-env", ".env")
	said := []string{"Failed api/server-uris", "Done grant/api/storage", "Done api/secret", "locked out: MCP Inspector: will be refused, AADSTS9010010", "not done: 1 of "}
	if loopbackURIs {
		said = []string{"Done api/server-uris", "Done api/secret", "The clients' scope: " + endpoint + "/access_as_user"}
	}
	for _, want := range said {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("setup printed no %q: %s", want, text)
		}
	}
	server, _ := w.startServer(t, map[string]string{"PORT": port})
	if log := server.stderr.String(); strings.Contains(log, "code=AADSTS9010010") == loopbackURIs || strings.Contains(log, "MCP Inspector") == loopbackURIs {
		t.Error("the server does not warn of the clients that will be refused, or of others")
	}
	w.logIn(t, endpoint)
	w.call(t, endpoint)

	inspector, page := w.startInspector(t, endpoint, printed(t, text, `inspector +client ID (\S+)`), "--method", "tools/list")
	_, err := w.alice.browse(w.ctx, page, nil)
	if loopbackURIs {
		must(t, err)
		if code := inspector.wait(); code != 0 {
			t.Errorf("the Inspector = %d, want 0", code)
		}
	} else if err == nil || !strings.Contains(err.Error(), "AADSTS9010010") {
		t.Errorf("the Inspector's sign-in: %v, want AADSTS9010010", err)
	}
	if code := server.terminate(t); code != 0 {
		t.Errorf("the server's exit code is %d", code)
	}
	variables, err := os.ReadFile(filepath.Join(w.dir, ".env"))
	must(t, err)
	checkLog(t, server, []string{printed(t, string(variables), `ENTRA_APP_CLIENT_SECRET=(\S+)`)})
}

// setupAtTerminal runs setup as an administrator at a terminal, with the Azure CLI's id, and returns
// what it shows.
func (w *way) setupAtTerminal(t *testing.T, verb string, args ...string) string {
	t.Helper()
	terminal, err := exec.LookPath("script") // of Debian's bsdutils
	must(t, err)
	line := strings.Join(append([]string{mcpEntra, "setup", verb, "-auth", "device", "-graph-host", w.tenant.Authority}, args...), " ")
	p := start(t, "mcp-entra setup "+verb, command(w.ctx, w.dir, map[string]string{
		"SSL_CERT_FILE": w.tenant.CA, "AZURE_AUTHORITY_HOST": w.tenant.Authority,
	}, terminal, "-qec", line, os.DevNull))
	prompt := regexp.MustCompile(`(https://\S+) .*enter the code (\w+)`)
	p.waitFor(t, p.stdout, prompt)
	m := prompt.FindStringSubmatch(p.stdout.String())
	admin := newPerson(t, "admin@contoso.example", w.tenant.CA)
	admin.enter(w.ctx, t, m[1], m[2])
	p.wait()
	return strings.ReplaceAll(p.stdout.String(), "\r\n", "\n")
}
