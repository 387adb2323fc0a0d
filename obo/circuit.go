package obo

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	// circuitThreshold is how many requests in a row must fail before a tenant
	// counts as out of order. One user's retries don't reach it.
	circuitThreshold = 5
	// A tenant out of order is left alone for circuitPause, or for as long as it
	// says. Each probe that fails doubles the pause, up to circuitMaxPause.
	circuitPause    = 5 * time.Second
	circuitMaxPause = time.Minute
)

// circuit is a circuit breaker: while a tenant's authority is out of order, an
// exchange fails in no time instead of making every caller wait, and nobody
// adds to the load of what is already overloaded. It opens when requests keep
// failing. When its pause is over it lets one request through (half-open); the
// answer closes it or begins the next pause.
type circuit struct {
	now    func() time.Time
	logger *slog.Logger
	tenant string

	mu       sync.Mutex
	failures int           // in a row
	pause    time.Duration // the last one; 0 while closed
	until    time.Time     // the end of the pause
	probing  bool          // the one request is on its way
	last     *Error
}

// enter says whether a request may be sent, or why not, and whether it is the
// probe. Who may send must call leave.
func (c *circuit) enter() (probe bool, refused *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pause == 0 {
		return false, nil
	}
	now := c.now()
	if !c.probing && !now.Before(c.until) {
		c.probing = true
		return true, nil
	}
	return false, &Error{
		Kind: c.last.Kind, Code: c.last.Code, ErrorCode: c.last.ErrorCode, Resource: c.last.Resource,
		Problem:    "Entra ID keeps failing and is not asked for the moment",
		Remedy:     "try again in a moment; if it stays, " + askOperator + "look at the first failures (" + serverLog + ")",
		RetryAfter: max(c.until.Sub(now), time.Second),
		cause:      c.last.cause,
	}
}

// leave reports what came of the request: e is nil if there is a token.
func (c *circuit) leave(ctx context.Context, probe bool, e *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wasOpen := c.pause != 0
	if e == nil || !e.outage() {
		c.failures, c.pause, c.probing, c.last = 0, 0, false, nil
		if wasOpen {
			c.logger.LogAttrs(ctx, slog.LevelInfo, "Entra ID answers again", slog.String("tenant", c.tenant))
		}
		return
	}
	c.failures++
	c.last = e
	if wasOpen && !probe || !wasOpen && c.failures < circuitThreshold {
		return // the former was sent before the circuit opened
	}
	c.probing = false
	c.pause = min(max(circuitPause, 2*c.pause), circuitMaxPause)
	c.until = c.now().Add(max(c.pause, min(e.RetryAfter, circuitMaxPause)))
	c.logger.LogAttrs(ctx, slog.LevelError, "Entra ID keeps failing and is left alone for a while",
		slog.String("tenant", c.tenant), slog.Time("until", c.until), slog.String("reason", e.Error()))
}

// outage reports whether e is a failure of the authority as a whole, or of the
// way to it, not of one user's or app's request.
func (e *Error) outage() bool {
	return (errors.Is(e.Kind, ErrUnavailable) || errors.Is(e.Kind, ErrThrottled)) && e.Code != looping
}

// looping is the code for one user's client that repeats a request (50196).
const looping = 50196
