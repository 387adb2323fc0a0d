package entratest_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Each form of the replication delay has its own answer, twice.
func TestDirectoryDelays(t *testing.T) {
	t.Parallel()
	type made struct{ path, clientID, principal string }
	for name, test := range map[string]struct {
		lag          entratest.Lag
		before       bool // the step comes before the service principal
		call         func(t *testing.T, d *desk, m made) answer
		status, then int
		code, detail string
	}{
		"read": {entratest.LagObject, true, func(t *testing.T, d *desk, m made) answer {
			return d.call(t, "GET", m.path, nil)
		}, 404, 200, "Request_ResourceNotFound", ""},
		"change": {entratest.LagObject, true, func(t *testing.T, d *desk, _ made) answer {
			return d.call(t, "PATCH", "applications(uniqueName='new')", object{"notes": "x"}, "Prefer", "create-if-missing")
		}, 404, 204, "Request_ResourceNotFound", ""},
		"concurrent": {entratest.LagConflict, true, func(t *testing.T, d *desk, m made) answer {
			return d.call(t, "PATCH", m.path, object{"notes": "x"})
		}, 409, 204, "Directory_ConcurrencyViolation", ""},
		"principal": {entratest.LagBacking, true, func(t *testing.T, d *desk, m made) answer {
			return d.call(t, "POST", "servicePrincipals", object{"appId": m.clientID})
		}, 400, 201, "Request_BadRequest", "NoBackingApplicationObject"},
		"principal, upsert": {entratest.LagForbidden, true, func(t *testing.T, d *desk, m made) answer {
			return d.call(t, "PATCH", "servicePrincipals(appId='"+m.clientID+"')", object{}, "Prefer", "create-if-missing")
		}, 403, 201, "Authorization_RequestDenied", ""},
		"principal's read": {entratest.LagObject, false, func(t *testing.T, d *desk, m made) answer {
			return d.call(t, "GET", "servicePrincipals(appId='"+m.clientID+"')", nil)
		}, 404, 200, "Request_ResourceNotFound", ""},
		"grant": {entratest.LagReference, false, func(t *testing.T, d *desk, m made) answer {
			return d.call(t, "POST", "oauth2PermissionGrants", object{
				"clientId": m.principal, "resourceId": d.Storage().ObjectID, "consentType": "AllPrincipals", "scope": "user_impersonation",
			})
		}, 400, 201, "Request_BadRequest", ""},
		"grant, not found": {entratest.LagObject, false, func(t *testing.T, d *desk, m made) answer {
			return d.call(t, "POST", "oauth2PermissionGrants", object{
				"clientId": m.principal, "resourceId": d.Storage().ObjectID, "consentType": "AllPrincipals", "scope": "user_impersonation",
			})
		}, 404, 201, "Request_ResourceNotFound", ""},
		"assignment": {entratest.LagReference, false, func(t *testing.T, d *desk, m made) answer {
			return d.call(t, "POST", "servicePrincipals/"+d.Graph().ObjectID+"/appRoleAssignedTo", object{
				"principalId": m.principal, "resourceId": d.Graph().ObjectID, "appRoleId": "df021288-bdef-4463-88db-98f22de89214",
			})
		}, 400, 201, "Request_BadRequest", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			if test.before {
				d.Directory().Delay(2, test.lag)
			}
			a := d.must(t, http.StatusCreated, "POST", "applications", object{"displayName": "New", "uniqueName": "new"})
			m := made{path: "applications/" + a.text("id"), clientID: a.text("appId")}
			if !test.before {
				d.Directory().Delay(2, test.lag)
				m.principal = d.must(t, http.StatusCreated, "POST", "servicePrincipals", object{"appId": m.clientID}).text("id")
			}
			for range 2 {
				checkFault(t, "at first", test.call(t, d, m), test.status, test.code, test.detail)
			}
			if a := test.call(t, d, m); a.status != test.then {
				t.Errorf("then: status %d, want %d: %s", a.status, test.then, a.body)
			}
		})
	}
}

// New credentials and new applications in lists appear when the directory settles.
func TestDirectorySettles(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path, clientID := d.newAPI(t)
	issuer := d.AddIssuer("https://cluster.example.com/")
	d.Directory().Delay(-1, entratest.LagCredential, entratest.LagList)
	secret := d.must(t, http.StatusOK, "POST", path+"/addPassword", object{}).text("keyId")
	d.must(t, http.StatusCreated, "POST", path+"/federatedIdentityCredentials", object{
		"name": "aks", "issuer": issuer.URL, "subject": "system:serviceaccount:ns:name", "audiences": list{"api://AzureADTokenExchange"},
	})
	d.must(t, http.StatusCreated, "POST", "applications", object{"displayName": "Late"})
	counts := func() [3]int {
		shown, _ := d.must(t, http.StatusOK, "GET", path, nil).at("passwordCredentials").(list)
		return [3]int{
			len(shown), len(d.must(t, http.StatusOK, "GET", path+"/federatedIdentityCredentials", nil).values()),
			len(d.must(t, http.StatusOK, "GET", "applications?$filter="+url.QueryEscape("displayName eq 'Late'"), nil).values()),
		}
	}
	code := func() int {
		return d.contoso.token(t, url.Values{
			"grant_type": {"client_credentials"}, "client_id": {clientID}, "scope": {clientID + "/.default"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion":      {issuer.Token("system:serviceaccount:ns:name", "api://AzureADTokenExchange", nil)},
		}).code()
	}
	for range 3 {
		if got := counts(); got != [3]int{} {
			t.Errorf("got %v secrets, credentials and applications, want none yet", got)
		}
		if got := code(); got != 70025 {
			t.Errorf("the new federated credential: AADSTS%d, want 70025", got)
		}
	}
	checkFault(t, "remove a secret too early", d.call(t, "POST", path+"/removePassword", object{"keyId": secret}), 400, "Request_BadRequest", "")
	d.Directory().Settle()
	if got := counts(); got != [3]int{1, 1, 1} {
		t.Errorf("got %v secrets, credentials and applications, want one of each", got)
	}
	if got := code(); got != 0 {
		t.Errorf("the federated credential: AADSTS%d, want a token", got)
	}
}
