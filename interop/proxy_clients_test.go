//go:build unix

package interop_test

import (
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// What a client's script says of each step.
var proxyWell = map[string]string{
	"list":   "get_user_info secure_ping sign_note write_note",
	"call":   "Authenticated ping successful",
	"expiry": "Authenticated ping successful",
	"write":  "written",
}

// SDKs' clients sign in through the proxy as they are: they find it from the 401, register
// themselves, are sent to the consent page and to Entra, refresh when the token has expired, and sign
// in again for a scope that they lack. Entra refuses nothing.
func TestProxySDKs(t *testing.T) {
	t.Parallel()
	python := script(t, "python", ".venv", "bin", "python")
	for _, c := range []struct {
		name     string
		program  string
		args     []string
		protocol string
		grants   string
	}{
		{"TypeScript SDK 1", node(t), []string{script(t, "node", "sdk.mjs")}, "2025-11-25", "authorization_code refresh_token authorization_code"},
		{"TypeScript SDK 2", node(t), []string{script(t, "node", "client.mjs"), "modern"}, "2026-07-28", "authorization_code refresh_token authorization_code"},
		{"Python SDK", python, []string{script(t, "python", "mcp_client.py"), "auto"}, "2026-07-28", "authorization_code refresh_token authorization_code"},
		{"FastMCP", python, []string{script(t, "python", "fastmcp_client.py"), "auto"}, "2026-07-28", "authorization_code refresh_token authorization_code"},
		{"Go SDK", goSDK, nil, "2026-07-28", "authorization_code authorization_code authorization_code"}, // refreshes by its own clock
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newProxyWorld(t, authproxy.Options{})
			said := w.run(t, nil, c.program, c.args...)
			if said["connect"] != c.protocol {
				t.Errorf("protocol %q, want %q", said["connect"], c.protocol)
			}
			for step, want := range proxyWell {
				if said[step] != want {
					t.Errorf("%s: %q, want %q", step, said[step], want)
				}
			}
			if grants := w.entra(t); grants != c.grants {
				t.Errorf("tokens by %s, want %s", grants, c.grants)
			}
			w.checkLog(t)
		})
	}
}
