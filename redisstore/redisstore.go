// Package redisstore shares what the replicas of a server must share through Redis or a
// compatible server (Valkey, Azure Cache for Redis, Azure Managed Redis): the tokens that
// package obo exchanges ([Store]), what package authproxy must remember ([ProxyStore]), and the
// rates at which users may call ([RateStore]).
//
//	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: addrs, TLSConfig: tls})
//	store, err := redisstore.New(client, nil)
//	…
//	exchanger, err := obo.NewExchanger(tenantID, apiAppID, method, &obo.Options{
//		Store:     store,
//		StoreKeys: [][]byte{key}, // 32 random bytes, kept with your secrets
//	})
//
// Configure TLS, Cluster, Sentinel and authentication in the client, and ContextTimeoutEnabled, so
// that requests end when nobody waits for them any more. Each request is about one key, so in a
// Cluster it needs one hash slot, and all of a user's rate is in one. The package is a separate
// module, so that servers without Redis don't depend on go-redis.
//
// Redis sees neither tokens nor users: package obo encrypts values and hashes names.
// Keys of a Store expire with their tokens; if a maxmemory policy (allkeys-lru, volatile-ttl)
// evicts one, that costs one exchange.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// defaultPrefix separates our keys from others in the database.
const defaultPrefix = "mcp-entra-go:obo:"

// Options configures a [Store], a [ProxyStore] or a [RateStore]. The zero value is ready to use.
type Options struct {
	// Prefix is the prefix of every key. Replicas of one server, which have the same
	// obo.Options.StoreKeys, share it; different servers must not. Defaults to
	// "mcp-entra-go:obo:", for a [ProxyStore] to "mcp-entra-go:authproxy:", and for a
	// [RateStore] to "mcp-entra-go:rate:".
	Prefix string
}

// A Store is an obo.TokenStore on Redis. It is safe for concurrent use.
type Store struct {
	client redis.UniversalClient
	prefix string
}

// New returns a store that uses the client, which the caller closes. New sends nothing:
// it succeeds even if Redis is down, which only costs exchanges.
//
// Package obo waits at most 250 milliseconds for a response, so the client's own retries
// and timeouts don't matter.
func New(client redis.UniversalClient, opts *Options) (*Store, error) {
	if client == nil {
		return nil, errors.New("redisstore: the client is nil; pass one of go-redis's")
	}
	s := &Store{client: client, prefix: defaultPrefix}
	if opts != nil && opts.Prefix != "" {
		s.prefix = opts.Prefix
	}
	return s, nil
}

// Get returns the value of the name, or nil if there is none.
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	return get(ctx, s.client, s.prefix+name)
}

func get(ctx context.Context, client redis.UniversalClient, key string) ([]byte, error) {
	value, err := client.Get(ctx, key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("redisstore: get: %w", err)
	}
	return value, nil
}

// Set stores the value for ttl, in whole milliseconds. It doesn't store a value whose ttl
// is shorter than that.
func (s *Store) Set(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	if ttl < time.Millisecond {
		return nil // 0 would mean forever
	}
	if err := s.client.Set(ctx, s.prefix+name, value, ttl.Truncate(time.Millisecond)).Err(); err != nil {
		return fmt.Errorf("redisstore: set: %w", err)
	}
	return nil
}
