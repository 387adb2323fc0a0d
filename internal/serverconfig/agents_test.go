package serverconfig

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const testAgent = "a9e00000-0000-4000-8000-00000000000a"

func TestAgents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		variables map[string]string
		dotenv    string
		want      string
		warnings  []string
	}{
		"none":          {with(), "", "{ [] false}", nil},
		"acts as one":   {withOBO("AGENT_ID", testAgent), "", "{" + testAgent + " [] false}", nil},
		"from the file": {withOBO(), "AGENT_ID=" + testAgent + "\nPEOPLE_ONLY=on", "{" + testAgent + " [] true}", nil},
		"agent users":   {with("AGENT_USERS", testAgent+" , "+testIdentity), "", "{ [" + testAgent + " " + testIdentity + "] false}", nil},
		"people alone":  {with("PEOPLE_ONLY", "yes"), "", "{ [] true}", nil},
		"not only":      {with("PEOPLE_ONLY", "off", "AGENT_USERS", testAgent), "", "{ [" + testAgent + "] false}", nil},
		"no consent":    {withOBO("AGENT_ID", testAgent, "CONSENT_REDIRECT_URL", "https://mcp.example.com/consent/done", "STATE_KEYS", keyOf("a")), "", "{" + testAgent + " [] false}", []string{"CONSENT_REDIRECT_URL is not used", "STATE_KEYS is not used"}},
		"with a proxy of its own": {withOBO("AGENT_ID", testAgent, "AUTH_PROXY", "on", "AUTH_PROXY_KEYS", keyOf("a"), "AUTH_PROXY_CLIENT_ID", testIdentity, "AUTH_PROXY_CLIENT_SECRET", testSecret), "",
			"{" + testAgent + " [] false}", nil},
		"on AKS": {withOBO("AGENT_ID", testAgent, "ENTRA_APP_CLIENT_SECRET", "", "AZURE_FEDERATED_TOKEN_FILE", "/t", "UMI_CLIENT_ID", testIdentity), "",
			"{" + testAgent + " [] false}", []string{"AADSTS700231"}},
		"in other cases": {withOBO("AGENT_ID", strings.ToUpper(testAgent)), "", "{" + strings.ToUpper(testAgent) + " [] false}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := mustRead(t, c.variables, c.dotenv)
			if got := fmt.Sprint(config.Agents); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if p := config.Policy(); p.PeopleOnly != config.PeopleOnly || !slices.Equal(p.AgentUsers, config.AgentUsers) {
				t.Errorf("Policy() = %+v, want that of %+v", p, config.Agents)
			}
			all := strings.Join(config.Warnings, "\n")
			for _, want := range c.warnings {
				if !strings.Contains(all, want) {
					t.Errorf("got warnings %q, want %q", all, want)
				}
			}
			if got := strings.Count(all, "AGENT_ID"); got != len(c.warnings) {
				t.Errorf("got %d warnings about AGENT_ID, want %d: %s", got, len(c.warnings), all)
			}
		})
	}
}

func TestAgentFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		variables  map[string]string
		where, say string
	}{
		"by its name":           {withOBO("AGENT_ID", "my-agent"), "AGENT_ID", `"my-agent" is not a GUID`},
		"a secret":              {withOBO("AGENT_ID", "Xy7~S3cr3tValue"), "AGENT_ID", "not a GUID"},
		"two":                   {withOBO("AGENT_ID", testAgent+","+testIdentity), "AGENT_ID", "not a GUID"},
		"the blueprint":         {withOBO("AGENT_ID", strings.ToUpper(testApp)), "AGENT_ID", "is the value of API_APP_ID, the blueprint"},
		"the tenant":            {withOBO("AGENT_ID", testTenant), "AGENT_ID", "is the value of TENANT_ID"},
		"acting for nobody":     {with("AGENT_ID", testAgent), "AGENT_ID", "USE_OBO_FLOW is off"},
		"an agent user by name": {with("AGENT_USERS", "agent@contoso.example"), "AGENT_USERS", "is not a GUID"},
		"a gap":                 {with("AGENT_USERS", testAgent+",,"+testIdentity), "AGENT_USERS", "GUID"},
		"the tenant as user":    {with("AGENT_USERS", testTenant), "AGENT_USERS", "has the value of TENANT_ID in it"},
		"neither on nor off":    {with("PEOPLE_ONLY", "people"), "PEOPLE_ONLY", "is neither on"},
		"the agent as its user": {withOBO("AGENT_ID", testAgent, "AGENT_USERS", strings.ToUpper(testAgent)), "AGENT_USERS", "the value of AGENT_ID"},
		"the app as user":       {with("AGENT_USERS", testApp), "AGENT_USERS", "the value of API_APP_ID"},
		"the API signs in":      {withProxy("AGENT_ID", testAgent, "USE_OBO_FLOW", "true"), "AUTH_PROXY_CLIENT_ID", "API_APP_ID is the agent's blueprint, with which nobody can sign in"},
		"the API, by its name": {withProxy("AGENT_ID", testAgent, "USE_OBO_FLOW", "true", "AUTH_PROXY_CLIENT_ID", strings.ToUpper(testApp)),
			"AUTH_PROXY_CLIENT_ID", "with which nobody can sign in"},
		"users consent for the agent": {withProxy("AGENT_ID", testAgent, "USE_OBO_FLOW", "true", "AUTH_PROXY_CLIENT_ID", testIdentity, "AUTH_PROXY_CLIENT_SECRET", testSecret,
			"AUTH_PROXY_DOWNSTREAM", "https://graph.microsoft.com/User.Read", "AUTH_PROXY_COMBINED_CONSENT", "true"), "AUTH_PROXY_DOWNSTREAM", "only an administrator can consent for an agent"},
		"the agent signs in": {withProxy("AGENT_ID", testAgent, "USE_OBO_FLOW", "true", "AUTH_PROXY_CLIENT_ID", testAgent, "AUTH_PROXY_CLIENT_SECRET", testSecret),
			"AUTH_PROXY_CLIENT_ID", "an agent identity, with which nobody can sign in"},
		"people and agent users": {with("PEOPLE_ONLY", "on", "AGENT_USERS", testAgent), "PEOPLE_ONLY", "AGENT_USERS lets agent users in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := Read(lookupIn(c.variables), nil)
			if all := fmt.Sprint(faults); len(faults) == 0 || faults[0].Where != c.where || !strings.Contains(all, c.say) || strings.Contains(all, "S3cr3t") {
				t.Errorf("got faults %v, want one of %s that says %q, and no secret", faults, c.where, c.say)
			}
		})
	}
}

// A token is judged by the same policy as the server's.
func TestAgentsForToken(t *testing.T) {
	t.Parallel()
	config, faults := ReadForToken(lookupIn(with("PEOPLE_ONLY", "on", "AGENT_ID", "x")), nil)
	if len(faults) > 0 || !config.PeopleOnly {
		t.Errorf("got %+v, faults %v; want people alone, and no faults", config.Agents, faults)
	}
}
