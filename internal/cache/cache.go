// Package cache keeps values that strangers make expensive: downstream tokens
// of users, and verified tokens. One implementation serves both, so that its
// promises are kept, and tested, in one place:
//
//   - Bounded by bytes. What was used least goes first.
//   - A value is never served at or after its own expiry, by the injected
//     clock. Expired values leave the memory by themselves.
//   - One load per key, however many wait for it. It runs on a context of its
//     own with a deadline of its own, so a caller that gives up fails nobody,
//     and each caller waits no longer than its own context allows.
//   - A value that is due for renewal is served while one load renews it.
//   - Errors aren't cached.
//
// The entries live in an otter cache (bounds, expiry, eviction). The loading is
// ours: otter's Get runs the loader on the first caller's context, and its
// Refresh starts a second load when an entry expires while it is being renewed
// and keeps a goroutine for each waiter, also for those who gave up.
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

	// entryOverhead is what an entry costs besides the bytes that its Item
	// declares: node, hash table slot, entry, timer and policy links (measured
	// with 64-byte keys).
	entryOverhead = 320

	// abandonAfter is how long a load may overrun its deadline before those who
	// wait are told and the key is free again. The load's own error, which says
	// more, usually comes within this time.
	abandonAfter = 5 * time.Second
)

// ErrAbandoned is the error of a load that ignored the end of its context.
var ErrAbandoned = errors.New("cache: the load did not end at its deadline")

// Options configure a [Cache].
type Options struct {
	// MaxBytes bounds the sum of the sizes of all entries, an allowance for
	// each entry's bookkeeping included. Required.
	MaxBytes uint64
	// LoadTimeout bounds each load. Defaults to 30 seconds.
	LoadTimeout time.Duration
	// RefreshPause is how long after a load or the start of a failed renewal the
	// next renewal may start. Defaults to 30 seconds.
	RefreshPause time.Duration
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// An Item is a loaded value with what the cache must know about it.
type Item[V any] struct {
	Value V
	// ExpiresAt is the first moment at which the value must not be served.
	ExpiresAt time.Time
	// RefreshAt is when the value is due for renewal, though not before
	// Options.RefreshPause has passed: a source that keeps handing out the same
	// value would be asked without end. Zero means never.
	RefreshAt time.Time
	// Size is the number of bytes that the value holds on to, its key included.
	Size int
}

// A LoadFunc loads the value of one key. It must return when its context ends.
type LoadFunc[V any] func(context.Context) (Item[V], error)

// A Cache maps keys to values that expire. Make one with [New]. It runs no
// goroutine of its own and needs no closing.
type Cache[K comparable, V any] struct {
	store   *otter.Cache[K, *entry[V]]
	now     func() time.Time
	timeout time.Duration
	pause   time.Duration
	swept   atomic.Bool  // a sweep is scheduled
	coarse  atomic.Int64 // what otter takes for the time

	mu      sync.Mutex
	flights map[K]*flight[V] // the loads that run now
}

// entry is a stored value. Everything but due is fixed. Times are in Unix nanoseconds.
type entry[V any] struct {
	expires int64
	due     atomic.Int64 // when the next renewal may start; never is noRenewal
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

// Get returns the value of key: the cached one, or the one that load returns.
// It never starts a second load of a key while one runs. When ctx ends first,
// Get returns ctx's error and the load goes on for the others and for the cache.
//
// A value that its load returned expired is handed to the caller who started
// the load, and to nobody else.
func (c *Cache[K, V]) Get(ctx context.Context, key K, load LoadFunc[V]) (V, error) {
	for {
		now := c.moment()
		if e := c.lookup(key, now); e != nil {
			c.renewIfDue(key, e, load, now)
			return e.value, nil
		}
		if err := ctx.Err(); err != nil {
			var zero V
			return zero, err
		}
		f, mine := c.join(key, load)
		if f == nil {
			continue // a load has just stored its value
		}
		item, err := f.wait(ctx)
		if err != nil || mine || c.now().Before(item.ExpiresAt) {
			return item.Value, err
		}
	}
}

// Hit returns the value of key if it may be served and is not due for renewal. It
// spares callers whose load function costs an allocation to make it; after false
// they call Get.
func (c *Cache[K, V]) Hit(key K) (V, bool) {
	now := c.moment()
	e := c.lookup(key, now)
	if e == nil || now >= e.due.Load() {
		var zero V
		return zero, false
	}
	return e.value, true
}

// Put stores the value of key in place of what is there. A load that runs now is
// superseded: those who wait for it get this value, and its own is thrown away.
func (c *Cache[K, V]) Put(key K, item Item[V]) {
	c.mu.Lock()
	f := c.flights[key]
	c.mu.Unlock()
	if f == nil || !c.land(key, f, item, nil) {
		c.put(key, item)
	}
}

// Forget drops the value of key. A load that runs now still stores its result.
func (c *Cache[K, V]) Forget(key K) { c.store.Invalidate(key) }

// Len returns the number of entries. It counts expired ones that have not left yet.
func (c *Cache[K, V]) Len() int { return c.store.EstimatedSize() }

// Bytes returns the sum of the sizes of the entries.
func (c *Cache[K, V]) Bytes() uint64 { return c.store.WeightedSize() }

// lookup returns key's entry if it may be served now.
func (c *Cache[K, V]) lookup(key K, now int64) *entry[V] {
	e, ok := c.store.GetIfPresent(key)
	if !ok || now >= e.expires {
		return nil
	}
	return e
}

// renewIfDue starts a load in the background if e is due. Whoever moves the due
// time forward starts it; should it fail, the next attempt is a pause away.
func (c *Cache[K, V]) renewIfDue(key K, e *entry[V], load LoadFunc[V], now int64) {
	due := e.due.Load()
	if now < due || !e.due.CompareAndSwap(due, now+int64(c.pause)) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[key] == nil {
		c.launch(key, load)
	}
}

// put stores a loaded value, unless it must not be served any more.
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

// remaining is how long an entry lives from the moment it is stored. Otter takes
// a duration of zero or less as "forever".
func remaining[K comparable, V any](e otter.Entry[K, *entry[V]]) time.Duration {
	return max(time.Duration(e.Value.expires-e.SnapshotAtNano), 1)
}

// moment reads the clock, once for us and otter: to read it costs as much as to
// look an entry up. Otter's time lags by up to a millisecond, so that callers on
// several processors don't all write it; lookup, which has the right one, has the
// last word.
func (c *Cache[K, V]) moment() int64 {
	now := c.now().UnixNano()
	if lag := now - c.coarse.Load(); lag > int64(time.Millisecond) || lag < 0 {
		c.coarse.Store(now)
	}
	return now
}

// clock shows otter the time of the cache's last use. It has no ticks: otter would keep a goroutine
// for them. Cache.scheduleSweep does that work.
type clock struct{ coarse *atomic.Int64 }

func (c clock) NowNano() int64                    { return c.coarse.Load() }
func (clock) Tick(time.Duration) <-chan time.Time { return nil }
