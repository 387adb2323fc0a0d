package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// defaultProxyPrefix separates the keys of a [ProxyStore] from others in the database.
const defaultProxyPrefix = "mcp-entra-go:authproxy:"

// A ProxyStore is an authproxy.Store on Redis: what must be single-use, such as codes and
// refresh tokens, is then so on all replicas. It is safe for concurrent use.
//
//	store, err := redisstore.NewProxyStore(client, nil)
//	…
//	proxy, err := authproxy.New(issuer, tenantID, clientID, method, keys, &authproxy.Options{Store: store})
//
// Redis sees neither tokens nor users. Families of refresh tokens take about 150 bytes each, for
// 90 days. Choose a maxmemory policy that evicts nothing (noeviction): an evicted family is
// forgotten, and with it which of its tokens were used or revoked. After a failover, Redis may
// have lost the last writes, with the same effect; WAIT and its like are not used. The client must
// read from masters: with ReadOnly, RouteByLatency or RouteRandomly, a family that was just revoked may
// look as it was before.
type ProxyStore struct {
	client redis.UniversalClient
	prefix string
}

// NewProxyStore returns a store that uses the client, which the caller closes. The default of
// Options.Prefix is "mcp-entra-go:authproxy:". NewProxyStore sends nothing: it succeeds even if
// Redis is down, when codes and refresh tokens are refused with 503 until it is back.
func NewProxyStore(client redis.UniversalClient, opts *Options) (*ProxyStore, error) {
	if client == nil {
		return nil, errors.New("redisstore: the client is nil; pass one of go-redis's")
	}
	s := &ProxyStore{client: client, prefix: defaultProxyPrefix}
	if opts != nil && opts.Prefix != "" {
		s.prefix = opts.Prefix
	}
	return s, nil
}

// Get returns the value of the name, or nil if there is none.
func (s *ProxyStore) Get(ctx context.Context, name string) ([]byte, error) {
	return get(ctx, s.client, s.prefix+name)
}

// swap is the atomic step. go-redis repeats a command whose answer was lost, so a value that is
// there already counts as set: the callers' values are unique.
//
//	KEYS[1] the name; ARGV: the old value, the new one ("" is none), milliseconds to live
var swap = redis.NewScript(`
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then
  return now == ARGV[2] and 1 or 0
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
`)

// Swap atomically sets the value of the name for ttl, in whole milliseconds, if its present
// value is old, where nil is no value, and reports whether it was, or was the new value already.
// A nil value deletes the name. Values must not be empty.
func (s *ProxyStore) Swap(ctx context.Context, name string, old, value []byte, ttl time.Duration) (bool, error) {
	if old != nil && len(old) == 0 || value != nil && len(value) == 0 {
		return false, errors.New("redisstore: swap: a value is empty; nil stands for none")
	}
	if value != nil && ttl < time.Millisecond {
		return false, fmt.Errorf("redisstore: swap: ttl is %v; it must be at least 1ms", ttl)
	}
	done, err := swap.Run(ctx, s.client, []string{s.prefix + name}, old, value, ttl.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("redisstore: swap: %w", err)
	}
	return done, nil
}
