package mcpentra_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A lineLog keeps what is logged.
type lineLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lineLog) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// count returns how many lines have the text.
func (l *lineLog) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

const (
	outageBegins = "level=WARN msg=\"the rate store fails"
	outageEnds   = "level=INFO msg=\"the rate store works again\" outage="
)

// However the store fails, no call of a user within the limits does, and few wait. Meanwhile each
// replica has the limits for itself, and asks once a second.
func TestRateStoreOutage(t *testing.T) {
	t.Parallel()
	limits := mcpentra.Limits{RequestsPerSecond: 100, Burst: 200}
	for name, row := range map[string]struct {
		fail, repair func(*rateStore)
		waits        int // calls, at most, that wait
	}{
		"errors":           {func(s *rateStore) { s.err = errors.New("connection refused") }, func(s *rateStore) { s.err = nil }, 0},
		"no answers":       {func(s *rateStore) { s.delay = time.Hour }, func(s *rateStore) { s.delay = 0 }, 10},
		"contexts ignored": {func(s *rateStore) { s.hangs = make(chan struct{}) }, func(s *rateStore) { close(s.hangs); s.hangs = nil }, 10},
		"panics":           {func(s *rateStore) { s.panics = true }, func(s *rateStore) { s.panics = false }, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			store, log := &rateStore{}, &lineLog{}
			two := replicas(2, limits, store, log.logger())
			steady := offer{"alice", 90, 5 * time.Second, inTurn}
			if x := steady.send(two); x.refused > 0 || x.waited > 0 {
				t.Errorf("%s, before: %+v, want nobody refused", name, x)
			}
			store.set(func() { row.fail(store) })
			asked := store.requests()
			begin := time.Now()
			x := offer{"alice", 90, 20 * time.Second, inTurn}.send(two)
			if x.refused > 0 || x.waited > row.waits || x.longest > rateWait {
				t.Errorf("%s: %+v; want nobody refused, %d to wait, for %v at most", name, x, row.waits, rateWait)
			}
			if n := store.requests() - asked; n > 2*22 {
				t.Errorf("%s: %d requests in 20s by two replicas, want one a second", name, n)
			}
			x = offer{"alice", 1000, 10 * time.Second, inTurn}.send(two)
			if most := 2 * 1200; x.admitted < most-50 || x.admitted > most+50 || x.waited > 0 {
				t.Errorf("%s: %+v; want %d admitted, the limit twice", name, x, most)
			}
			if log.count(outageBegins) != 2 || log.count(outageEnds) != 0 {
				t.Errorf("%s: the log is %s; want one line of each replica", name, &log.text)
			}
			store.set(func() { row.repair(store) })
			took := time.Since(begin).Seconds()
			offer{"alice", 10, 5 * time.Second, inTurn}.send(two)
			if log.count(outageBegins) != 2 || log.count(outageEnds) != 2 || log.count("a secret") != 0 {
				t.Errorf("%s, after %.0fs: the log is %s; want the end at each replica", name, took, &log.text)
			}
			x = offer{"alice", 240, 10 * time.Second, inTurn}.send(two)
			if x.admitted < 1080 || x.admitted > 1320 || x.waited > 0 && x.longest > rateWait {
				t.Errorf("%s, afterwards: %+v; want 1200 admitted", name, x)
			}
			settle()
		})
	}
}

// A store that hangs for one user delays no other, and at most 256 requests hang.
func TestRateStoreHangsForAUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &rateStore{hangs: make(chan struct{})}
		users := replicas(1, mcpentra.Limits{}, store, slog.New(slog.DiscardHandler))
		var waited atomic.Int64
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				begin := time.Now()
				if _, wait := users[0].Admit(fmt.Sprint("user ", i)); wait > 0 {
					t.Errorf("user %d must wait %v, want 0", i, wait)
				}
				if time.Since(begin) > 0 {
					waited.Add(1)
				}
			})
		}
		wg.Wait()
		if n := store.requests(); n > 256 || waited.Load() > 0 {
			t.Errorf("%d requests at once, and %d calls waited; want 256 and 0", n, waited.Load())
		}
		pass(10 * time.Second) // an outage by now
		if _, wait := users[0].Admit("user 1001"); wait > 0 {
			t.Errorf("another user must wait %v, want 0", wait)
		}
		close(store.hangs)
		settle()
	})
}

