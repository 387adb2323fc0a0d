package entraauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
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
	fmt.Println(caller.Username(), caller.DisplayName(), caller.Scopes())

	_, err = verifier.Verify(context.Background(), "garbage")
	fmt.Println(errors.Is(err, entraauth.ErrInvalidToken), err)
	// Output:
	// alice@contoso.example Alice [access_as_user]
	// true Token is not a well-formed JWT: expected an access token issued by Microsoft Entra ID. Send the token exactly as Entra issued it, once
}

// An API on net/http alone. Clients that have no token yet are told where to find the
// metadata, and the metadata tells them where to sign in and for which scopes.
func ExampleVerifier_ResourceMetadata() {
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

	metadata, err := verifier.ResourceMetadata("https://api.example.com/orders", "Orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	check := &entraauth.BearerCheck{ResourceMetadata: metadata.URL()}
	mux := http.NewServeMux()
	mux.Handle(metadata.Path(), metadata)
	mux.Handle("/orders", verifier.Middleware(check)(http.NotFoundHandler()))

	refused := httptest.NewRecorder()
	mux.ServeHTTP(refused, httptest.NewRequest(http.MethodGet, "/orders", nil))
	challenge := refused.Header().Get("WWW-Authenticate")
	fmt.Println(refused.Code, challenge[strings.Index(challenge, "resource_metadata"):])

	found := httptest.NewRecorder()
	mux.ServeHTTP(found, httptest.NewRequest(http.MethodGet, metadata.Path(), nil))
	var document struct {
		Resource string `json:"resource"`
		Name     string `json:"resource_name"`
	}
	err = json.Unmarshal(found.Body.Bytes(), &document)
	fmt.Println(found.Code, document, err)
	// Output:
	// 401 resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/orders"
	// 200 {https://api.example.com/orders Orders} <nil>
}

// A policy is checked once at the start, so that a fault is not found by the first
// caller, and then holds for each caller.
func ExamplePolicy_Validated() {
	_, err := entraauth.Policy{Scopes: []string{"openid"}, Groups: []string{"staff"}}.Validated()
	fmt.Println(err)
	admins, err := entraauth.Policy{UserRoles: []string{"Admin"}}.Validated()
	fmt.Println(admins.UserRoles, err)
	// Output:
	// Scopes: "openid" is for clients to request; no access token for an API has it, so no caller would pass: leave it out, and name a scope that the app registration exposes, such as access_as_user
	// Groups: "staff" is not a GUID such as 12345678-1234-1234-1234-123456789abc (no names, no braces)
	// [Admin] <nil>
}

// A handler behind a bearer check, with a scope of its own besides the verifier's.
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

// A handler finds out only downstream that the caller must sign in again: Entra refuses
// to exchange the token, because a second factor is needed now. The client is told what
// to request.
func ExampleVerifier_Refuse() {
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

	check := &entraauth.BearerCheck{}
	handler := verifier.Middleware(check)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := entraauth.FromContext(r.Context())
		verifier.Refuse(w, r, check, entraauth.ClaimsRequiredError(caller, `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`))
	}))
	req := httptest.NewRequest(http.MethodGet, "/orders", nil)
	req.Header.Set("Authorization", "Bearer "+tenant.Mint(api, 1, func(_, claims map[string]any) {
		claims["xms_cc"] = []string{"cp1"} // the client understands claims challenges
	}))
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	fmt.Println(rec.Code, strings.Contains(rec.Header().Get("WWW-Authenticate"), `error="insufficient_claims"`))
	// Output:
	// 401 true
}
