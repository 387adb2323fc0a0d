//go:build unix

package interop_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

var inspectorPage = regexp.MustCompile(`(http://127\.0\.0\.1:\d+\?MCP_INSPECTOR_API_TOKEN=\w+)`)

// MCP Inspector's page in Chromium, from its Connect to a tool's result: at a server of ours, also to
// one that needs more scopes; and at the demonstration, with the URL that it prints. SCREENSHOTS names
// a folder for pictures of it.
func TestProxyInChromium(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		w := newProxyWorld(t, authproxy.Options{})
		checkSaw(t, driveInspector(w.ctx, t, w.trust, w.url, "write_note"), map[string][]string{
			"consent":    {"MCP Inspector", "Notes", "This computer", "access_as_user", "Any program on this computer"},
			"tools":      {"get_user_info", "secure_ping", "write_note"},
			"result":     {"alice@contoso.example"},
			"more":       {"notes_write"},
			"stepped-up": {"written"},
		})
		if grants, want := w.entra(t), "authorization_code authorization_code"; grants != want {
			t.Errorf("tokens by %s, want %s", grants, want)
		}
		w.checkLog(t)
	})
	t.Run("demonstration", func(t *testing.T) {
		t.Parallel()
		ctx := deadline(t, 2*time.Minute)
		demo := start(t, "examples/server -demo -proxy", command(ctx, t.TempDir(), map[string]string{"PORT": "0"}, exampleServer, "-demo", "-proxy"))
		endpoint := demo.waitFor(t, demo.stdout, regexp.MustCompile(`(?m)^  URL +(http://\S+)$`))
		checkSaw(t, driveInspector(ctx, t, "", endpoint, ""), map[string][]string{
			"consent": {"MCP Inspector", "This computer"},
			"tools":   {"get_user_info", "read_blob_with_token"},
			"result":  {"alice@contoso.example"},
		})
		if code := demo.terminate(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

func checkSaw(t *testing.T, saw map[string]string, want map[string][]string) {
	t.Helper()
	for page, want := range want {
		for _, want := range want {
			if !strings.Contains(saw[page], want) {
				t.Errorf("%s: no %q in %q", page, want, saw[page])
			}
		}
	}
}

// driveInspector starts the Inspector for a server and runs clients/node/inspector.mjs, with a tool
// that needs more scopes or "". It returns what the pages said.
func driveInspector(ctx context.Context, t *testing.T, trust, endpoint, stepUp string) (saw map[string]string) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v. Run: apt-get install --no-install-recommends chromium", err)
	}
	pictures := os.Getenv("SCREENSHOTS")
	if pictures == "" {
		pictures = t.TempDir()
	}
	pictures = filepath.Join(pictures, t.Name())
	must(t, os.MkdirAll(pictures, 0o700))
	inspector := start(t, "inspector", command(ctx, t.TempDir(), map[string]string{
		"NODE_EXTRA_CA_CERTS": trust, "CLIENT_PORT": freePort(t), "MCP_SANDBOX_PORT": freePort(t),
		"MCP_AUTO_OPEN_ENABLED": "false", "MCP_INSPECTOR_SECRET_STORE": "memory",
	}, nodeProgram(t, "mcp-inspector"), "--web", "--transport", "http", "--protocol-era", "modern", "--server-url", endpoint))
	page := inspector.waitFor(t, inspector.stdout, inspectorPage)
	dir, err := filepath.Abs("clients/node")
	must(t, err)
	home, err := os.MkdirTemp("", "interop-chromium-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) }) // Chromium's last words may still be under way
	p := start(t, "inspector.mjs", command(ctx, dir, map[string]string{
		"HOME": home, "TMPDIR": home, "CHROMIUM": chromium, "SCREENSHOTS": pictures, "INSPECTOR": page, "USER_NAME": "alice@contoso.example", "STEP_UP": stepUp,
	}, node(t), "inspector.mjs"))
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	must(t, json.Unmarshal([]byte(p.stdout.String()), &saw))
	return saw
}
