package obo_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/obo"
)

// storeWorld is an exchanger with a store in memory, whose log is kept. It runs in a
// bubble of synctest, so that time passes at once.
type storeWorld struct {
	x     *obo.Exchanger
	store *memoryStore
	log   bytes.Buffer
	users int
}

func newStoreWorld(t *testing.T, change func(*obo.Options)) *storeWorld {
	w := &storeWorld{store: newMemoryStore()}
	entra := &scriptedEntra{answers: []answer{good}}
	w.x = entra.exchanger(t, func(o *obo.Options) {
		o.Store, o.StoreKeys = w.store, [][]byte{storeKey(1)}
		o.Logger = slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
		if change != nil {
			change(o)
		}
	})
	return w
}

// come lets new users exchange at the same time, and returns how often the store was called.
func (w *storeWorld) come(t *testing.T, users int) int {
	t.Helper()
	before := w.store.count()
	var wg sync.WaitGroup
	for range users {
		w.users++
		user := w.users
		wg.Go(func() {
			if err := ask(t.Context(), w.x, user); err != nil {
				t.Errorf("user %d: got %v, want nil", user, err)
			}
		})
	}
	wg.Wait()
	return w.store.count() - before
}

func (w *storeWorld) wantLogged(t *testing.T, failures, recoveries int) {
	t.Helper()
	failed := strings.Count(w.log.String(), "level=ERROR msg=\"the token store fails")
	back := strings.Count(w.log.String(), "level=INFO msg=\"the token store works again")
	if failed != failures || back != recoveries {
		t.Errorf("the log has %d failures and %d recoveries, want %d and %d:\n%s", failed, back, failures, recoveries, w.log.String())
	}
}

func (s *memoryStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func (s *memoryStore) setFault(fault func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// hang is a fault of a store that ignores its context, and what ends it.
func hang() (fault func(context.Context) error, end func()) {
	released := make(chan struct{})
	return func(context.Context) error { <-released; return nil }, func() { close(released) }
}

// bubbleGoroutines counts the goroutines of the test's bubble: runtime.NumGoroutine
// counts those of other tests, too, which come and go meanwhile.
func bubbleGoroutines() int {
	stacks := make([]byte, 1<<20)
	for {
		n := runtime.Stack(stacks, true)
		if n < len(stacks) {
			return bytes.Count(stacks[:n], []byte("synctest bubble"))
		}
		stacks = make([]byte, 2*n)
	}
}

// A store that hangs gets no further call while one hangs, so that it holds no more
// goroutines than called it at the same time.
func TestHungStore(t *testing.T) {
	for _, test := range []struct {
		name              string
		at1st, atOnce     int
		mostCalls, rounds int
	}{
		{"one by one", 1, 1, 1, 20},
		{"several at once", 10, 10, 10, 10},
		{"many at once", 300, 20, 256, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newStoreWorld(t, nil)
				fault, end := hang()
				w.store.setFault(fault)
				before := bubbleGoroutines()
				calls := w.come(t, test.at1st)
				for range test.rounds {
					time.Sleep(11 * time.Second)
					start := time.Now()
					calls += w.come(t, test.atOnce)
					if took := time.Since(start); took != 0 {
						t.Fatalf("exchanges waited %v for a store that hangs, want 0", took)
					}
				}
				synctest.Wait()
				if n := bubbleGoroutines() - before; calls > test.mostCalls || n > test.mostCalls {
					t.Errorf("%d calls and %d goroutines, want at most %d of each", calls, n, test.mostCalls)
				}
				w.wantLogged(t, 1, 0)
				w.store.setFault(nil)
				time.Sleep(time.Minute)
				if n := w.come(t, 1); n != 0 {
					t.Errorf("%d calls while the old ones hang, want 0", n)
				}
				end()
				synctest.Wait()
				if n := w.come(t, 1); n != 2 {
					t.Errorf("%d calls when nothing hangs any more, want get and set", n)
				}
				w.wantLogged(t, 1, 1)
				synctest.Wait()
				if n := bubbleGoroutines() - before; n > 0 {
					t.Errorf("%d goroutines are left, want 0", n)
				}
			})
		})
	}
}

