//go:build unix

package interop_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/redisstore"
)

// A redisServer is Debian's redis-server, with nothing on disk.
type redisServer struct {
	address string
	program *process
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	r := &redisServer{address: l.Addr().String()}
	must(t, l.Close())
	r.start(t)
	return r
}

// start starts it, empty, on the same port as before.
func (r *redisServer) start(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed. Run: apt-get install redis-server")
	}
	_, port, _ := strings.Cut(r.address, ":")
	dir := t.TempDir()
	r.program = start(t, "redis-server", command(deadline(t, time.Minute), dir, nil, path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir))
	client := redis.NewClient(&redis.Options{Addr: r.address})
	defer func() { _ = client.Close() }()
	for end := time.Now().Add(10 * time.Second); client.Ping(t.Context()).Err() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("redis-server does not answer")
		}
	}
}

func (r *redisServer) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	must(t, r.program.cmd.Process.Signal(s))
}

// replicas are servers, each of which gets a request in turn. The balancer is in the client: package
// httputil's cuts an answer off, now and then.
type replicas struct {
	tenant      *entratest.Tenant
	api, client *entratest.App
	verifier    *entraauth.Verifier
	redis       *redisServer
	transport   *http.Transport
	urls        []string
	turn        atomic.Int64
	log         *output
}

func newReplicas(t *testing.T, n int, limits mcpentra.Limits) *replicas {
	t.Helper()
	x := &replicas{tenant: entratest.NewTenant(&entratest.Options{KeepRequests: 10}), redis: startRedis(t), transport: &http.Transport{MaxIdleConnsPerHost: 256}, log: newOutput()}
	t.Cleanup(x.tenant.Close)
	x.api, x.client = x.tenant.AddApp("MCP server", "access_as_user"), x.tenant.AddClient("MCP client")
	var err error
	x.verifier, err = entraauth.NewVerifier(x.tenant.ID(), x.api.ClientID, &entraauth.Options{
		HTTPClient: x.tenant.HTTPClient(), AuthorityHost: x.tenant.AuthorityHost(), Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	t.Cleanup(func() { _ = x.verifier.Close() })
	t.Cleanup(x.transport.CloseIdleConnections)
	for range n {
		client := redis.NewClient(&redis.Options{Addr: x.redis.address, ContextTimeoutEnabled: true})
		store, err := redisstore.NewRateStore(client, nil)
		must(t, err)
		address := x.serve(t, mcpentra.WithLimits(limits), mcpentra.WithSharedRates(store))
		t.Cleanup(func() { _ = client.Close() })
		x.urls = append(x.urls, "http://"+address+"/mcp")
	}
	return x
}

// serve starts a replica and returns its address.
func (x *replicas) serve(t *testing.T, opts ...mcpentra.Option) string {
	t.Helper()
	srv, err := mcpentra.NewServer("https://mcp.example.com/mcp", x.verifier, append(opts,
		mcpentra.WithTools(mcpentra.IdentityTools(x.verifier)),
		mcpentra.WithLogger(slog.New(slog.NewTextHandler(x.log, &slog.HandlerOptions{Level: slog.LevelInfo}))))...)
	must(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// token returns an access token of a new user.
func (x *replicas) token(name string) string {
	return x.tenant.Token(x.tenant.AddUser(name+"@contoso.example", name), x.client, x.api)
}

// call calls a tool, and returns the status and how long it took.
func (x *replicas) call(t *testing.T, url, token string) (status int, retryAfter string, took time.Duration) {
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secure_ping","arguments":{}}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, "", 0
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	begin := time.Now()
	resp, err := x.transport.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return 0, "", 0
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == http.StatusOK && !strings.Contains(string(text), "successful") {
		t.Errorf("%d %s, %v", resp.StatusCode, text, err)
	}
	return resp.StatusCode, resp.Header.Get("Retry-After"), time.Since(begin)
}

// An outcome is how often each status was answered, and how long each call took.
type outcome struct {
	mu     sync.Mutex
	status map[int]int
	took   []time.Duration
	worst  string // a 429's Retry-After that is odd
}

// offer makes a user's calls at the replicas in turn, at a steady rate, whether those before are answered or
// not.
func (x *replicas) offer(t *testing.T, token string, perSecond float64, most time.Duration) *outcome {
	o := &outcome{status: map[int]int{}}
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range int(perSecond * most.Seconds()) {
		time.Sleep(time.Until(begin.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))))
		wg.Go(func() {
			status, after, took := x.call(t, x.urls[int(x.turn.Add(1))%len(x.urls)], token)
			o.mu.Lock()
			defer o.mu.Unlock()
			o.status[status]++
			o.took = append(o.took, took)
			if s, err := strconv.Atoi(after); status == http.StatusTooManyRequests && (err != nil || s < 1 || s > 2) {
				o.worst = "Retry-After " + after
			}
		})
	}
	wg.Wait()
	slices.Sort(o.took)
	return o
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}

// TestReplicasShareRates: at twice the limit, two and four replicas together admit what one would,
// within 10 %.
func TestReplicasShareRates(t *testing.T) {
	limits := mcpentra.Limits{RequestsPerSecond: 50, Burst: 100}
	const most = 12 * time.Second
	for _, n := range []int{2, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			x := newReplicas(t, n, limits)
			token := x.token("alice")
			var other *outcome
			var wg sync.WaitGroup
			wg.Go(func() { other = x.offer(t, x.token("bob"), 10, most) })
			begin := time.Now()
			o := x.offer(t, token, 2*(limits.RequestsPerSecond+float64(limits.Burst)/most.Seconds()), most)
			took := time.Since(begin)
			wg.Wait()
			want := float64(limits.Burst) + limits.RequestsPerSecond*took.Seconds()
			off := float64(o.status[http.StatusOK])/want - 1
			t.Logf("%d replicas, %g/s, bursts of %d, %d calls in %v: %d admitted, %.0f expected, %+.1f %%; a call takes %v, 99 %% %v, all %v",
				n, limits.RequestsPerSecond, limits.Burst, len(o.took), took.Round(time.Millisecond), o.status[http.StatusOK], want, 100*off, quantile(o.took, 0.5), quantile(o.took, 0.99), o.took[len(o.took)-1])
			if math.Abs(off) > 0.1 || o.status[http.StatusOK]+o.status[http.StatusTooManyRequests] != len(o.took) || o.worst != "" {
				t.Errorf("%d replicas: answers by status %v %s; want %.0f of 200, within 10 %%, and all others 429", n, o.status, o.worst, want)
			}
			if other.status[http.StatusOK] != len(other.took) {
				t.Errorf("another user within the limits: answers by status %v, want 200 alone", other.status)
			}
		})
	}
}

