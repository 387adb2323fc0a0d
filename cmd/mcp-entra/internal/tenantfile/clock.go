package tenantfile

import (
	"sync"
	"time"
)

// A Clock is the clock of all tenants. It runs with another clock, at a distance that can be
// changed.
type Clock struct {
	now func() time.Time

	mu     sync.Mutex
	offset time.Duration
}

// NewClock returns a clock that runs with now.
func NewClock(now func() time.Time) *Clock { return &Clock{now: now} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Add(c.offset)
}

// Set sets the clock's time, from which it runs on.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset = t.Sub(c.now())
}

// Advance moves the clock forward, or back if d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}
