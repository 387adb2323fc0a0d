package entratest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The resource parameter must be an App ID URI and the prefix of the scopes, character for
// character.
func TestResourceParameter(t *testing.T) {
	t.Parallel()
	const uri = "https://mcp.example.com/mcp"
	for name, test := range map[string]struct {
		resource, scope string
		code            string // of the error, or ""
	}{
		"same as the prefix":           {uri, uri + "/access_as_user offline_access", ""},
		"with the default scope":       {uri, uri + "/.default", ""},
		"without resource":             {"", "api://notes/access_as_user", ""},
		"another App ID URI":           {uri, "api://notes/access_as_user", "AADSTS9010010"},
		"one of two scopes":            {uri, uri + "/access_as_user api://notes/access_as_user", "AADSTS9010010"},
		"the client ID":                {"CLIENT", "CLIENT/access_as_user", "AADSTS9010010"},
		"a slash at the end":           {uri + "/", uri + "/access_as_user", "AADSTS9010010"},
		"a slash at the end of both":   {uri + "/", uri + "//access_as_user", "AADSTS9010010"},
		"another case":                 {"https://MCP.example.com/mcp", uri + "/access_as_user", "AADSTS9010010"},
		"another case of both":         {"https://MCP.example.com/mcp", "https://MCP.example.com/mcp/access_as_user", "AADSTS9010010"},
		"no App ID URI":                {"https://mcp.example.com", "https://mcp.example.com/access_as_user", "AADSTS9010010"},
		"a bare scope":                 {uri, "access_as_user", "AADSTS9010010"},
		"a bare scope of Graph":        {"https://graph.microsoft.com", "User.Read", "AADSTS9010010"},
		"a bare scope without":         {"", "access_as_user", "AADSTS650053"},
		"nothing but a sign-in":        {uri, "openid", "AADSTS901002"},
		"an API that has it in full":   {uri, uri + "/.default openid https://graph.microsoft.com/profile", ""},
		"v1 audience, no resource":     {"", uri + "//access_as_user", ""},
		"another case, no resource":    {"", "https://MCP.example.com/mcp/access_as_user", ""},
		"the client ID, no resource":   {"", "CLIENT/access_as_user", ""},
		"an App ID URI, but of Graphs": {"https://graph.microsoft.com", uri + "/access_as_user", "AADSTS9010010"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newSignIns(t)
			c.api.AppIDURIs = []string{"api://notes", uri}
			in := func(s string) string { return strings.ReplaceAll(s, "CLIENT", c.api.ClientID) }
			changes := []string{"scope", in(test.scope)}
			if test.resource != "" {
				changes = append(changes, "resource", in(test.resource))
			}
			back := open(t, c.Browser(c.alice), c.authorizeURL(changes...))
			got, _, _ := strings.Cut(back.Query().Get("error_description"), ":")
			if got != test.code || (test.code == "") != (back.Query().Get("code") != "") {
				t.Errorf("scope %q, resource %q: got %q, want %q: %s", test.scope, test.resource, got, test.code, back)
			}
		})
	}
}

// An app that is client and API at once can't request a token for itself by one of several names.
func TestTokenForItself(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	c.client.Scopes = []string{"access_as_user"}
	for name, test := range map[string]struct {
		uris  []string
		scope string
		code  string
	}{
		"one App ID URI":              {[]string{"api://self"}, "api://self/access_as_user", ""},
		"several":                     {[]string{"api://self", "https://self.example.com"}, "api://self/access_as_user", "AADSTS90009"},
		"several, and the client ID":  {[]string{"api://self", "https://self.example.com"}, c.client.ClientID + "/access_as_user", ""},
		"several, and another's name": {[]string{"api://self", "https://self.example.com"}, c.api.Scope("access_as_user"), ""},
	} {
		c.client.AppIDURIs = test.uris
		back := open(t, c.Browser(c.alice), c.authorizeURL("scope", test.scope))
		if got, _, _ := strings.Cut(back.Query().Get("error_description"), ":"); got != test.code {
			t.Errorf("%s: got %q, want %q", name, got, test.code)
		}
	}
}

// An app that is API and confidential client at once gets tokens for itself, by code and by refresh
// token: the application that asked for them is their audience.
func TestTokensOfAnAppForItself(t *testing.T) {
	t.Parallel()
	for version, names := range map[int]struct{ client, auth string }{1: {"appid", "appidacr"}, 2: {"azp", "azpacr"}} {
		c := newSignIns(t)
		c.client.Scopes, c.client.AccessTokenVersion = []string{"access_as_user"}, version
		c.client.AppIDURIs = append(c.client.AppIDURIs, "https://mcp.example.com/mcp")
		scope := c.client.ClientID + "/access_as_user offline_access"
		first := c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL("scope", scope)), "scope", scope))
		again := c.token(t, c.redeem(&url.URL{}, "grant_type", "refresh_token", "refresh_token", first.text("refresh_token"), "scope", scope))
		for from, a := range map[string]answer{"the code": first, "the refresh token": again} {
			if a.status != http.StatusOK || a.text("scope") != c.client.ClientID+"/access_as_user" {
				t.Fatalf("v%d, %s: got %d, scope %q: %s; want 200 and the scope as it was asked for", version, from, a.status, a.text("scope"), a.body)
			}
			_, claims := decode(t, a.text("access_token"))
			if claims["aud"] != c.client.ClientID || claims[names.client] != c.client.ClientID || claims[names.auth] != "1" {
				t.Errorf("v%d, %s: got aud %v, %s %v, %s %v; want the app's client ID twice, and 1", version, from, claims["aud"], names.client, claims[names.client], names.auth, claims[names.auth])
			}
		}
	}
}

// A query may have 1,800 bytes.
func TestLongestQuery(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	_, query, _ := strings.Cut(c.authorizeURL("state", "x"), "?")
	state := strings.Repeat("x", 1801-len(query))
	if back := open(t, c.Browser(c.alice), c.authorizeURL("state", state)); back.Query().Get("code") == "" {
		t.Errorf("1,800 bytes: got %s, want a code", back)
	}
	if _, err := c.Browser(c.alice).Open(t.Context(), c.authorizeURL("state", state+"x")); err == nil || !strings.Contains(err.Error(), "AADSTS90015") {
		t.Errorf("1,801 bytes: got %v, want AADSTS90015", err)
	}
}
