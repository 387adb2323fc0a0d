//go:build unix

package interop_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// MCP Inspector's command line: each call is a process, which keeps registration and tokens in its
// home, and renews them.
func TestProxyInspector(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, authproxy.Options{})
	i := &proxyInspector{world: w, home: t.TempDir(), callback: "http://127.0.0.1:" + freePort(t) + "/oauth/callback"}
	i.call(t, "secure_ping", "Authenticated ping successful", true)
	w.later()
	i.call(t, "secure_ping", "Authenticated ping successful", false)
	i.call(t, "write_note", "written", true)
	i.call(t, "secure_ping", "Authenticated ping successful", true, "--relogin") // revokes
	if grants, want := w.entra(t), "authorization_code refresh_token authorization_code authorization_code"; grants != want {
		t.Errorf("tokens by %s, want %s", grants, want)
	}
	w.checkLog(t)
}

type proxyInspector struct {
	world    *proxyWorld
	home     string
	callback string
}

var proxyPage = regexp.MustCompile(`(https://localhost:\d+/authorize\?\S+)\s`)

// call calls a tool, whose result must have the text, and signs in where the Inspector asks for it.
func (i *proxyInspector) call(t *testing.T, tool, want string, signsIn bool, flags ...string) {
	t.Helper()
	cmd := command(i.world.ctx, i.home, map[string]string{
		"NODE_EXTRA_CA_CERTS": i.world.trust, "MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "file",
	}, nodeProgram(t, "mcp-inspector"), append([]string{
		"--cli", i.world.url, "--transport", "http", "--protocol-era", "modern", "--callback-url", i.callback, "--format", "json",
		"--method", "tools/call", "--tool-name", tool,
	}, flags...)...)
	cmd.Stdin = strings.NewReader("y\n") // yes, ask for more scopes
	p := start(t, "inspector "+tool, cmd)
	if signsIn {
		i.world.alice.open(i.world.ctx, t, p.waitFor(t, p.stderr, proxyPage))
	}
	if code := p.wait(); code != 0 || !strings.Contains(p.stdout.String(), want) {
		t.Errorf("%s: exit code %d, want 0 and %q", tool, code, want)
	}
	if !signsIn && proxyPage.MatchString(p.stderr.String()) {
		t.Errorf("%s: the Inspector asks to sign in", tool)
	}
}
