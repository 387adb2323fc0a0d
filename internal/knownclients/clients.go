package knownclients

// Defects that several clients share.
var (
	refreshScope  = Defect{"AADSTS90009", "The refresh after about an hour fails, because it names no scope; the user signs in again."}
	bareScope     = Defect{"AADSTS650053", "Reconnecting can ask for the scope's short name, which Entra looks for in Microsoft Graph; remove the connection and add it anew."}
	promptConsent = Defect{"AADSTS90095", "It sends prompt=consent, which stops users who may not consent, whatever the administrator has granted."}
)

var clients = []Client{{
	ID: "vscode", Name: "VS Code (GitHub Copilot)", AppID: "aebc6443-996d-45c2-90f0-388ff96faa56",
	SendsResource: true, NeedsTenant: true,
	Type: `{"servers": {"{NAME}": {"type": "http", "url": "{URL}"}}} in .vscode/mcp.json`,
	Known: []Defect{
		{"AADSTS65001", "No consent page comes, so the API's own downstream permissions need an administrator's grant before its first use."},
		{"", "On Entra-joined Windows devices the broker can give it a token that is bound to the device (cnf), which no API takes as a bearer token; sign in with the browser or another account."},
	},
	Checked: "2026-11",
	Sources: []string{
		"https://learn.microsoft.com/azure/app-service/configure-authentication-mcp", "https://github.com/microsoft/vscode/issues/321249",
		"https://github.com/microsoft/vscode/issues/319673", "https://github.com/microsoft/vscode/issues/283453",
	},
}, {
	ID: "azurecli", Name: "Azure CLI (gets tokens)", AppID: "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
	Type:    "az account get-access-token --scope {SCOPE}",
	Checked: "2026-11",
	Sources: []string{"https://learn.microsoft.com/cli/azure/account#az-account-get-access-token"},
}, {
	ID: "claude", Name: "Claude (claude.ai, Desktop)", Platform: Public,
	Redirects: []string{"https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"},
	Hosted:    true, SendsResource: true,
	Type:    "Settings → Connectors → Add custom connector → Advanced settings → OAuth Client ID; leave the secret empty",
	Known:   []Defect{promptConsent, bareScope, refreshScope},
	Checked: "2026-11",
	Sources: []string{
		"https://github.com/anthropics/claude-ai-mcp/issues/894", "https://github.com/anthropics/claude-ai-mcp/issues/977",
		"https://github.com/anthropics/claude-code/issues/94804", "https://github.com/CyberDrain/CIPP/issues/583",
	},
}, {
	ID: "claudecode", Name: "Claude Code", Platform: Public,
	Redirects: []string{"http://localhost/callback"}, SendsResource: true,
	Type:    "claude mcp add --transport http --client-id {CLIENT_ID} --callback-port 8080 {NAME} {URL}",
	Known:   []Defect{promptConsent, bareScope, refreshScope},
	Checked: "2026-11",
	Sources: []string{
		"https://code.claude.com/docs/en/mcp", "https://github.com/anthropics/claude-code/issues/89438",
		"https://github.com/anthropics/claude-code/issues/94804",
	},
}, {
	ID: "chatgpt", Name: "ChatGPT", Platform: Public,
	RedirectShown: "its dialog, Advanced settings → Callback URL (https://chatgpt.com/connector/oauth/…, another for each connection)",
	Hosted:        true, SendsResource: true,
	Type:    "Settings → Apps → Create app (developer mode) → Authentication: OAuth → Advanced settings → User-defined OAuth client",
	Checked: "2026-11",
	Sources: []string{
		"https://developers.openai.com/plugins/build/auth", "https://developer.salesforce.com/docs/platform/hosted-mcp-servers/guide/chatgpt.html",
		"https://learn.microsoft.com/dynamics365/business-central/dev-itpro/ai/use-mcp-server-non-microsoft", "https://github.com/PrefectHQ/fastmcp/issues/4839",
	},
}, {
	ID: "cursor", Name: "Cursor", Platform: Public,
	Redirects: []string{
		"cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost/callback", "https://www.cursor.com/agents/mcp/oauth/callback",
	},
	SendsResource: true,
	Type:          `"auth": {"CLIENT_ID": "{CLIENT_ID}", "scopes": ["{SCOPE}"]} beside "url" in mcp.json`,
	Checked:       "2026-11",
	Sources: []string{
		"https://cursor.com/docs/mcp", "https://github.com/bytebase/bytebase/issues/20510", "https://github.com/different-ai/openwork/pull/3059",
	},
}, {
	ID: "copilotstudio", Name: "Copilot Studio", Platform: Web,
	RedirectShown: "its dialog, once it is saved (https://global.consent.azure-apim.net/redirect/…, another for each connection)",
	Hosted:        true,
	Type:          "Tools → Add a tool → New tool → Model Context Protocol → OAuth 2.0 → Manual",
	Known:         []Defect{refreshScope},
	Checked:       "2026-11",
	Sources: []string{
		"https://learn.microsoft.com/microsoft-copilot-studio/mcp-add-existing-server-to-agent", "https://github.com/CyberDrain/CIPP/issues/537",
	},
}, {
	ID: "foundry", Name: "Microsoft Foundry (OAuth identity passthrough)", Platform: Web,
	RedirectShown: "its dialog, once it is saved (https://global.consent.azure-apim.net/redirect/…, another for each connection)",
	Hosted:        true,
	Type:          "Tools → Connect a tool → Custom → MCP → OAuth Identity Passthrough; the secret is required, though its field says optional",
	Known:         []Defect{{"", "The connection does not refresh its token: calls fail after about an hour until the user signs in again."}},
	Checked:       "2026-11",
	Sources: []string{
		"https://learn.microsoft.com/azure/foundry/agents/how-to/mcp-authentication", "https://github.com/microsoft-foundry/new-foundry-portal/issues/109",
		"https://github.com/microsoft-foundry/new-foundry-portal/issues/63", "https://github.com/microsoft-foundry/new-foundry-portal/issues/134",
	},
}, {
	ID: "inspector", Name: "MCP Inspector", Platform: Public,
	Redirects: []string{"http://localhost/oauth/callback", "http://127.0.0.1:6276/oauth/callback"}, SendsResource: true,
	Type:    "npx @modelcontextprotocol/inspector --cli {URL} --transport http --client-id {CLIENT_ID} --method tools/list",
	Known:   []Defect{refreshScope},
	Run:     "interop/mcpclients",
	Checked: "2026-11",
	Sources: []string{"https://github.com/modelcontextprotocol/inspector/blob/main/clients/cli/README.md"},
}, {
	ID: "mcpremote", Name: "mcp-remote", Platform: Public,
	Redirects: []string{"http://localhost/oauth/callback"}, SendsResource: true, ResourceOff: "--disable-resource-parameter (0.1.43 and later)",
	Type:    `npx mcp-remote@latest {URL} --static-oauth-client-info '{"client_id": "{CLIENT_ID}"}'`,
	Known:   []Defect{promptConsent},
	Run:     "by hand, 2026-11-29",
	Checked: "2026-11",
	Sources: []string{"https://github.com/punkpeye/mcp-remote", "https://github.com/punkpeye/mcp-remote/issues/217"},
}, {
	ID: "gosdk", Name: "Go SDK (github.com/modelcontextprotocol/go-sdk)", Platform: Public,
	Redirects: []string{"http://localhost/callback"}, SendsResource: true, NeedsS256: true,
	Type:    "auth.AuthorizationCodeHandlerConfig.PreregisteredClient",
	Run:     "interop/mcpclients",
	Checked: "2026-11",
	Sources: []string{"https://pkg.go.dev/github.com/modelcontextprotocol/go-sdk@v1.8.0/auth"},
}, {
	ID: "typescriptsdk", Name: "TypeScript SDK (@modelcontextprotocol/client)", Platform: Public,
	Redirects: []string{"http://localhost/callback"}, SendsResource: true,
	Type:    "OAuthClientProvider.clientInformation",
	Known:   []Defect{refreshScope, promptConsent},
	Run:     "interop/mcpclients",
	Checked: "2026-11",
	Sources: []string{"https://github.com/modelcontextprotocol/typescript-sdk/issues/2718"},
}, {
	ID: "pythonsdk", Name: "Python SDK (mcp)", Platform: Public,
	Redirects: []string{"http://localhost/callback"}, SendsResource: true,
	Type:    "TokenStorage.get_client_info",
	Run:     "interop/mcpclients",
	Checked: "2026-11",
	Sources: []string{"https://github.com/modelcontextprotocol/python-sdk"},
}, {
	ID: "fastmcp", Name: "FastMCP client", Platform: Public,
	Redirects: []string{"http://localhost/callback"}, SendsResource: true,
	Type:    "fastmcp.client.auth.OAuth(client_id=\"{CLIENT_ID}\")",
	Run:     "interop/mcpclients",
	Checked: "2026-11",
	Sources: []string{"https://gofastmcp.com/clients/auth/oauth"},
}}
