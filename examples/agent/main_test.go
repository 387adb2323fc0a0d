package main

import (
	"bytes"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

func runWith(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, func(name string) string { return env[name] }, &out, &errs)
	return code, out.String(), errs.String()
}

var ids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// The downstream API sees the user, and the server's agent as the client: not the server, and
// not the user's own client.
func TestDemo(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := runWith(t, nil, "-demo")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	known := ids.FindAllString(stdout, 2)
	stdout = strings.NewReplacer(known[0], "{blueprint}", known[1], "{agent}").Replace(stdout)
	stdout = regexp.MustCompile(` \(resource.*`).ReplaceAllString(ids.ReplaceAllString(stdout, "{id}"), "")
	const sees = "    Expenses of alice@contoso.example. A person: true. The agent: {agent} (for person), of the blueprint {blueprint}.\n"
	for _, want := range []string{
		"AADSTS65001", "To fix this: an administrator must grant the delegated permissions for api://{id}",
		"either to the principal of the agent's blueprint {blueprint}, and make them inheritable, or to the agent identity {agent} itself",
		"after the grant to the blueprint:\n" + sees, "whose client is an agent itself:\n" + sees, "Agent user not accepted",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the output lacks %q:\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "eyJ0") {
		t.Error("a token is in the output")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, nil)
	blueprint := tenant.AddBlueprint("Server", "access_as_user")
	good := map[string]string{
		"TENANT_ID": tenant.ID(), "API_APP_ID": blueprint.ClientID, "AGENT_ID": tenant.AddAgent(blueprint, "Agent").ClientID,
		"ENTRA_APP_CLIENT_SECRET": blueprint.AddSecret(), "AZURE_AUTHORITY_HOST": tenant.AuthorityHost(), "PORT": "no port",
	}
	for name, c := range map[string]struct {
		change map[string]string // of the good ones; nil: nothing is set
		code   int
		args   []string
		want   []string
	}{
		"nothing set":              {nil, 1, nil, []string{"go run ./examples/agent -demo", "tenant ID", "client ID", "Options.Agents[0]", "method: "}},
		"an unknown flag":          {nil, 2, []string{"-x"}, []string{"flag provided but not defined"}},
		"no agent":                 {map[string]string{"AGENT_ID": ""}, 1, nil, []string{"Options.Agents[0]"}},
		"the blueprint as agent":   {map[string]string{"AGENT_ID": blueprint.ClientID}, 1, nil, []string{"Options.Agents[0]", "client ID"}},
		"a resource that is a URL": {map[string]string{"DOWNSTREAM_RESOURCE": "graph"}, 1, nil, []string{"Options.Resources[0]"}},
		"no certificate":           {map[string]string{"AZURE_CLIENT_CERTIFICATE_PATH": "/no/such.pem"}, 1, nil, []string{"/no/such.pem"}},
		"no identity":              {map[string]string{"UMI_CLIENT_ID": "x"}, 1, nil, []string{"managed identity's client ID"}},
		"a token file on AKS":      {map[string]string{"AZURE_FEDERATED_TOKEN_FILE": "/x"}, 1, nil, []string{"no port"}},
		"no port":                  {map[string]string{}, 1, nil, []string{"no port"}},
	} {
		env := map[string]string{}
		if c.change != nil {
			maps.Copy(env, good)
			maps.Copy(env, c.change)
		}
		code, stdout, stderr := runWith(t, env, c.args...)
		if code != c.code || stdout != "" {
			t.Errorf("%s: exit %d, output %q; want %d and none", name, code, stdout, c.code)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: got %s, want %q", name, stderr, want)
			}
		}
		if strings.Contains(stderr, good["ENTRA_APP_CLIENT_SECRET"]) {
			t.Errorf("%s: the secret is in the output", name)
		}
	}
}
