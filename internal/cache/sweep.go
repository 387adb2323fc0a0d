package cache

import (
	"time"
	"weak"
)

// sweepEvery is how often expired entries are removed while there are entries.
const sweepEvery = 30 * time.Second

// scheduleSweep removes expired entries even if nobody uses the cache any more. It uses a
// timer instead of a goroutine, stops when the cache is empty, and doesn't keep an
// unreferenced cache alive.
func (c *Cache[K, V]) scheduleSweep() {
	if c.swept.CompareAndSwap(false, true) {
		sweepLater(weak.Make(c))
	}
}

func sweepLater[K comparable, V any](held weak.Pointer[Cache[K, V]]) {
	time.AfterFunc(sweepEvery, func() {
		if c := held.Value(); c != nil {
			c.sweep(held)
		}
	})
}

func (c *Cache[K, V]) sweep(held weak.Pointer[Cache[K, V]]) {
	c.moment()
	c.store.CleanUp()
	if c.Len() > 0 {
		sweepLater(held)
		return
	}
	c.swept.Store(false)
	// A put in between saw a sweep scheduled.
	if c.Len() > 0 {
		c.scheduleSweep()
	}
}
