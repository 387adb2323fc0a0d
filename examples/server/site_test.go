package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/examples/internal/documented"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// startConfigured serves what an operator gets who sets these variables besides the ids of tenant
// and app.
func startConfigured(t *testing.T, variables ...string) *fixture {
	t.Helper()
	return start(t, func(w *world, c *serverconfig.Config) {
		all := with(variables...)
		all["TENANT_ID"], all["API_APP_ID"], all["AZURE_AUTHORITY_HOST"] = w.tenant.ID(), w.api.ClientID, w.tenant.AuthorityHost()
		for name, value := range all {
			all[name] = strings.ReplaceAll(value, "{api}", w.api.ClientID)
		}
		read, faults := serverconfig.Read(lookupIn(all), nil)
		if len(faults) > 0 {
			t.Fatalf("faults: %v", faults)
		}
		*c = read
	})
}

// send sends a request with these headers and returns its answer.
func (f *fixture) send(t *testing.T, method, path string, header http.Header, body string) (status int, answer http.Header, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, f.origin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Host = r.Header.Get("Host")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(data)
}

// Scopes begin with the resource URL where it is an App ID URI, in the metadata and in each
// challenge, whatever the order of the URIs.
func TestAdvertisedScopes(t *testing.T) {
	t.Parallel()
	const public, resource = "https://mcp.example.com", "https://mcp.example.com/mcp"
	for name, row := range map[string]struct {
		variables []string
		prefix    string // "" for the default App ID URI
		locksOut  bool   // clients that send resource
	}{
		"https":              {[]string{"PUBLIC_URL", public}, resource, false},
		"first":              {[]string{"PUBLIC_URL", public, "APP_ID_URIS", resource + ",api://{api}"}, resource, false},
		"last":               {[]string{"PUBLIC_URL", public, "APP_ID_URIS", "api://{api}, " + resource}, resource, false},
		"left out":           {[]string{"PUBLIC_URL", public, "APP_ID_URIS", "api://{api}"}, "", true},
		"in another case":    {[]string{"PUBLIC_URL", public, "APP_ID_URIS", "https://mcp.example.com/MCP,api://{api}"}, "", true},
		"http":               {nil, "", true},
		"http, of elsewhere": {[]string{"APP_ID_URIS", resource + ",api://{api}"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startConfigured(t, append(row.variables, "TOOL_POLICIES", "secure_ping scopes=Ping.Read; get_user_info any_scope=Info.Read,Info.All")...)
			prefix := row.prefix
			if prefix == "" {
				prefix = "api://" + f.api.ClientID
			}
			for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"} {
				var document struct {
					Resource string
					Scopes   []string `json:"scopes_supported"`
				}
				_, _, body := f.send(t, "GET", path, nil, "")
				if err := json.Unmarshal([]byte(body), &document); err != nil || !slices.Equal(document.Scopes, []string{prefix + "/access_as_user"}) {
					t.Errorf("%s: scopes %q of %q, %v; want %s/access_as_user", path, document.Scopes, document.Resource, err, prefix)
				}
			}
			token := f.tenant.Mint(f.api, 2, func(_, claims map[string]any) { claims["scp"] = "access_as_user" })
			for scope, call := range map[string]struct {
				tool   string
				header http.Header
				status int
			}{
				prefix + "/access_as_user":                          {"secure_ping", http.Header{}, 401},
				prefix + "/access_as_user " + prefix + "/Ping.Read": {"secure_ping", bearerHeader(token), 403},
				prefix + "/access_as_user " + prefix + "/Info.Read": {"get_user_info", bearerHeader(token), 403},
			} {
				status, answer, _ := f.send(t, "POST", "/mcp", call.header, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+call.tool+`"}}`)
				if challenge := answer.Get("WWW-Authenticate"); status != call.status || !strings.Contains(challenge, `scope="`+scope+`"`) {
					t.Errorf("%s: %d %s, want %d with scope %q", call.tool, status, challenge, call.status, scope)
				}
			}
			var log bytes.Buffer
			documented.WarnOfClients(slog.New(slog.NewTextHandler(&log, nil)), f.config, f.config.ResourceURL(f.origin), f.verifier)
			if got := strings.Contains(log.String(), "AADSTS9010010"); got != row.locksOut || row.locksOut != strings.Contains(log.String(), "VS Code") {
				t.Errorf("clients are locked out: %v, want %v\n%s", got, row.locksOut, log.String())
			}
			if row.prefix != "" && log.Len() > 0 {
				t.Errorf("a warning of clients, though none will be refused: %s", log.String())
			}
		})
	}
}

