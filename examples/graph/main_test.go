package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-demo"}, func(string) string { return "" }, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	const want = "Microsoft Graph says that you are Alice (alice@contoso.com)\nMicrosoft Graph says that you are Bob (bob@contoso.com)\n"
	if stdout.String() != want {
		t.Errorf("got %q, want %q", stdout.String(), want)
	}
}

// Without configuration, the program first suggests the demo.
func TestNothingConfigured(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), nil, func(string) string { return "" }, &stdout, &stderr)
	if demo := strings.Index(stderr.String(), "go run ./examples/graph -demo"); code != 1 || demo < 0 || demo > strings.Index(stderr.String(), "tenantID") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, nil)
	api := tenant.AddApp("My API", "access_as_user")
	token := tenant.Token(tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddClient("CLI"), api)
	notOne := filepath.Join(t.TempDir(), "app.pfx")
	if err := os.WriteFile(notOne, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		env  map[string]string
		code int
		args []string
		says []string
	}{
		{"nothing set", nil, 1, nil, []string{"tenantID: ", "clientID: ", "method: "}},
		{"unknown flag", nil, 2, []string{"-x"}, []string{"flag provided but not defined"}},
		{"no token", map[string]string{"ENTRA_APP_CLIENT_SECRET": "s"}, 1, nil, []string{"no user is signed in"}},
		{"no certificate", map[string]string{"ENTRA_APP_CLIENT_CERTIFICATE": notOne}, 1, nil, []string{"app.pfx", "PFX"}},
		{"identity without id", map[string]string{"UMI_CLIENT_ID": "x"}, 1, nil, []string{"managed identity's client ID"}},
		{"projected token without id", map[string]string{"UMI_CLIENT_ID": "x", "AZURE_FEDERATED_TOKEN_FILE": "/x"}, 1, nil, []string{"managed identity's client ID"}},
		{"untrusted certificate", map[string]string{"ENTRA_APP_CLIENT_SECRET": "s", "MCP_TOKEN": token}, 1, nil, []string{"can't be reached"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := map[string]string{"TENANT_ID": tenant.ID(), "API_APP_ID": api.ClientID, "AZURE_AUTHORITY_HOST": tenant.AuthorityHost()}
			if test.env == nil {
				env = nil
			}
			maps.Copy(env, test.env)
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), test.args, func(name string) string { return env[name] }, &stdout, &stderr)
			if code != test.code || stdout.Len() > 0 {
				t.Errorf("exit %d, output %q", code, stdout.String())
			}
			for _, say := range test.says {
				if !strings.Contains(stderr.String(), say) {
					t.Errorf("%q is not in %q", say, stderr.String())
				}
			}
			if strings.Contains(stderr.String(), token) {
				t.Error("the token is in the text")
			}
		})
	}
}
