package entratest_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

func (c *contoso) beginDevice(t testing.TB, tenant string) answer {
	t.Helper()
	form := url.Values{"client_id": {c.client.ClientID}, "scope": {"openid offline_access " + c.api.Scope("access_as_user")}}
	a := do(t, c.HTTPClient(), http.MethodPost, c.AuthorityHost()+"/"+tenant+"/oauth2/v2.0/devicecode", form)
	if a.status != http.StatusOK || len(a.text("user_code")) != 9 || !strings.Contains(a.text("message"), a.text("user_code")) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return a
}

func (c *contoso) poll(t testing.TB, begun answer) answer {
	t.Helper()
	return c.token(t, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"},
		"client_id":  {c.client.ClientID}, "device_code": {begun.text("device_code")},
	})
}

func TestDeviceCode(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	begun := c.beginDevice(t, c.ID())
	if a := c.poll(t, begun); a.code() != 70016 || a.text("error") != "authorization_pending" {
		t.Errorf("%s", a.body)
	}
	if err := c.Browser(c.alice).EnterDeviceCode(context.Background(), strings.ToLower(begun.text("user_code"))); err != nil {
		t.Fatal(err)
	}
	a := c.poll(t, begun)
	_, claims := decode(t, a.text("access_token"))
	if claims["oid"] != c.alice.ObjectID || claims["scp"] != "access_as_user" || a.text("refresh_token") == "" || a.text("id_token") == "" {
		t.Errorf("%s", a.body)
	}
	if a := c.poll(t, begun); a.code() != 70019 || a.text("error") != "bad_verification_code" {
		t.Errorf("twice: %s", a.body)
	}
	if err := c.Browser(c.alice).EnterDeviceCode(context.Background(), begun.text("user_code")); err == nil {
		t.Error("a used code was taken")
	}

	begun = c.beginDevice(t, c.ID())
	b := c.Browser(c.AddUser("bob@contoso.com", "Bob"))
	b.Decline = true
	if err := b.EnterDeviceCode(context.Background(), begun.text("user_code")); err == nil {
		t.Error("declined, and yet signed in")
	}
	if a := c.poll(t, begun); a.text("error") != "authorization_declined" {
		t.Errorf("%s", a.body)
	}

	begun = c.beginDevice(t, c.ID())
	c.clock.Advance(16 * time.Minute)
	if a := c.poll(t, begun); a.code() != 70020 || a.text("error") != "expired_token" {
		t.Errorf("%s", a.body)
	}
	c.client = c.AddApp("Confidential")
	begun = c.beginDevice(t, c.ID())
	if err := c.Browser(c.alice).EnterDeviceCode(context.Background(), begun.text("user_code")); err != nil {
		t.Fatal(err)
	}
	if a := c.poll(t, begun); a.code() != 7000218 {
		t.Errorf("no public client: %s", a.body)
	}
}

