package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
)

var errLoad = errors.New("load failed")

// counter is a load whose values are numbers, 1 for the first.
type counter struct {
	clock    *fakeClock
	lifetime time.Duration
	refresh  time.Duration // 0: never due
	calls    atomic.Int64
	fail     atomic.Bool
}

func (n *counter) load(context.Context) (cache.Item[int64], error) {
	v := n.calls.Add(1)
	if n.fail.Load() {
		return cache.Item[int64]{}, errLoad
	}
	now := n.clock.Now()
	item := cache.Item[int64]{Value: v, ExpiresAt: now.Add(n.lifetime), Size: 8}
	if n.refresh > 0 {
		item.RefreshAt = now.Add(n.refresh)
	}
	return item, nil
}

func mustGet(t *testing.T, c *cache.Cache[string, int64], load cache.LoadFunc[int64]) int64 {
	t.Helper()
	v, err := c.Get(t.Context(), "key", load)
	if err != nil {
		t.Fatalf("Get: got %v, want nil", err)
	}
	return v
}

func newCache(clock *fakeClock) *cache.Cache[string, int64] {
	return cache.New[string, int64](cache.Options{MaxBytes: 1 << 20, Now: clock.Now})
}

func TestValueIsServedUntilItExpires(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c, n := newCache(clock), &counter{clock: clock, lifetime: time.Hour}
	for _, step := range []struct {
		advance time.Duration
		want    int64
	}{
		{0, 1}, {time.Minute, 1}, {59*time.Minute - time.Nanosecond, 1},
		{time.Nanosecond, 2}, // the moment of expiry itself
		{time.Hour + time.Minute, 3},
		{1000 * time.Hour, 4},
	} {
		clock.Advance(step.advance)
		if got := mustGet(t, c, n.load); got != step.want {
			t.Fatalf("after %v: got value %d, want %d", step.advance, got, step.want)
		}
	}
}

func TestValueThatIsExpiredOnArrivalIsNotKept(t *testing.T) {
	t.Parallel()
	clock := newClock()
	for _, lifetime := range []time.Duration{0, -time.Nanosecond, -time.Hour} {
		c, n := newCache(clock), &counter{clock: clock, lifetime: lifetime}
		mustGet(t, c, n.load)
		mustGet(t, c, n.load)
		if got := n.calls.Load(); got != 2 {
			t.Errorf("lifetime %v: %d loads, want 2", lifetime, got)
		}
		if c.Len() != 0 {
			t.Errorf("lifetime %v: the value is in the cache, want it not cached", lifetime)
		}
	}
}

func TestErrorsAreNotCached(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c, n := newCache(clock), &counter{clock: clock, lifetime: time.Hour}
	n.fail.Store(true)
	for range 3 {
		if _, err := c.Get(t.Context(), "key", n.load); !errors.Is(err, errLoad) {
			t.Fatalf("got %v, want the load's error", err)
		}
	}
	n.fail.Store(false)
	if got := mustGet(t, c, n.load); got != 4 {
		t.Fatalf("got value %d, want the 4th load's", got)
	}
}

func TestOneLoadHoweverManyWait(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c, n := newCache(clock), &counter{clock: clock, lifetime: time.Hour}
	release := make(chan struct{})
	load := func(ctx context.Context) (cache.Item[int64], error) {
		<-release
		return n.load(ctx)
	}
	const callers = 200
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if v, err := c.Get(t.Context(), "key", load); v != 1 || err != nil {
				t.Errorf("got %d, %v; want 1, nil", v, err)
			}
		})
	}
	close(release)
	wg.Wait()
	if got := n.calls.Load(); got != 1 {
		t.Errorf("%d loads, want 1", got)
	}
}

// TestNoSecondLoadAfterTheFirst: a caller that missed just before a load stored
// its value must find it, not load again.
func TestNoSecondLoadAfterTheFirst(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := cache.New[int, int](cache.Options{MaxBytes: 16 << 20, Now: clock.Now})
	const keys, callers = 3000, 4
	loads := make([]atomic.Int32, keys)
	for key := range keys {
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				_, _ = c.Get(t.Context(), key, func(context.Context) (cache.Item[int], error) {
					loads[key].Add(1)
					return cache.Item[int]{ExpiresAt: clock.Now().Add(time.Hour)}, nil
				})
			})
		}
		wg.Wait()
		if n := loads[key].Load(); n != 1 {
			t.Fatalf("%d loads of one key, want 1", n)
		}
	}
}

func TestWaiterObeysItsOwnContext(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c, n := newCache(clock), &counter{clock: clock, lifetime: time.Hour}
	release, started := make(chan struct{}), make(chan struct{})
	var once sync.Once
	load := func(ctx context.Context) (cache.Item[int64], error) {
		once.Do(func() { close(started) })
		<-release
		if ctx.Err() != nil {
			return cache.Item[int64]{}, ctx.Err()
		}
		return n.load(ctx)
	}
	leader, giveUp := context.WithCancel(t.Context())
	leaderErr := make(chan error)
	go func() {
		_, err := c.Get(leader, "key", load)
		leaderErr <- err
	}()
	<-started
	follower := make(chan int64)
	go func() { follower <- mustGet(t, c, load) }()

	giveUp()
	if err := <-leaderErr; !errors.Is(err, context.Canceled) {
		t.Errorf("the leader that gave up got %v, want %v", err, context.Canceled)
	}
	short, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if _, err := c.Get(short, "key", load); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the waiter whose deadline has passed got %v, want %v", err, context.DeadlineExceeded)
	}
	close(release)
	if got := <-follower; got != 1 {
		t.Errorf("the follower got value %d, want 1: the leader's end must fail nobody", got)
	}
	if got := n.calls.Load(); got != 1 {
		t.Errorf("%d loads, want 1", got)
	}
}

