package serverconfig

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

func TestToolPolicies(t *testing.T) {
	t.Parallel()
	const group = "22222222-2222-2222-2222-222222222222"
	every := []ToolPolicy{
		{"read_blob_with_token", entraauth.Policy{Scopes: []string{"Files.Read", "Files.List"}, AuthContext: "c1"}},
		{"get_*", entraauth.Policy{UserRoles: []string{"Reader", "Admin"}, Groups: []string{group}}},
		{"*", entraauth.Policy{AnyScope: []string{"A", "B"}, Clients: []string{testIdentity}, ClientAuth: entraauth.ClientAuthCertificate}},
		{"secure_ping", entraauth.Policy{ClientAuth: entraauth.ClientAuthSecret}},
		{"secure_ping", entraauth.Policy{PeopleOnly: true, UserRoles: []string{"Reader"}}},
		{"get_*", entraauth.Policy{AgentUsers: []string{group}}},
	}
	lines := []string{
		"read_blob_with_token scopes=Files.Read,Files.List auth_context=c1",
		"get_* roles=Reader,Admin  groups=" + group,
		"* any_scope=A,B clients=" + testIdentity + " client_auth=certificate",
		"secure_ping client_auth=secret",
		"secure_ping people_only=true roles=Reader",
		"get_* agent_users=" + group,
	}
	file := filepath.Join(t.TempDir(), "policies")
	if err := os.WriteFile(file, []byte("# policies\n\n"+strings.Join(lines, " # comment\n\t")), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		value, dotenv string
		want          []ToolPolicy
	}{
		"none":            {"", "", nil},
		"one":             {lines[3], "", every[3:4]},
		"lines":           {strings.Join(lines, "\n"), "", every},
		"semicolons":      {strings.Join(lines, " ; ") + ";", "", every},
		"a file":          {file, "", every},
		"the .env file":   {"", `TOOL_POLICIES="` + strings.Join(lines, "; ") + `"`, every},
		"only a comment":  {"# secure_ping roles=Reader", "", nil},
		"file with a dot": {" " + file + "\n", "", every},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := with()
			if c.value != "" {
				variables["TOOL_POLICIES"] = c.value
			}
			if got := mustRead(t, variables, c.dotenv).ToolPolicies; !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// Each fault has its line and a remedy, and all are reported at once.
func TestToolPolicyFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ line, want string }{
		"no requirement":         {"secure_ping", "the policy asks for nothing"},
		"no such tool":           {"secure_pong roles=x", `no tool matches "secure_pong"; there are get_azure_blob_storage_token`},
		"no tool of that prefix": {"mail_* roles=x", `no tool matches "mail_*"`},
		"a misleading pattern":   {"get_*_info roles=x", "*"},
		"an unknown key":         {"secure_ping role=x", `"role" is not known; use one of scopes, any_scope, roles`},
		"no app roles":           {"secure_ping app_roles=x", `"app_roles" is not known`},
		"a word":                 {"secure_ping roles=x please", `"please" is not a requirement`},
		"a key twice":            {"secure_ping roles=x roles=y", "roles is there twice"},
		"a full scope":           {"secure_ping scopes=api://x/Files.Read", "is not a short name"},
		"never in a token":       {"secure_ping scopes=offline_access", "is for clients to request"},
		"an empty value":         {"secure_ping scopes=", `"" is not a short name`},
		"a gap":                  {"secure_ping roles=A,,B", `"" is not a short name`},
		"a client by name":       {"secure_ping clients=vscode", `"vscode" is not a GUID`},
		"a group by name":        {"secure_ping groups=Managers", `"Managers" is not a GUID`},
		"a client's secret":      {"secure_ping clients=Xy7~S3cr3tValue", "are not shown"},
		"client authentication":  {"secure_ping client_auth=password", "client_auth is neither secret nor certificate"},
		"authentication context": {"secure_ping auth_context=mfa", `"mfa" is not one of c1 to c99`},
		"agent users by name":    {"secure_ping agent_users=bot", `"bot" is not a GUID`},
		"people only, or not":    {"secure_ping people_only=false", "people_only has no other value than true"},
		"people and agent users": {"secure_ping people_only=true agent_users=22222222-2222-2222-2222-222222222222", "PeopleOnly"},
		"the API as agent user":  {"secure_ping agent_users=22222222-2222-2222-2222-222222222222," + strings.ToUpper(testApp), "agent_users has the value of API_APP_ID in it"},
		"the tenant likewise":    {"secure_ping agent_users=" + testTenant, "agent_users has the value of TENANT_ID in it"},
		"agents on their own":    {"secure_ping agents=x", `"agents" is not known`},
		"no context":             {"secure_ping auth_context=", "auth_context is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := Read(lookupIn(with("TOOL_POLICIES", "# first\nget_user_info roles=Reader\n"+c.line+"\nnothing=there at=all\n")), nil)
			if len(faults) != 2 {
				t.Fatalf("got %d faults, want 2: %v", len(faults), faults)
			}
			text := faults[0].String()
			if !strings.HasPrefix(text, "TOOL_POLICIES, line 3: ") || !strings.Contains(text, c.want) || !strings.Contains(text, "Write a policy as") {
				t.Errorf("fault %q, want one of line 3 that says %q", text, c.want)
			}
			if strings.Contains(text, testSecret) || strings.Contains(text, "\n") {
				t.Errorf("fault %q shows a secret or has several lines", text)
			}
		})
	}
}

