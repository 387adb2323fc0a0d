package entratest_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

const (
	blueprintCast = "/microsoft.graph.agentIdentityBlueprint"
	agentsPath    = "servicePrincipals/microsoft.graph.agentIdentity"
	principalPath = "servicePrincipals/microsoft.graph.agentIdentityBlueprintPrincipal"
)

// agentScopes are what the steps about agents need.
var agentScopes = []string{
	"User.Read", "Application.Read.All", "AgentIdentityBlueprint.ReadWrite.All", "AgentIdentityBlueprint.DeleteRestore.All",
	"AgentIdentityBlueprintPrincipal.Create", "AgentIdentity.Create.All", "AgentIdentity.DeleteRestore.All", "AgentIdentity.Read.All",
}

// agentDesk is a desk of a user who may set up agents.
func agentDesk(t testing.TB) *desk {
	t.Helper()
	d := newDesk(t)
	d.alice.Roles = []entratest.Role{entratest.RoleAgentIDAdministrator}
	return d.as(d.tokenOf(d.alice, agentScopes...))
}

func (d *desk) sponsored(members object) object {
	members["sponsors@odata.bind"] = list{"https://graph.microsoft.com/v1.0/users/" + d.alice.ObjectID}
	return members
}

// newBlueprint makes a blueprint with its principal, and returns its path and client ID.
func (d *desk) newBlueprint(t testing.TB) (path, clientID string) {
	t.Helper()
	a := d.must(t, http.StatusCreated, "PATCH", "applications(uniqueName='agents')"+blueprintCast, d.sponsored(object{"displayName": "Agents"}), "Prefer", "create-if-missing")
	d.must(t, http.StatusCreated, "POST", principalPath, object{"appId": a.text("appId")})
	return "applications/" + a.text("id"), a.text("appId")
}

// A blueprint, its principal, what children inherit, and an agent identity, from their making to their end.
func TestDirectoryAgents(t *testing.T) {
	t.Parallel()
	d := agentDesk(t)
	path, clientID := d.newBlueprint(t)
	if a := d.must(t, http.StatusOK, "GET", path+"?$select=id", nil); a.text("@odata.type") != "#microsoft.graph.agentIdentityBlueprint" {
		t.Errorf("the blueprint's type: %s", a.body)
	}
	d.must(t, http.StatusNoContent, "PATCH", "applications(uniqueName='agents')"+blueprintCast, object{"displayName": "Agents too"}, "Prefer", "create-if-missing")
	if a := d.must(t, http.StatusOK, "GET", "servicePrincipals(appId='"+clientID+"')", nil); a.text("@odata.type") != "#microsoft.graph.agentIdentityBlueprintPrincipal" {
		t.Errorf("the principal's type: %s", a.body)
	}
	inherit := path + blueprintCast + "/inheritablePermissions"
	d.must(t, http.StatusCreated, "POST", inherit, object{"resourceAppId": keyVault, "inheritableScopes": object{"@odata.type": "microsoft.graph.enumeratedScopes", "scopes": list{"a", "b"}}})
	d.must(t, http.StatusNoContent, "PATCH", inherit+"/"+keyVault, object{"inheritableScopes": object{"@odata.type": "#microsoft.graph.allAllowedScopes"}})
	if a := d.must(t, http.StatusOK, "GET", inherit+"/"+keyVault, nil); a.at("inheritableScopes.kind") != "allAllowed" || a.at("inheritableRoles.kind") != "none" {
		t.Errorf("inherited: %s", a.body)
	}
	d.must(t, http.StatusNoContent, "DELETE", inherit+"/"+keyVault, nil)

	agent := d.must(t, http.StatusCreated, "POST", agentsPath, d.sponsored(object{"displayName": "Agent", "agentIdentityBlueprintId": clientID}))
	id := agent.text("id")
	if agent.text("servicePrincipalType") != "ServiceIdentity" || agent.text("appId") != id || d.Directory().App(id) == nil {
		t.Errorf("the agent identity: %s", agent.body)
	}
	for _, from := range []string{agentsPath + "?$filter=agentIdentityBlueprintId%20eq%20'" + clientID + "'", agentsPath} {
		if all := d.must(t, http.StatusOK, "GET", from, nil).values(); len(all) != 1 || all[0]["id"] != id || all[0]["@odata.type"] != "#microsoft.graph.agentIdentity" {
			t.Errorf("GET %s: %v; want the agent", from, all)
		}
	}
	if a := d.must(t, http.StatusOK, "GET", "servicePrincipals/"+id, nil); a.text("agentIdentityBlueprintId") != clientID {
		t.Errorf("as a service principal: %s", a.body)
	}
	d.must(t, http.StatusNoContent, "DELETE", "servicePrincipals/"+id+"/microsoft.graph.agentIdentity", nil)
	d.must(t, http.StatusOK, "POST", "directory/deletedItems/"+id+"/restore", nil)
	d.must(t, http.StatusOK, "GET", "servicePrincipals/"+id+"/microsoft.graph.agentIdentity", nil)
	d.must(t, http.StatusNoContent, "DELETE", "servicePrincipals/"+id, nil)
	d.must(t, http.StatusNoContent, "DELETE", "directory/deletedItems/"+id, nil)
	d.must(t, http.StatusNoContent, "DELETE", path+blueprintCast, nil)
	d.must(t, http.StatusNoContent, "DELETE", "directory/deletedItems/"+path[len("applications/"):], nil)
}

