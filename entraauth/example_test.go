package entraauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A verifier for one API of one tenant. In production the options are nil; here
// the tenant is an offline one.
func ExampleNewVerifier() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("Orders", "access_as_user")

	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(),
		HTTPClient:    tenant.HTTPClient(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	token := tenant.Token(tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("App"), api)
	caller, err := verifier.Verify(context.Background(), token)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(caller.Username(), caller.Scopes())

	_, err = verifier.Verify(context.Background(), "garbage")
	fmt.Println(errors.Is(err, entraauth.ErrInvalidToken), err)
	// Output:
	// alice@contoso.example [access_as_user]
	// true Token is not a well-formed JWT: expected an access token issued by Microsoft Entra ID. Send the token exactly as Entra issued it, once
}

// A guarded handler, with a scope of its own besides the verifier's.
func ExampleVerifier_Middleware() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("Orders", "access_as_user", "Orders.Write")
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(),
		HTTPClient:    tenant.HTTPClient(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	write := verifier.Middleware(&entraauth.BearerCheck{Policy: entraauth.Policy{Scopes: []string{"Orders.Write"}}})
	handler := write(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello,", entraauth.FromContext(r.Context()).Username())
	}))

	alice := tenant.AddUser("alice@contoso.example", "Alice")
	client := tenant.AddClient("App")
	for _, scopes := range [][]string{{"access_as_user"}, {"access_as_user", "Orders.Write"}} {
		req := httptest.NewRequest(http.MethodPost, "/orders", nil)
		req.Header.Set("Authorization", "Bearer "+tenant.Token(alice, client, api, scopes...))
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, req)
		fmt.Println(rec.Code)
	}
	// Output:
	// 403
	// 200
}

// A report for whoever asks why a token is refused.
func ExampleVerifier_Explain() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("Orders", "access_as_user")
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(),
		HTTPClient:    tenant.HTTPClient(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	token := tenant.Mint(api, 1, func(_, claims map[string]any) {
		claims["aud"], claims["scp"] = "https://graph.microsoft.com", "User.Read"
	})
	for _, check := range verifier.Explain(context.Background(), token).Checks {
		if check.Result != entraauth.ResultPassed {
			fmt.Println(check.Reason, "-", check.Actual)
		}
	}
	// Output:
	// audience_mismatch - https://graph.microsoft.com
	// scope_missing - User.Read
}

// What outlives its request, such as a stream, asks again whether its token is good.
func ExampleVerifier_Recheck() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("Orders", "access_as_user")
	now := time.Now()
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(),
		HTTPClient:    tenant.HTTPClient(),
		Now:           func() time.Time { return now },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	id, err := verifier.Verify(context.Background(), tenant.Mint(api, 1, nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(verifier.Recheck(id))
	now = now.Add(48 * time.Hour)
	fmt.Println(errors.Is(verifier.Recheck(id), entraauth.ErrExpired))
	// Output:
	// <nil>
	// true
}
