package entratest_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// identityToken gets a managed identity's token like code in App Service.
func identityToken(t testing.TB, c *contoso, clientID, resource string) string {
	t.Helper()
	endpoint, header := c.ManagedIdentityEndpoint()
	query := url.Values{"api-version": {"2019-08-01"}, "resource": {resource}, "client_id": {clientID}}
	a := get(t, c.HTTPClient(), endpoint+"?"+query.Encode(), "X-IDENTITY-HEADER", header)
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return a.text("access_token")
}

func TestAppServiceIdentity(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	identity := c.AddManagedIdentity("umi")
	endpoint, header := c.ManagedIdentityEndpoint()
	if again, _ := c.ManagedIdentityEndpoint(); again != endpoint || !strings.HasPrefix(endpoint, "http://127.0.0.1:") {
		t.Errorf("the endpoint is %s, then %s", endpoint, again)
	}
	query := url.Values{"api-version": {"2019-08-01"}, "resource": {exchangeURI}, "client_id": {identity.ClientID}}
	a := get(t, c.HTTPClient(), endpoint+"/?"+query.Encode(), "X-IDENTITY-HEADER", header)
	want := []string{"access_token", "client_id", "expires_on", "resource", "token_type"}
	if members := slices.Sorted(maps.Keys(a.json)); a.status != http.StatusOK || !slices.Equal(members, want) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if on, err := strconv.ParseInt(a.text("expires_on"), 10, 64); err != nil || on-c.clock.Now().Unix() != 86400 {
		t.Errorf("expires_on is %v", a.json["expires_on"])
	}
	_, claims := decode(t, a.text("access_token"))
	for claim, want := range map[string]any{
		// In v2 tokens, Entra identifies the token exchange by its client ID.
		"aud": "fb60f99c-7a34-4190-8149-302f77469936", "iss": c.V2Issuer(), "ver": "2.0",
		"sub": identity.ObjectID, "oid": identity.ObjectID, "azp": identity.ClientID, "azpacr": "2", "tid": c.ID(),
	} {
		if claims[claim] != want {
			t.Errorf("%s = %v, want %v", claim, claims[claim], want)
		}
	}
	if _, claims := decode(t, identityToken(t, c, identity.ClientID, "https://storage.azure.com/")); claims["aud"] != "https://storage.azure.com/" || claims["iss"] != c.V1Issuer() {
		t.Errorf("storage token: %v", claims)
	}
	c.GrantRoles(identity, c.api, "Tasks.Run")
	if _, claims := decode(t, identityToken(t, c, identity.ClientID, c.api.AppIDURI())); fmt.Sprint(claims["roles"]) != "[Tasks.Run]" {
		t.Errorf("roles of the identity = %v, want [Tasks.Run]", claims["roles"])
	}
}

func TestAppServiceIdentityRefusals(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	identity := c.AddManagedIdentity("umi")
	endpoint, header := c.ManagedIdentityEndpoint()
	for name, test := range map[string]struct {
		query, header string
		status        int
		text          string
	}{
		"no header":        {"api-version=2019-08-01&resource=" + exchangeURI + "&client_id=" + identity.ClientID, "", 401, "X-IDENTITY-HEADER"},
		"wrong header":     {"api-version=2019-08-01&resource=" + exchangeURI + "&client_id=" + identity.ClientID, "x", 401, "X-IDENTITY-HEADER"},
		"old version":      {"api-version=2017-09-01&resource=" + exchangeURI + "&client_id=" + identity.ClientID, header, 400, "2019-08-01"},
		"no identity":      {"api-version=2019-08-01&resource=" + exchangeURI, header, 400, "No User Assigned"},
		"other identity":   {"api-version=2019-08-01&resource=" + exchangeURI + "&client_id=" + c.api.ClientID, header, 400, "No User Assigned"},
		"no resource":      {"api-version=2019-08-01&client_id=" + identity.ClientID, header, 400, "AADSTS500011"},
		"scope, no URI":    {"api-version=2019-08-01&resource=" + exchangeURI + "/.default&client_id=" + identity.ClientID, header, 400, "AADSTS500011"},
		"by object id":     {"api-version=2019-08-01&resource=" + exchangeURI + "&object_id=" + identity.ObjectID, header, 200, ""},
		"by resource id":   {"api-version=2019-08-01&resource=" + exchangeURI + "&mi_res_id=" + identity.ResourceID, header, 200, ""},
		"by principal id":  {"api-version=2019-08-01&resource=" + exchangeURI + "&principal_id=" + identity.ObjectID, header, 200, ""},
		"unknown resource": {"api-version=2019-08-01&resource=https://vault.azure.net&client_id=" + identity.ClientID, header, 400, "AADSTS500011"},
	} {
		a := get(t, c.HTTPClient(), endpoint+"?"+test.query, "X-IDENTITY-HEADER", test.header)
		if a.status != test.status || !strings.Contains(a.text("message"), test.text) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if a.status != http.StatusOK && a.json["statusCode"] != float64(test.status) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	if a := get(t, c.HTTPClient(), strings.TrimSuffix(endpoint, "/MSI/token")); a.status != http.StatusNotFound || !strings.Contains(a.body, "not Microsoft Entra ID") {
		t.Errorf("another path: %d %s", a.status, a.body)
	}
}

func TestIMDS(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	first := c.AddManagedIdentity("first")
	endpoint, _ := c.ManagedIdentityEndpoint()
	imds := strings.TrimSuffix(endpoint, "/MSI/token") + "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=" + exchangeURI
	a := get(t, c.HTTPClient(), imds, "Metadata", "true")
	want := []string{"access_token", "client_id", "expires_in", "expires_on", "ext_expires_in", "not_before", "resource", "token_type"}
	if members := slices.Sorted(maps.Keys(a.json)); a.status != http.StatusOK || !slices.Equal(members, want) || a.text("client_id") != first.ClientID {
		t.Fatalf("the only identity: %d %s", a.status, a.body)
	}
	if a.text("expires_in") != "86400" {
		t.Errorf("expires_in is %v", a.json["expires_in"])
	}
	second := c.AddManagedIdentity("second")
	for name, test := range map[string]struct {
		query, header string
		status        int
		clientID      string
	}{
		"no header":     {"&client_id=" + second.ClientID, "", 400, ""},
		"by client ID":  {"&client_id=" + second.ClientID, "true", 200, second.ClientID},
		"by resource":   {"&msi_res_id=" + second.ResourceID, "true", 200, second.ClientID},
		"one of two":    {"", "true", 400, ""},
		"unknown":       {"&client_id=" + c.api.ClientID, "true", 400, ""},
		"no such thing": {"&client_id=" + second.ClientID + "&resource=x", "true", 200, second.ClientID}, // the first resource counts
	} {
		a := get(t, c.HTTPClient(), imds+test.query, "Metadata", test.header)
		if a.status != test.status || a.text("client_id") != test.clientID {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if a.status != 200 && (a.text("error") != "invalid_request" || a.text("error_description") == "") {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}

func TestManagedIdentityEndpointAfterClose(t *testing.T) {
	t.Parallel()
	tenant := entratest.NewTenant(nil)
	tenant.Close()
	defer func() {
		if recover() == nil {
			t.Error("a closed tenant listens again")
		}
	}()
	tenant.ManagedIdentityEndpoint()
}
