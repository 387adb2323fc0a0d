package entratest_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// An API and a client that exist only in Graph sign a user in, in the order of a setup.
func TestDirectoryMakesAppsThatSignIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path, apiID := d.newAPI(t)
	d.must(t, http.StatusNoContent, "PATCH", path, object{"api": object{"preAuthorizedApplications": list{
		object{"appId": vsCode, "delegatedPermissionIds": list{scopeID}},
	}}})
	created := d.must(t, http.StatusCreated, "PATCH", "applications(uniqueName='desktop')", object{
		"displayName": "Desktop", "isFallbackPublicClient": true, "publicClient": object{"redirectUris": list{"http://localhost/callback"}},
	}, "Prefer", "create-if-missing")
	clientID := created.text("appId")
	d.must(t, http.StatusNoContent, "PATCH", "applications(uniqueName='desktop')", object{"displayName": "Desktop"}, "Prefer", "create-if-missing")
	d.must(t, http.StatusCreated, "PATCH", "servicePrincipals(appId='"+clientID+"')", object{}, "Prefer", "create-if-missing")

	signIn := func(client, redirect string) string {
		query := url.Values{
			"client_id": {client}, "response_type": {"code"}, "redirect_uri": {redirect}, "resource": {server},
			"scope": {server + "/access_as_user offline_access"}, "prompt": {"none"},
		}
		b := d.Browser(d.alice)
		first := maps.Clone(query)
		first.Del("prompt")
		first.Set("scope", "openid")
		first.Del("resource")
		open(t, b, d.AuthorityHost()+"/"+d.ID()+"/oauth2/v2.0/authorize?"+first.Encode())
		back := open(t, b, d.AuthorityHost()+"/"+d.ID()+"/oauth2/v2.0/authorize?"+query.Encode())
		code := back.Query().Get("code")
		if code == "" {
			return back.Query().Get("error")
		}
		a := d.contoso.token(t, url.Values{
			"grant_type": {"authorization_code"}, "client_id": {client}, "code": {code}, "redirect_uri": {redirect}, "resource": {server},
			"scope": {server + "/access_as_user"},
		})
		_, claims := decode(t, a.text("access_token"))
		return fmt.Sprint(claims["ver"], " ", claims["aud"] == apiID, " ", claims["scp"])
	}
	if got := signIn(vsCode, "http://127.0.0.1:33418/"); got != "2.0 true access_as_user" {
		t.Errorf("a pre-authorized client gets %q, want a token without a page", got)
	}
	if got := signIn(clientID, "http://localhost:1234/callback"); got != "consent_required" {
		t.Errorf("a client without consent gets %q, want consent_required", got)
	}
	principals := map[string]string{}
	for _, id := range []string{apiID, clientID} {
		principals[id] = d.must(t, http.StatusOK, "GET", "servicePrincipals(appId='"+id+"')?$select=id", nil).text("id")
	}
	grant := d.must(t, http.StatusCreated, "POST", "oauth2PermissionGrants", object{
		"clientId": principals[clientID], "resourceId": principals[apiID], "consentType": "AllPrincipals", "scope": "access_as_user",
	})
	if got := signIn(clientID, "http://localhost:1234/callback"); got != "2.0 true access_as_user" {
		t.Errorf("a client with consent gets %q, want a token", got)
	}
	d.must(t, http.StatusNoContent, "DELETE", "oauth2PermissionGrants/"+grant.text("id"), nil)
	if got := signIn(clientID, "http://localhost:1234/callback"); got != "consent_required" {
		t.Errorf("without the grant again, the client gets %q, want consent_required", got)
	}
	if app := d.Directory().App(apiID); app == nil || app.Name != "Server" || app.AppIDURI() != server {
		t.Errorf("Directory.App returns %v, want the API", app)
	}
}

