//go:build unix

package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

const (
	loadTime  = 20 * time.Second
	warmUp    = 5 * time.Second
	loadUsers = 20
	// What may be left when all is quiet again, beside what there was before.
	moreGoroutines = 5
	moreHeap       = 8 << 20
)

var loadLimits = mcpentra.Limits{RequestsPerSecond: 10, Burst: 20, Concurrent: 8, Sessions: 4, BodyTimeout: time.Second}

// Twenty seconds of clients that call, hang up, leave sessions behind, steal those
// of others, and stop in the middle of a request, while keys are rotated and Entra
// fails: nobody is taken for another, and nothing grows.
func TestLoad(t *testing.T) {
	l := newLoad(t)
	l.run(t, warmUp)
	goroutines, heap := l.quiet(t, 0)
	l.counts = newCounts()
	l.run(t, loadTime)
	goroutinesAfter, heapAfter := l.quiet(t, goroutines+moreGoroutines)

	c := l.counts
	t.Logf("%v: answers by status %v; %d results, %d of them failed on behalf of the user; %d clients hung up, %d sockets half open, %d thefts tried",
		loadTime, c.status, c.results, c.failed, c.hungUp, c.halfOpen, c.thefts)
	t.Logf("rotations %d, outages %d; requests to Entra: %d for keys, %d for tokens",
		c.rotations, c.outages, l.tenant.Count(entratest.EndpointKeys), l.tenant.Count(entratest.EndpointToken))
	t.Logf("most calls of a user at a time: %d of %d; most sessions of all, with those that are ending: %d of %d", l.tool.most(), loadLimits.Concurrent, c.sessions, (loadLimits.Sessions+loadLimits.Concurrent)*loadUsers)
	t.Logf("goroutines %d before, %d after; heap %d KiB before, %d KiB after", goroutines, goroutinesAfter, heap>>10, heapAfter>>10)

	if c.results == 0 || c.status[http.StatusTooManyRequests] == 0 || c.hungUp == 0 || c.halfOpen == 0 || c.thefts == 0 || c.rotations == 0 || c.outages == 0 {
		t.Error("the load was not what it should be")
	}
	if l.tool.most() > loadLimits.Concurrent {
		t.Errorf("%d calls of a user at a time", l.tool.most())
	}
	// Those that are ending count until their calls are over.
	if most := (loadLimits.Sessions + loadLimits.Concurrent) * loadUsers; c.sessions > most {
		t.Errorf("%d sessions, more than %d", c.sessions, most)
	}
	if goroutinesAfter > goroutines+moreGoroutines {
		t.Errorf("goroutines: %d, then %d", goroutines, goroutinesAfter)
	}
	if heapAfter > heap+moreHeap {
		t.Errorf("heap: %d KiB, then %d KiB", heap>>10, heapAfter>>10)
	}
}

// A load is two servers, with and without sessions, and what is done to them.
type load struct {
	tenant    *entratest.Tenant
	api       *entratest.App
	client    *entratest.App
	users     []*entratest.User
	tool      *whoTool
	servers   []*mcpentra.Server
	addrs     []string
	transport *http.Transport
	counts    *counts

	mu       sync.Mutex
	sessions []heldSession // for thieves
}

