package entratest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"testing"
)

// The form of requests and answers.
func TestDirectoryRequests(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path, clientID := d.newAPI(t)
	for name, test := range map[string]struct {
		method, path string
		body         any
		header       []string
		status       int
		code, detail string
	}{
		"upsert of what is missing":    {"PATCH", "applications(uniqueName='x')", object{"displayName": "x"}, nil, 404, "Request_ResourceNotFound", ""},
		"upsert without displayName":   {"PATCH", "applications(uniqueName='x')", object{"notes": "x"}, []string{"Prefer", "create-if-missing"}, 400, badRequest, "InvalidValue"},
		"upsert with another name":     {"PATCH", "applications(uniqueName='x')", object{"displayName": "x", "uniqueName": "y"}, []string{"Prefer", "create-if-missing"}, 400, badRequest, ""},
		"upsert by another key":        {"PATCH", "applications(appId='" + otherID + "')", object{"displayName": "x"}, []string{"Prefer", "create-if-missing"}, 404, "Request_ResourceNotFound", ""},
		"no content type":              {"PATCH", path, object{"notes": "x"}, []string{"Content-Type", ""}, 400, badRequest, ""},
		"text":                         {"PATCH", path, object{"notes": "x"}, []string{"Content-Type", "text/plain"}, 400, badRequest, ""},
		"empty body":                   {"POST", "applications", nil, []string{"Content-Type", "application/json"}, 400, "BadRequest", ""},
		"an array":                     {"POST", "applications", list{}, nil, 400, badRequest, ""},
		"unknown path":                 {"GET", "applikations", nil, nil, 400, "BadRequest", ""},
		"unknown key":                  {"GET", "applications(name='x')", nil, nil, 400, badRequest, ""},
		"malformed key":                {"GET", "applications(appId='x", nil, nil, 400, "BadRequest", ""},
		"method":                       {"PUT", path, object{}, nil, 405, badRequest, ""},
		"unknown application":          {"GET", "applications/" + otherID, nil, nil, 404, "Request_ResourceNotFound", ""},
		"unknown selected member":      {"GET", path + "?$select=Name", nil, nil, 400, badRequest, ""},
		"filter by another member":     {"GET", "applications?$filter=" + url.QueryEscape("notes eq 'x'"), nil, nil, 400, "Request_UnsupportedQuery", ""},
		"filter with another operator": {"GET", "applications?$filter=" + url.QueryEscape("displayName ne 'x'"), nil, nil, 400, "Request_UnsupportedQuery", ""},
		"expand":                       {"GET", "applications?$expand=owners", nil, nil, 400, "Request_UnsupportedQuery", ""},
		"count":                        {"GET", "applications?$count=true", nil, nil, 400, "Request_UnsupportedQuery", ""},
		"page size":                    {"GET", "applications?$top=1000", nil, nil, 400, badRequest, ""},
		"skip token":                   {"GET", "applications?$skiptoken=x", nil, nil, 400, badRequest, ""},
		"principal that exists":        {"POST", "servicePrincipals", object{"appId": clientID}, nil, 409, "Request_MultipleObjectsWithSameKeyValue", "ObjectConflict"},
		"principal of nothing":         {"POST", "servicePrincipals", object{"appId": otherID}, nil, 400, badRequest, "NoBackingApplicationObject"},
		"principal of a resource":      {"GET", "servicePrincipals(appId='" + keyVault + "')?$select=id,oauth2PermissionScopes,appRoles", nil, nil, 404, "Request_ResourceNotFound", ""},
		"deleted items without type":   {"GET", "directory/deletedItems", nil, nil, 400, "BadRequest", ""},
	} {
		checkFault(t, name, d.call(t, test.method, test.path, test.body, test.header...), test.status, test.code, test.detail)
	}
	a := d.call(t, "GET", "applications/"+otherID, nil, "client-request-id", otherID)
	if got := a.at("error.innerError.client-request-id"); got != otherID || a.at("error.innerError.request-id") != a.header.Get("request-id") {
		t.Errorf("innerError is %v, want the request's ids", a.at("error.innerError"))
	}
	filter := "identifierUris/any(u:u eq '" + server + "') and startswith(displayName,'Ser')"
	if all := d.must(t, http.StatusOK, "GET", "applications?$select=appId&$filter="+url.QueryEscape(filter), nil).values(); len(all) != 1 || all[0]["appId"] != clientID {
		t.Errorf("the filter finds %v, want the API", all)
	}
	filter = "servicePrincipalNames/any(n:n eq 'https://storage.azure.com')"
	if all := d.must(t, http.StatusOK, "GET", "servicePrincipals?$filter="+url.QueryEscape(filter), nil).values(); len(all) != 1 || all[0]["id"] != d.Storage().ObjectID {
		t.Errorf("the filter finds %v, want Azure Storage", all)
	}
}

