package redisstore_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/mcpentra/mcp-entra-go/authproxy"
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
