//go:build unix

package interop_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The way in through the authorization proxy, as docs/setup.md has it: registered, served with the
// .env that setup wrote, and signed in to by a client that registers itself. Where no administrator
// has consented, users consent as they sign in, to what the server calls for them too.
func TestWayThroughProxy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		app   string
		proof []string
		admin bool // has consented
	}{
		"the API's application": {"api", []string{"-secret", "-secret-file", ".env"}, true},
		"its users' consent":    {"api", []string{"-managed-identity", "ID"}, false},
		"one of its own":        {"own", []string{"-secret", "-secret-file", ".env"}, true},
		"combined consent":      {"own", []string{"-managed-identity", "ID"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, exit := emptyTenant, 0
			if !c.admin {
				tenant, exit = strings.Replace(tenant, "DelegatedPermissionGrant.ReadWrite.All, ", "", 1), 1
			}
			w := &way{ctx: deadline(t, 3*time.Minute), tenant: startTenant(t, strings.Replace(tenant, "%t", "false", 1)), dir: t.TempDir()}
			w.alice = newPerson(t, "alice@contoso.example", w.tenant.CA)
			port := freePort(t)
			endpoint := "http://localhost:" + port + "/mcp"
			args := []string{"apply", "-name", "files-mcp", "-server", endpoint, "-resource", "storage", "-auth-proxy", c.app, "-env", ".env"}
			for _, arg := range c.proof {
				args = append(args, strings.Replace(arg, "ID", w.tenant.Tenants[0].ManagedIdentities[0].ClientID, 1))
			}
			if text := w.setup(t, exit, args...); !c.admin && strings.Count(text, "\nFailed  grant/") == 0 {
				t.Errorf("setup does not name the consent that is missing: %s", text)
			}
			server, _ := w.startServer(t, map[string]string{"PORT": port})
			if text := w.callThroughBrowser(t, endpoint, "get_azure_blob_storage_token", "{}"); !strings.Contains(text, "https://storage.azure.com") {
				t.Errorf("the tool says %s", text)
			}
			if code := server.terminate(t); code != 0 {
				t.Errorf("the server's exit code is %d", code)
			}
			env, err := os.ReadFile(filepath.Join(w.dir, ".env"))
			must(t, err)
			var secrets []string
			for _, m := range regexp.MustCompile(`(?m)^\w+(?:KEYS|SECRET)='(.*)'$`).FindAllSubmatch(env, -1) {
				secrets = append(secrets, string(m[1]))
			}
			checkLog(t, server, secrets)
		})
	}
}
