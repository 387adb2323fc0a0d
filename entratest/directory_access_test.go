package entratest_test

import (
	"net/http"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Each step needs a permission, and for users a role.
func TestDirectoryAccess(t *testing.T) {
	t.Parallel()
	const (
		developer, appAdmin = entratest.RoleApplicationDeveloper, entratest.RoleCloudApplicationAdministrator
		privileged, users   = entratest.RolePrivilegedRoleAdministrator, entratest.RoleUserAdministrator
	)
	create := func(t *testing.T, d *desk, _ *steps) answer {
		return d.call(t, "POST", "applications", object{"displayName": "x"})
	}
	change := func(t *testing.T, d *desk, s *steps) answer {
		return d.call(t, "PATCH", s.path, object{"notes": "x"})
	}
	password := func(t *testing.T, d *desk, s *steps) answer {
		return d.call(t, "POST", s.path+"/addPassword", object{"passwordCredential": object{}})
	}
	foreign := func(t *testing.T, d *desk, _ *steps) answer {
		return d.call(t, "POST", "servicePrincipals", object{"appId": keyVault})
	}
	grant := func(t *testing.T, d *desk, s *steps) answer {
		return d.call(t, "POST", "oauth2PermissionGrants", object{
			"clientId": s.principal, "resourceId": d.Storage().ObjectID, "consentType": "AllPrincipals", "scope": "user_impersonation",
		})
	}
	assign := func(t *testing.T, d *desk, s *steps) answer {
		return d.call(t, "POST", "servicePrincipals/"+s.principal+"/appRoleAssignedTo", object{
			"principalId": d.alice.ObjectID, "resourceId": s.principal, "appRoleId": roleID,
		})
	}
	policies := func(t *testing.T, d *desk, _ *steps) answer {
		return d.call(t, "GET", "policies/defaultAppManagementPolicy", nil)
	}
	restore := func(t *testing.T, d *desk, s *steps) answer {
		s.admin.must(t, http.StatusNoContent, "DELETE", s.path, nil)
		return d.call(t, "POST", "directory/deletedItems/"+s.path[len("applications/"):]+"/restore", nil)
	}
	for name, test := range map[string]struct {
		step   func(*testing.T, *desk, *steps) answer
		roles  []entratest.Role
		scopes []string // all of them if nil
		strict bool     // users may not register
		status int
	}{
		"create":                         {step: create, status: 201},
		"create, strict tenant":          {step: create, strict: true, status: 403},
		"create, strict, developer":      {step: create, strict: true, roles: []entratest.Role{developer}, status: 201},
		"create, without permission":     {step: create, scopes: []string{"Application.Read.All"}, roles: []entratest.Role{appAdmin}, status: 403},
		"change another's":               {step: change, status: 403},
		"change another's, developer":    {step: change, roles: []entratest.Role{developer}, status: 403},
		"change another's, app admin":    {step: change, roles: []entratest.Role{appAdmin}, status: 204},
		"password for another's":         {step: password, status: 403},
		"password, app admin":            {step: password, roles: []entratest.Role{appAdmin}, status: 200},
		"foreign principal":              {step: foreign, roles: []entratest.Role{developer}, status: 403},
		"foreign principal, app admin":   {step: foreign, roles: []entratest.Role{appAdmin}, status: 201},
		"grant":                          {step: grant, status: 403},
		"grant, developer":               {step: grant, roles: []entratest.Role{developer}, status: 403},
		"grant, privileged role admin":   {step: grant, roles: []entratest.Role{privileged}, status: 201},
		"grant without permission":       {step: grant, roles: []entratest.Role{privileged}, scopes: []string{"Application.ReadWrite.All"}, status: 403},
		"assign":                         {step: assign, status: 403},
		"assign, user admin":             {step: assign, roles: []entratest.Role{users}, status: 201},
		"assign without permission":      {step: assign, roles: []entratest.Role{users}, scopes: []string{"Application.ReadWrite.All"}, status: 403},
		"policies":                       {step: policies, status: 200},
		"policies, as the Azure CLI":     {step: policies, scopes: []string{"Application.ReadWrite.All"}, status: 403},
		"restore another's":              {step: restore, status: 403},
		"restore another's, as an admin": {step: restore, roles: []entratest.Role{appAdmin}, status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			s := newSteps(t, d)
			d.Directory().SetUsersMayRegister(!test.strict)
			user := d.AddUser("bob@contoso.com", "Bob")
			user.Roles = test.roles
			a := test.step(t, d.as(d.tokenOf(user, test.scopes...)), s)
			if a.status != test.status {
				t.Fatalf("status %d, want %d: %s", a.status, test.status, a.body)
			}
			if test.status == http.StatusForbidden {
				checkFault(t, name, a, 403, "Authorization_RequestDenied", "")
			}
		})
	}
}

const keyVault = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"

// steps are what the steps of TestDirectoryAccess need.
type steps struct {
	admin           *desk
	path, principal string // of an API that the administrator registered
}

func newSteps(t *testing.T, d *desk) *steps {
	path, clientID := d.newAPI(t)
	d.must(t, http.StatusNoContent, "PATCH", path, object{"appRoles": list{object{
		"id": roleID, "value": "Tasks.Run", "displayName": "Run", "description": "Run", "isEnabled": true, "allowedMemberTypes": list{"User"},
	}}})
	principal := d.must(t, http.StatusOK, "GET", "servicePrincipals(appId='"+clientID+"')", nil).text("id")
	return &steps{d, path, principal}
}

// Who registered an application owns it.
func TestDirectoryOwner(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	alice := d.as(d.tokenOf(d.alice))
	path, _ := alice.newAPI(t)
	alice.must(t, http.StatusOK, "POST", path+"/addPassword", object{})
	alice.must(t, http.StatusNoContent, "DELETE", path, nil)
}

// An app with Application.ReadWrite.OwnedBy changes what it registered.
func TestDirectoryOwnedBy(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	pipeline := d.AddApp("Pipeline")
	d.GrantRoles(pipeline, d.Graph(), "Application.ReadWrite.OwnedBy")
	robot := d.as(d.AppToken(pipeline, d.Graph()))
	path, _ := robot.newAPI(t)
	robot.must(t, http.StatusNoContent, "PATCH", path, object{"notes": "x"})
	checkFault(t, "another's", robot.call(t, "PATCH", "applications(appId='"+d.api.ClientID+"')", object{"notes": "x"}), 403, "Authorization_RequestDenied", "")
	checkFault(t, "foreign principal", robot.call(t, "POST", "servicePrincipals", object{"appId": keyVault}), 403, "Authorization_RequestDenied", "")
	checkFault(t, "grant", robot.call(t, "POST", "oauth2PermissionGrants", object{}), 403, "Authorization_RequestDenied", "")
}
