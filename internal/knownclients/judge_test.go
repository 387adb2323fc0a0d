package knownclients_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

const (
	endpoint = "https://mcp.example.com/mcp"
	appID    = "11111111-2222-3333-4444-555555555555"
	issuer   = "https://login.microsoftonline.com/12345678-1234-1234-1234-123456789abc/v2.0"
	vscode   = "aebc6443-996d-45c2-90f0-388ff96faa56"
)

// good is a server that is set up as mcp-entra setup does it.
func good(change ...func(*knownclients.Server)) knownclients.Server {
	s := knownclients.Server{
		Resource: endpoint, Scopes: []string{endpoint + "/access_as_user"}, AuthorizationServers: []string{issuer},
		CodeChallengeMethods: []string{"S256"}, ClientID: appID, AppIDURIs: []string{endpoint, "api://" + appID},
		PreAuthorized: []string{vscode, "04B07795-8ddb-461a-bbee-02f9e1bf7b46"}, TokenVersion: 2,
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

// proxied is a server whose clients sign in through it, with api:// as its only App ID URI.
func proxied(change ...func(*knownclients.Server)) knownclients.Server {
	return good(append([]func(*knownclients.Server){func(s *knownclients.Server) {
		s.AuthProxy, s.AuthorizationServers, s.AppIDURIs = true, []string{"https://mcp.example.com"}, []string{"api://" + appID}
		s.Scopes, s.PreAuthorized, s.CodeChallengeMethods = []string{"api://" + appID + "/access_as_user"}, []string{}, nil
	}}, change...)...)
}

func TestJudge(t *testing.T) {
	t.Parallel()
	type server = knownclients.Server
	for name, c := range map[string]struct {
		client         string
		server         server
		outcome        knownclients.Outcome
		code           string
		sent, expected string
		says           string // part of the verdict as text
	}{
		"pre-authorized":    {client: "vscode", server: good(), outcome: knownclients.Works},
		"in another case":   {client: "azurecli", server: good(), outcome: knownclients.Works},
		"registered":        {client: "claude", server: good(), outcome: knownclients.WorksWithID},
		"standard scopes":   {client: "claude", server: good(func(s *server) { s.Scopes = append(s.Scopes, "openid", "offline_access") }), outcome: knownclients.WorksWithID},
		"a page below":      {client: "claude", server: good(func(s *server) { s.URL = endpoint + "/v2" }), outcome: knownclients.WorksWithID},
		"nothing read":      {client: "vscode", server: good(func(s *server) { s.AppIDURIs, s.PreAuthorized = nil, nil }), outcome: knownclients.Works, says: "provided that " + endpoint + " is an App ID URI of the API, and the API pre-authorizes " + vscode},
		"metadata not read": {client: "gosdk", server: good(func(s *server) { s.CodeChallengeMethods = nil }), outcome: knownclients.WorksWithID, says: "provided that its HTTP client adds"},
		"api:// alone": {
			client: "vscode", server: good(func(s *server) { s.AppIDURIs = []string{"api://" + appID} }), outcome: knownclients.Refused, code: "AADSTS9010010",
			sent: endpoint, expected: "api://" + appID, says: "Add the URL to the App ID URIs",
		},
		"version 1": {
			client: "claude", server: good(func(s *server) { s.AppIDURIs, s.TokenVersion = []string{"api://" + appID}, 1 }), outcome: knownclients.Refused, code: "AADSTS9010010",
			sent: endpoint, expected: "api://" + appID, says: "requestedAccessTokenVersion to 2, then",
		},
		"no App ID URI": {
			client: "claude", server: good(func(s *server) { s.AppIDURIs = []string{} }), outcome: knownclients.Refused, code: "AADSTS9010010",
			sent: endpoint, expected: "(the API has no App ID URI)",
		},
		"another case": {
			client: "cursor", server: good(func(s *server) { s.AppIDURIs = []string{"api://" + appID, "https://mcp.example.com/MCP"} }), outcome: knownclients.Refused, code: "AADSTS9010010",
			sent: endpoint, expected: "https://mcp.example.com/MCP",
		},
		"a slash": {
			client: "cursor", server: good(func(s *server) { s.Resource, s.Scopes = endpoint+"/", []string{endpoint + "//access_as_user"} }), outcome: knownclients.Refused, code: "AADSTS9010010",
			sent: endpoint + "/", expected: endpoint, says: "without its last slash",
		},
		"http": {
			client: "inspector", server: good(func(s *server) { s.Resource = "http://localhost:8080/mcp" }), outcome: knownclients.Refused, code: "AADSTS9010010",
			sent: "http://localhost:8080/mcp", expected: endpoint, says: "Serve https",
		},
		"a way around":       {client: "mcpremote", server: good(func(s *server) { s.AppIDURIs = []string{"api://" + appID} }), outcome: knownclients.Refused, code: "AADSTS9010010", sent: endpoint, expected: "api://" + appID, says: "--disable-resource-parameter"},
		"http for the cloud": {client: "chatgpt", server: good(func(s *server) { s.Resource = "http://localhost:8080/mcp" }), outcome: knownclients.Refused, says: "can't reach http://localhost:8080/mcp"},
		"https on loopback":  {client: "foundry", server: good(func(s *server) { s.Resource = "https://127.0.0.1:8080/mcp" }), outcome: knownclients.Refused, says: "public host"},
		"scope typed in": {
			client: "copilotstudio", server: good(func(s *server) { s.AppIDURIs, s.Scopes = []string{"api://" + appID}, nil }), outcome: knownclients.WorksWithID,
		},
		"another prefix": {
			client: "claudecode", server: good(func(s *server) { s.Scopes = []string{"api://" + appID + "/access_as_user"} }), outcome: knownclients.Refused, code: "AADSTS9010010",
			sent: "api://" + appID + "/access_as_user", expected: endpoint + "/access_as_user", says: "another App ID URI",
		},
		"a bare scope": {
			client: "claude", server: good(func(s *server) { s.Scopes = []string{"access_as_user"} }), outcome: knownclients.Refused, code: "AADSTS9010010",
			sent: "access_as_user", expected: endpoint + "/access_as_user", says: "bare name",
		},
		"no scope":                           {client: "claude", server: good(func(s *server) { s.Scopes = nil }), outcome: knownclients.Refused, code: "AADSTS900144"},
		"no server":                          {client: "claude", server: good(func(s *server) { s.AuthorizationServers = nil }), outcome: knownclients.Refused, says: "no authorization server"},
		"a proxy for sign-in":                {client: "claude", server: good(func(s *server) { s.AuthorizationServers = []string{"https://mcp.example.com"} }), outcome: knownclients.OtherProvider},
		"our proxy":                          {client: "claude", server: proxied(), outcome: knownclients.Works},
		"our proxy, preauthorized elsewhere": {client: "vscode", server: proxied(), outcome: knownclients.Works},
		"our proxy, a strict client":         {client: "gosdk", server: proxied(), outcome: knownclients.Works},
		"our proxy, a scheme of its own":     {client: "cursor", server: proxied(), outcome: knownclients.Works, says: "provided that AUTH_PROXY_PRIVATE_SCHEMES (authproxy.Options.PrivateSchemes) has cursor://anysphere.cursor-mcp/oauth/callback"},
		"our proxy, a scope typed in":        {client: "copilotstudio", server: proxied(), outcome: knownclients.OtherProvider},
		"our proxy, on this machine":         {client: "chatgpt", server: proxied(func(s *server) { s.Resource = "http://localhost:8000/mcp" }), outcome: knownclients.Refused, says: "can't reach"},
		"our proxy, another URL":             {client: "claude", server: proxied(func(s *server) { s.URL = "https://www.example.com/mcp" }), outcome: knownclients.Refused, sent: "https://www.example.com/mcp", expected: endpoint},
		"many tenants":                       {client: "vscode", server: good(func(s *server) { s.AuthorizationServers = []string{"https://login.microsoftonline.com/common/v2.0"} }), outcome: knownclients.Refused, code: "AADSTS500011"},
		"many, to others": {client: "claude", server: good(func(s *server) {
			s.AuthorizationServers = []string{"https://login.microsoftonline.com/organizations/v2.0"}
		}), outcome: knownclients.WorksWithID},
		"no S256":                {client: "gosdk", server: good(func(s *server) { s.CodeChallengeMethods = []string{} }), outcome: knownclients.Refused, says: "code_challenge_methods_supported"},
		"no S256, to others":     {client: "pythonsdk", server: good(func(s *server) { s.CodeChallengeMethods = []string{} }), outcome: knownclients.WorksWithID},
		"another URL":            {client: "claude", server: good(func(s *server) { s.URL = "https://www.example.com/mcp" }), outcome: knownclients.Refused, sent: "https://www.example.com/mcp", expected: endpoint},
		"not pre-authorized":     {client: "vscode", server: good(func(s *server) { s.PreAuthorized = []string{} }), outcome: knownclients.Refused, code: "AADSTS65001", says: "Add " + vscode},
		"a path, but no version": {client: "claude", server: good(func(s *server) { s.AuthorizationServers = []string{strings.TrimSuffix(issuer, "/v2.0") + "/mcp"} }), outcome: knownclients.OtherProvider},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, ok := knownclients.ByID(c.client)
			if !ok {
				t.Fatalf("there is no client %q", c.client)
			}
			v := knownclients.Judge(client, c.server)
			if v.Outcome != c.outcome || v.Code != c.code || v.Sent != c.sent || v.Expected != c.expected {
				t.Errorf("Judge(%s) = %s %s, sent %q, expected %q; want %s %s, %q, %q", c.client, v.Outcome, v.Code, v.Sent, v.Expected, c.outcome, c.code, c.sent, c.expected)
			}
			if !strings.Contains(v.String(), c.says) {
				t.Errorf("verdict is %q, want it to say %q", v, c.says)
			}
			if v.Outcome == knownclients.Refused && (v.Because == "" || v.Fix == "") {
				t.Errorf("refused without reason or remedy: %+v", v)
			}
		})
	}
}

