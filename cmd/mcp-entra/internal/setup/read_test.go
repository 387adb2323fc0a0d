package setup_test

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/setup"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

const good = `name: files-mcp
servers: [https://mcp.example.com/mcp]
`

// pasted is what a client secret looks like.
const pasted = "Zk98Q~abcdefghijklmnopqrstuvwxyz0123456789"

func TestReadComplete(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/complete.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := setup.Read("complete.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	want := setup.Spec{
		Name: "files-mcp", DisplayName: "Files", Tenant: "11111111-2222-3333-4444-555555555555", Cloud: "usgov", MultiTenant: true,
		Adopt: "22222222-2222-3333-4444-555555555555", Servers: []string{"https://mcp.example.com/mcp", "https://files.azurewebsites.us/mcp"},
		Landing: []string{"https://mcp.example.com/consent/done"},
		Resources: []setup.Resource{
			{Name: "storage", AppID: "e406a681-f3d4-42a8-90b6-c2b029497af1", Scopes: []string{"user_impersonation"}},
			{Name: "graph", AppID: "00000003-0000-0000-c000-000000000000", Scopes: []string{"User.Read", "Mail.Read"}},
			{Name: "https://database.windows.net/", Scopes: []string{"user_impersonation"}},
			{Name: "api://orders", Scopes: []string{"Orders.Read"}},
		},
		Clients: []setup.Client{
			{ID: "vscode", AppID: "aebc6443-996d-45c2-90f0-388ff96faa56"},
			{ID: "copilotstudio", Platform: knownclients.Web, Redirects: []string{"https://global.consent.azure-apim.net/redirect/files"}},
			{ID: "tool", Platform: knownclients.Public, Redirects: []string{"http://localhost/callback", "tool://callback"}, DeviceCode: true},
			{ID: "partner", AppID: "33333333-2222-3333-4444-555555555555"},
		},
		Scopes: []setup.Scope{{Name: "Files.Read"}, {Name: "Files.Write", Description: "Change your files"}, {Name: "Files.Delete", Admin: true}},
		Roles: []setup.Role{
			{Value: "Files.Admin", Description: "May do all", Users: true, Applications: true, Assign: []string{"44444444-2222-3333-4444-555555555555"}},
			{Value: "Files.Reader", Users: true},
		},
		Proof: setup.Proof{
			ManagedIdentity: "55555555-2222-3333-4444-555555555555", Certificate: "api.pem", Secret: true,
			Workload: &setup.WorkloadIdentity{Issuer: "https://eastus.oic.prod-aks.azure.com/t/i/", Namespace: "mcp", ServiceAccount: "files"},
		},
		AuthProxy: "own", Exclusive: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Read(complete.yaml) =\n%+v\nwant\n%+v", got, want)
	}
}

func TestReadBadInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"empty":                   {"", "name is missing"},
		"list":                    {"- name", "line 1: expected keys and values"},
		"two documents":           {good + "---\n" + good, "a second document begins"},
		"no YAML":                 {"name: [", "this is not YAML"},
		"wrong key":               {good + "resource: [storage]\n", "f.yaml:\nline 3: the key resource is not known; the nearest is resources"},
		"wrong key within":        {good + "proof:\n  managed_identity: x\n", "line 4: proof: the key managed_identity is not known; the nearest is managed-identity"},
		"far key":                 {good + "weather: red\n", "line 3: the key weather is not known; known here: name, "},
		"key twice":               {good + "name: other\n", "line 3: a key appears twice, first in line 1"},
		"no name":                 {"servers: [https://mcp.example.com/mcp]\n", "name is missing"},
		"no servers":              {"name: files\n", "servers is missing"},
		"name with spaces":        {"name: my files\nservers: [https://mcp.example.com/mcp]\n", "line 1: name: is \"my files\"; use 2 to 64"},
		"server with slash":       {"name: files\nservers:\n  - https://mcp.example.com/mcp/\n", "line 3: servers[0]: is \"https://mcp.example.com/mcp/\"; Entra takes no App ID URI with a slash"},
		"server without scheme":   {"name: files\nservers: [mcp.example.com/mcp]\n", "write the endpoint's URL as clients use it"},
		"server with query":       {"name: files\nservers: [\"https://mcp.example.com/mcp?a=b\"]\n", "a query or fragment can't be part"},
		"server with password":    {"name: files\nservers: [\"https://a:b@mcp.example.com/mcp\"]\n", "has a user name in it (not shown)"},
		"server in upper case":    {"name: files\nservers: [https://MCP.example.com/mcp]\n", "write the host in lower case"},
		"server with port":        {"name: files\nservers: [\"https://mcp.example.com:443/mcp\"]\n", "leave the port out"},
		"server twice":            {"name: files\nservers: [https://a.example/mcp, https://a.example/mcp]\n", "line 2: servers[1]: \"https://a.example/mcp\" is there twice"},
		"secret as tenant":        {good + "tenant: " + pasted + "\n", "line 3: tenant: is not a GUID such as 12345678-1234-1234-1234-123456789abc (its 42 characters are not shown"},
		"secret as identity":      {good + "proof:\n  managed-identity: " + pasted + "\n", "line 4: proof.managed-identity: is not a GUID"},
		"secret as proof":         {good + "proof:\n  secret: " + pasted + "\n", "line 4: proof.secret: must be true or false (its value is not shown"},
		"secret as name":          {"name: " + pasted + "\nservers: [https://mcp.example.com/mcp]\n", "name: is a value of 42 characters (not shown"},
		"secret as key":           {good + pasted + ": true\n", "line 3: this key is not known"},
		"secret as resource":      {good + "resources: [" + pasted + "]\n", "line 3: resources[0]: is a value of 42 characters"},
		"secret as client":        {good + "clients: [" + pasted + "]\n", "line 3: clients[0]: a value of 42 characters"},
		"secret as app-id":        {good + "clients: [{name: x1, app-id: " + pasted + "}]\n", "clients[0].app-id: is not a GUID"},
		"secret in a redirect":    {good + "clients: [{name: x1, platform: web, redirects: [\"" + pasted + "\"]}]\n", "a redirect of x1 is a value of 42 characters"},
		"zero tenant":             {good + "tenant: 00000000-0000-0000-0000-000000000000\n", "all-zero GUID"},
		"unknown resource":        {good + "resources: [storge]\n", "did you mean storage?"},
		"graph without scopes":    {good + "resources: [graph]\n", "graph needs the permissions"},
		"unknown client":          {good + "clients: [vscod]\n", "did you mean vscode?"},
		"redirect for vscode":     {good + "clients: [vscode: https://a.example/cb]\n", "no redirects of yours"},
		"client without platform": {good + "clients: [{name: mine, redirects: ['https://a.example/cb']}]\n", "mine needs a platform"},
		"public with secret flow": {good + "clients: [{name: mine, platform: web, device-code: true, redirects: ['https://a.example/cb']}]\n", "AADSTS700025"},
		"scheme on web":           {good + "clients: [{name: mine, platform: web, redirects: ['mine://cb']}]\n", "only platform public takes a scheme of its own"},
		"http redirect":           {good + "clients: [{name: mine, platform: web, redirects: ['http://a.example/cb']}]\n", "http is for localhost only"},
		"IPv6 redirect":           {good + "clients: [{name: mine, platform: public, redirects: ['http://[::1]/cb']}]\n", "[::1], which Entra refuses"},
		"ports alone":             {good + "clients: [{name: mine, platform: public, redirects: ['http://localhost:1/cb', 'http://localhost:2/cb']}]\n", "differ in their port alone"},
		"client is the API":       {good + "adopt: 22222222-2222-3333-4444-555555555555\nclients: [{name: mine, app-id: 22222222-2222-3333-4444-555555555555}]\n", "AADSTS90009"},
		"client twice":            {good + "clients: [vscode, vs-code]\n", "the client \"vscode\" appears twice"},
		"role is the scope":       {good + "roles: [{value: access_as_user}]\n", "share one name space"},
		"role is a scope":         {good + "scopes: [Files.Read]\nroles: [{value: files.read}]\n", "\"files.read\" appears twice among the scopes and roles"},
		"role twice":              {good + "roles: [{value: A}, {value: A}]\n", "\"A\" appears twice"},
		"scope twice":             {good + "scopes: [Files.Read, name: Files.Read]\n", "\"Files.Read\" appears twice"},
		"scope of setup's own":    {good + "scopes: [access_as_user]\n", "access_as_user is there without being named"},
		"scope of Entra's own":    {good + "scopes: [offline_access]\n", "which no access token for an API has"},
		"scope in full":           {good + "scopes: ['https://mcp.example.com/mcp/Files.Read']\n", "line 3: scopes[0]: is \"https://mcp.example.com/mcp/Files.Read\"; write a permission's value"},
		"scope with a space":      {good + "scopes: [{name: Files Read}]\n", "line 3: scopes[0].name: is \"Files Read\""},
		"scope with a dot first":  {good + "scopes: [.default]\n", "line 3: scopes[0]: is \".default\""},
		"scope too long":          {good + "scopes: [" + strings.Repeat("Files.", 21) + "]\n", "line 3: scopes[0]: is a value of 126 characters"},
		"scope without name":      {good + "scopes: [{admin: true}]\n", "line 3: scopes[0]: a scope needs a name, such as Files.Read"},
		"empty scope":             {good + "scopes: [~]\n", "a scope needs a name"},
		"scope with a text":       {good + "scopes: [Files.Read: reads files]\n", "line 3: scopes[0]: expected a scope's name"},
		"scope with a value":      {good + "scopes: [{value: Files.Read, admin: true}]\n", "the key value is not known; known here: name, description, admin"},
		"scope's description":     {good + "scopes: [{name: Files.Read, description: 'a${api.id}'}]\n", "line 3: scopes[0].description: has ${"},
		"secret as scope":         {good + "scopes: [" + pasted + "]\n", "line 3: scopes[0]: is a value of 42 characters"},
		"role without value":      {good + "roles: [{description: x}]\n", "a role needs a value"},
		"role for nobody":         {good + "roles: [{value: A, for: []}]\n", "is for nobody"},
		"wrong cloud":             {good + "cloud: germany\n", "use public, usgov, dod or china"},
		"workload without issuer": {good + "proof:\n  workload-identity: {namespace: a, service-account: b}\n", "needs issuer, namespace and service-account"},
		"proxy of nobody":         {good + "proof: {secret: true}\nauth-proxy: true\n", "line 4: auth-proxy: is \"true\"; use api (the proxy signs clients in with the API's application) or own"},
		"proxy without proof":     {good + "auth-proxy: api\n", "auth-proxy needs proof"},
		"proxy on http":           {"name: files\nservers: [http://files.internal/mcp]\nproof: {secret: true}\nauth-proxy: own\n", "auth-proxy: the redirect URI of the server \"http://files.internal/mcp\" is \"http://files.internal/oauth/callback\"; http is for localhost only"},
		"secret as proxy":         {good + "auth-proxy: " + pasted + "\n", "is a value of 42 characters"},
		"placeholder":             {good + "display-name: a${api.id}\n", "has ${"},
		"alias":                   {good + "display-name: &a Files\ntenant: *a\n", "line 4: tenant: anchors and aliases are not read here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := setup.Read("f.yaml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Read(%q) = %v, want %q", c.text, err, c.want)
			}
			if strings.Contains(err.Error(), pasted[:8]) {
				t.Errorf("Read(%q) shows the secret: %v", c.text, err)
			}
		})
	}
}