func TestToolPolicyPlaces(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policies")
	if err := os.WriteFile(file, []byte("\nsecure_ping\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ value, dotenv, want string }{
		"in the file":         {file, "", file + ":2: "},
		"in .env":             {"", "PORT=1\nTOOL_POLICIES='secure_ping x=1'", "TOOL_POLICIES (.env:2), line 1: "},
		"a file that is gone": {file + "x", "", "TOOL_POLICIES: has no policy such as secure_ping roles=Reader, so it names a file, which can't be read: "},
		"a forgotten policy":  {"secure_ping", "", "TOOL_POLICIES: has no policy such as"},
		"a folder":            {filepath.Dir(file), "", "TOOL_POLICIES: has no policy such as"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := with()
			if c.value != "" {
				variables["TOOL_POLICIES"] = c.value
			}
			_, faults := Read(lookupIn(variables), []byte(c.dotenv))
			if len(faults) != 1 || !strings.HasPrefix(faults[0].String(), c.want) {
				t.Errorf("faults %v, want one that begins with %q", faults, c.want)
			}
		})
	}
}

// A file of policies may begin with a byte order mark. One without a policy is said.
func TestPolicyFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content  string
		policies int
		warns    bool
	}{
		"of Windows":    {"\uFEFFsecure_ping roles=A\r\nget_* roles=B # both\r\n", 2, false},
		"empty":         {"", 0, true},
		"only comments": {"# secure_ping roles=A\n", 0, true},
	} {
		file := filepath.Join(t.TempDir(), "policies")
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		config, faults := Read(lookupIn(with("TOOL_POLICIES", file)), nil)
		warns := strings.Contains(strings.Join(config.Warnings, "\n"), "TOOL_POLICIES has no policy")
		if len(faults) > 0 || len(config.ToolPolicies) != c.policies || warns != c.warns {
			t.Errorf("%s: faults %v, policies %v, warns: %v; want %d policies, warns: %v", name, faults, config.ToolPolicies, warns, c.policies, c.warns)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	for _, s := range []string{"secure_ping roles=Reader", "* any_scope=A,B client_auth=secret", "get_* =", "a b=c=d", "* auth_context=c1,c2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		policy, err := parsePolicy(strings.Fields(s))
		if err != nil || policy.Pattern == "" {
			return
		}
		if _, err := policy.Policy.Validated(); err != nil {
			t.Errorf("%q is accepted as %+v, which is invalid: %v", s, policy, err)
		}
	})
}
