// Package cache caches values that are expensive to get: users' downstream tokens and
// verified tokens. Both rely on the same guarantees:
//
//   - The memory is bounded, in bytes. The least used entries are evicted first.
//   - A value is never served at or after its expiry, by the injected clock.
//     Expired values are removed even if nobody uses the cache.
//   - There is one load per key, however many callers wait for it. It has its own
//     context and deadline, so a caller that gives up doesn't affect the others,
//     and each caller waits no longer than its own context allows.
//   - While a load renews a value, the old value is served.
//   - Errors aren't cached.
//
// The entries live in an otter cache (bounds, expiry, eviction). This package does the
// loading, because otter's Get runs the loader on the first caller's context, and its
// Refresh starts a second load when an entry expires during its renewal and keeps
// a goroutine for each waiter, even if the waiter has given up.
package cache

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

const (
	defaultLoadTimeout  = 30 * time.Second
	defaultRefreshPause = 30 * time.Second

	// entryOverhead is an entry's size in addition to its Item's: node, hash table
	// slot, entry, timer and policy links (measured with 64-byte keys).
	entryOverhead = 320

	// abandonAfter is how long a load may overrun its deadline before its waiters get
	// an error and the key is free again. The load's own, better error usually comes
	// within this time.
	abandonAfter = 5 * time.Second
)

// ErrAbandoned is the error of a load that ignored the end of its context.
var ErrAbandoned = errors.New("cache: the load did not end at its deadline")