// Answers that can't be are of no use to anybody.
func TestRateStoreAnswersNonsense(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]func(int) int{
		"more than asked": func(want int) int { return 1000 * want },
		"negative":        func(int) int { return -1000 },
	} {
		synctest.Test(t, func(t *testing.T) {
			users := replicas(1, mcpentra.Limits{}, &rateStore{answers: answers}, slog.New(slog.DiscardHandler))
			x := offer{"alice", 500, 2 * time.Second, inTurn}.send(users)
			settle()
			if name == "negative" && x.admitted > 20 || name != "negative" && x.admitted != 1000 {
				t.Errorf("%s: %+v", name, x)
			}
		})
	}
}

// A store can't keep a user out for longer than a bucket takes to fill, nor admit a batch by a time
// that overflows.
func TestRateStoreAnswersNever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits := mcpentra.Limits{RequestsPerSecond: 1, Burst: 5}
		store := &rateStore{answers: func(int) int { return 0 }, wait: math.MaxInt64}
		users := replicas(1, limits, store, slog.New(slog.DiscardHandler))
		for _, n := range []int{1, 5} {
			for range 3 {
				if _, wait := users[0].AdmitBatch("alice", n); wait <= 0 || wait > 6*time.Second {
					t.Errorf("a batch of %d must wait %v, want some seconds", n, wait)
				}
			}
		}
		store.set(func() { store.answers = nil })
		pass(6 * time.Second)
		if _, wait := users[0].Admit("alice"); wait != 0 {
			t.Errorf("after the store has recovered, a call must wait %v, want 0", wait)
		}
		settle()
	})
}

// When Serve ends, so do requests to the store, and the log tells of no outage.
func TestRateStoreEndsWithTheServer(t *testing.T) {
	t.Parallel()
	store, log := &rateStore{delay: 900 * time.Millisecond}, &lineLog{}
	inBubble(t, func(t *testing.T, b *bubble) {
		client := &http.Client{Transport: withToken{b.token(b.alice), b.transport(t)}}
		resp, err := client.Post(b.url, "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
		must(t, err)
		must(t, resp.Body.Close())
		synctest.Wait()
		if store.requests() != 1 {
			t.Errorf("%d requests to the store, want 1", store.requests())
		}
		client.CloseIdleConnections()
		begin := time.Now()
		b.stop()
		must(t, <-b.served)
		synctest.Wait()
		if n := store.ended(); n != 1 || time.Since(begin) > 500*time.Millisecond {
			t.Errorf("%d requests to the store ended, %v after Serve's context; want 1, at once", n, time.Since(begin))
		}
		if log.count("the rate store fails") != 0 {
			t.Errorf("the log is %s; want no outage at the end", &log.text)
		}
	}, mcpentra.WithSharedRates(store), mcpentra.WithLogger(log.logger()))
}

func TestWithSharedRatesOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, store := range []mcpentra.RateStore{nil, (*rateStore)(nil)} {
		if _, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithSharedRates(store)); err == nil || !strings.Contains(err.Error(), "WithSharedRates: the store is nil") {
			t.Errorf("NewServer with the store %#v = %v, want a fault", store, err)
		}
	}
}

// An outage of the rate store can be watched.
func TestRateStoreOutageIsMeasured(t *testing.T) {
	t.Parallel()
	r, opts := observed()
	store := &rateStore{err: errors.New("connection refused")}
	w := newWorld(t, append(opts, mcpentra.WithSharedRates(store))...)
	open := func() float64 { return r.Series(telemetry.CircuitOpen.Name)["mcpentra.target=rates"] }
	if n := open(); n != 0 {
		t.Errorf("at the start: %v, want 0", n)
	}
	call := func() bool {
		status, _, body := do(t, http.MethodPost, w.url, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, w.bearer(nil))
		if status != http.StatusOK {
			t.Errorf("status %d, want 200: %s", status, body)
		}
		return open() == 1
	}
	until(t, "the outage in the metrics", call)
	store.set(func() { store.err = nil })
	until(t, "its end", func() bool { call(); return open() == 0 })
}