// A grant is one row for each client, resource and principal.
func TestDirectoryGrants(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	body := func(changes ...any) object {
		o := object{"clientId": d.api.ObjectID, "resourceId": d.Graph().ObjectID, "consentType": "AllPrincipals", "scope": "User.Read"}
		for i := 0; i < len(changes); i += 2 {
			o[fmt.Sprint(changes[i])] = changes[i+1]
		}
		return o
	}
	path := "oauth2PermissionGrants/" + d.must(t, http.StatusCreated, "POST", "oauth2PermissionGrants", body()).text("id")
	mine := body("consentType", "Principal", "principalId", d.alice.ObjectID)
	d.must(t, http.StatusCreated, "POST", "oauth2PermissionGrants", mine)
	for name, test := range map[string]struct {
		method, path string
		body         object
		status       int
		code         string
	}{
		"again":                       {"POST", "oauth2PermissionGrants", body("scope", "openid"), 409, "Request_MultipleObjectsWithSameKeyValue"},
		"the user's again":            {"POST", "oauth2PermissionGrants", mine, 409, "Request_MultipleObjectsWithSameKeyValue"},
		"by client ID":                {"POST", "oauth2PermissionGrants", body("clientId", d.api.ClientID), 400, badRequest},
		"all, with a principal":       {"POST", "oauth2PermissionGrants", body("principalId", d.alice.ObjectID), 400, badRequest},
		"one, without":                {"POST", "oauth2PermissionGrants", body("consentType", "Principal"), 400, badRequest},
		"no type":                     {"POST", "oauth2PermissionGrants", body("consentType", ""), 400, badRequest},
		"an unknown user":             {"POST", "oauth2PermissionGrants", body("consentType", "Principal", "principalId", otherID), 400, badRequest},
		"change the client":           {"PATCH", path, object{"clientId": d.client.ObjectID}, 400, badRequest},
		"change scope and client":     {"PATCH", path, body(), 400, badRequest},
		"change what is not a member": {"PATCH", path, object{"scopes": "x"}, 400, badRequest},
		"unknown grant":               {"PATCH", "oauth2PermissionGrants/x", object{"scope": "x"}, 404, "Request_ResourceNotFound"},
	} {
		checkFault(t, name, d.call(t, test.method, test.path, test.body), test.status, test.code, "")
	}
	d.must(t, http.StatusNoContent, "PATCH", path, object{"scope": "openid User.Read"})
	filter := fmt.Sprintf("clientId eq '%s' and resourceId eq '%s' and consentType eq 'AllPrincipals'", d.api.ObjectID, d.Graph().ObjectID)
	all := d.must(t, http.StatusOK, "GET", "oauth2PermissionGrants?$filter="+url.QueryEscape(filter), nil).values()
	if len(all) != 1 || all[0]["scope"] != "User.Read openid" || all[0]["principalId"] != nil {
		t.Errorf("grants are %v, want one with both scopes", all)
	}
	filter = fmt.Sprintf("principalId eq '%s'", d.alice.ObjectID)
	if all := d.must(t, http.StatusOK, "GET", "oauth2PermissionGrants?$filter="+url.QueryEscape(filter), nil).values(); len(all) != 1 {
		t.Errorf("grants are %v, want Alice's", all)
	}
}