// What comes between clients and the server.
func TestSite(t *testing.T) {
	t.Parallel()
	f := startConfigured(t, "PUBLIC_URL", "https://mcp.example.com", "ALLOWED_HOSTS", "my-app.azurewebsites.net",
		"ALLOWED_ORIGINS", "https://app.example.com", "TRUSTED_PROXIES", "127.0.0.1")
	for name, row := range map[string]struct {
		header http.Header
		status int
	}{
		"the public host":       {http.Header{"Host": {"mcp.example.com"}}, 401},
		"an allowed host":       {http.Header{"Host": {"my-app.azurewebsites.net"}}, 401},
		"another host":          {http.Header{"Host": {"evil.example"}}, 403},
		"a proxy's host":        {http.Header{"Host": {"10.0.0.1"}, "X-Forwarded-Host": {"mcp.example.com"}}, 401},
		"a proxy's other host":  {http.Header{"Host": {"mcp.example.com"}, "X-Forwarded-Host": {"evil.example"}}, 403},
		"an allowed origin":     {http.Header{"Origin": {"https://app.example.com"}}, 401},
		"the server's own page": {http.Header{"Origin": {"https://mcp.example.com"}}, 401},
		"another origin":        {http.Header{"Origin": {"https://evil.example"}}, 403},
	} {
		if status, _, body := f.send(t, "POST", "/mcp", row.header, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); status != row.status {
			t.Errorf("%s: %d %s, want %d", name, status, body, row.status)
		}
	}
}

func TestSessionsAreAnOption(t *testing.T) {
	t.Parallel()
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`
	for value, want := range map[string]bool{"on": true, "off": false, "": false} {
		f := startConfigured(t, "SESSIONS", value)
		status, answer, body := f.send(t, "POST", "/mcp", bearerHeader(f.token(f.alice)), initialize)
		if got := answer.Get("Mcp-Session-Id") != ""; status != http.StatusOK || got != want {
			t.Errorf("SESSIONS=%q: %d, a session: %v, want %v\n%s", value, status, got, want, body)
		}
	}
}

// Each kind of requirement lets the right callers through, and no others.
func TestToolPolicies(t *testing.T) {
	t.Parallel()
	const group, client = "22222222-2222-2222-2222-222222222222", "33333333-3333-3333-3333-333333333333"
	type claims map[string]any
	for requirement, row := range map[string]struct {
		right  claims
		status int // without
	}{
		"scopes=Ping.Read,Ping.More":    {claims{"scp": "access_as_user Ping.Read Ping.More"}, 403},
		"any_scope=Ping.Read,Ping.More": {claims{"scp": "access_as_user Ping.More"}, 403},
		"roles=Reader,Admin":            {claims{"roles": []string{"Admin"}}, 403},
		"groups=" + group:               {claims{"groups": []string{group}}, 403},
		"clients=" + client:             {claims{"appid": client}, 403},
		"client_auth=secret":            {claims{"appidacr": "1"}, 403},
		"client_auth=certificate":       {claims{"appidacr": "2"}, 403},
		"auth_context=c1":               {claims{"acrs": []string{"c1"}}, 401},
	} {
		t.Run(requirement, func(t *testing.T) {
			t.Parallel()
			f := startConfigured(t, "TOOL_POLICIES", "secure_* "+requirement)
			for _, right := range []bool{true, false} {
				token := f.tenant.Mint(f.api, 1, func(_, all map[string]any) {
					all["xms_cc"] = []string{"cp1"}
					if right {
						maps.Copy(all, row.right)
					}
				})
				want := http.StatusOK
				if !right {
					want = row.status
				}
				if status, challenge, text := f.post(t, bearerHeader(token)); status != want {
					t.Errorf("with the right claims: %v: %d %s %s, want %d", right, status, challenge, text, want)
				}
			}
		})
	}
}