func TestContextThatHasEndedStartsNoLoadButHits(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c, n := newCache(clock), &counter{clock: clock, lifetime: time.Hour}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ended, "key", n.load); !errors.Is(err, context.Canceled) || n.calls.Load() != 0 {
		t.Errorf("a miss: got %v and %d loads, want %v, 0", err, n.calls.Load(), context.Canceled)
	}
	mustGet(t, c, n.load)
	if v, err := c.Get(ended, "key", n.load); v != 1 || err != nil {
		t.Errorf("a hit: got %d, %v; want 1, nil", v, err)
	}
}

func TestLoadRunsOnNobodysContext(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := newCache(clock)
	type secretKey struct{}
	ctx := context.WithValue(t.Context(), secretKey{}, "Alice")
	_, err := c.Get(ctx, "key", func(ctx context.Context) (cache.Item[int64], error) {
		if ctx.Value(secretKey{}) != nil {
			return cache.Item[int64]{}, errors.New("the load sees the caller's values")
		}
		if _, ok := ctx.Deadline(); !ok {
			return cache.Item[int64]{}, errors.New("the load has no deadline")
		}
		return cache.Item[int64]{ExpiresAt: clock.Now().Add(time.Hour)}, nil
	})
	if err != nil {
		t.Errorf("Get = %v, want nil", err)
	}
}

func TestLoadsOfOtherKeysDoNotWait(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c, n := newCache(clock), &counter{clock: clock, lifetime: time.Hour}
	mustGet(t, c, n.load)
	release, started := make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.Get(t.Context(), "slow", func(ctx context.Context) (cache.Item[int64], error) {
			close(started)
			<-release
			return n.load(ctx)
		})
	}()
	<-started
	mustGet(t, c, n.load) // a hit
	if _, err := c.Get(t.Context(), "other", n.load); err != nil {
		t.Errorf("Get = %v, want nil", err)
	}
	close(release)
	<-done
}

func TestPanicsBecomeErrors(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c, n := newCache(clock), &counter{clock: clock, lifetime: time.Hour}
	for name, load := range map[string]cache.LoadFunc[int64]{
		"value":  func(context.Context) (cache.Item[int64], error) { panic("token eyJhbGciOi") },
		"error":  func(context.Context) (cache.Item[int64], error) { panic(fmt.Errorf("token eyJhbGciOi")) },
		"goexit": func(context.Context) (cache.Item[int64], error) { exit(); return cache.Item[int64]{}, nil },
		"nil pointer": func(context.Context) (cache.Item[int64], error) {
			var p *cache.Item[int64]
			return *p, nil
		},
	} {
		_, err := c.Get(t.Context(), "key", load)
		var p *cache.PanicError
		if !errors.As(err, &p) {
			t.Errorf("%s: got %v, want a PanicError", name, err)
			continue
		}
		if s := p.Error(); len(s) > 200 || contains(s, "eyJ") {
			t.Errorf("%s: the error shows the panic's value: %q", name, s)
		}
	}
	mustGet(t, c, n.load) // the key is free again
}

func TestForget(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c, n := newCache(clock), &counter{clock: clock, lifetime: time.Hour}
	mustGet(t, c, n.load)
	c.Forget("key")
	if got := mustGet(t, c, n.load); got != 2 {
		t.Errorf("got value %d after Forget, want 2", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	clock := newClock()
	const bound = 1 << 20
	c := cache.New[int, []byte](cache.Options{MaxBytes: bound, Now: clock.Now})
	load := func(size int) cache.LoadFunc[[]byte] {
		return func(context.Context) (cache.Item[[]byte], error) {
			return cache.Item[[]byte]{Value: make([]byte, size), Size: size, ExpiresAt: clock.Now().Add(time.Hour)}, nil
		}
	}
	for i := range 5000 {
		if v, err := c.Get(t.Context(), i, load(1000)); len(v) != 1000 || err != nil {
			t.Fatal(len(v), err)
		}
	}
	if v, err := c.Get(t.Context(), -1, load(2*bound)); len(v) != 2*bound || err != nil {
		t.Fatalf("a value larger than the cache is loaded all the same: got %d bytes, %v", len(v), err)
	}
	eventually(t, "the cache keeps to its bound", func() bool { return c.Bytes() <= bound })
}

// TestNeverStaleUnderLoad lets many goroutines read while time jumps. Each value
// knows when it expires, so each read can be checked.
func TestNeverStaleUnderLoad(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := cache.New[int, time.Time](cache.Options{MaxBytes: 1 << 20, Now: clock.Now})
	load := func(context.Context) (cache.Item[time.Time], error) {
		if rand.IntN(10) == 0 {
			return cache.Item[time.Time]{}, errLoad
		}
		now := clock.Now()
		expires := now.Add(time.Duration(rand.IntN(5000)) * time.Millisecond)
		return cache.Item[time.Time]{Value: expires, ExpiresAt: expires, RefreshAt: now.Add(expires.Sub(now) / 2)}, nil
	}
	var readers, mover sync.WaitGroup
	stop := make(chan struct{})
	mover.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				clock.Advance(time.Duration(rand.IntN(50)) * time.Millisecond)
			}
		}
	})
	for range 16 {
		readers.Go(func() {
			for range 3000 {
				before := clock.Now()
				expires, err := c.Get(t.Context(), rand.IntN(20), load)
				switch {
				case errors.Is(err, errLoad):
				case err != nil:
					t.Errorf("Get = %v, want nil or %v", err, errLoad)
				case expires.Before(before):
					t.Errorf("got a value that expired %v before the call, want none", before.Sub(expires))
				}
			}
		})
	}
	readers.Wait()
	close(stop)
	mover.Wait()
}
