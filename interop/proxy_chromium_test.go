//go:build unix

package interop_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

var inspectorPage = regexp.MustCompile(`(http://127\.0\.0\.1:\d+\?MCP_INSPECTOR_API_TOKEN=\w+)`)

// MCP Inspector's page in Chromium, from its Connect to a tool's result, and to
// one that needs more scopes. SCREENSHOTS names a folder
// for pictures of it.
func TestProxyInspectorInChromium(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, authproxy.Options{})
	saw := w.driveInspector(t)
	for name, want := range map[string][]string{
		"consent":    {"MCP Inspector", "This computer", "access_as_user", "Any program on this computer"},
		"tools":      {"get_user_info", "secure_ping", "write_note"},
		"result":     {"alice@contoso.example"},
		"more":       {"notes_write"},
		"stepped-up": {"written"},
	} {
		for _, want := range want {
			if !strings.Contains(saw[name], want) {
				t.Errorf("%s: no %q in %q", name, want, saw[name])
			}
		}
	}
	if grants, want := w.entra(t), "authorization_code authorization_code"; grants != want {
		t.Errorf("tokens by %s, want %s", grants, want)
	}
	w.checkLog(t)
}

// driveInspector starts the Inspector and runs clients/node/inspector.mjs.
func (w *proxyWorld) driveInspector(t *testing.T) (saw map[string]string) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v. Run: apt-get install --no-install-recommends chromium", err)
	}
	pictures := os.Getenv("SCREENSHOTS")
	if pictures == "" {
		pictures = t.TempDir()
	}
	inspector := start(t, "inspector", command(w.ctx, t.TempDir(), map[string]string{
		"NODE_EXTRA_CA_CERTS": w.trust, "CLIENT_PORT": freePort(t), "MCP_SANDBOX_PORT": freePort(t),
		"MCP_AUTO_OPEN_ENABLED": "false", "MCP_INSPECTOR_SECRET_STORE": "memory",
	}, nodeProgram(t, "mcp-inspector"), "--web", "--transport", "http", "--protocol-era", "modern", "--server-url", w.url))
	page := inspector.waitFor(t, inspector.stdout, inspectorPage)
	dir, err := filepath.Abs("clients/node")
	must(t, err)
	home, err := os.MkdirTemp("", "interop-chromium-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) }) // Chromium's last words may still be under way
	p := start(t, "inspector.mjs", command(w.ctx, dir, map[string]string{
		"HOME": home, "TMPDIR": home, "CHROMIUM": chromium, "SCREENSHOTS": pictures, "INSPECTOR": page, "USER_NAME": "alice@contoso.example",
	}, node(t), "inspector.mjs"))
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	must(t, json.Unmarshal([]byte(p.stdout.String()), &saw))
	return saw
}
