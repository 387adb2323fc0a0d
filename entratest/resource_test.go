package entratest_test

import (
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
