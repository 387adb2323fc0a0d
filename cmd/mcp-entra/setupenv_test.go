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
		"agents":       {[]string{"clients: [vscode, azurecli, inspector]", "clients: [vscode]\nagents: [Files agent]\nsponsor: SPONSOR"}, "AGENT_ID="},
		"agents, with a proxy": {[]string{"clients: [vscode, azurecli, inspector]", "clients: [vscode]\nagents: [Files agent]\nsponsor: SPONSOR", "proof:\n", "auth-proxy: own\nproof:\n  secret: true\n"},
			"AUTH_PROXY_CLIENT_ID="},
		"no landing": {[]string{"proof:", "landing: []\nproof:"}, "PUBLIC_URL="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.issuer("https://oidc.example.com/t/")
			sponsor := s.tenant.AddUser("sponsor@example.com", "Sponsor").ObjectID
			for i, change := range c.changes {
				c.changes[i] = strings.ReplaceAll(change, "SPONSOR", sponsor)
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
			if agents := strings.Contains(string(data), "AGENT_ID="); agents && strings.Contains(string(data), "AUTH_PROXY_DOWNSTREAM") {
				t.Error("the proxy asks users to consent to what the agents need, and no user can")
			}
			if known := s.app("files-mcp")["api"].(map[string]any)["knownClientApplications"]; known != nil && len(texts(known)) > 0 && strings.Contains(string(data), "AGENT_ID=") {
				t.Errorf("the blueprint's known clients are %v, want none", known)
			}
		})
	}
}

// A .env file of an ordinary API becomes one of a blueprint's, and the reverse, without what belongs to the other.
func TestSetupVariablesOfTheOther(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	env := filepath.Join(s.dir, ".env")
	agents := readFile(t, s.agentSpec("name: files-mcp", "name: files-agents", "display-name: Files", "display-name: Agents", "https://mcp.example.com", "https://agents.example.com", "proof:\n", "auth-proxy: own\nproof:\n  secret: true\n"))
	plain := s.withProxy("own", "landing: []\n", "")
	for round, file := range []string{plain, s.write("agents.yaml", string(agents)), plain} {
		s.must(exitOK, "apply", "-f", file, "-env", env, "-secret-file", env)
		data := readFile(t, env)
		c, faults := serverconfig.Read(func(string) (string, bool) { return "", false }, data)
		if acts := round == 1; len(faults) > 0 || (c.AgentID != "") != acts || acts && strings.Contains(string(data), "CONSENT_REDIRECT_URL") {
			t.Errorf("round %d: faults %v, agent %q, want none and an agent: %v", round, faults, c.AgentID, acts)
		}
	}
}
