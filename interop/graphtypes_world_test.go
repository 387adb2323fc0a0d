//go:build unix

package interop_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A graphWorld is a directory in which each type has an object with each of its members.
type graphWorld struct {
	*entratest.Tenant
	admin  *entratest.User
	token  string
	agents string // for steps about agents, whose permissions the former's Directory.AccessAsUser.All hides
}

func newGraphWorld(t *testing.T) *graphWorld {
	t.Helper()
	w := &graphWorld{Tenant: entratest.New(t, nil)}
	admin := w.AddUser("admin@contoso.com", "Admin")
	admin.Administrator = true
	w.AddGroup("Group", admin)
	w.AddManagedIdentity("id")
	client := w.AddClient("Client")
	w.token = w.Token(admin, client, w.Graph())
	w.agents = w.Token(admin, client, w.Graph(), "AgentIdentityBlueprint.ReadWrite.All", "AgentIdentityBlueprintPrincipal.Create", "AgentIdentity.Create.All")
	w.admin = admin
	w.Directory().SetPolicy(entratest.AppPolicy{UniqueTenantIdentifier: true, ExcludeV2: true, PasswordLifetime: 365 * 24 * time.Hour})
	return w
}

// call sends a request to Graph and returns its JSON, or nil if there is none.
func (w *graphWorld) call(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	encoded, err := json.Marshal(body)
	must(t, err)
	request, err := http.NewRequestWithContext(t.Context(), method, w.AuthorityHost()+"/v1.0/"+path, bytes.NewReader(encoded))
	must(t, err)
	request.Header.Set("Authorization", "Bearer "+w.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := w.HTTPClient().Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	if response.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	if len(text) == 0 {
		return nil
	}
	return decode(t, text)
}

const (
	someScope = "33333333-aaaa-4bbb-8ccc-000000000001"
	someRole  = "33333333-aaaa-4bbb-8ccc-000000000002"
)

// everything is an application with each collection and each complex member.
const everything = `{
	"displayName": "API", "uniqueName": "api", "description": "d", "notes": "n", "tags": ["t"], "serviceManagementReference": "s",
	"groupMembershipClaims": "SecurityGroup", "isFallbackPublicClient": false, "identifierUris": ["https://mcp.example.com/mcp"],
	"api": {
		"requestedAccessTokenVersion": 2, "acceptMappedClaims": true, "knownClientApplications": ["04b07795-8ddb-461a-bbee-02f9e1bf7b46"],
		"oauth2PermissionScopes": [{
			"id": "` + someScope + `", "value": "access_as_user", "type": "User", "isEnabled": true, "adminConsentDisplayName": "a",
			"adminConsentDescription": "a", "userConsentDisplayName": "u", "userConsentDescription": "u"
		}]
	},
	"appRoles": [{
		"id": "` + someRole + `", "value": "Tasks.Run", "displayName": "r", "description": "r", "isEnabled": true, "allowedMemberTypes": ["Application"]
	}],
	"optionalClaims": {
		"accessToken": [{"name": "idtyp", "essential": false, "additionalProperties": ["include_user_token"]}],
		"idToken": [{"name": "email", "source": null}], "saml2Token": []
	},
	"requiredResourceAccess": [{"resourceAppId": "` + someRole + `", "resourceAccess": [{"id": "` + someScope + `", "type": "Scope"}]}],
	"web": {
		"redirectUris": ["https://app.example.com"], "homePageUrl": "https://app.example.com", "logoutUrl": "https://app.example.com/out",
		"implicitGrantSettings": {"enableIdTokenIssuance": false, "enableAccessTokenIssuance": false},
		"redirectUriSettings": [{"uri": "https://app.example.com", "index": 1}]
	},
	"spa": {"redirectUris": ["https://spa.example.com"]}, "publicClient": {"redirectUris": ["http://localhost"]}
}`

// addAgent makes a blueprint and an agent identity. Microsoft's package has no types of theirs: they are held
// against those of applications and service principals, from which they inherit.
func (w *graphWorld) addAgent(t *testing.T) (blueprint, agent map[string]any) {
	t.Helper()
	token := w.token
	defer func() { w.token = token }()
	w.token = w.agents
	sponsors := []string{"https://graph.microsoft.com/v1.0/users/" + w.admin.ObjectID}
	blueprint = w.call(t, http.MethodPost, "applications/microsoft.graph.agentIdentityBlueprint", map[string]any{"displayName": "Agents", "sponsors@odata.bind": sponsors})
	w.call(t, http.MethodPost, "servicePrincipals/microsoft.graph.agentIdentityBlueprintPrincipal", map[string]any{"appId": blueprint["appId"]})
	agent = w.call(t, http.MethodPost, "servicePrincipals/microsoft.graph.agentIdentity", map[string]any{
		"displayName": "Agent", "agentIdentityBlueprintId": blueprint["appId"], "sponsors@odata.bind": sponsors,
	})
	return blueprint, agent
}

// answers returns objects by Microsoft's name of their type. It also sends back what it gets.
func (w *graphWorld) answers(t *testing.T) map[string][]any {
	t.Helper()
	created := w.call(t, http.MethodPost, "applications", json.RawMessage(everything))
	path := "applications/" + created["id"].(string)
	principal := w.call(t, http.MethodPost, "servicePrincipals", map[string]any{"appId": created["appId"]})
	w.call(t, http.MethodPatch, path, json.RawMessage(`{"api": {"preAuthorizedApplications": [
		{"appId": "aebc6443-996d-45c2-90f0-388ff96faa56", "delegatedPermissionIds": ["`+someScope+`"]}
	]}}`))
	certificate, _ := newAppCertificate(t)
	w.call(t, http.MethodPatch, path, map[string]any{"keyCredentials": []any{map[string]any{
		"type": "AsymmetricX509Cert", "usage": "Verify", "displayName": "c", "key": base64.StdEncoding.EncodeToString(certificate.Raw),
	}}})
	password := w.call(t, http.MethodPost, path+"/addPassword", json.RawMessage(`{"passwordCredential": {"displayName": "p", "endDateTime": "`+
		time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339)+`"}}`))
	federated := w.call(t, http.MethodPost, path+"/federatedIdentityCredentials", json.RawMessage(
		`{"name": "aks", "issuer": "https://oidc.example.com/", "subject": "s", "description": "d", "audiences": ["api://AzureADTokenExchange"]}`))
	grant := w.call(t, http.MethodPost, "oauth2PermissionGrants", map[string]any{
		"clientId": principal["id"], "resourceId": w.Storage().ObjectID, "consentType": "AllPrincipals", "scope": "user_impersonation",
	})
	assignment := w.call(t, http.MethodPost, "servicePrincipals/"+principal["id"].(string)+"/appRoleAssignedTo", map[string]any{
		"principalId": principal["id"], "resourceId": principal["id"], "appRoleId": someRole,
	})
	list := func(path string) []any {
		all, _ := w.call(t, http.MethodGet, path, nil)["value"].([]any)
		return all
	}
	full := w.call(t, http.MethodGet, path, nil)
	keys := w.call(t, http.MethodGet, path+"?$select=keyCredentials", nil)
	full["keyCredentials"] = keys["keyCredentials"]
	w.call(t, http.MethodPatch, path, full)
	blueprint, agent := w.addAgent(t)
	again := w.call(t, http.MethodPost, "applications", map[string]any{"displayName": "deleted"})
	w.call(t, http.MethodDelete, "applications/"+again["id"].(string), nil)
	return map[string][]any{
		"Application": append(append(list("applications"), list("directory/deletedItems/microsoft.graph.application")...),
			created, full, w.call(t, http.MethodGet, path, nil), again, blueprint),
		"ServicePrincipal":            append(list("servicePrincipals"), principal, agent),
		"PasswordCredential":          {password},
		"FederatedIdentityCredential": append(list(path+"/federatedIdentityCredentials"), federated),
		"OAuth2PermissionGrant":       append(list("oauth2PermissionGrants"), grant),
		"AppRoleAssignment":           append(list("servicePrincipals/"+principal["id"].(string)+"/appRoleAssignedTo"), assignment),
		"Organization":                list("organization"),
		"TenantAppManagementPolicy":   {w.call(t, http.MethodGet, "policies/defaultAppManagementPolicy", nil)},
		"User":                        {w.call(t, http.MethodGet, "me", nil)},
		"DirectoryRole":               list("me/memberOf/microsoft.graph.directoryRole"),
		"Group":                       list("groups"),
	}
}