// TestReplicasRedisKilled: Redis stops for a while, is killed, and comes back empty. No call within
// the limits fails.
func TestReplicasRedisKilled(t *testing.T) {
	t.Parallel()
	x := newReplicas(t, 4, mcpentra.Limits{RequestsPerSecond: 40, Burst: 40})
	const most = 14 * time.Second
	outcomes := make([]*outcome, 4)
	var wg sync.WaitGroup
	for i := range outcomes {
		wg.Go(func() { outcomes[i] = x.offer(t, x.token(fmt.Sprint("user", i)), 20, most) })
	}
	for _, step := range []struct {
		after time.Duration
		do    func()
	}{
		{2 * time.Second, func() { x.redis.signal(t, syscall.SIGSTOP) }},
		{2500 * time.Millisecond, func() { x.redis.signal(t, syscall.SIGCONT) }},
		{2500 * time.Millisecond, func() { x.redis.signal(t, syscall.SIGKILL) }},
		{3 * time.Second, func() { x.redis.start(t) }},
	} {
		time.Sleep(step.after)
		step.do()
	}
	wg.Wait()
	for i, o := range outcomes {
		t.Logf("user %d: a call takes %v, 99 %% %v, all %v", i, quantile(o.took, 0.5), quantile(o.took, 0.99), o.took[len(o.took)-1])
		if o.status[http.StatusOK] != len(o.took) {
			t.Errorf("user %d: answers by status %v, want 200 alone", i, o.status)
		}
	}
	log, _ := x.log.look()
	if fails, works := strings.Count(log, "the rate store fails"), strings.Count(log, "the rate store works again"); fails < 8 || works != fails {
		t.Errorf("the log tells %d beginnings and %d ends of outages, want at least two at each of four replicas", fails, works)
	}
	o := x.offer(t, x.token("alice"), 160, 10*time.Second)
	if n := o.status[http.StatusOK]; n < 396 || n > 484 {
		t.Errorf("afterwards %d calls were admitted, want 440 within 10 %%", n)
	}
}

// TestReplicasCost prints what a call takes more with shared rates than without.
func TestReplicasCost(t *testing.T) {
	limits := mcpentra.Limits{RequestsPerSecond: 1e5, Burst: 1e5}
	x := newReplicas(t, 1, limits)
	without := "http://" + x.serve(t, mcpentra.WithLimits(limits)) + "/mcp"
	token := x.token("alice")
	const rounds = 2000
	for name, pause := range map[string]time.Duration{"one after another": 0, "50 a second": 20 * time.Millisecond} {
		var took [2][]time.Duration
		for i := range rounds {
			if pause > 0 && i > rounds/10 {
				break
			}
			for k, url := range []string{without, x.urls[0]} {
				time.Sleep(pause)
				status, _, d := x.call(t, url, token)
				if status != http.StatusOK {
					t.Fatalf("%d, want 200", status)
				}
				took[k] = append(took[k], d)
			}
		}
		slices.Sort(took[0])
		slices.Sort(took[1])
		for _, q := range []float64{0.5, 0.9} {
			a, b := quantile(took[0], q), quantile(took[1], q)
			t.Logf("%s, %.0f %%: %d µs without shared rates, %d µs with them: %+d µs", name, 100*q, a.Microseconds(), b.Microseconds(), (b - a).Microseconds())
		}
	}
}
