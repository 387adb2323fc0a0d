package entratest_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Test your own server offline: register it as an API of the tenant. It
// then serves users who signed in at the tenant. In a test, entratest.New(t, nil) closes the
// tenant.
func Example() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("Greeter", "access_as_user")
	alice, chat := tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("Chat")

	// Your server uses the tenant in place of Entra.
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()
	greet := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("hello,", entraauth.FromContext(r.Context()).Username())
	})
	server := httptest.NewServer(verifier.Middleware(nil)(greet))
	defer server.Close()

	for _, client := range []*http.Client{
		tenant.UserClient(alice, chat, api),              // sends Alice's token
		tenant.UserClient(alice, chat, tenant.Storage()), // sends a token for another API
		tenant.HTTPClient(),                              // sends none
	} {
		response, err := client.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = response.Body.Close()
		fmt.Println(response.StatusCode)
	}
	// Output:
	// hello, alice@contoso.example
	// 200
	// 401
	// 401
}

// A web app sends Alice to sign in, and redeems the code that it gets.
func ExampleTenant_Browser() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	app := tenant.AddApp("Web app")
	app.AddRedirectURI(entratest.PlatformWeb, "https://app.example.com/callback")
	alice := tenant.AddUser("alice@contoso.example", "Alice")

	address := tenant.AuthorityHost() + "/" + tenant.ID() + "/oauth2/v2.0/authorize?" + url.Values{
		"client_id": {app.ClientID}, "response_type": {"code"}, "scope": {"openid User.Read"}, "state": {"42"},
	}.Encode()
	back, err := tenant.Browser(alice).Open(context.Background(), address) // picks the account, consents
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(back.Host, back.Path, back.Query().Get("state"), strings.HasPrefix(back.Query().Get("code"), "1.A"))

	back, err = tenant.Browser(alice).Open(context.Background(), address+"&resource=https://mcp.example.com/mcp")
	if err != nil {
		fmt.Println(err)
		return
	}
	code, _, _ := strings.Cut(back.Query().Get("error_description"), ":")
	fmt.Println(back.Query().Get("error"), code)
	// Output:
	// app.example.com /callback 42 true
	// invalid_target AADSTS9010010
}
