package mcpentra_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// The scopes of the server in this file, as Entra wants them: in full.
const (
	basicScope = resourceURL + "/access_as_user"
	notesScope = resourceURL + "/notes_write"
	specMeta   = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
)

// newSpecWorld is a world whose API is registered under the server's own URL, so
// that the resource parameter of RFC 8707 is right, with a tool that needs more
// than the rest: write_note.
func newSpecWorld(t *testing.T) *world {
	t.Helper()
	w := &world{tenant: entratest.NewTenant(nil), log: &lines{}}
	t.Cleanup(w.tenant.Close)
	w.alice = w.tenant.AddUser("alice@contoso.example", "Alice")
	w.api = w.tenant.AddApp("MCP server", "access_as_user", "notes_write", "notes_admin")
	w.api.AppIDURIs = []string{resourceURL}
	w.client = w.tenant.AddClient("MCP client")
	w.client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost/callback")
	verifier, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(), AppIDURIs: []string{resourceURL},
		ImpliedScopes: map[string][]string{"notes_admin": {"notes_write"}},
	})
	must(t, err)
	t.Cleanup(func() { _ = verifier.Close() })
	w.verifier = verifier
	write := mcpentra.Tool(&mcp.Tool{Name: "write_note", Description: "Writes a note."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "written"}}}, nil, nil
		})
	w.server, err = mcpentra.NewServer(resourceURL, verifier, mcpentra.WithLogger(w.logger()),
		mcpentra.WithTools(mcpentra.IdentityTools(verifier), write),
		mcpentra.WithToolPolicy("write_note", entraauth.Policy{Scopes: []string{"access_as_user", "notes_write"}}))
	must(t, err)
	w.url = serve(t, w.server) + "/mcp"
	return w
}

// A modernCall is tools/call of protocol 2026-07-28, with its headers.
func modernCall(tool, authorization string) (body string, header map[string]string) {
	body = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + tool + `","arguments":{},"_meta":{
		"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},
		"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}}}}`
	header = map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool}
	if authorization != "" {
		header["Authorization"] = authorization
	}
	return body, header
}