func newLoad(t *testing.T) *load {
	t.Helper()
	l := &load{tenant: entratest.NewTenant(&entratest.Options{KeepRequests: 10}), transport: &http.Transport{MaxIdleConnsPerHost: 64}, counts: newCounts()}
	t.Cleanup(l.tenant.Close)
	l.api, l.client = l.tenant.AddApp("MCP server", "access_as_user"), l.tenant.AddClient("MCP client")
	l.tenant.Consent(l.api, l.tenant.Storage(), "user_impersonation")
	for i := range loadUsers {
		l.users = append(l.users, l.tenant.AddUser(fmt.Sprintf("user%d@contoso.example", i), "User"))
	}
	verifier, exchanger := l.callers(t, slog.New(slog.DiscardHandler))
	l.tool = newWhoTool()
	for _, opts := range [][]mcpentra.Option{nil, {mcpentra.WithSessions()}} {
		srv, err := mcpentra.NewServer("https://mcp.example.com/mcp", verifier, append(opts, mcpentra.WithExchanger(exchanger), mcpentra.WithTools(l.tool),
			mcpentra.WithLimits(loadLimits), mcpentra.WithLogger(slog.New(slog.DiscardHandler)))...)
		must(t, err)
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		must(t, err)
		ctx, stop := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- srv.Serve(ctx, listener) }()
		t.Cleanup(func() {
			l.transport.CloseIdleConnections()
			stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
		l.servers, l.addrs = append(l.servers, srv), append(l.addrs, listener.Addr().String())
	}
	return l
}

func (l *load) url(server int) string { return "http://" + l.addrs[server] + "/mcp" }

// run does it all for a while.
func (l *load) run(t *testing.T, most time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	var wg sync.WaitGroup
	for i := range loadUsers {
		wg.Go(func() { l.call(ctx, t, i) })
		wg.Go(func() { l.useSessions(ctx, t, i) })
	}
	for range 4 {
		wg.Go(func() { l.hurry(ctx, t, 0) })
	}
	wg.Go(func() { l.halfOpen(ctx, t) })
	wg.Go(func() { l.rotate(ctx) })
	wg.Go(func() { l.flap(ctx) })
	wg.Go(func() { l.countSessions(ctx) })
	wg.Wait()
}

// quiet ends what clients have left, and returns goroutines and heap once they are
// no more than expected, or no longer fall.
func (l *load) quiet(t *testing.T, expected int) (goroutines int, heap uint64) {
	t.Helper()
	l.transport.CloseIdleConnections()
	l.tenant.HTTPClient().CloseIdleConnections()
	for _, s := range l.servers {
		for session := range s.MCP().Sessions() {
			_ = session.Close()
		}
	}
	goroutines = runtime.NumGoroutine()
	for range 120 {
		time.Sleep(500 * time.Millisecond)
		now := runtime.NumGoroutine()
		if settled := now >= goroutines; settled && (expected == 0 || now <= expected) {
			break
		}
		goroutines = now
	}
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}

// rotate changes the tenant's key, now announced, now not.
func (l *load) rotate(ctx context.Context) {
	for announced := false; wait(ctx, 4*time.Second); announced = !announced {
		if announced {
			l.tenant.AnnounceKey()
			wait(ctx, time.Second)
		}
		l.tenant.RotateKeys()
		l.counts.add(func(c *counts) { c.rotations++ })
	}
}

// flap lets Entra fail now and then, in several ways.
func (l *load) flap(ctx context.Context) {
	defer func() {
		l.tenant.Fail(entratest.EndpointKeys, entratest.Fault{})
		l.tenant.Fail(entratest.EndpointToken, entratest.Fault{})
	}()
	faults := []entratest.Fault{{Drop: true}, {Status: 503}, {RetryAfter: time.Second}, {Delay: 300 * time.Millisecond}, {CutAfter: 50}}
	for i := 0; wait(ctx, 1500*time.Millisecond); i++ {
		f := faults[i%len(faults)]
		l.tenant.Fail(entratest.EndpointKeys, f)
		if i%3 == 0 { // the circuit stays open for a while
			l.tenant.Fail(entratest.EndpointToken, f)
		}
		l.counts.add(func(c *counts) { c.outages++ })
		wait(ctx, 500*time.Millisecond)
		l.tenant.Fail(entratest.EndpointKeys, entratest.Fault{})
		l.tenant.Fail(entratest.EndpointToken, entratest.Fault{})
	}
}

// halfOpen opens connections and stops in the middle: of the header, of the body,
// and after the request, without reading.
func (l *load) halfOpen(ctx context.Context, t *testing.T) {
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for i := 0; wait(ctx, 20*time.Millisecond); i++ {
		// The end of the load is no reason to fail: a dial has a time of its own.
		c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(context.WithoutCancel(ctx), "tcp", l.addrs[i%len(l.addrs)])
		if err != nil {
			t.Error(err)
			return
		}
		body := modernCall("who")
		request := fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"+
			"Content-Length: %d\r\n\r\n%s", l.token(i%loadUsers), len(body), body)
		_, _ = io.WriteString(c, request[:[]int{40, len(request) - 30, len(request)}[i%3]]) // the server may have had enough
		l.counts.add(func(c *counts) { c.halfOpen++ })
		if open = append(open, c); len(open) > 200 {
			_ = open[0].Close()
			open = open[1:]
		}
	}
}

func (l *load) countSessions(ctx context.Context) {
	for wait(ctx, 100*time.Millisecond) {
		n := 0
		for range l.servers[1].MCP().Sessions() {
			n++
		}
		l.counts.add(func(c *counts) { c.sessions = max(c.sessions, n) })
	}
}

func (l *load) token(user int) string { return l.tenant.Token(l.users[user], l.client, l.api) }

// wait reports whether the time has passed before the context ended.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// counts is what has happened.
type counts struct {
	mu                                          sync.Mutex
	status                                      map[int]int
	results, failed, hungUp, halfOpen, sessions int
	thefts, rotations, outages                  int
}

func newCounts() *counts { return &counts{status: map[int]int{}} }

func (c *counts) add(change func(*counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

// send sends a request and counts its answer. A status of 0 says that there is none.
func (l *load) send(ctx context.Context, t *testing.T, method string, server int, header map[string]string, body string) (int, http.Header, string) {
	req, err := http.NewRequestWithContext(ctx, method, l.url(server), strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := l.transport.RoundTrip(req)
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
		var data []byte
		if data, err = io.ReadAll(resp.Body); err == nil {
			l.counts.add(func(c *counts) { c.status[resp.StatusCode]++ })
			return resp.StatusCode, resp.Header, string(data)
		}
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: %v", method, err)
	}
	return 0, nil, ""
}

// moment is a short time that differs.
func moment() time.Duration { return rand.N(40 * time.Millisecond) }
