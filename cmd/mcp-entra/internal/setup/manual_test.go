package setup

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

func manualSpec() (Spec, Outcome) {
	const server, appID = "https://mcp.example.com/mcp", "11111111-2222-3333-4444-555555555555"
	spec := Spec{
		Name: "notes", Cloud: "usgov", Servers: []string{server},
		Resources: []Resource{{Name: "storage"}, {Name: "graph"}},
		Proof:     Proof{ManagedIdentity: "identity-1", Workload: &WorkloadIdentity{Namespace: "prod", ServiceAccount: "notes"}},
	}
	return spec, Outcome{
		Tenant: "tenant-1", APIAppID: appID, Scope: server + "/access_as_user",
		Clients: []ClientOutcome{
			{Client: Client{ID: "vscode", AppID: "aebc6443-996d-45c2-90f0-388ff96faa56"}, ClientID: "aebc6443-996d-45c2-90f0-388ff96faa56"},
			{Client: Client{ID: "claude", Platform: "publicClient", Redirects: []string{"https://claude.ai/api/mcp/auth_callback"}}, ClientID: "client-public", App: "notes-public"},
			{Client: Client{ID: "copilotstudio", Platform: "web"}, ClientID: "client-web", App: "notes-web", Secret: true},
			{Client: Client{ID: "dashboard", Platform: "spa", Redirects: []string{"https://dash.example.com"}}, ClientID: "client-spa", App: "notes-spa"},
		},
	}
}

