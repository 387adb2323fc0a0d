package redisstore_test

import (
	"math"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/redisstore"
)

var _ obo.TokenStore = (*redisstore.Store)(nil)

func TestNew(t *testing.T) {
	t.Parallel()
	if _, err := redisstore.New(nil, nil); err == nil {
		t.Error("New without client = nil, want a fault")
	}
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = client.Close() }()
	store, err := redisstore.New(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Set(t.Context(), "name", []byte("value"), 0); err != nil {
		t.Errorf("nothing was to be kept, but: got %v, want nil", err)
	}
	if _, err := store.Get(t.Context(), "name"); err == nil {
		t.Error("Get = nil with nobody there, want an error")
	}
}

var _ authproxy.Store = (*redisstore.ProxyStore)(nil)

func TestNewProxyStore(t *testing.T) {
	t.Parallel()
	if _, err := redisstore.NewProxyStore(nil, nil); err == nil {
		t.Error("NewProxyStore without client = nil, want a fault")
	}
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = client.Close() }()
	store, err := redisstore.NewProxyStore(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), "name"); err == nil {
		t.Error("Get = nil with nobody there, want an error")
	}
	for what, c := range map[string]struct {
		old, value []byte
		ttl        time.Duration
	}{
		"nobody is there":     {nil, []byte("x"), time.Minute},
		"an empty value":      {nil, []byte{}, time.Minute},
		"an empty old value":  {[]byte{}, []byte("x"), time.Minute},
		"no time to live":     {nil, []byte("x"), 0},
		"less than it can be": {nil, []byte("x"), time.Microsecond},
	} {
		if done, err := store.Swap(t.Context(), "name", c.old, c.value, c.ttl); done || err == nil {
			t.Errorf("Swap: %s: %v, %v; want an error", what, done, err)
		}
	}
}

var _ mcpentra.RateStore = (*redisstore.RateStore)(nil)

func TestNewRateStore(t *testing.T) {
	t.Parallel()
	if _, err := redisstore.NewRateStore(nil, nil); err == nil {
		t.Error("NewRateStore without client = nil, want a fault")
	}
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = client.Close() }()
	store, err := redisstore.NewRateStore(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		least, most int
		rate        float64
		burst       int
	}{
		"nobody is there":     {1, 1, 1, 1},
		"no calls":            {1, 0, 1, 1},
		"none at least":       {0, 1, 1, 1},
		"more than the burst": {2, 2, 1, 1},
		"no rate":             {1, 1, 0, 1},
		"not a number":        {1, 1, math.NaN(), 1},
		"no burst":            {1, 1, 1, 0},
	} {
		if taken, wait, err := store.Take(t.Context(), "alice", c.least, c.most, c.rate, c.burst); taken != 0 || wait != 0 || err == nil {
			t.Errorf("Take: %s: %d, %v, %v; want an error", what, taken, wait, err)
		}
	}
}