// Requests that Graph can't fulfill are refused.
func TestDirectoryAgentRules(t *testing.T) {
	t.Parallel()
	d := agentDesk(t)
	path, clientID := d.newBlueprint(t)
	admin := newDeskOf(d)
	plain := admin.must(t, http.StatusCreated, "POST", "applications", object{"displayName": "Plain"})
	inherit := path + blueprintCast + "/inheritablePermissions"
	enumerated := func(resource string, scopes ...any) object {
		return object{"resourceAppId": resource, "inheritableScopes": object{"@odata.type": "microsoft.graph.enumeratedScopes", "scopes": scopes}}
	}
	d.must(t, http.StatusCreated, "POST", inherit, enumerated(keyVault, "a"))
	agent := func(change object) object {
		body := d.sponsored(object{"displayName": "Agent", "agentIdentityBlueprintId": clientID})
		maps.Copy(body, change)
		return body
	}
	for name, test := range map[string]struct {
		method, path string
		body         any
		status       int
		code, detail string
	}{
		"no sponsor":                 {"POST", "applications" + blueprintCast, object{"displayName": "x"}, 400, badRequest, ""},
		"a sponsor who is none":      {"POST", "applications" + blueprintCast, object{"displayName": "x", "sponsors@odata.bind": list{"https://graph.microsoft.com/v1.0/users/" + otherID}}, 400, badRequest, ""},
		"a public client":            {"PATCH", path + blueprintCast, object{"isFallbackPublicClient": true}, 400, "AgentBlueprint_IncompatibleProperty", ""},
		"redirects of a browser":     {"PATCH", path, object{"spa": object{"redirectUris": list{"https://app.example.com/cb"}}}, 400, "AgentBlueprint_IncompatibleProperty", ""},
		"cast of an application":     {"PATCH", "applications/" + plain.text("id") + blueprintCast, object{"displayName": "x"}, 400, badRequest, ""},
		"principal of an app":        {"POST", principalPath, object{"appId": plain.text("appId")}, 400, "AgentBlueprintPrincipal_RequireAgentBlueprint", ""},
		"principal twice":            {"POST", principalPath, object{"appId": clientID}, 409, "Request_MultipleObjectsWithSameKeyValue", "ObjectConflict"},
		"inheritance twice":          {"POST", inherit, enumerated(keyVault, "b"), 409, "Request_MultipleObjectsWithSameKeyValue", ""},
		"inheritance of no resource": {"POST", inherit, enumerated("graph", "b"), 400, badRequest, ""},
		"inheritance of nothing":     {"POST", inherit, enumerated(otherID), 400, badRequest, ""},
		"inheritance of an app":      {"GET", "applications/" + plain.text("id") + blueprintCast + "/inheritablePermissions", nil, 400, badRequest, ""},
		"no such inheritance":        {"PATCH", inherit + "/" + otherID, enumerated(otherID, "b"), 404, "Request_ResourceNotFound", ""},
		"agent without a sponsor":    {"POST", agentsPath, object{"displayName": "Agent", "agentIdentityBlueprintId": clientID}, 400, badRequest, ""},
		"agent without a name":       {"POST", agentsPath, agent(object{"displayName": ""}), 400, badRequest, ""},
		"agent of nobody":            {"POST", agentsPath, agent(object{"agentIdentityBlueprintId": otherID}), 404, "Request_ResourceNotFound", ""},
		"agent of an application":    {"POST", agentsPath, agent(object{"agentIdentityBlueprintId": plain.text("appId")}), 400, "AgentIdentity_IncompatibleParentType", ""},
		"agent with a secret":        {"POST", agentsPath, agent(object{"passwordCredentials": list{object{"displayName": "x"}}}), 400, "AgentIdentity_CredentialsNotSupported", ""},
		"no such agent":              {"DELETE", "servicePrincipals/" + otherID + "/microsoft.graph.agentIdentity", nil, 404, "Request_ResourceNotFound", ""},
	} {
		checkFault(t, name, d.call(t, test.method, test.path, test.body), test.status, test.code, test.detail)
	}
	for range 9 {
		d.must(t, http.StatusCreated, "POST", inherit, enumerated(d.AddApp("resource").ClientID, "a"))
	}
	checkFault(t, "11 resources", d.call(t, "POST", inherit, enumerated(otherID, "a")), 400, badRequest, "")
	other := d.must(t, http.StatusCreated, "POST", "applications"+blueprintCast, d.sponsored(object{"displayName": "Without a principal"}))
	checkFault(t, "no principal", d.call(t, "POST", agentsPath, agent(object{"agentIdentityBlueprintId": other.text("appId")})), 400, "AgentIdentity_AgentBlueprintPrincipalDoesNotExist", "")
}

