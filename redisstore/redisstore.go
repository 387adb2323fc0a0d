// Package redisstore lets the replicas of a server share the tokens that package
// obo has exchanged, through Redis or what speaks its protocol (Valkey, Azure
// Cache for Redis, Azure Managed Redis):
//
//	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: addrs, TLSConfig: tls})
//	store, err := redisstore.New(client, nil)
//	…
//	exchanger, err := obo.NewExchanger(tenantID, apiAppID, method, &obo.Options{
//		Store:     store,
//		StoreKeys: [][]byte{key}, // 32 random bytes, from where secrets are kept
//	})
//
// TLS, Cluster, Sentinel, and how to sign in to Redis are the client's affair. It
// is in a module of its own, so that those who need no Redis get none.
//
// Redis sees neither tokens nor users: package obo seals values and hashes names
// before they come here. Keys expire with their tokens; a maxmemory policy that
// evicts (allkeys-lru, volatile-ttl) costs exchanges only.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// defaultPrefix keeps our keys apart from what else is in the database.
const defaultPrefix = "mcp-entra-go:obo:"

// Options configure a [Store]. The zero value is ready for use.
type Options struct {
	// Prefix begins every key. Servers that share users' tokens and keys share a
	// prefix too; others must not. Defaults to "mcp-entra-go:obo:".
	Prefix string
}

// A Store is an obo.TokenStore on Redis. It is safe for concurrent use.
type Store struct {
	client redis.UniversalClient
	prefix string
}

// New returns a store on the client, which stays the caller's to close. No
// request is made: a Redis that is down is no fault, and costs exchanges.
//
// Package obo waits 250 milliseconds for an answer. The client's own retries and
// time-outs can be left as they are.
func New(client redis.UniversalClient, opts *Options) (*Store, error) {
	if client == nil {
		return nil, errors.New("redisstore: client: is missing")
	}
	s := &Store{client: client, prefix: defaultPrefix}
	if opts != nil && opts.Prefix != "" {
		s.prefix = opts.Prefix
	}
	return s, nil
}

// Get returns the value of the name, or nil if there is none.
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	value, err := s.client.Get(ctx, s.prefix+name).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("redisstore: get: %w", err)
	}
	return value, nil
}

// Set keeps the value for ttl, with the precision of a millisecond. A value
// whose time is over is not kept.
func (s *Store) Set(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	if ttl < time.Millisecond {
		return nil // 0 would mean forever
	}
	if err := s.client.Set(ctx, s.prefix+name, value, ttl.Truncate(time.Millisecond)).Err(); err != nil {
		return fmt.Errorf("redisstore: set: %w", err)
	}
	return nil
}
