package knownclients

// Defects that several clients share.
var (
	refreshScope = Defect{"AADSTS90009", "After about an hour the refresh fails, because it repeats no scope; the user signs in again."}
	bareScope    = Defect{"AADSTS650053", "Reconnecting can ask for the scope's short name, which Entra looks for in Microsoft Graph; remove the connection and add it anew."}
)

var clients = []Client{{
	ID: "vscode", Name: "VS Code (GitHub Copilot)", AppID: "aebc6443-996d-45c2-90f0-388ff96faa56",
	SendsResource: true, NeedsTenant: true,
	Type: `nothing: "servers": {"NAME": {"type": "http", "url": "https://HOST/mcp"}} in .vscode/mcp.json`,
	Known: []Defect{
		{"", "On Entra-joined Windows devices the broker can give it a token that is bound to the device (cnf), which no API takes as a bearer token; sign in with the browser or another account."},
		{"AADSTS65001", "The API's own downstream permissions need an administrator's grant before its first use: no consent page comes."},
	},
	Checked: "2026-11",
	Sources: []string{
		"https://github.com/microsoft/vscode/issues/321249", "https://github.com/microsoft/vscode/issues/319673",
		"https://github.com/microsoft/vscode/issues/283453", "https://learn.microsoft.com/azure/app-service/configure-authentication-mcp",
	},
}, {
	ID: "azurecli", Name: "Azure CLI (gets tokens)", AppID: "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
	Type:    "nothing: az account get-access-token --scope SCOPE",
	Checked: "2026-11",
	Sources: []string{"https://learn.microsoft.com/cli/azure/account#az-account-get-access-token"},
}, {
	ID: "claude", Name: "Claude (claude.ai, Desktop)", Platform: Public,
	Redirects: []string{"https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"},
	Hosted:    true, SendsResource: true,
	Type: "Add custom connector → Advanced settings → OAuth Client ID; leave the secret empty",
	Known: []Defect{
		bareScope,
		{"AADSTS7000218", "With its redirect on the web platform and no secret in the dialog, the code can't be redeemed."},
	},
	Checked: "2026-11",
	Sources: []string{
		"https://github.com/anthropics/claude-ai-mcp/issues/894", "https://github.com/anthropics/claude-ai-mcp/issues/977",
		"https://github.com/anthropics/claude-ai-mcp/issues/1000", "https://github.com/anthropics/claude-ai-mcp/issues/517",
	},
}, {
	ID: "claudecode", Name: "Claude Code", Platform: Public,
	Redirects: []string{"http://localhost/callback"}, SendsResource: true,
	Type:    "claude mcp add --transport http --client-id CLIENT_ID --callback-port 8080 NAME URL",
	Known:   []Defect{bareScope},
	Checked: "2026-11",
	Sources: []string{"https://code.claude.com/docs/en/mcp", "https://github.com/anthropics/claude-code/issues/89438"},
}, {
	ID: "chatgpt", Name: "ChatGPT", Platform: Web,
	RedirectShown: "its dialog: Advanced settings → Callback URL (https://chatgpt.com/connector/oauth/…, another for each connection)",
	Hosted:        true, SendsResource: true,
	Type:    "Settings → Apps → Create app (developer mode) → OAuth → Advanced settings → User-defined OAuth client",
	Checked: "2026-11",
	Sources: []string{"https://developers.openai.com/apps-sdk/build/auth", "https://developer.salesforce.com/docs/platform/hosted-mcp-servers/guide/chatgpt.html"},
}, {
	ID: "cursor", Name: "Cursor", Platform: Public,
	Redirects:     []string{"cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost/callback"},
	SendsResource: true,
	Type:          `"auth": {"CLIENT_ID": "…", "scopes": ["…"]} beside "url" in mcp.json`,
	Checked:       "2026-11",
	Sources:       []string{"https://cursor.com/docs/mcp"},
}, {
	ID: "copilotstudio", Name: "Copilot Studio", Platform: Web,
	RedirectShown: "its dialog, after Create (https://global.consent.azure-apim.net/redirect/…, another for each connection)",
	Hosted:        true,
	Type:          "Add a tool → Model Context Protocol → OAuth 2.0 → Manual",
	Known:         []Defect{refreshScope},
	Checked:       "2026-11",
	Sources:       []string{"https://learn.microsoft.com/microsoft-copilot-studio/mcp-add-existing-server-to-agent", "https://github.com/CyberDrain/CIPP/issues/537"},
}, {
	ID: "foundry", Name: "Microsoft Foundry (OAuth identity passthrough)", Platform: Web,
	RedirectShown: "its dialog, after the connection is saved",
	Hosted:        true,
	Type:          "Tools → Connect a tool → Custom → MCP → OAuth Identity Passthrough",
	Known:         []Defect{{"", "The connection does not refresh; each user signs in again when the token ends."}},
	Checked:       "2026-11",
	Sources:       []string{"https://learn.microsoft.com/azure/foundry/agents/how-to/mcp-authentication"},
}, {
	ID: "inspector", Name: "MCP Inspector", Platform: Public,
	Redirects: []string{"http://localhost:6274/oauth/callback"}, SendsResource: true,
	Type:    "mcp-inspector --cli URL --transport http --client-id CLIENT_ID --callback-url http://localhost:6274/oauth/callback",
	Known:   []Defect{refreshScope},
	Run:     true,
	Checked: "2026-11",
	Sources: []string{"https://github.com/modelcontextprotocol/inspector"},
}, {
	ID: "mcpremote", Name: "mcp-remote", Platform: Public,
	Redirects: []string{"http://localhost/oauth/callback"}, SendsResource: true, ResourceOff: "--disable-resource-parameter (0.1.43 and later)",
	Type:    `npx mcp-remote URL 3334 --static-oauth-client-info '{"client_id": "CLIENT_ID"}'`,
	Checked: "2026-11",
	Sources: []string{"https://github.com/punkpeye/mcp-remote/issues/217"},
}, {
	ID: "gosdk", Name: "Go SDK (github.com/modelcontextprotocol/go-sdk)", Platform: Public,
	Redirects: []string{"http://localhost/callback"}, SendsResource: true, NeedsS256: true,
	Type:    "auth.AuthorizationCodeHandlerConfig.PreregisteredClient",
	Run:     true,
	Checked: "2026-11",
	Sources: []string{"https://pkg.go.dev/github.com/modelcontextprotocol/go-sdk@v1.8.0/auth"},
}, {
	ID: "typescriptsdk", Name: "TypeScript SDK", Platform: Public,
	Redirects: []string{"http://localhost/callback"}, SendsResource: true,
	Type:    "OAuthClientProvider.clientInformation",
	Known:   []Defect{refreshScope},
	Run:     true,
	Checked: "2026-11",
	Sources: []string{"https://github.com/modelcontextprotocol/typescript-sdk/issues/2718"},
}, {
	ID: "pythonsdk", Name: "Python SDK", Platform: Public,
	Redirects: []string{"http://localhost/callback"}, SendsResource: true,
	Type:    "TokenStorage.get_client_info",
	Run:     true,
	Checked: "2026-11",
	Sources: []string{"https://github.com/modelcontextprotocol/python-sdk"},
}, {
	ID: "fastmcp", Name: "FastMCP client", Platform: Public,
	Redirects: []string{"http://localhost/callback"}, SendsResource: true,
	Type:    "fastmcp.client.auth.OAuth",
	Run:     true,
	Checked: "2026-11",
	Sources: []string{"https://gofastmcp.com/clients/auth/oauth"},
}}