// A secret, a federated credential and an app role that Graph made hold at the token endpoint.
func TestDirectoryCredentialsAndRoles(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path, apiID := d.newAPI(t)
	secret := d.must(t, http.StatusOK, "POST", path+"/addPassword", object{"passwordCredential": object{"displayName": "first"}})
	identity := d.AddManagedIdentity("id-server")
	credential := object{"name": "managed-identity", "issuer": d.V2Issuer(), "subject": identity.ObjectID, "audiences": list{"api://AzureADTokenExchange"}}
	d.must(t, http.StatusCreated, "PATCH", path+"/federatedIdentityCredentials(name='managed-identity')", credential, "Prefer", "create-if-missing")
	d.must(t, http.StatusNoContent, "PATCH", path+"/federatedIdentityCredentials(name='managed-identity')", object{"description": "x"}, "Prefer", "create-if-missing")

	d.must(t, http.StatusNoContent, "PATCH", path, object{"appRoles": list{object{
		"id": roleID, "value": "Tasks.Run", "displayName": "Run", "description": "Runs tasks", "isEnabled": true, "allowedMemberTypes": list{"Application", "User"},
	}}})
	principal := d.must(t, http.StatusOK, "GET", "servicePrincipals(appId='"+apiID+"')", nil).text("id")
	assignment := object{"principalId": principal, "resourceId": principal, "appRoleId": roleID}
	d.must(t, http.StatusCreated, "POST", "servicePrincipals/"+principal+"/appRoleAssignedTo", assignment)
	checkFault(t, "assigned again", d.call(t, "POST", "servicePrincipals/"+principal+"/appRoleAssignedTo", assignment), 400, "Request_BadRequest", "InvalidUpdate")

	appToken := func(form url.Values) answer {
		form.Set("grant_type", "client_credentials")
		form.Set("client_id", apiID)
		form.Set("scope", apiID+"/.default")
		return d.contoso.token(t, form)
	}
	a := appToken(url.Values{"client_secret": {secret.text("secretText")}})
	if _, claims := decode(t, a.text("access_token")); fmt.Sprint(claims["roles"]) != "[Tasks.Run]" {
		t.Errorf("roles are %v, want Tasks.Run", claims["roles"])
	}
	a = appToken(url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {identityToken(t, d.contoso, identity.ClientID, "api://AzureADTokenExchange")},
	})
	if a.text("access_token") == "" {
		t.Errorf("the federated credential is refused: %s", a.body)
	}
	shown := d.must(t, http.StatusOK, "GET", path, nil)
	if text := fmt.Sprint(shown.at("passwordCredentials")); strings.Contains(shown.body, secret.text("secretText")) || !strings.Contains(text, secret.text("keyId")) {
		t.Errorf("passwordCredentials are %s, want the first without its secret", text)
	}
	d.must(t, http.StatusNoContent, "POST", path+"/removePassword", object{"keyId": secret.text("keyId")})
	if a := appToken(url.Values{"client_secret": {secret.text("secretText")}}); a.code() != 7000215 {
		t.Errorf("the removed secret: got %d, want 7000215", a.code())
	}
}

// Apps of AddApp are in the directory.
func TestDirectoryShowsAddedApps(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.api.AddRedirectURI(entratest.PlatformWeb, "https://app.example.com/callback")
	d.api.AddFederatedCredential("https://issuer.example.com", "subject", "api://AzureADTokenExchange")
	d.api.RequirePermissions(d.Storage(), "user_impersonation")
	d.api.AccessTokenVersion = 2
	a := d.must(t, http.StatusOK, "GET", "applications(appId='"+d.api.ClientID+"')", nil)
	for path, want := range map[string]string{
		"displayName":                     "API",
		"identifierUris":                  "[api://" + d.api.ClientID + "]",
		"web.redirectUris":                "[https://app.example.com/callback]",
		"api.requestedAccessTokenVersion": "2",
		"signInAudience":                  "AzureADMyOrg",
		"requiredResourceAccess":          "[map[resourceAccess:[map[id:03e0da56-190b-40ad-a80c-ea378c433f7f type:Scope]] resourceAppId:" + d.Storage().ClientID + "]]",
	} {
		if got := fmt.Sprint(a.at(path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if !strings.Contains(fmt.Sprint(a.at("api.oauth2PermissionScopes")), "access_as_user") {
		t.Errorf("the scope is missing: %s", a.body)
	}
	grants := d.must(t, http.StatusOK, "GET", "oauth2PermissionGrants?$filter="+url.QueryEscape("clientId eq '"+d.api.ObjectID+"'"), nil)
	if all := grants.values(); len(all) != 1 || all[0]["scope"] != "user_impersonation" || all[0]["resourceId"] != d.Storage().ObjectID {
		t.Errorf("grants are %v, want that of AddConsent", all)
	}
	// A PATCH keeps what is not sent, and replaces collections.
	path := "applications/" + a.text("id")
	d.must(t, http.StatusNoContent, "PATCH", path, object{"web": object{"redirectUris": list{"https://app.example.com/other"}}, "notes": "n"})
	if a = d.must(t, http.StatusOK, "GET", path+"?$select=web,notes,api", nil); fmt.Sprintf("%v %v %v", a.at("web.redirectUris"), a.at("notes"), a.at("api.requestedAccessTokenVersion")) !=
		"[https://app.example.com/other] n 2" || a.json["displayName"] != nil {
		t.Errorf("after the PATCH: %s", a.body)
	}
	if fics := d.must(t, http.StatusOK, "GET", path+"/federatedIdentityCredentials", nil).values(); len(fics) != 1 || fics[0]["subject"] != "subject" {
		t.Errorf("federated credentials are %v, want one", fics)
	}
}

// The registration changes while users sign in.
func TestDirectoryWhileSigningIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path := "applications(appId='" + d.api.ClientID + "')"
	d.client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost")
	d.Consent(d.client, d.api)
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for j := range 5 {
				d.must(t, http.StatusNoContent, "PATCH", path, object{
					"displayName": fmt.Sprintf("API %d.%d", i, j), "isFallbackPublicClient": false,
					"web": object{"redirectUris": list{fmt.Sprintf("https://app.example.com/%d", i)}},
				})
				if a := d.contoso.token(t, d.obo()); a.status != http.StatusOK {
					t.Errorf("exchange: %d %s", a.status, a.body)
				}
				back := open(t, d.Browser(d.alice), d.AuthorityHost()+"/"+d.ID()+"/oauth2/v2.0/authorize?"+url.Values{
					"client_id": {d.client.ClientID}, "response_type": {"code"}, "scope": {d.api.Scope("access_as_user")},
				}.Encode())
				a := d.contoso.token(t, url.Values{
					"grant_type": {"authorization_code"}, "client_id": {d.client.ClientID}, "code": {back.Query().Get("code")},
					"redirect_uri": {"http://localhost"},
				})
				if a.status != http.StatusOK {
					t.Errorf("code: %d %s", a.status, a.body)
				}
			}
		})
	}
	wait.Wait()
}

