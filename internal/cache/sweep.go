package cache

import (
	"time"
	"weak"
)

// sweepEvery is how often expired entries are looked for while there are entries.
const sweepEvery = 30 * time.Second

// scheduleSweep makes sure that expired entries leave the memory even if nobody
// uses the cache any more. It is a timer and no goroutine, it stops when the
// cache is empty, and it doesn't keep a cache alive that nobody holds.
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
	// An entry that came in between found a sweep scheduled.
	if c.Len() > 0 {
		c.scheduleSweep()
	}
}