// newDeskOf returns the desk of another administrator, with the Azure CLI's permissions.
func newDeskOf(d *desk) *desk {
	admin := d.AddUser("other-admin@contoso.com", "Admin")
	admin.Administrator = true
	return d.as(d.tokenOf(admin))
}

// Application.ReadWrite.All is not enough for blueprints, Directory.AccessAsUser.All hides what would be, and a
// developer changes their own blueprint but for secrets.
func TestDirectoryAgentAccess(t *testing.T) {
	t.Parallel()
	d := agentDesk(t)
	path, clientID := d.newBlueprint(t)
	agent := d.sponsored(object{"displayName": "Agent", "agentIdentityBlueprintId": clientID})
	checks := func(name string, d *desk, want map[string]int) {
		t.Helper()
		for step, c := range map[string]struct {
			method, path string
			body         any
		}{
			"create":  {"POST", "applications" + blueprintCast, d.sponsored(object{"displayName": "x"})},
			"change":  {"PATCH", path, object{"notes": "x"}},
			"secret":  {"POST", path + "/addPassword", object{"passwordCredential": object{"displayName": "x"}}},
			"inherit": {"POST", path + blueprintCast + "/inheritablePermissions", object{"resourceAppId": keyVault}},
			"agent":   {"POST", agentsPath, agent},
			"list":    {"GET", agentsPath, nil},
		} {
			if got := d.call(t, c.method, c.path, c.body).status; got != want[step] {
				t.Errorf("%s: %s: status %d, want %d", name, step, got, want[step])
			}
		}
	}
	refused := map[string]int{"create": 403, "change": 403, "secret": 403, "inherit": 403, "agent": 403, "list": 403}
	admin := newDeskOf(d)
	checks("Application.ReadWrite.All", admin, refused)
	both := d.AddUser("both@contoso.com", "Both")
	both.Administrator = true
	checks("beside Directory.AccessAsUser.All", d.as(d.tokenOf(both, append([]string{"Directory.AccessAsUser.All"}, agentScopes...)...)), refused)
	bob := d.AddUser("bob@contoso.com", "Bob")
	checks("no role", d.as(d.tokenOf(bob, agentScopes...)), map[string]int{"create": 403, "change": 403, "secret": 403, "inherit": 403, "agent": 403, "list": 200})
	bob.Roles = []entratest.Role{entratest.RoleAgentIDDeveloper}
	checks("a developer", d.as(d.tokenOf(bob, agentScopes...)), map[string]int{"create": 201, "change": 403, "secret": 403, "inherit": 403, "agent": 403, "list": 200})

	carol := d.AddUser("carol@contoso.com", "Carol")
	carol.Roles = []entratest.Role{entratest.RoleAgentIDDeveloper}
	own := d.as(d.tokenOf(carol, agentScopes...))
	a := own.must(t, http.StatusCreated, "POST", "applications"+blueprintCast, d.sponsored(object{"displayName": "Carol's"}))
	path = "applications/" + a.text("id")
	own.must(t, http.StatusCreated, "POST", principalPath, object{"appId": a.text("appId")})
	agent["agentIdentityBlueprintId"] = a.text("appId")
	checks("a developer's own", own, map[string]int{"create": 201, "change": 204, "secret": 403, "inherit": 400, "agent": 201, "list": 200})
}