// Options configures a [Cache].
type Options struct {
	// MaxBytes bounds the total size of the entries, including an estimate of their
	// overhead. Required.
	MaxBytes uint64
	// LoadTimeout bounds each load. Defaults to 30 seconds.
	LoadTimeout time.Duration
	// RefreshPause is the time between a load, or the start of a failed renewal, and
	// the next renewal. Defaults to 30 seconds.
	RefreshPause time.Duration
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// An Item is a loaded value and how to cache it.
type Item[V any] struct {
	Value V
	// ExpiresAt is the first moment at which the value must not be served.
	ExpiresAt time.Time
	// RefreshAt is when the value is due for renewal, but not before
	// Options.RefreshPause has passed: otherwise a source that keeps returning the same
	// value would be called all the time. Zero means never.
	RefreshAt time.Time
	// Size is the size of the value and its key, in bytes.
	Size int
}

// A LoadFunc loads the value of one key. It must return when its context ends.
type LoadFunc[V any] func(context.Context) (Item[V], error)

// A Cache maps keys to values that expire. Make one with [New]. It has no goroutine of
// its own and needs no closing.
type Cache[K comparable, V any] struct {
	store   *otter.Cache[K, *entry[V]]
	now     func() time.Time
	timeout time.Duration
	pause   time.Duration
	swept   atomic.Bool  // a sweep is scheduled
	coarse  atomic.Int64 // otter's clock

	mu      sync.Mutex
	flights map[K]*flight[V] // the running loads
}

// entry is a stored value. Only due changes. Times are in Unix nanoseconds.
type entry[V any] struct {
	expires int64
	due     atomic.Int64 // when the next renewal may start, or noRenewal
	value   V
	size    int
}

const noRenewal = math.MaxInt64

// New returns an empty cache.
func New[K comparable, V any](o Options) *Cache[K, V] {
	c := &Cache[K, V]{
		now:     o.Now,
		timeout: o.LoadTimeout,
		pause:   o.RefreshPause,
		flights: make(map[K]*flight[V]),
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.timeout <= 0 {
		c.timeout = defaultLoadTimeout
	}
	if c.pause <= 0 {
		c.pause = defaultRefreshPause
	}
	c.moment()
	c.store = otter.Must(&otter.Options[K, *entry[V]]{
		MaximumWeight:    max(o.MaxBytes, 1), // zero would mean unbounded
		Weigher:          func(_ K, e *entry[V]) uint32 { return weight(e.size) },
		ExpiryCalculator: otter.ExpiryWritingFunc(remaining[K, V]),
		Clock:            clock{&c.coarse},
		Logger:           &otter.NoopLogger{},
	})
	return c
}

// Get returns the cached value of key, or the one that load returns. It never starts a
// second load of a key while one runs. If ctx ends first, Get returns ctx's error, and
// the load continues for the others and for the cache.
//
// If a load returns a value that has already expired, only the caller that started the
// load gets it.
func (c *Cache[K, V]) Get(ctx context.Context, key K, load LoadFunc[V]) (V, error) {
	value, _, err := c.Watch(ctx, key, load)
	return value, err
}

// Watch is Get. It also says how the caller came by the value.
func (c *Cache[K, V]) Watch(ctx context.Context, key K, load LoadFunc[V]) (value V, wait Wait, err error) {
	for {
		now := c.moment()
		if e := c.lookup(key, now); e != nil {
			c.renewIfDue(ctx, key, e, load, now)
			return e.value, wait, nil
		}
		if err := ctx.Err(); err != nil {
			return value, wait, err
		}
		f, mine := c.join(ctx, key, load)
		if f == nil {
			continue // a load has just stored a value
		}
		wait = Wait{Load: &f.load, Joined: !mine}
		item, err := f.wait(ctx)
		if err != nil || mine || c.now().Before(item.ExpiresAt) {
			return item.Value, wait, err
		}
	}
}

// Hit returns the value of key if it is cached and not due for renewal. It saves callers
// the allocation of a load function; if it returns false, they call Get.
func (c *Cache[K, V]) Hit(key K) (V, bool) {
	now := c.moment()
	e := c.lookup(key, now)
	if e == nil || now >= e.due.Load() {
		var zero V
		return zero, false
	}
	return e.value, true
}

// Put stores the value of key, replacing an old one. A running load is superseded: its
// waiters get this value, and its own is dropped.
func (c *Cache[K, V]) Put(key K, item Item[V]) {
	c.mu.Lock()
	f := c.flights[key]
	c.mu.Unlock()
	if f == nil || !c.land(key, f, item, nil) {
		c.put(key, item)
	}
}

// Forget drops the value of key. A running load still stores its result.
func (c *Cache[K, V]) Forget(key K) { c.store.Invalidate(key) }

// Len returns the number of entries, including expired ones that are not removed yet.
func (c *Cache[K, V]) Len() int { return c.store.EstimatedSize() }

// Bytes returns the total size of the entries.
func (c *Cache[K, V]) Bytes() uint64 { return c.store.WeightedSize() }

// lookup returns key's entry if it has not expired.
func (c *Cache[K, V]) lookup(key K, now int64) *entry[V] {
	e, ok := c.store.GetIfPresent(key)
	if !ok || now >= e.expires {
		return nil
	}
	return e
}

// renewIfDue starts a load in the background if e is due. The caller that moves the due
// time forward starts it; if the load fails, the next one starts after a pause.
func (c *Cache[K, V]) renewIfDue(ctx context.Context, key K, e *entry[V], load LoadFunc[V], now int64) {
	due := e.due.Load()
	if now < due || !e.due.CompareAndSwap(due, now+int64(c.pause)) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[key] == nil {
		c.launch(ctx, key, load, true)
	}
}

// put stores a loaded value unless it has expired.
func (c *Cache[K, V]) put(key K, item Item[V]) {
	now := c.moment()
	e := &entry[V]{value: item.Value, expires: item.ExpiresAt.UnixNano(), size: item.Size}
	if now >= e.expires {
		return
	}
	e.due.Store(noRenewal)
	if !item.RefreshAt.IsZero() {
		e.due.Store(max(item.RefreshAt.UnixNano(), now+int64(c.pause)))
	}
	c.store.Set(key, e)
	c.scheduleSweep()
}

func weight(size int) uint32 {
	return uint32(min(max(int64(size), 0)+entryOverhead, math.MaxUint32))
}

// remaining is an entry's lifetime from when it is stored. Zero or less would mean
// forever to otter.
func remaining[K comparable, V any](e otter.Entry[K, *entry[V]]) time.Duration {
	return max(time.Duration(e.Value.expires-e.SnapshotAtNano), 1)
}

// moment reads the clock once for us and for otter, because reading it costs as much as
// a lookup. Otter's time lags by up to a millisecond, so that several processors don't
// all write it; lookup checks the exact time.
func (c *Cache[K, V]) moment() int64 {
	now := c.now().UnixNano()
	if lag := now - c.coarse.Load(); lag > int64(time.Millisecond) || lag < 0 {
		c.coarse.Store(now)
	}
	return now
}

// clock is otter's clock: the time of the cache's last use. It has no ticks, for which
// otter would keep a goroutine; Cache.scheduleSweep replaces them.
type clock struct{ coarse *atomic.Int64 }

func (c clock) NowNano() int64                    { return c.coarse.Load() }
func (clock) Tick(time.Duration) <-chan time.Time { return nil }