func TestLockedOut(t *testing.T) {
	t.Parallel()
	if out := knownclients.LockedOut(good()); len(out) != 0 {
		t.Errorf("a good server locks out %v", out)
	}
	out := knownclients.LockedOut(good(func(s *knownclients.Server) { s.AppIDURIs = []string{"api://" + appID} }))
	var ids []string
	for _, v := range out {
		ids = append(ids, v.Client.ID)
	}
	if !slices.Contains(ids, "vscode") || !slices.Contains(ids, "claude") || slices.Contains(ids, "azurecli") || slices.Contains(ids, "foundry") {
		t.Errorf("a server with api:// alone locks out %v", ids)
	}
	if causes := knownclients.Causes(out); len(causes) != 2 || len(causes[0].Clients) != len(out)-1 || !strings.HasPrefix(causes[0].Because, "it sends the server's URL") {
		t.Errorf("the causes are %v, want one for all but mcp-remote, which has a fix of its own", causes)
	}
}

func ExampleJudge() {
	client, _ := knownclients.ByID("claude")
	fmt.Println(knownclients.Judge(client, knownclients.Server{
		Resource:             "https://mcp.example.com/mcp",
		Scopes:               []string{"api://11111111-2222-3333-4444-555555555555/access_as_user"},
		AuthorizationServers: []string{"https://login.microsoftonline.com/12345678-1234-1234-1234-123456789abc/v2.0"},
		AppIDURIs:            []string{"api://11111111-2222-3333-4444-555555555555"},
	}))
	// Output:
	// Claude (claude.ai, Desktop): will be refused, AADSTS9010010, because it sends the server's URL as resource, which is not an App ID URI of the API
	//     sent:     https://mcp.example.com/mcp
	//     expected: api://11111111-2222-3333-4444-555555555555
	//     fix: Add the URL to the App ID URIs: mcp-entra setup apply.
}