func TestDeviceRefusals(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	for name, test := range map[string]struct {
		form url.Values
		code int
	}{
		"no client":      {url.Values{"scope": {"openid"}}, 900144},
		"unknown client": {url.Values{"client_id": {c.ID()}, "scope": {"openid"}}, 700016},
		"no scope":       {url.Values{"client_id": {c.client.ClientID}}, 900144},
		"bare scope":     {url.Values{"client_id": {c.client.ClientID}, "scope": {"read"}}, 650053},
		"resource":       {url.Values{"client_id": {c.client.ClientID}, "scope": {c.api.Scope("access_as_user")}, "resource": {"https://x.example.com"}}, 9010010},
	} {
		if a := do(t, c.HTTPClient(), http.MethodPost, c.AuthorityHost()+"/"+c.ID()+"/oauth2/v2.0/devicecode", test.form); a.code() != test.code {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	if err := c.Browser(c.alice).EnterDeviceCode(context.Background(), "AAAAAAAAA"); err == nil || !strings.Contains(err.Error(), "AADSTS70019") {
		t.Errorf("a code that nobody has: %v", err)
	}
}

// At /organizations, the tenant is that of the user who signs in.
func TestSeveralTenants(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	fabrikam := c.AddTenant(nil)
	defer fabrikam.Close()
	bob := fabrikam.AddUser("bob@fabrikam.com", "Bob")
	fabrikam.AddServicePrincipal(c.client)
	fabrikam.AddServicePrincipal(c.api)
	if fabrikam.AuthorityHost() != c.AuthorityHost() || fabrikam.KeyID() != c.KeyID() || fabrikam.ID() == c.ID() {
		t.Error("not two tenants of one server")
	}
	shared := strings.Replace(c.authorizeURL(), c.ID(), "organizations", 1)
	endpoint := c.AuthorityHost() + "/organizations/oauth2/v2.0/token"
	for user, tenant := range map[*entratest.User]*entratest.Tenant{c.alice: c.Tenant, bob: fabrikam} {
		b := tenant.Browser(user)
		for range 2 { // the second time by single sign-on
			a := do(t, c.HTTPClient(), http.MethodPost, endpoint, c.redeem(open(t, b, shared)))
			_, claims := decode(t, a.text("access_token"))
			_, id := decode(t, a.text("id_token"))
			if claims["tid"] != tenant.ID() || id["iss"] != tenant.V2Issuer() || claims["oid"] != user.ObjectID {
				t.Errorf("%s: %s", user.UserPrincipalName, a.body)
			}
		}
		back := open(t, b, shared)
		other := c.ID()
		if tenant == c.Tenant {
			other = fabrikam.ID()
		}
		if a := do(t, c.HTTPClient(), http.MethodPost, strings.Replace(endpoint, "organizations", other, 1), c.redeem(back)); a.code() != 700005 {
			t.Errorf("at the other tenant: %s", a.body)
		}
	}
	if _, err := fabrikam.Browser(bob).Open(context.Background(), c.authorizeURL()); err == nil || !strings.Contains(err.Error(), "AADSTS50034") {
		t.Errorf("Bob at Contoso: %v", err)
	}
	c.client = c.AddClient("Device")
	c.client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost")
	fabrikam.AddServicePrincipal(c.client)
	begun := c.beginDevice(t, "organizations")
	if err := fabrikam.Browser(bob).EnterDeviceCode(context.Background(), begun.text("user_code")); err != nil {
		t.Fatal(err)
	}
	a := do(t, c.HTTPClient(), http.MethodPost, endpoint, url.Values{
		"grant_type": {"device_code"}, "client_id": {c.client.ClientID}, "device_code": {begun.text("device_code")},
	})
	if _, claims := decode(t, a.text("access_token")); claims["tid"] != fabrikam.ID() {
		t.Errorf("device: %s", a.body)
	}
	if a := do(t, c.HTTPClient(), http.MethodPost, endpoint, c.obo("client_id", c.api.ClientID)); a.code() != 50059 {
		t.Errorf("On-Behalf-Of without a tenant: %s", a.body)
	}
}

func TestSharedMetadata(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	for _, name := range []string{"organizations", "common"} {
		a := get(t, c.HTTPClient(), c.AuthorityHost()+"/"+name+"/v2.0/.well-known/openid-configuration")
		if a.text("issuer") != c.AuthorityHost()+"/{tenantid}/v2.0" || a.text("token_endpoint") != c.AuthorityHost()+"/"+name+"/oauth2/v2.0/token" {
			t.Errorf("%s: %s", name, a.body)
		}
		a = get(t, c.HTTPClient(), c.AuthorityHost()+"/"+name+"/.well-known/openid-configuration")
		if a.text("issuer") != "https://sts.windows.net/{tenantid}/" {
			t.Errorf("%s v1: %s", name, a.body)
		}
		a = get(t, c.HTTPClient(), c.AuthorityHost()+"/"+name+"/discovery/v2.0/keys")
		keys, _ := a.json["keys"].([]any)
		if key, _ := keys[0].(map[string]any); key["issuer"] != c.AuthorityHost()+"/{tenantid}/v2.0" {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	instance := c.AuthorityHost() + "/common/discovery/instance?api-version=1.1&authorization_endpoint="
	a := get(t, c.HTTPClient(), instance+url.QueryEscape(c.AuthorityHost()+"/"+c.ID()+"/oauth2/v2.0/authorize"))
	if a.text("tenant_discovery_endpoint") != c.V2Issuer()+"/.well-known/openid-configuration" || a.json["metadata"] == nil {
		t.Errorf("%s", a.body)
	}
	if a := get(t, c.HTTPClient(), instance+url.QueryEscape("https://login.example.com/x/oauth2/v2.0/authorize")); a.text("error") != "invalid_instance" || a.code() != 50049 {
		t.Errorf("%s", a.body)
	}
}