// What a protected server owes its clients by the authorization specification of
// 2026-07-28 and that of the transport, and the conformance suite does not ask
// for: each row names the section that it shows. "authorization" is
// modelcontextprotocol.io/specification/2026-07-28/basic/authorization.
func TestAuthorizationSpecification(t *testing.T) {
	t.Parallel()
	w := newSpecWorld(t)
	token := func(scopes ...string) string {
		return "Bearer " + w.tenant.Token(w.alice, w.client, w.api, scopes...)
	}
	minted := func(change func(claims map[string]any)) string {
		return "Bearer " + w.tenant.Mint(w.api, 1, func(_, claims map[string]any) { change(claims) })
	}
	basic := token("access_as_user")
	challenge := func(scope, code string) map[string]string {
		c := map[string]string{"resource_metadata": specMeta, "scope": scope}
		if code != "" {
			c["error"] = code
		}
		return c
	}
	for _, row := range []struct {
		section string
		shows   string
		tool    string // secure_ping if empty
		auth    string
		header  map[string]string
		query   string
		status  int
		params  map[string]string // of the challenge, beside error_description; nil: there is none
	}{
		{"authorization#authorization-flow-steps", "no token: 401 that names the metadata", "", "", nil, "", 401, challenge(basicScope, "")},
		{"authorization#scope-selection-strategy", "the first challenge asks for the least, whatever the tool needs", "write_note", "", nil, "", 401, challenge(basicScope, "")},
		{"authorization#token-requirements", "a token in the query: 400, however good", "", "", nil, "?access_token=" + strings.TrimPrefix(basic, "Bearer "), 400, map[string]string{"error": "invalid_request", "resource_metadata": specMeta}},
		{"authorization#token-requirements", "a token in the header counts", "", basic, nil, "", 200, nil},
		{"authorization#token-handling", "a token that is none", "", "Bearer x", nil, "", 401, challenge(basicScope, "invalid_token")},
		{"authorization#token-handling", "an expired token", "", minted(func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }), nil, "", 401, challenge(basicScope, "invalid_token")},
		{"authorization#token-handling", "a token of another issuer", "", minted(func(c map[string]any) { c["iss"] = "https://sts.windows.net/" + w.alice.ObjectID + "/" }), nil, "", 401, challenge(basicScope, "invalid_token")},
		{"authorization/security-considerations#token-audience-binding-and-validation", "a token for another resource", "", "Bearer " + w.tenant.Mint(w.tenant.Storage(), 1, nil), nil, "", 401, challenge(basicScope, "invalid_token")},
		{"authorization#error-handling", "another scheme than Bearer is no token", "", "Basic YTpi", nil, "", 401, challenge(basicScope, "")},
		{"authorization#runtime-insufficient-scope-errors", "too little for any tool: 403 with the scopes", "", token("notes_write"), nil, "", 403, challenge(basicScope, "insufficient_scope")},
		{"authorization#runtime-insufficient-scope-errors", "too little for this tool: 403 with all scopes that it needs, at once", "write_note", basic, nil, "", 403, challenge(basicScope+" "+notesScope, "insufficient_scope")},
		{"authorization#step-up-authorization-flow", "a broader scope implies narrower ones: it passes", "write_note", token("access_as_user", "notes_admin"), nil, "", 200, nil},
		{"authorization#step-up-authorization-flow", "with those scopes the same request passes", "write_note", token("access_as_user", "notes_write"), nil, "", 200, nil},
		{"transports/streamable-http#security-&-endpoint", "a foreign Origin: 403, whoever calls", "", basic, map[string]string{"Origin": "https://evil.example"}, "", 403, nil},
		{"transports/streamable-http#security-&-endpoint", "a sandbox's Origin: 403", "", basic, map[string]string{"Origin": "null"}, "", 403, nil},
		{"transports/streamable-http#security-&-endpoint", "a rebound Host: 403", "", basic, map[string]string{"Host": "evil.example"}, "", 403, nil},
		{"transports/streamable-http#security-&-endpoint", "the server's own Origin", "", basic, map[string]string{"Origin": "https://mcp.example.com"}, "", 200, nil},
		{"transports/streamable-http#server-validation", "a header that names another tool than the body: 400", "write_note", basic, map[string]string{"Mcp-Name": "secure_ping"}, "", 400, nil},
		{"transports/streamable-http#server-validation", "the same, where either tool is allowed: 400", "get_user_info", basic, map[string]string{"Mcp-Name": "secure_ping"}, "", 400, nil},
	} {
		t.Run(row.section+" "+row.shows, func(t *testing.T) {
			tool := row.tool
			if tool == "" {
				tool = "secure_ping"
			}
			body, header := modernCall(tool, row.auth)
			maps.Copy(header, row.header)
			status, answer, text := do(t, http.MethodPost, w.url+row.query, body, header)
			if status != row.status {
				t.Errorf("got %d %s, want %v", status, text, row.status)
			}
			got := challengeOf(t, answer)
			if !maps.Equal(got, row.params) {
				t.Errorf("challenge %v, want %v", got, row.params)
			}
			if strings.Contains(answer.Get("WWW-Authenticate")+text, "offline_access") { // authorization#refresh-tokens
				t.Error("a challenge asks for offline_access")
			}
			if status != http.StatusOK && decode(t, text)["error"] == nil {
				t.Errorf("got %s, want a JSON-RPC error", text)
			}
		})
	}
}

// challengeOf returns the parameters of the Bearer challenge but for its
// description, as the SDK's client reads them; nil if there is none.
func challengeOf(t *testing.T, h http.Header) map[string]string {
	t.Helper()
	values := h.Values("WWW-Authenticate")
	if len(values) == 0 {
		return nil
	}
	all, err := oauthex.ParseWWWAuthenticate(values)
	must(t, err)
	if len(all) != 1 || !strings.EqualFold(all[0].Scheme, "bearer") {
		t.Fatalf("challenges %v, want one, bearer", values)
	}
	params := all[0].Params
	delete(params, "error_description")
	delete(params, "authorization_uri") // an addition of Entra's own clients
	return params
}