// A store that is down, slow or mad costs its time-out once and fails no exchange. When
// it works again, replicas share its tokens again.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(context.Context) error{
		"down": func(context.Context) error { return errors.New("connection refused") },
		"slow": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"mad":  func(context.Context) error { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newStoreWorld(t, nil)
				w.store.setFault(fault)
				begun := time.Now()
				for range 5 {
					w.come(t, 1)
				}
				if took, most := time.Since(begun), 250*time.Millisecond; took > most || w.x.StoreStats() != (obo.StoreStats{Failures: 1}) {
					t.Errorf("5 exchanges take %v, and StoreStats = %+v; want at most %v, and one failure", took, w.x.StoreStats(), most)
				}
				w.store.setFault(nil)
				time.Sleep(10 * time.Second)
				a := obo.NewAssertion(userToken(1))
				other := newStoreWorld(t, func(o *obo.Options) { o.Store = w.store })
				for _, x := range []*obo.Exchanger{w.x, other.x} {
					if _, err := x.Credential(a).GetToken(t.Context(), storageOptions); err != nil {
						t.Errorf("GetToken = %v, want nil", err)
					}
				}
				w.wantLogged(t, 1, 1)
				if got, want := other.x.StoreStats(), (obo.StoreStats{Hits: 1}); got != want {
					t.Errorf("another replica's StoreStats = %+v, want %+v", got, want)
				}
			})
		})
	}
}

// After its pause a store that fails gets one call, whatever comes of it, and the
// other exchanges don't wait.
func TestFailingStoreIsProbed(t *testing.T) {
	t.Parallel()
	slow := func(err error) func(context.Context) error {
		return func(context.Context) error { time.Sleep(100 * time.Millisecond); return err }
	}
	for name, fault := range map[string]func(context.Context) error{
		"down":  slow(errors.New("connection refused")),
		"slow":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"late":  func(context.Context) error { time.Sleep(5 * time.Second); return nil },
		"mad":   func(context.Context) error { panic("boom") },
		"exits": func(context.Context) error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newStoreWorld(t, nil)
				w.store.setFault(fault)
				w.come(t, 1)
				for range 3 {
					time.Sleep(10*time.Second - 300*time.Millisecond)
					if n := w.come(t, 20); n != 0 {
						t.Errorf("%d calls before the pause is over, want 0", n)
					}
					time.Sleep(300 * time.Millisecond)
					if n := w.come(t, 20); n != 1 {
						t.Errorf("%d calls after the pause, want 1", n)
					}
				}
				w.wantLogged(t, 1, 0)
				w.store.setFault(slow(nil))
				time.Sleep(11 * time.Second)
				if n := w.come(t, 20); n != 2 {
					t.Errorf("%d calls by 20 exchanges, want the probe's get and set", n)
				}
				w.wantLogged(t, 1, 1)
				if n := w.come(t, 20); n != 40 {
					t.Errorf("%d calls by 20 exchanges when it works, want 40", n)
				}
				w.store.setFault(fault)
				w.come(t, 1)
				w.wantLogged(t, 2, 1)
				time.Sleep(10 * time.Second) // for what is late
			})
		})
	}
}

// Calls that began before the store failed don't say that it works again.
func TestStoreSuccessOfBeforeTheFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newStoreWorld(t, nil)
		var mu sync.Mutex
		var n time.Duration
		w.store.setFault(func(context.Context) error {
			mu.Lock()
			n++
			mine := n
			mu.Unlock()
			time.Sleep(mine * time.Millisecond)
			if mine == 1 {
				return errors.New("connection reset")
			}
			return nil
		})
		if n := w.come(t, 20); n != 20 {
			t.Errorf("%d calls, want the 20 gets at once", n)
		}
		w.wantLogged(t, 1, 0)
		if n := w.come(t, 5); n != 0 {
			t.Errorf("%d calls during the pause, want 0", n)
		}
	})
}

// A clock that is set back doesn't make the pause longer.
func TestStorePauseAndClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := &fakeClock{now: time.Now()}
		w := newStoreWorld(t, func(o *obo.Options) { o.Now = clock.Now })
		w.store.setFault(func(context.Context) error { return errors.New("connection refused") })
		w.come(t, 1)
		w.store.setFault(nil)
		if n := w.come(t, 1); n != 0 {
			t.Errorf("%d calls during the pause, want 0", n)
		}
		clock.Advance(-time.Hour)
		if n := w.come(t, 1); n != 2 {
			t.Errorf("%d calls, want get and set", n)
		}
		w.wantLogged(t, 1, 1)
	})
}