// Lists go on at @odata.nextLink.
func TestDirectoryPages(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Directory().SetPageSize(3)
	for i := range 8 {
		d.AddApp(fmt.Sprintf("Page %d", i))
	}
	next, seen, pages := "applications?$filter="+url.QueryEscape("startswith(displayName,'Page')")+"&$select=displayName", 0, 0
	for next != "" {
		a := d.must(t, http.StatusOK, "GET", next, nil)
		seen, pages = seen+len(a.values()), pages+1
		next = strings.TrimPrefix(a.text("@odata.nextLink"), d.AuthorityHost()+"/v1.0/")
	}
	if seen != 8 || pages != 3 {
		t.Errorf("got %d applications on %d pages, want 8 on 3", seen, pages)
	}
}

// Deleted applications hold their names until they are purged, restored or 30 days old.
func TestDirectoryDeletedItems(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path, clientID := d.newAPI(t)
	id := strings.TrimPrefix(path, "applications/")
	again := object{"displayName": "Again", "uniqueName": "server"}
	uri := object{"displayName": "URI", "api": object{"requestedAccessTokenVersion": 2}, "identifierUris": list{strings.ToUpper(server[:8]) + server[8:]}}
	checkFault(t, "name in use", d.call(t, "POST", "applications", again), 400, "Request_BadRequest", "ObjectConflict")
	d.must(t, http.StatusNoContent, "DELETE", path, nil)
	checkFault(t, "deleted", d.call(t, "GET", path, nil), 404, "Request_ResourceNotFound", "")
	checkFault(t, "principal deleted", d.call(t, "GET", "servicePrincipals(appId='"+clientID+"')", nil), 404, "Request_ResourceNotFound", "")
	checkFault(t, "name held", d.call(t, "POST", "applications", again), 400, "Request_BadRequest", "ObjectConflict")
	checkFault(t, "URI held", d.call(t, "POST", "applications", uri), 400, "Request_BadRequest", "ObjectConflict")
	items := d.must(t, http.StatusOK, "GET", "directory/deletedItems/microsoft.graph.application?$filter=displayName%20eq%20'Server'", nil).values()
	if len(items) != 1 || items[0]["id"] != id || items[0]["deletedDateTime"] == nil || items[0]["uniqueName"] != "server" {
		t.Errorf("deleted items are %v, want the API", items)
	}
	checkFault(t, "sorted", d.call(t, "GET", "directory/deletedItems/microsoft.graph.application?$orderby=displayName", nil), 400, "Request_UnsupportedQuery", "")
	d.must(t, http.StatusOK, "POST", "directory/deletedItems/"+id+"/restore", nil)
	d.must(t, http.StatusOK, "GET", path, nil)
	d.must(t, http.StatusOK, "GET", "servicePrincipals(appId='"+clientID+"')", nil)
	d.must(t, http.StatusNoContent, "DELETE", path, nil)
	d.must(t, http.StatusNoContent, "DELETE", "directory/deletedItems/"+id, nil)
	d.must(t, http.StatusCreated, "POST", "applications", again)
	path = "applications(uniqueName='server')"
	d.must(t, http.StatusNoContent, "DELETE", path, nil)
	d.clock.Advance(31 * 24 * time.Hour)
	admin := d.AddUser("other@contoso.com", "Other")
	admin.Administrator = true
	d.as(d.tokenOf(admin)).must(t, http.StatusCreated, "POST", "applications", again)
}
