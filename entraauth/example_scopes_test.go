package entraauth_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// To Entra, scopes are only names. Tell the verifier that whoever may write files may read
// them: a token with the broader scope then passes wherever the narrower one is needed, and
// challenges ask for no more than an operation needs.
func ExampleOptions_impliedScopes() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("Files", "access_as_user", "Files.Read", "Files.ReadWrite", "Files.Manage")
	tenantID, clientID := tenant.ID(), api.ClientID

	verifier, err := entraauth.NewVerifier(tenantID, clientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(),
		ImpliedScopes: map[string][]string{
			"Files.ReadWrite": {"Files.Read"},
			"Files.Manage":    {"Files.ReadWrite"}, // and so Files.Read, too
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	token := tenant.Token(tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("App"), api, "access_as_user", "Files.ReadWrite")
	caller, err := verifier.Verify(context.Background(), token)
	if err != nil {
		fmt.Println(err)
		return
	}
	read := entraauth.Policy{Scopes: []string{"Files.Read"}}
	write := entraauth.Policy{AnyScope: []string{"Files.Manage", "Files.ReadWrite"}}
	fmt.Println(caller.Scopes(), caller.HasScope("Files.Read"), caller.HasScope("Files.Manage"))
	fmt.Println(read.Check(caller), write.Check(caller))

	// What a challenge asks for, of one operation and of two at once.
	for _, policies := range [][]entraauth.Policy{{read}, {read, write}} {
		scopes := strings.Join(verifier.ScopesFor("", policies...), " ")
		fmt.Println(strings.ReplaceAll(scopes, "api://"+clientID+"/", ""))
	}
	// Output:
	// [access_as_user Files.ReadWrite] true false
	// <nil> <nil>
	// access_as_user Files.Read
	// access_as_user Files.ReadWrite
}