// Federated credentials are checked by form only: wrong values fail at the token endpoint.
func TestDirectoryFederatedCredentials(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path, _ := d.newAPI(t)
	path += "/federatedIdentityCredentials"
	body := func(name, issuer, subject string, audiences ...any) object {
		return object{"name": name, "issuer": issuer, "subject": subject, "audiences": append(list{}, audiences...)}
	}
	const issuer, audience = "https://oidc.example.com/x/", "api://AzureADTokenExchange"
	d.must(t, http.StatusCreated, "POST", path, body("first", issuer, "nobody", audience))
	for name, test := range map[string]struct {
		body         object
		status       int
		code, detail string
	}{
		"name again":        {body("first", issuer, "other", audience), 409, "Request_MultipleObjectsWithSameKeyValue", ""},
		"subject again":     {body("second", issuer, "nobody", audience), 409, "Request_MultipleObjectsWithSameKeyValue", ""},
		"short name":        {body("ab", issuer, "x", audience), 400, badRequest, "InvalidValue"},
		"name with a blank": {body("a name", issuer, "x", audience), 400, badRequest, "InvalidValue"},
		"two audiences":     {body("third", issuer, "x", audience, "api://other"), 400, badRequest, "InvalidValue"},
		"no audience":       {body("third", issuer, "x"), 400, badRequest, "InvalidValue"},
		"wildcard":          {body("third", issuer, "system:serviceaccount:*:x", audience), 400, badRequest, "InvalidValue"},
		"no subject":        {body("third", issuer, "", audience), 400, badRequest, "InvalidValue"},
		"http issuer":       {body("third", "http://oidc.example.com", "x", audience), 400, badRequest, "InvalidValue"},
		"its id":            {object{"id": otherID, "name": "third"}, 400, badRequest, ""},
	} {
		checkFault(t, name, d.call(t, "POST", path, test.body), test.status, test.code, test.detail)
	}
	named := path + "(name='first')"
	checkFault(t, "rename", d.call(t, "PATCH", named, object{"name": "other"}), 400, badRequest, "")
	d.must(t, http.StatusNoContent, "PATCH", named, object{"subject": "somebody"})
	if a := d.must(t, http.StatusOK, "GET", path+"/first", nil); a.text("subject") != "somebody" || a.text("issuer") != issuer {
		t.Errorf("the credential is %s, want the new subject", a.body)
	}
	for i := range 19 {
		d.must(t, http.StatusCreated, "POST", path, body(fmt.Sprintf("more-%d", i), issuer, fmt.Sprint(i), audience))
	}
	checkFault(t, "the 21st", d.call(t, "POST", path, body("more-20", issuer, "20", audience)), 400, badRequest, "")
	d.must(t, http.StatusNoContent, "DELETE", named, nil)
	checkFault(t, "deleted", d.call(t, "GET", named, nil), 404, "Request_ResourceNotFound", "")
}

// A certificate's key is shown only if asked for, and is lost when it is left out of a PATCH.
func TestDirectoryCertificates(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path, clientID := d.newAPI(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server"}, NotBefore: d.clock.Now(), NotAfter: d.clock.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	entry := object{"type": "AsymmetricX509Cert", "usage": "Verify", "displayName": "CN=server", "key": base64.StdEncoding.EncodeToString(der)}
	d.must(t, http.StatusNoContent, "PATCH", path, object{"keyCredentials": list{entry}})
	shown := func(query string) object {
		all, _ := d.must(t, http.StatusOK, "GET", path+query, nil).at("keyCredentials").(list)
		if len(all) != 1 {
			t.Fatalf("got %d certificates, want one", len(all))
		}
		first, _ := all[0].(object)
		return first
	}
	plain, full := shown(""), shown("?$select=keyCredentials")
	if plain["key"] != nil || full["key"] != entry["key"] || plain["keyId"] != full["keyId"] {
		t.Errorf("the key is %v in general and %v if selected, want it only there", plain["key"], full["key"])
	}
	d.must(t, http.StatusNoContent, "PATCH", path, object{"keyCredentials": list{full}})
	shown("")
	d.must(t, http.StatusNoContent, "PATCH", path, object{"keyCredentials": list{plain}})
	if app := d.Directory().App(clientID); app == nil {
		t.Error("the application is gone")
	}
	if all, _ := d.must(t, http.StatusOK, "GET", path, nil).at("keyCredentials").(list); len(all) != 0 {
		t.Errorf("got %v, want the certificate lost", all)
	}
}

// A multitenant application is added to other tenants, one of a single tenant is not.
func TestDirectoryOtherTenants(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path, clientID := d.newAPI(t)
	other := d.AddTenant(nil)
	admin := other.AddUser("admin@fabrikam.com", "Admin")
	admin.Administrator = true
	fabrikam := d.as(other.Token(admin, other.AddClient("Client"), other.Graph()))
	checkFault(t, "single tenant", fabrikam.call(t, "POST", "servicePrincipals", object{"appId": clientID}), 400, badRequest, "NoBackingApplicationObject")
	d.must(t, http.StatusNoContent, "PATCH", path, object{"identifierUris": list{"api://" + clientID}})
	d.must(t, http.StatusNoContent, "PATCH", path, object{"signInAudience": "AzureADMultipleOrgs"})
	fabrikam.must(t, http.StatusCreated, "POST", "servicePrincipals", object{"appId": clientID})
	if app := other.Directory().App(clientID); app == nil || app.Scope("access_as_user") != "api://"+clientID+"/access_as_user" {
		t.Errorf("the app in the other tenant is %v, want the API", app)
	}
	d.must(t, http.StatusOK, "GET", "applications(appId='"+clientID+"')", nil)
	checkFault(t, "its registration", fabrikam.call(t, "GET", "applications(appId='"+clientID+"')", nil), 404, "Request_ResourceNotFound", "")
}
