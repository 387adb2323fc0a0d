package redisstore_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/redisstore"
)

// Replicas of a server share which codes and refresh tokens were used.
func ExampleNewProxyStore() {
	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"redis.example.com:6380"}})
	defer func() { _ = client.Close() }()

	store, err := redisstore.NewProxyStore(client, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	opts := &authproxy.Options{Store: store} // for authproxy.New
	fmt.Println(opts.Store != nil)
	// Output: true
}

// Replicas of a server limit the rate of a user's calls together.
func ExampleNewRateStore() {
	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"redis.example.com:6380"}, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()

	store, err := redisstore.NewRateStore(client, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	opts := []mcpentra.Option{ // for mcpentra.NewServer
		mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 50, Burst: 100}),
		mcpentra.WithSharedRates(store),
	}
	fmt.Println(len(opts))
	// Output: 2
}
