package obo_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// shared is a store that several replicas would have in Redis. It sees sealed
// values and hashed names only.
type shared struct{ values sync.Map }

func (s *shared) Get(_ context.Context, name string) ([]byte, error) {
	value, _ := s.values.Load(name)
	b, _ := value.([]byte)
	return b, nil
}

func (s *shared) Set(_ context.Context, name string, value []byte, ttl time.Duration) error {
	s.values.Store(name, value)
	time.AfterFunc(ttl, func() { s.values.Delete(name) })
	return nil
}

// Two replicas of a server, and a user whose second request reaches the other
// one. The app proves itself by a chain: its first secret is being replaced.
func ExampleTokenStore() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	server := tenant.AddApp("My MCP server", "access_as_user")
	tenant.Consent(server, tenant.Storage(), "user_impersonation")
	old, next := "the-secret-that-was-removed", server.AddSecret()
	callersToken := tenant.Token(tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddClient("CLI"), server)

	key := make([]byte, 32) // from where your secrets are kept, the same for all replicas
	_, _ = rand.Read(key)
	store := &shared{}
	for range 2 {
		exchanger, err := obo.NewExchanger(tenant.ID(), server.ClientID,
			clientauth.Chain(clientauth.Secret(old), clientauth.Secret(next)),
			&obo.Options{
				AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(),
				Store: store, StoreKeys: [][]byte{key},
			})
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = exchanger.Credential(obo.NewAssertion(callersToken)).GetToken(context.Background(),
			policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
		fmt.Println("error:", err, "hits:", exchanger.StoreStats().Hits)
	}
	fmt.Println("token requests, one of them with the old secret:", tenant.Count(entratest.EndpointToken))
	// Output:
	// error: <nil> hits: 0
	// error: <nil> hits: 1
	// token requests, one of them with the old secret: 2
}
