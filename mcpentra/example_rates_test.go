package mcpentra_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// Buckets is a RateStore in memory, for servers in one process. Replicas share one outside, such as
// redisstore.RateStore.
type Buckets struct {
	mu   sync.Mutex
	full map[string]time.Time // when each user's bucket is
}

func (b *Buckets) Take(_ context.Context, user string, least, most int, rate float64, burst int) (taken int, wait time.Duration, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, each := time.Now(), time.Duration(float64(time.Second)/rate)
	full := b.full[user]
	if full.Before(now) {
		full = now
	}
	for taken < most && full.Sub(now) <= time.Duration(burst-1)*each {
		full = full.Add(each)
		taken++
	}
	if taken < least {
		return 0, full.Sub(now) - time.Duration(burst-least+taken)*each, nil
	}
	b.full[user] = full
	return taken, full.Sub(now) - time.Duration(burst-least)*each, nil
}

// Two replicas share a user's limits.
func ExampleWithSharedRates() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("My MCP server", "access_as_user")
	token := tenant.Token(tenant.AddUser("ada@contoso.example", "Ada"), tenant.AddClient("My client"), api)
	log := slog.New(slog.DiscardHandler)
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), Logger: log, // your server needs none of these
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	store := &Buckets{full: map[string]time.Time{}}
	var replicas []*mcpentra.Server
	for range 2 {
		srv, err := mcpentra.NewServer("https://mcp.example.com/mcp", verifier,
			mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 0.1, Burst: 3}),
			mcpentra.WithSharedRates(store), mcpentra.WithLogger(log))
		if err != nil {
			fmt.Println(err)
			return
		}
		replicas = append(replicas, srv)
	}

	for i := range 4 {
		r := httptest.NewRequest(http.MethodPost, "https://mcp.example.com/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		w := httptest.NewRecorder()
		replicas[i%2].ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 200
	// 200
	// 429
}
