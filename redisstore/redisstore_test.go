package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

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
