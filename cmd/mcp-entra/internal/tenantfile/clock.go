package tenantfile

import (
	"errors"
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
func (c *Clock) Set(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.move(t)
}

// Advance moves the clock forward, or back if d is negative.
func (c *Clock) Advance(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.move(c.now().Add(c.offset).Add(d))
}

var errTime = errors.New("the clock's time must be from 1970 to 2199")

// canBe reports whether the clock can have the time: durations end at 292 years.
func canBe(t time.Time) bool { return t.Year() >= 1970 && t.Year() < 2200 }

func (c *Clock) move(t time.Time) error {
	if !canBe(t) {
		return errTime
	}
	c.offset = t.Sub(c.now())
	return nil
}
