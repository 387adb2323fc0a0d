package entratest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A user's client reuses its token while it is valid, and reaches any server.
func TestUserClient(t *testing.T) {
	t.Parallel()
	clock := &clock{now: time.Unix(1_800_000_000, 0)}
	tenant := entratest.New(t, &entratest.Options{Now: clock.Now, TokenLifetime: time.Hour})
	api := tenant.AddApp("API", "read", "write")
	got := make(chan string, 1)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Authorization") })
	plain, secured := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(plain.Close)
	t.Cleanup(secured.Close)
	client := tenant.UserClient(tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddClient("CLI"), api, "read")
	sent := func(target string) string {
		t.Helper()
		get(t, client, target, "Authorization", "Bearer other")
		return (<-got)[len("Bearer "):]
	}
	first := sent(plain.URL)
	if _, claims := decode(t, first); claims["scp"] != "read" {
		t.Errorf("scp = %v, want read", claims["scp"])
	}
	clock.Advance(time.Hour - time.Second)
	if sent(plain.URL) != first {
		t.Error("the token is renewed although it is valid")
	}
	clock.Advance(time.Second)
	client.Transport.(*entratest.UserTransport).Base = secured.Client().Transport
	if sent(secured.URL) == first {
		t.Error("the token is not renewed although it has expired")
	}
}
