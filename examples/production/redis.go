package main

import (
	"context"
	"fmt"
	"log/slog"
	neturl "net/url"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpentra/mcp-entra-go/examples/internal/documented"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
	"github.com/mcpentra/mcp-entra-go/redisstore"
)

// pingTimeout is how long the start waits for Redis: longer than a connection by TLS takes.
const pingTimeout = 2 * time.Second

// redisStores are what the replicas share. A nil one shares nothing.
type redisStores struct {
	client  redis.UniversalClient
	tokens  *redisstore.Store
	signIns *redisstore.ProxyStore
	rates   *redisstore.RateStore // nil if each replica has its own rates
}

// openRedis returns the stores in the configured Redis, nil without one. It sends nothing: the
// server works without Redis, too. The fault shows nothing of the URL, which
// may contain a password.
func openRedis(c serverconfig.Production, log *slog.Logger) (*redisStores, *serverconfig.Fault) {
	if c.RedisURL == "" {
		return nil, nil
	}
	redis.SetLogger(redisLog{log}) // first: a client may connect at once
	client, err := newClient(c.RedisURL)
	if err != nil {
		return nil, &serverconfig.Fault{
			Where: "REDIS_URL", Problem: "is not a URL that go-redis accepts (its value is not shown: it may contain a password)",
			Remedy: "Set it to rediss://:PASSWORD@HOST:PORT; for a cluster add ?addr=HOST:PORT for each further node",
		}
	}
	s := &redisStores{client: client}
	if s.tokens, err = redisstore.New(client, nil); err == nil {
		s.signIns, err = redisstore.NewProxyStore(client, nil)
	}
	if err == nil && c.SharedRates {
		s.rates, err = redisstore.NewRateStore(client, nil)
	}
	if err != nil {
		_ = client.Close()
		return nil, &serverconfig.Fault{Where: "REDIS_URL", Problem: err.Error(), Remedy: "Report this"}
	}
	return s, nil
}

// newClient returns a client of one Redis, or of the cluster if the URL names further nodes.
func newClient(url string) (redis.UniversalClient, error) {
	if u, err := neturl.Parse(url); err == nil && u.Query().Has("addr") {
		o, err := redis.ParseClusterURL(url)
		if err != nil {
			return nil, err
		}
		o.ContextTimeoutEnabled = true // a request that nobody waits for ends
		return redis.NewClusterClient(o), nil
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	o.ContextTimeoutEnabled = true
	return redis.NewClient(o), nil
}

// addTo makes the server use the stores.
func (s *redisStores) addTo(to *documented.Surroundings) {
	if s == nil {
		return
	}
	to.Tokens, to.SignIns = s.tokens, s.signIns
	if s.rates != nil {
		to.Rates = s.rates
	}
}

// check asks Redis once, so that a wrong URL or password is in the log before the first user comes.
func (s *redisStores) check(ctx context.Context, log *slog.Logger) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := s.client.Ping(ctx).Err(); err != nil {
		log.WarnContext(ctx, "Redis does not answer; until it does, the replicas share nothing, and sign-ins through the server fail. "+
			"Check REDIS_URL, the network and Redis itself", "error", err)
	}
}

func (s *redisStores) close() {
	if s != nil {
		_ = s.client.Close()
	}
}

// redisLog gets go-redis's own messages, which would go to standard error as they are.
type redisLog struct{ log *slog.Logger }

// Printf implements go-redis's logger.
func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, "redis", "message", fmt.Sprintf(format, v...))
}
