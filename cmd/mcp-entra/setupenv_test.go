package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// The variables that apply writes, with the secrets beside them, are a configuration that the example
// server takes, however the API proves itself.
func TestSetupVariables(t *testing.T) {
	t.Parallel()
	const noIdentity, none = "  managed-identity", "  #"
	for name, c := range map[string]struct {
		changes []string
		want    string
	}{
		"managed-identity": {nil, "UMI_CLIENT_ID="},
		"secret":           {[]string{"proof:\n", "proof:\n  secret: true\n", noIdentity, none}, "USE_OBO_FLOW=true\n"},
		"both":             {[]string{"proof:\n", "proof:\n  secret: true\n"}, "UMI_CLIENT_ID="},
		"certificate":      {[]string{"proof:\n", "proof:\n  certificate: CERTIFICATE\n", noIdentity, none}, "AZURE_CLIENT_CERTIFICATE_PATH="},
		"workload": {
			[]string{"proof:\n", "proof:\n  workload-identity: {issuer: 'https://oidc.example.com/t/', namespace: mcp, service-account: files}\n", noIdentity, none},
			"AZURE_FEDERATED_TOKEN_FILE=",
		},
		"none":         {[]string{"proof:\n", "", noIdentity, none}, "PUBLIC_URL="},
		"no resources": {[]string{"resources:\n", "", "  - storage\n", "", "  - graph: User.Read\n", "", "proof:\n", "proof:\n  secret: true\n"}, "USE_OBO_FLOW=false\n"},
		"odd URL":      {[]string{"https://mcp.example.com/mcp", "'https://mcp.example.com/a&b;$(id)/mcp'"}, "a&b;$(id)/mcp'\n"},
		"no landing":   {[]string{"proof:", "landing: []\nproof:"}, "PUBLIC_URL="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.issuer("https://oidc.example.com/t/")
			for i, change := range c.changes {
				if strings.Contains(change, "CERTIFICATE") {
					c.changes[i] = strings.ReplaceAll(change, "CERTIFICATE", s.certificate("api"))
				}
			}
			env := filepath.Join(s.dir, ".env")
			s.must(exitOK, "apply", "-f", s.spec(c.changes...), "-env", env, "-secret-file", env)
			data, err := os.ReadFile(env)
			if err != nil || !strings.Contains(string(data), c.want) {
				t.Errorf("the file is %q, %v; want %q in it", data, err, c.want)
			}
			_, faults := serverconfig.Read(func(string) (string, bool) { return "", false }, data)
			for _, fault := range faults {
				t.Errorf("the example server refuses %v", fault)
			}
		})
	}
}