// All faults are named at once.
func TestReadSeveralFaults(t *testing.T) {
	t.Parallel()
	_, err := setup.Read("f.yaml", []byte("name: a b\nservers: [x]\ntenant: y\nfoo: z\n"))
	for _, line := range []string{"line 1: name: is", "line 2: servers[0]: is", "line 3: tenant: is", "line 4: the key foo"} {
		if err == nil || !strings.Contains(err.Error(), line) {
			t.Errorf("Read = %v, want %q among the faults", err, line)
		}
	}
}

func TestFromFlagsBadInput(t *testing.T) {
	t.Parallel()
	servers := []string{"https://mcp.example.com/mcp"}
	for name, c := range map[string]struct {
		flags setup.Flags
		want  string
	}{
		"no name":           {setup.Flags{Servers: servers}, "name is missing"},
		"secret as an id":   {setup.Flags{Name: "files", Servers: servers, ManagedIdentity: pasted}, "-managed-identity is not a GUID"},
		"secret to adopt":   {setup.Flags{Name: "files", Servers: servers, Adopt: pasted}, "-adopt is not a GUID"},
		"graph":             {setup.Flags{Name: "files", Servers: servers, Resources: []string{"graph"}}, "-resource graph=User.Read"},
		"unknown client":    {setup.Flags{Name: "files", Servers: servers, Clients: []string{"vscoed"}}, "did you mean vscode?"},
		"server with slash": {setup.Flags{Name: "files", Servers: []string{"https://mcp.example.com/"}}, "-server is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := setup.FromFlags(c.flags)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), pasted[:8]) {
				t.Errorf("FromFlags(%+v) = %v, want %q", c.flags, err, c.want)
			}
		})
	}
}

// What the reader accepts makes a plan, and nothing of a refused file is repeated beyond what the
// errors quote.
func FuzzRead(f *testing.F) {
	complete, err := os.ReadFile("testdata/complete.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(complete)
	f.Add([]byte(good))
	f.Add([]byte(good + "clients: [inspector, claude: https://a.example/cb, {name: x1, platform: spa, redirects: 'http://localhost:1/'}]\n"))
	f.Add([]byte("name: &a [*a]\n"))
	f.Add([]byte(good + "proof: {secret: " + pasted + "}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := setup.Read("f.yaml", data)
		if err != nil {
			if len(err.Error()) > 4096+8*len(data)+512*bytes.Count(data, []byte("\n")) && len(data) < 1<<12 {
				t.Errorf("an error of %d bytes for %d bytes of YAML", len(err.Error()), len(data))
			}
			return
		}
		spec.Proof.Certificate = "" // a file
		plan := planOf(t, spec)
		if plan.Empty() {
			t.Errorf("a spec without a plan: %+v", spec)
		}
		if _, err := setup.ReadPlan(encode(t, plan)); err != nil {
			t.Errorf("a plan that can't be read back: %v", err)
		}
	})
}
