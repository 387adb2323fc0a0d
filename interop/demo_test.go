//go:build unix

package interop_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Clients sign in to the demonstration with what it prints, and no token is pasted anywhere.
func TestDemoSignIn(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 3*time.Minute)
	demo := start(t, "examples/server -demo", command(ctx, t.TempDir(), map[string]string{"PORT": "0"}, exampleServer, "-demo"))
	demo.waitFor(t, demo.stdout, regexp.MustCompile(`(MCP_TOKEN=\$TOKEN)`))
	printed := func(pattern string) string {
		return demo.waitFor(t, demo.stdout, regexp.MustCompile(pattern))
	}
	resource, clientID := printed(`(?m)^  URL +(\S+)$`), printed(`(?m)^  client ID +(\S+) `)
	trust, authority := printed(`NODE_EXTRA_CA_CERTS=(\S+)`), printed(`-authority (\S+) `)
	alice := newPerson(t, "alice@contoso.example", trust)

	t.Run("mcp-entra", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "token")
		p := start(t, "mcp-entra login", command(ctx, dir, map[string]string{"SSL_CERT_FILE": trust}, mcpEntra,
			"login", "-device", "-client", clientID, "-authority", authority, "-out", file, resource))
		code := p.waitFor(t, p.stderr, regexp.MustCompile(`enter the code (\w+)`))
		alice.enter(ctx, t, authority+"/devicelogin", code)
		if exit := p.wait(); exit != 0 || !strings.Contains(p.stdout.String(), "alice@contoso.example") {
			t.Fatalf("exit code %d", exit)
		}
		p = start(t, "mcp-entra call", command(ctx, dir, nil, mcpEntra, "call", "-token", file, resource, "secure_ping"))
		if exit := p.wait(); exit != 0 {
			t.Errorf("exit code %d", exit)
		}
		checkPing(t, decode(t, []byte(p.stdout.String())))
	})
	t.Run("Inspector", func(t *testing.T) {
		dir := t.TempDir()
		p := start(t, "inspector", command(ctx, dir, map[string]string{
			"NODE_EXTRA_CA_CERTS": trust, "MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "file",
		}, nodeProgram(t, "mcp-inspector"), "--cli", resource, "--transport", "http", "--format", "json", "--client-id", clientID,
			"--method", "tools/call", "--tool-name", "read_blob_with_token", "--tool-arg", "blob_path=readme.txt"))
		page := p.waitFor(t, p.stderr, regexp.MustCompile(`(https://localhost:\d+/\S+/authorize\?\S+)\s`))
		alice.open(ctx, t, page)
		if exit := p.wait(); exit != 0 || !strings.Contains(p.stdout.String(), "Everybody may read this one") {
			t.Errorf("exit code %d", exit)
		}
	})
	if exit := demo.terminate(t); exit != 0 {
		t.Errorf("exit code %d", exit)
	}
}
