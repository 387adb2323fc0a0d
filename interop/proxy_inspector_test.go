//go:build unix

package interop_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// MCP Inspector's command line: each call is a process, which keeps registration and tokens in its
// home, and renews them. As long as it has a refresh token it does not ask for more scopes
// (modelcontextprotocol/typescript-sdk#2255): if this fails, say so in docs/clients.md.
func TestProxyInspector(t *testing.T) {
	for _, era := range []string{"modern", "legacy"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			w := newProxyWorld(t, authproxy.Options{})
			i := w.newInspector(t, "--protocol-era", era)
			i.call(t, "secure_ping", proxyWell["call"], true)
			w.later()
			i.call(t, "secure_ping", proxyWell["expiry"], false)
			if p := i.start(t, "write_note"); p.wait() == 0 || !strings.Contains(p.stderr.String(), "auth() returned AUTHORIZED without authorization code") {
				t.Error("write_note: the Inspector steps up")
			}
			i.call(t, "secure_ping", proxyWell["call"], true, "--relogin") // revokes
			if grants, want := w.entra(t), "authorization_code refresh_token refresh_token authorization_code"; grants != want {
				t.Errorf("tokens by %s, want %s", grants, want)
			}
			w.checkLog(t)
		})
	}
}

type proxyInspector struct {
	world *proxyWorld
	home  string
	flags []string
}

// newInspector returns one that nobody has used yet.
func (w *proxyWorld) newInspector(t *testing.T, flags ...string) *proxyInspector {
	t.Helper()
	callback := "http://127.0.0.1:" + freePort(t) + "/oauth/callback"
	return &proxyInspector{w, t.TempDir(), append([]string{"--cli", w.url, "--transport", "http", "--callback-url", callback, "--format", "json"}, flags...)}
}

var proxyPage = regexp.MustCompile(`(https://localhost:\d+/authorize\?\S+)\s`)

func (i *proxyInspector) start(t *testing.T, tool string, flags ...string) *process {
	t.Helper()
	cmd := command(i.world.ctx, i.home, map[string]string{
		"NODE_EXTRA_CA_CERTS": i.world.trust, "MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "file",
	}, nodeProgram(t, "mcp-inspector"), slices.Concat(i.flags, []string{"--method", "tools/call", "--tool-name", tool}, flags)...)
	cmd.Stdin = strings.NewReader("y\n") // yes, ask for more scopes
	return start(t, "inspector "+tool, cmd)
}

// call calls a tool, whose result must have the text, and signs in where the Inspector asks for it.
func (i *proxyInspector) call(t *testing.T, tool, want string, signsIn bool, flags ...string) {
	t.Helper()
	p := i.start(t, tool, flags...)
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
