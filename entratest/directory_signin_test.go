package entratest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Who calls Graph signs in with azidentity, as the Azure CLI (its default) or Microsoft's Graph
// tools, and needs no registration.
func TestDirectorySignIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	admin := d.AddUser("ada@contoso.com", "Ada")
	admin.Administrator = true
	options := azcore.ClientOptions{
		Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: d.AuthorityHost()}, Transport: d.HTTPClient(),
	}
	deviceCode := func(user *entratest.User, clientID string) azcore.TokenCredential {
		credential, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
			ClientOptions: options, TenantID: d.ID(), ClientID: clientID, DisableInstanceDiscovery: true,
			UserPrompt: func(ctx context.Context, message azidentity.DeviceCodeMessage) error {
				return d.Browser(user).EnterDeviceCode(ctx, message.UserCode)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return credential
	}
	const graph, tools = "https://graph.microsoft.com/", "14d82eec-204b-4c2f-b7e8-296a70dab67e"
	for name, test := range map[string]struct {
		user            *entratest.User
		clientID, scope string
		policies        int // status of a request that needs Policy.Read.All
	}{
		"Azure CLI":             {admin, "", graph + ".default", http.StatusForbidden},
		"Graph tools":           {admin, tools, graph + "Policy.Read.All", http.StatusOK},
		"Azure CLI, user":       {d.alice, "", graph + ".default", http.StatusForbidden},
		"Azure CLI, more scope": {admin, "", graph + "Policy.Read.All", 0},
		"Graph tools, user":     {d.alice, tools, graph + "Application.ReadWrite.All", 0},
	} {
		token, err := deviceCode(test.user, test.clientID).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{test.scope}})
		if test.policies == 0 {
			if err == nil {
				t.Errorf("%s: got a token, want none", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if a := d.as(token.Token).call(t, "GET", "policies/defaultAppManagementPolicy", nil); a.status != test.policies {
			t.Errorf("%s: policies: got %d, want %d: %s", name, a.status, test.policies, a.body)
		}
	}
}

// The tokens of users for Graph have their roles, and /me lists them.
func TestDirectoryRoles(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.alice.Roles = []entratest.Role{entratest.RoleApplicationDeveloper}
	token := d.tokenOf(d.alice)
	_, claims := decode(t, token)
	wids, _ := claims["wids"].(list)
	if len(wids) != 2 || wids[0] != "cf1c38e5-3621-4004-a7cb-879624dced7c" {
		t.Errorf("wids are %v, want Application Developer and member", wids)
	}
	a := d.as(token).must(t, http.StatusOK, "GET", "me/memberOf/microsoft.graph.directoryRole?$select=displayName", nil)
	if all := a.values(); len(all) != 1 || all[0]["displayName"] != "Application Developer" {
		t.Errorf("roles are %v, want Application Developer", all)
	}
}

// The tenant's name and domains are for everybody who may sign in.
func TestDirectoryOrganization(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Directory().AddDomain("contoso.com")
	user := d.as(d.tokenOf(d.alice, "User.Read"))
	a := user.must(t, http.StatusOK, "GET", "organization?$select=id,displayName,verifiedDomains", nil)
	if all := a.values(); len(all) != 1 || all[0]["id"] != d.ID() || !strings.Contains(a.body, `"name":"contoso.com"`) || !strings.Contains(a.body, `.onmicrosoft.com"`) {
		t.Errorf("organization is %s, want contoso.com and the initial domain", a.body)
	}
	if a := user.must(t, http.StatusOK, "GET", "me", nil); a.text("id") != d.alice.ObjectID {
		t.Errorf("me is %s, want Alice", a.body)
	}
	checkFault(t, "applications with User.Read", user.call(t, "GET", "applications", nil), 403, "Authorization_RequestDenied", "")
}
