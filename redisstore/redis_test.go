//go:build redis && unix

package redisstore_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
	"github.com/mcpentra/mcp-entra-go/redisstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startRedis runs Debian's redis-server on a free port, with nothing on disk, and with other
// arguments if there are any.
func startRedis(t *testing.T, args ...string) (*exec.Cmd, *redis.Client) {
	t.Helper()
	return startRedisAt(t, freeAddress(t).String(), args...)
}

// startRedisAt is startRedis on a port of 127.0.0.1.
func startRedisAt(t *testing.T, address string, args ...string) (*exec.Cmd, *redis.Client) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed. Run: apt-get install redis-server")
	}
	_, port, _ := strings.Cut(address, ":")
	args = append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, args...)
	cmd := exec.Command(path, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: address})
	t.Cleanup(func() {
		_ = client.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(time.Minute); client.Ping(t.Context()).Err() != nil; {
		if time.Now().After(deadline) {
			t.Fatal("redis-server does not answer")
		}
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // a program that starts
	}
	return cmd, client
}

func freeAddress(t *testing.T) *net.TCPAddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr)
}

type world struct {
	t      *testing.T
	tenant *entratest.Tenant
	api    *entratest.App
	client *entratest.App
	secret string
	store  obo.TokenStore
	log    bytes.Buffer
	mu     sync.Mutex
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func newWorld(t *testing.T, client redis.UniversalClient) *world {
	t.Helper()
	store, err := redisstore.New(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, tenant: entratest.NewTenant(nil), store: store}
	w.api, w.client = w.tenant.AddApp("My MCP server", "access_as_user"), w.tenant.AddClient("CLI")
	w.secret = w.api.AddSecret()
	w.tenant.Consent(w.api, w.tenant.Storage(), "user_impersonation")
	t.Cleanup(func() {
		w.tenant.HTTPClient().CloseIdleConnections()
		w.tenant.Close()
	})
	return w
}

// replica returns an exchanger of the app itself, or of agents in that order.
func (w *world) replica(agents ...string) *obo.Exchanger {
	w.t.Helper()
	x, err := obo.NewExchanger(w.tenant.ID(), w.api.ClientID, clientauth.Secret(w.secret), &obo.Options{
		AuthorityHost: w.tenant.AuthorityHost(), HTTPClient: w.tenant.HTTPClient(),
		Store: w.store, StoreKeys: [][]byte{bytes.Repeat([]byte{7}, 32)}, Agents: agents,
		Logger: slog.New(slog.NewTextHandler(w, nil)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

// get returns the token, after a look at whose it is.
func (w *world) get(x *obo.Exchanger, a obo.Assertion, user *entratest.User) string {
	w.t.Helper()
	token, err := x.Credential(a).GetToken(w.t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
	if err != nil {
		w.t.Errorf("GetToken = %v, want nil", err)
		return ""
	}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token.Token, ".")[1])
	var claims struct{ OID string }
	if err := json.Unmarshal(payload, &claims); err != nil || claims.OID != user.ObjectID {
		w.t.Errorf("got a token of %q, %v; want %s's", claims.OID, err, user.ObjectID)
	}
	return token.Token
}

func TestReplicasShareTokens(t *testing.T) {
	t.Parallel()
	_, client := startRedis(t)
	w := newWorld(t, client)
	alice, bob := w.tenant.AddUser("alice@contoso.com", "Alice"), w.tenant.AddUser("bob@contoso.com", "Bob")
	a := obo.NewAssertion(w.tenant.Token(alice, w.client, w.api))
	var token string
	for range 4 {
		token = w.get(w.replica(), a, alice)
	}
	if n := w.tenant.Count(entratest.EndpointToken); n != 1 {
		t.Errorf("%d exchanges for four replicas one after another, want 1", n)
	}
	b := obo.NewAssertion(w.tenant.Token(bob, w.client, w.api))
	var wg sync.WaitGroup
	for range 4 {
		x := w.replica()
		for range 8 {
			wg.Go(func() { w.get(x, b, bob) })
		}
	}
	wg.Wait()
	if n := w.tenant.Count(entratest.EndpointToken) - 1; n < 1 || n > 4 {
		t.Errorf("%d exchanges for four replicas at once, want at most 4", n)
	}
	// What Redis has: two sealed values with an end.
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 2 {
		t.Fatalf("%d keys, %v; want 2", len(keys), err)
	}
	for _, key := range keys {
		value, _ := client.Get(t.Context(), key).Bytes()
		ttl, _ := client.PTTL(t.Context(), key).Result()
		if ttl <= 0 || ttl > 2*time.Hour || !strings.HasPrefix(key, "mcp-entra-go:obo:") || strings.Contains(key, alice.ObjectID) {
			t.Errorf("%s lives for %v, want our prefix, nothing of the user, at most 2h", key, ttl)
		}
		if bytes.Contains(value, []byte(token[20:60])) || bytes.Contains(value, []byte("eyJ")) {
			t.Errorf("%s holds a token, want it sealed", key)
		}
	}
}

// TestReplicasOfAgents: replicas that list the agents in different orders share each agent's tokens,
// and no agent gets the other's.
func TestReplicasOfAgents(t *testing.T) {
	t.Parallel()
	_, client := startRedis(t)
	w := newWorld(t, client)
	w.api = w.tenant.AddBlueprint("My MCP agents", "access_as_user")
	w.secret = w.api.AddSecret()
	w.tenant.Consent(w.api, w.tenant.Storage(), "user_impersonation")
	w.api.AllowInheritance(w.tenant.Storage())
	reader, writer := w.tenant.AddAgent(w.api, "Reader").ClientID, w.tenant.AddAgent(w.api, "Writer").ClientID
	a := obo.NewAssertion(w.tenant.Token(w.tenant.AddUser("alice@contoso.com", "Alice"), w.client, w.api))
	for _, agents := range [][]string{{reader, writer}, {writer, reader}, {writer}} {
		x := w.replica(agents...)
		for _, agent := range agents {
			token, err := x.AgentCredential(a, agent).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
			if err != nil {
				t.Fatal(err)
			}
			payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token.Token, ".")[1])
			var claims struct{ AppID string }
			if err := json.Unmarshal(payload, &claims); err != nil || claims.AppID != agent {
				t.Errorf("got a token through %q, %v; want %s", claims.AppID, err, agent)
			}
		}
	}
	if n := w.tenant.Count(entratest.EndpointToken); n != 4 {
		t.Errorf("%d token requests, want two steps for each of two agents", n)
	}
	if keys, err := client.Keys(t.Context(), "*").Result(); err != nil || len(keys) != 2 {
		t.Errorf("%d keys, %v; want 2: only users' tokens are stored", len(keys), err)
	}
}

// TestRedisStalls: stopped in its tracks, it costs one bounded wait; killed, nothing more.
func TestRedisStalls(t *testing.T) {
	t.Parallel()
	cmd, client := startRedis(t)
	w := newWorld(t, client)
	alice := w.tenant.AddUser("alice@contoso.com", "Alice")
	x := w.replica()
	w.get(x, obo.NewAssertion(w.tenant.Token(alice, w.client, w.api)), alice)
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	before := x.StoreStats().Failures
	start := time.Now()
	for range 5 {
		w.get(x, obo.NewAssertion(w.tenant.Token(alice, w.client, w.api)), alice)
	}
	t.Logf("5 exchanges with a Redis that stands still: %v", time.Since(start))
	most := 1 + uint64(time.Since(start)/(10*time.Second)) // a busy machine may take as long as it is left alone
	if n := x.StoreStats().Failures - before; n < 1 || n > most {
		t.Errorf("%d failures, want 1 for each 10 seconds: it is left alone after the first", n)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Process.Signal(syscall.SIGCONT)
	w.get(w.replica(), obo.NewAssertion(w.tenant.Token(alice, w.client, w.api)), alice)
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := strings.Count(w.log.String(), "the token store fails"); n != 2 {
		t.Errorf("logged %d times, want once by each replica:\n%s", n, w.log.String())
	}
}