// With a proxy there is nothing to type in for each client.
func TestManualStepsWithProxy(t *testing.T) {
	t.Parallel()
	spec, outcome := manualSpec()
	spec.AuthProxy, spec.Proof, spec.Resources = proxyIsOwn, Proof{Secret: true}, nil
	var b strings.Builder
	PrintManual(&b, ManualSteps(spec, outcome))
	const want = `1. Give the server its secret, from the file of secrets
   https://learn.microsoft.com/entra/identity-platform/how-to-add-credentials
     ENTRA_APP_CLIENT_SECRET  in the file that -secret-file named
2. Give the server the secret of the proxy's application, from the file of secrets
   https://learn.microsoft.com/entra/identity-platform/how-to-add-credentials
     AUTH_PROXY_CLIENT_SECRET  in the file that -secret-file named
3. Give the server the key of its proxy, the same on all replicas, and keep it
   https://github.com/mcpentra/mcp-entra-go/blob/main/docs/authproxy.md#keys
     AUTH_PROXY_KEYS  in the file that -env named; without it: openssl rand -base64 32
4. Add the server to clients: they register themselves
   https://github.com/mcpentra/mcp-entra-go/blob/main/docs/clients.md
     URL  https://mcp.example.com/mcp
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestManualSteps(t *testing.T) {
	t.Parallel()
	spec, outcome := manualSpec()
	var b strings.Builder
	steps := ManualSteps(spec, outcome)
	PrintManual(&b, steps)
	const want = `1. Assign the user-assigned managed identity to the service that runs the server
   https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/overview
     client ID of the identity  identity-1
2. Let the server's pods use the Kubernetes service account
   https://learn.microsoft.com/azure/aks/workload-identity-overview
     service account    prod/notes
     annotation         azure.workload.identity/client-id: 11111111-2222-3333-4444-555555555555
     label of the pods  azure.workload.identity/use: "true"
3. Give users their role in Azure: the server acts as them in storage
   https://learn.microsoft.com/azure/storage/blobs/assign-azure-role-data-access
     role  Storage Blob Data Reader (or Contributor) on the account or container; Owner is not enough
4. Tell the example server which blobs to read, beside the variables above
   https://github.com/mcpentra/mcp-entra-go/blob/main/examples/server/README.md
     AZURE_STORAGE_ACCOUNT_URL  the Blob service's URL, among the account's endpoints
     AZURE_STORAGE_CONTAINER    the container's name
5. Add the server to VS Code (GitHub Copilot)
   https://github.com/mcpentra/mcp-entra-go/blob/main/docs/clients/vscode.md
     where  {"servers": {"notes": {"type": "http", "url": "https://mcp.example.com/mcp"}}} in .vscode/mcp.json
     URL    https://mcp.example.com/mcp
     scope  https://mcp.example.com/mcp/access_as_user
6. Add the server to Claude (claude.ai, Desktop)
   https://github.com/mcpentra/mcp-entra-go/blob/main/docs/clients/claude.md
     where                 Settings → Connectors → Add custom connector → Advanced settings → OAuth Client ID; leave the secret empty
     URL                   https://mcp.example.com/mcp
     client ID             client-public
     scope                 https://mcp.example.com/mcp/access_as_user
     redirect, registered  https://claude.ai/api/mcp/auth_callback
7. Add the server to Copilot Studio
   https://github.com/mcpentra/mcp-entra-go/blob/main/docs/clients/copilotstudio.md
     where                  Tools → Add a tool → New tool → Model Context Protocol → OAuth 2.0 → Manual
     URL                    https://mcp.example.com/mcp
     client ID              client-web
     client secret          in the secret file, of application notes-web
     authorization URL      https://login.microsoftonline.us/tenant-1/oauth2/v2.0/authorize
     token and refresh URL  https://login.microsoftonline.us/tenant-1/oauth2/v2.0/token
     scope                  https://mcp.example.com/mcp/access_as_user offline_access
8. Register the redirect that Copilot Studio shows: under redirects of client copilotstudio in the file, then apply again; or in the portal
   https://entra.microsoft.us/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Authentication/appId/client-web
     shown in  its dialog, once it is saved (https://global.consent.azure-apim.net/redirect/…, another for each connection)
     platform  Web
9. Add the server to dashboard
   https://github.com/mcpentra/mcp-entra-go/blob/main/docs/clients.md
     where                 its configuration
     URL                   https://mcp.example.com/mcp
     client ID             client-spa
     scope                 https://mcp.example.com/mcp/access_as_user
     redirect, registered  https://dash.example.com
`
	if got := b.String(); got != want {
		t.Errorf("manual steps are\n%s\nwant\n%s", got, want)
	}
}

// Each known client has its step, with its page.
func TestManualStepsOfAllClients(t *testing.T) {
	t.Parallel()
	for _, known := range knownclients.All() {
		c := ClientOutcome{Client: Client{ID: known.ID, Platform: known.Platform, Redirects: known.Redirects, AppID: known.AppID}, ClientID: "CLIENT-ID"}
		if known.Registered() {
			c.App = "notes-" + string(known.Platform)
		}
		steps := ManualSteps(Spec{Name: "notes", Servers: []string{"https://mcp.example.com/mcp"}}, Outcome{Scope: "https://mcp.example.com/mcp/access_as_user", Clients: []ClientOutcome{c}})
		if len(steps) == 0 || !strings.Contains(steps[0].Title, known.Name) || known.HasPage() != strings.HasSuffix(steps[0].Link, "/"+known.ID+".md") {
			t.Errorf("%s: manual steps are %+v", known.ID, steps)
			continue
		}
		asks := slices.ContainsFunc(steps[0].Enter, func(e Entry) bool { return e.Field == "client ID" })
		if asks != known.Registered() {
			t.Errorf("%s: it asks for a client ID: %v, want %v", known.ID, asks, known.Registered())
		}
		where := steps[0].Enter[0].Value
		if placeholder := regexp.MustCompile(`\{[A-Z_]+\}`).FindString(where); placeholder != "" {
			t.Errorf("%s: %s is not filled in: %s", known.ID, placeholder, where)
		}
		if known.ID == "cursor" && !strings.HasPrefix(where, `"auth": {"CLIENT_ID": "CLIENT-ID", "scopes": ["https://mcp.example.com/mcp/access_as_user"]}`) {
			t.Errorf("cursor: its key CLIENT_ID is lost: %s", where)
		}
	}
}
