package entratest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A desk is a caller of Microsoft Graph: an administrator with the Azure CLI's token, unless changed.
type desk struct {
	*contoso
	token string
}

// object is a JSON object.
type object = map[string]any

// list is a JSON array.
type list = []any

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{contoso: newContoso(t)}
	admin := d.AddUser("admin@contoso.com", "Admin")
	admin.Administrator = true
	d.token = d.tokenOf(admin)
	return d
}

// allScopes are what most steps in the directory need.
var allScopes = []string{"User.Read", "Application.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Policy.Read.All", "Directory.Read.All"}

func (d *desk) tokenOf(user *entratest.User, scopes ...string) string {
	if len(scopes) == 0 {
		scopes = allScopes
	}
	return d.Token(user, d.client, d.Graph(), scopes...)
}

// as returns the desk with another caller.
func (d *desk) as(token string) *desk { return &desk{contoso: d.contoso, token: token} }

// call sends a request to /v1.0 with a JSON body, or none if body is nil. Headers come in pairs; an
// empty value removes one.
func (d *desk) call(t testing.TB, method, path string, body any, header ...string) answer {
	t.Helper()
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, d.AuthorityHost()+"/v1.0/"+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+d.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := d.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, body: string(text)}
	if len(text) > 0 && json.Unmarshal(text, &a.json) != nil {
		t.Fatalf("%s %s: not a JSON object: %s", method, path, text)
	}
	return a
}

// must is call for requests that succeed with this status.
func (d *desk) must(t testing.TB, status int, method, path string, body any, header ...string) answer {
	t.Helper()
	a := d.call(t, method, path, body, header...)
	if a.status != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

// fault returns an answer's status, error code and the code of its detail, if any.
func (a answer) fault() (status int, code, detail string) {
	failure, _ := a.json["error"].(object)
	code, _ = failure["code"].(string)
	if details, _ := failure["details"].(list); len(details) == 1 {
		first, _ := details[0].(object)
		detail, _ = first["code"].(string)
	}
	return a.status, code, detail
}

// checkFault reports an answer that is not this error.
func checkFault(t testing.TB, name string, a answer, status int, code, detail string) {
	t.Helper()
	if s, c, d := a.fault(); s != status || c != code || d != detail {
		t.Errorf("%s: got %d %s %s, want %d %s %s: %s", name, s, c, d, status, code, detail, a.body)
	}
}

// at returns what is at a path of member names, such as "api.oauth2PermissionScopes".
func (a answer) at(path string) any {
	var value any = a.json
	for name := range strings.SplitSeq(path, ".") {
		members, _ := value.(object)
		value = members[name]
	}
	return value
}

// values returns the elements of a list response.
func (a answer) values() []object {
	all, _ := a.json["value"].(list)
	var objects []object
	for _, value := range all {
		o, _ := value.(object)
		objects = append(objects, o)
	}
	return objects
}

const (
	scopeID = "11111111-aaaa-4bbb-8ccc-000000000001"
	roleID  = "11111111-aaaa-4bbb-8ccc-000000000002"
	vsCode  = "aebc6443-996d-45c2-90f0-388ff96faa56"
	server  = "https://mcp.azurewebsites.net/mcp"
)

func accessAsUser(enabled bool) object {
	return object{
		"id": scopeID, "value": "access_as_user", "type": "User", "isEnabled": enabled,
		"adminConsentDisplayName": "Access", "adminConsentDescription": "Access as the user",
	}
}

// api registers an API as setup does, with a service principal, and returns its path and client ID.
func (d *desk) newAPI(t testing.TB) (path, clientID string) {
	t.Helper()
	a := d.must(t, http.StatusCreated, "POST", "applications", object{
		"displayName": "Server", "uniqueName": "server", "api": object{"requestedAccessTokenVersion": 2},
	})
	path, clientID = "applications/"+a.text("id"), a.text("appId")
	d.must(t, http.StatusNoContent, "PATCH", path, object{"identifierUris": list{server, "api://" + clientID}})
	d.must(t, http.StatusNoContent, "PATCH", path, object{"api": object{"oauth2PermissionScopes": list{accessAsUser(true)}}})
	d.must(t, http.StatusCreated, "POST", "servicePrincipals", object{"appId": clientID})
	return path, clientID
}