// The way from a URL to a result, as authorization#authorization-flow-steps has
// it, with what the server and Entra serve and nothing known beforehand but the
// client's registration.
func TestDiscoveryOrder(t *testing.T) {
	t.Parallel()
	w := newSpecWorld(t)
	// 1. A request without token is answered with where the metadata is.
	body, header := modernCall("secure_ping", "")
	_, answer, _ := w.post(t, body, header)
	first := challengeOf(t, answer)

	// 2. The metadata is there, and at the root, and is about this very URL.
	metadata := w.metadata(t, first["resource_metadata"])
	root := w.metadata(t, "https://mcp.example.com/.well-known/oauth-protected-resource")
	if metadata.Resource != resourceURL || root.Resource != resourceURL || len(metadata.AuthorizationServers) == 0 {
		t.Fatalf("got %+v, at the root %+v; want %v, some authorizationservers, %v", metadata, root, resourceURL, resourceURL)
	}
	if !slices.Equal(metadata.ScopesSupported, []string{basicScope}) || first["scope"] != basicScope {
		t.Errorf("scopes_supported %v, challenge %s; want %q, %v", metadata.ScopesSupported, first["scope"], []string{basicScope}, basicScope)
	}

	// 3. The authorization server's metadata, at the places where clients look in
	// turn (authorization-server-metadata-discovery): Entra has the last one.
	issuer, err := url.Parse(metadata.AuthorizationServers[0])
	must(t, err)
	entra := w.tenant.HTTPClient()
	var found struct {
		Issuer        string `json:"issuer"`
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
	}
	for _, place := range []string{
		"/.well-known/oauth-authorization-server" + issuer.Path, "/.well-known/openid-configuration" + issuer.Path, issuer.Path + "/.well-known/openid-configuration",
	} {
		at := *issuer
		at.Path = place
		if data, ok := fetch(t, entra, at.String(), nil); ok {
			must(t, json.Unmarshal(data, &found))
		}
	}
	if found.Issuer != issuer.String() {
		t.Fatalf("the metadata of %s is of %q, want the same issuer", issuer, found.Issuer)
	}

	// 4. The user signs in; code, PKCE and resource are redeemed.
	const verifier, redirect = "a-verifier-of-at-least-forty-three-characters", "http://localhost:33418/callback"
	sum := sha256.Sum256([]byte(verifier))
	back, err := w.tenant.Browser(w.alice).Open(t.Context(), found.Authorization+"?"+url.Values{
		"response_type": {"code"}, "client_id": {w.client.ClientID}, "redirect_uri": {redirect}, "scope": {first["scope"]}, "resource": {metadata.Resource},
		"state": {"s"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode())
	must(t, err)
	data, ok := fetch(t, entra, found.Token, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "client_id": {w.client.ClientID}, "redirect_uri": {redirect},
		"code_verifier": {verifier}, "resource": {metadata.Resource},
	})
	if !ok {
		t.Fatalf("the code from %s is not redeemed: %s", back, data)
	}

	// 5. The token is one for this server.
	token, _ := decode(t, string(data))["access_token"].(string)
	body, header = modernCall("secure_ping", "Bearer "+token)
	if status, _, text := w.post(t, body, header); status != http.StatusOK || !strings.Contains(text, "successful") {
		t.Errorf("with the token: got %d %s, want 200 and successful", status, text)
	}
}

// metadata fetches protected resource metadata at its public address.
func (w *world) metadata(t *testing.T, address string) oauthex.ProtectedResourceMetadata {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	status, _, text := do(t, http.MethodGet, strings.TrimSuffix(w.url, "/mcp")+u.Path, "", map[string]string{"Host": u.Host})
	if status != http.StatusOK {
		t.Fatalf("%s: got %d %s, want 200", address, status, text)
	}
	var m oauthex.ProtectedResourceMetadata
	must(t, json.Unmarshal([]byte(text), &m))
	return m
}

// fetch gets the address, or posts the form there, and reports whether it answered 200.
func fetch(t *testing.T, c *http.Client, address string, form url.Values) ([]byte, bool) {
	t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	return data, resp.StatusCode == http.StatusOK
}

// The metadata advertises the least: clients ask for whatever is advertised.
func TestMetadataAdvertisesTheLeast(t *testing.T) {
	t.Parallel()
	w := policyWorld(t)
	_, _, body := do(t, http.MethodGet, strings.TrimSuffix(w.url, "/mcp")+"/.well-known/oauth-protected-resource/mcp", "", nil)
	if want := `["api://` + w.api.ClientID + `/access_as_user"]`; !strings.Contains(body, want) {
		t.Errorf("got %s, want %s in it", body, want)
	}
}
