package cache_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func exit() { runtime.Goexit() }

// eventually waits for what a background goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 5000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("not so: " + what)
}

func TestDueValueIsServedWhileItIsRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New[string, int64](cache.Options{MaxBytes: 1 << 20})
		n := &realCounter{lifetime: time.Hour, refresh: 55 * time.Minute, takes: time.Second}
		n.want(t, c, 1, time.Second) // the first load makes the caller wait
		time.Sleep(55 * time.Minute) // due
		n.want(t, c, 1, 0)           // starts the renewal, doesn't wait
		n.want(t, c, 1, 0)           // joins nothing, waits for nothing
		time.Sleep(2 * time.Second)  // the renewal ends
		n.want(t, c, 2, 0)           // a new value, with a life of its own
		time.Sleep(54 * time.Minute)
		n.want(t, c, 2, 0)
		time.Sleep(7 * time.Minute)
		n.want(t, c, 3, time.Second) // nobody came while it was due: it expired
	})
}

func TestFailedRenewalIsNotTriedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New[string, int64](cache.Options{MaxBytes: 1 << 20, RefreshPause: 30 * time.Second})
		n := &realCounter{lifetime: time.Hour, refresh: 55 * time.Minute}
		n.want(t, c, 1, 0)
		n.setFailing(true)
		time.Sleep(55 * time.Minute)
		for range 100 {
			n.want(t, c, 1, 0)
			synctest.Wait()
		}
		if got := n.count(); got != 2 {
			t.Errorf("%d loads while the renewal fails, want 2", got)
		}
		time.Sleep(31 * time.Second)
		n.setFailing(false)
		n.want(t, c, 1, 0)
		synctest.Wait()
		n.want(t, c, 3, 0)
	})
}

// TestSourceThatRepeatsItself hands out a value that is due at once, again and
// again, as a platform does that has a cache of its own.
func TestSourceThatRepeatsItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New[string, int64](cache.Options{MaxBytes: 1 << 20, RefreshPause: 30 * time.Second})
		n := &realCounter{lifetime: time.Hour, refresh: time.Nanosecond}
		for range 100 { // 100 seconds
			if _, err := c.Get(t.Context(), "key", n.load); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if got := n.count(); got != 4 {
			t.Errorf("%d loads in 100 seconds, want the first and 3 renewals", got)
		}
	})
}

// TestExpiryDuringRenewal: a caller that comes after the expiry waits for the
// renewal that runs, and starts no second load.
func TestExpiryDuringRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New[string, int64](cache.Options{MaxBytes: 1 << 20})
		n := &realCounter{lifetime: time.Minute, refresh: 55 * time.Second}
		n.want(t, c, 1, 0)
		n.setTakes(10 * time.Second)
		time.Sleep(55 * time.Second)
		n.want(t, c, 1, 0)
		time.Sleep(6 * time.Second) // expired, and the renewal has 4 seconds to go
		n.want(t, c, 2, 4*time.Second)
		if got := n.count(); got != 2 {
			t.Errorf("%d loads, want 2", got)
		}
	})
}

func TestLoadHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New[string, int64](cache.Options{MaxBytes: 1 << 20, LoadTimeout: 10 * time.Second})
		start := time.Now()
		_, err := c.Get(t.Context(), "key", func(ctx context.Context) (cache.Item[int64], error) {
			<-ctx.Done()
			return cache.Item[int64]{}, context.Cause(ctx)
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("got %v after %v, want %v, %v", err, time.Since(start), context.DeadlineExceeded, 10*time.Second)
		}
	})
}

// TestStubbornLoad: a load that ignores its deadline doesn't block its key forever.
func TestStubbornLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New[string, int64](cache.Options{MaxBytes: 1 << 20, LoadTimeout: 10 * time.Second})
		_, err := c.Get(t.Context(), "key", func(context.Context) (cache.Item[int64], error) {
			time.Sleep(time.Hour)
			return cache.Item[int64]{Value: 99, ExpiresAt: time.Now().Add(time.Hour)}, nil
		})
		if !isAll(err, cache.ErrAbandoned, context.DeadlineExceeded) {
			t.Errorf("got %v, want ErrAbandoned", err)
		}
		n := &realCounter{lifetime: 10 * time.Hour}
		n.want(t, c, 1, 0)
		time.Sleep(2 * time.Hour)
		n.want(t, c, 1, 0) // what came of the stubborn load is not stored
	})
}

// TestExpiredEntriesLeaveByThemselves: nobody touches the cache again.
func TestExpiredEntriesLeaveByThemselves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New[int, []byte](cache.Options{MaxBytes: 64 << 20})
		for i := range 1000 {
			_, err := c.Get(t.Context(), i, func(context.Context) (cache.Item[[]byte], error) {
				return cache.Item[[]byte]{Value: make([]byte, 1000), Size: 1000, ExpiresAt: time.Now().Add(time.Hour)}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if c.Len() != 1000 {
			t.Fatalf("%d entries, want 1000", c.Len())
		}
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if c.Len() != 0 || c.Bytes() != 0 {
			t.Errorf("%d entries and %d bytes are left, want 0, 0", c.Len(), c.Bytes())
		}
	})
}

// realCounter is counter on time.Now, which in a synctest bubble is a fake clock.
type realCounter struct {
	lifetime, refresh time.Duration

	mu      sync.Mutex
	calls   int64
	takes   time.Duration
	failing bool
}

func (n *realCounter) count() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls
}

func (n *realCounter) setFailing(f bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failing = f
}

func (n *realCounter) setTakes(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.takes = d
}

func (n *realCounter) load(context.Context) (cache.Item[int64], error) {
	n.mu.Lock()
	n.calls++
	v, takes, failing := n.calls, n.takes, n.failing
	n.mu.Unlock()
	time.Sleep(takes)
	if failing {
		return cache.Item[int64]{}, errLoad
	}
	now := time.Now()
	item := cache.Item[int64]{Value: v, ExpiresAt: now.Add(n.lifetime)}
	if n.refresh > 0 {
		item.RefreshAt = now.Add(n.refresh)
	}
	return item, nil
}

func (n *realCounter) want(t *testing.T, c *cache.Cache[string, int64], want int64, waits time.Duration) {
	t.Helper()
	start := time.Now()
	got, err := c.Get(t.Context(), "key", n.load)
	if got != want || err != nil {
		t.Errorf("got value %d, %v; want %d", got, err, want)
	}
	if d := time.Since(start); d != waits {
		t.Errorf("the call took %v of the bubble's time, want %v", d, waits)
	}
}

func isAll(err error, kinds ...error) bool {
	for _, k := range kinds {
		if !errors.Is(err, k) {
			return false
		}
	}
	return true
}
