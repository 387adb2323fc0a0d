package entratest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// An API exchanges its caller's token for a token for Azure Storage, first without and then with
// admin consent.
func ExampleNewTenant() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()

	alice := tenant.AddUser("alice@contoso.com", "Alice")
	client := tenant.AddClient("Some client")
	api := tenant.AddApp("My MCP server", "access_as_user")
	form := url.Values{
		"grant_type":          {"urn:ietf:params:oauth:grant-type:jwt-bearer"},
		"requested_token_use": {"on_behalf_of"},
		"client_id":           {api.ClientID},
		"client_secret":       {api.AddSecret()},
		"assertion":           {tenant.Token(alice, client, api)},
		"scope":               {"https://storage.azure.com/.default"},
	}
	exchange := func() {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
			tenant.AuthorityHost()+"/"+tenant.ID()+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
		if err != nil {
			fmt.Println(err)
			return
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := tenant.HTTPClient().Do(request)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = response.Body.Close() }()
		var answer struct {
			Error string `json:"error"`
			Codes []int  `json:"error_codes"`
			Scope string `json:"scope"`
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(response.StatusCode, answer.Error, answer.Codes)
		if answer.Scope != "" {
			fmt.Println(answer.Scope)
		}
	}
	exchange()
	tenant.Consent(api, tenant.Storage(), "user_impersonation")
	exchange()
	// Output:
	// 400 invalid_grant [65001]
	// 200  []
	// https://storage.azure.com/user_impersonation https://storage.azure.com/.default
}

// Mint makes tokens that an API must reject, here one from another tenant and an app-only token.
func ExampleTenant_Mint() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("My MCP server", "access_as_user")

	foreign := tenant.Mint(api, 2, func(_, claims map[string]any) {
		claims["tid"] = "00000000-1111-2222-3333-444444444444"
	})
	appOnly := tenant.Mint(api, 1, func(_, claims map[string]any) {
		delete(claims, "scp")
		claims["roles"] = []string{"Tasks.Run"}
	})
	for _, token := range []string{foreign, appOnly} {
		var claims jwt.MapClaims
		if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
			fmt.Println(err)
		}
		fmt.Println(claims["ver"], claims["tid"] == tenant.ID(), claims["scp"], claims["roles"])
	}
	// Output:
	// 2.0 false access_as_user <nil>
	// 1.0 true <nil> [Tasks.Run]
}

// A tenant for a test is closed when the test ends. Yours gets a *testing.T.
func ExampleNew() {
	test := func(t entratest.TB) {
		tenant := entratest.New(t, &entratest.Options{TenantID: "11111111-2222-3333-4444-555555555555"})
		fmt.Println(tenant.V1Issuer())
	}
	t := new(recordingTB)
	test(t)
	for _, cleanup := range t.cleanups {
		cleanup()
	}
	// Output: https://sts.windows.net/11111111-2222-3333-4444-555555555555/
}

// A user's client sends a token with every request and renews it when it has expired. Here the
// server is the tenant's Microsoft Graph.
func ExampleTenant_UserClient() {
	now := time.Now()
	tenant := entratest.NewTenant(&entratest.Options{TokenLifetime: time.Hour, Now: func() time.Time { return now }})
	defer tenant.Close()
	alice := tenant.AddUser("alice@contoso.com", "Alice")
	client := tenant.UserClient(alice, tenant.AddClient("Chat"), tenant.Graph(), "User.Read")
	for range 2 {
		response, err := client.Get(tenant.AuthorityHost() + "/v1.0/me")
		if err != nil {
			fmt.Println(err)
			return
		}
		var me struct{ UserPrincipalName string }
		err = json.NewDecoder(response.Body).Decode(&me)
		_ = response.Body.Close()
		fmt.Println(response.StatusCode, me.UserPrincipalName, err)
		now = now.Add(2 * time.Hour)
	}
	// Output:
	// 200 alice@contoso.com <nil>
	// 200 alice@contoso.com <nil>
}

// An app-only token has app roles instead of scopes.
func ExampleTenant_AppToken() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api, job := tenant.AddApp("My MCP server", "access_as_user"), tenant.AddApp("Nightly job")
	tenant.GrantRoles(job, api, "Tasks.Run")

	var claims jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(tenant.AppToken(job, api), &claims); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(claims["oid"] == job.ObjectID, claims["scp"], claims["roles"])
	// Output: true <nil> [Tasks.Run]
}
