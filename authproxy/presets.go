package authproxy

// A Preset is a dated list of the redirects of a known client. A client whose redirects are all in
// one preset is shown under the preset's name, without a warning. A preset never loosens the
// comparison of redirects: a client may use only those that it has registered.
type Preset struct {
	// Name is the client's name on the consent page.
	Name string
	// Date is when the list was last compared with its sources, such as "2026-11-29".
	Date string
	// Redirects are exact redirect URIs. One "*" may stand for a whole path segment of an https
	// redirect, for clients that use another one for each connection. An http redirect on loopback
	// without a port stands for any port.
	Redirects []string
}

// CursorRedirect is the redirect URI of Cursor's desktop app, which has a private scheme; see
// Options.PrivateSchemes.
const CursorRedirect = "cursor://anysphere.cursor-mcp/oauth/callback"

// forwarders are hosts of known clients whose redirects hand the answer on to a program that the state
// names. An approval of one is worth no more than one of loopback.
var forwarders = []string{"vscode.dev", "insiders.vscode.dev"}

// KnownClients returns the presets of clients whose redirects are known. Clients that listen on a
// random port of the user's computer, such as Claude Code and mcp-remote, have none: any program
// could register the same. The sources are in internal/knownclients.
func KnownClients() []Preset {
	return []Preset{{
		Name: "Claude", Date: "2026-11-29",
		Redirects: []string{"https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"},
	}, {
		Name: "ChatGPT", Date: "2026-11-29",
		Redirects: []string{"https://chatgpt.com/connector_platform_oauth_redirect", "https://chatgpt.com/connector/oauth/*"},
	}, {
		Name: "VS Code", Date: "2026-11-29",
		Redirects: []string{
			"https://vscode.dev/redirect", "https://insiders.vscode.dev/redirect",
			"http://127.0.0.1:33418", "http://127.0.0.1:33418/", "http://127.0.0.1/",
			"http://localhost:33418", "http://localhost:33418/", "http://localhost/",
		},
	}, {
		Name: "Cursor", Date: "2026-11-29",
		Redirects: []string{CursorRedirect, "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"},
	}, {
		Name: "Copilot Studio", Date: "2026-11-29",
		Redirects: []string{"https://global.consent.azure-apim.net/redirect", "https://global.consent.azure-apim.net/redirect/*"},
	}, {
		Name: "MCP Inspector", Date: "2026-11-29",
		Redirects: []string{
			"http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug",
			"http://127.0.0.1:6274/oauth/callback", "http://127.0.0.1:6276/oauth/callback",
		},
	}}
}
