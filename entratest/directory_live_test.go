package entratest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Platforms and isFallbackPublicClient, as Graph sets them, decide how a code is redeemed.
func TestDirectoryPlatforms(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		platform       string
		fallback       bool
		secret, origin bool
		code           int
	}{
		"web with a secret":                {"web", false, true, false, 0},
		"web without":                      {"web", false, false, false, 7000218},
		"web without, fallback":            {"web", true, false, false, 7000218},
		"web with a secret, fallback":      {"web", true, true, false, 700025},
		"public":                           {"publicClient", false, false, false, 0},
		"public, fallback":                 {"publicClient", true, false, false, 0},
		"public with a secret":             {"publicClient", false, true, false, 700025},
		"single page in a browser":         {"spa", false, false, true, 0},
		"single page without browser":      {"spa", false, false, false, 9002327},
		"web in a browser":                 {"web", false, true, true, 9002326},
		"public in a browser":              {"publicClient", false, false, true, 9002326},
		"single page, secret, no browser":  {"spa", false, true, false, 9002327},
		"public in a browser, with secret": {"publicClient", false, true, true, 9002326},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			const redirect = "http://localhost/callback"
			a := d.must(t, http.StatusCreated, "POST", "applications", object{
				"displayName": "Client", "isFallbackPublicClient": test.fallback, test.platform: object{"redirectUris": list{redirect}},
			})
			clientID := a.text("appId")
			secret := d.must(t, http.StatusOK, "POST", "applications/"+a.text("id")+"/addPassword", object{}).text("secretText")
			d.must(t, http.StatusCreated, "POST", "servicePrincipals", object{"appId": clientID})
			challenge := "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636, appendix B
			back := open(t, d.Browser(d.alice), d.AuthorityHost()+"/"+d.ID()+"/oauth2/v2.0/authorize?"+url.Values{
				"client_id": {clientID}, "response_type": {"code"}, "redirect_uri": {redirect}, "scope": {d.api.Scope("access_as_user")},
				"code_challenge": {challenge}, "code_challenge_method": {"S256"},
			}.Encode())
			form := url.Values{
				"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {back.Query().Get("code")}, "redirect_uri": {redirect},
				"code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
			}
			if test.secret {
				form.Set("client_secret", secret)
			}
			var header []string
			if test.origin {
				header = []string{"Origin", "http://localhost"}
			}
			if a := d.contoso.token(t, form, header...); a.code() != test.code || (test.code == 0) != (a.status == http.StatusOK) {
				t.Errorf("got AADSTS%d, want %d: %s", a.code(), test.code, a.body)
			}
		})
	}
}

// Without a service principal, an application is not in the tenant.
func TestDirectoryNeedsServicePrincipals(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	a := d.must(t, http.StatusCreated, "POST", "applications", object{"displayName": "API", "api": object{
		"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": list{accessAsUser(true)},
	}, "identifierUris": list{server}})
	d.client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost")
	errorOf := func(client, scope string) string {
		back, err := d.Browser(d.alice).Open(t.Context(), d.AuthorityHost()+"/"+d.ID()+"/oauth2/v2.0/authorize?"+url.Values{
			"client_id": {client}, "response_type": {"code"}, "scope": {scope},
		}.Encode())
		if err != nil {
			return "page"
		}
		return back.Query().Get("error")
	}
	if got := errorOf(d.client.ClientID, server+"/access_as_user"); got != "invalid_resource" {
		t.Errorf("as the resource: %q, want invalid_resource", got)
	}
	if got := errorOf(a.text("appId"), "openid"); got != "page" {
		t.Errorf("as the client: %q, want an error page", got)
	}
	principal := d.must(t, http.StatusCreated, "POST", "servicePrincipals", object{"appId": a.text("appId")}).text("id")
	if got := errorOf(d.client.ClientID, server+"/access_as_user"); got != "" {
		t.Errorf("with the principal: %q, want a code", got)
	}
	d.must(t, http.StatusNoContent, "DELETE", "servicePrincipals/"+principal, nil)
	if got := errorOf(d.client.ClientID, server+"/access_as_user"); got != "invalid_resource" {
		t.Errorf("after its deletion: %q, want invalid_resource", got)
	}
}

// Optional claims and roles of groups, as Graph sets them, are in tokens.
func TestDirectoryClaims(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	group := d.AddGroup("Operators", d.alice)
	path, clientID := d.newAPI(t)
	app := d.Directory().App(clientID)
	idtyp := func(additional ...any) {
		d.must(t, http.StatusNoContent, "PATCH", path, object{"optionalClaims": object{"accessToken": list{
			object{"name": "idtyp", "additionalProperties": append(list{}, additional...)},
		}}})
	}
	claimsOf := func(token string) string {
		_, claims := decode(t, token)
		return fmt.Sprint(claims["idtyp"], " ", claims["roles"])
	}
	idtyp()
	d.must(t, http.StatusNoContent, "PATCH", path, object{"appRoles": list{object{
		"id": roleID, "value": "Tasks.Run", "displayName": "R", "description": "R", "isEnabled": true, "allowedMemberTypes": list{"User"},
	}}})
	d.must(t, http.StatusCreated, "POST", "servicePrincipals/"+app.ObjectID+"/appRoleAssignedTo", object{
		"principalId": group.ObjectID, "resourceId": app.ObjectID, "appRoleId": roleID,
	})
	if got := claimsOf(d.Token(d.alice, d.client, app)); got != "<nil> [Tasks.Run]" {
		t.Errorf("a user's token has idtyp and roles %q", got)
	}
	if got := claimsOf(d.AppToken(d.api, app)); got != "app <nil>" {
		t.Errorf("an app's token has idtyp and roles %q", got)
	}
	idtyp("include_user_token")
	if got := claimsOf(d.Token(d.alice, d.client, app)); got != "user [Tasks.Run]" {
		t.Errorf("with include_user_token, a user's token has idtyp and roles %q", got)
	}
	assignments := d.must(t, http.StatusOK, "GET", "servicePrincipals/"+app.ObjectID+"/appRoleAssignedTo", nil).values()
	if len(assignments) != 1 || assignments[0]["principalType"] != "Group" || assignments[0]["principalDisplayName"] != "Operators" {
		t.Fatalf("assignments are %v, want the group's", assignments)
	}
	d.must(t, http.StatusNoContent, "DELETE", fmt.Sprint("servicePrincipals/", app.ObjectID, "/appRoleAssignedTo/", assignments[0]["id"]), nil)
	if got := claimsOf(d.Token(d.alice, d.client, app)); got != "user <nil>" {
		t.Errorf("without the assignment, a user's token has idtyp and roles %q", got)
	}
}
