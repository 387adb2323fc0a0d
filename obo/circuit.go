package obo

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// exchangeTimeout bounds one exchange, the proof of the app included.
	exchangeTimeout = 30 * time.Second
	// attemptTimeout bounds one request, so that a lost one can be made again.
	attemptTimeout = 10 * time.Second
	// circuitThreshold is how many requests in a row must fail before a tenant
	// counts as out of order, or how many users must be told to come later.
	circuitThreshold = 5
	// A tenant out of order gets no requests for circuitPause, or for as long as it
	// says. Each probe that fails doubles the pause, up to circuitMaxPause.
	circuitPause    = 5 * time.Second
	circuitMaxPause = time.Minute
)

// circuit is a circuit breaker: while a tenant's authority is out of order, an
// exchange fails at once instead of making every caller wait, and nothing adds to the
// load of an overloaded service. It opens when requests keep failing by a fault of the
// service (HTTP 5xx, no answer), whoever made them, or when several users are throttled
// or told to come later: a single user, however often throttled, does not open it. When
// its pause is over it lets one request through (half-open); the answer closes it or
// begins the next pause.
type circuit struct {
	now    func() time.Time
	logger *slog.Logger
	tenant string

	mu       sync.Mutex
	failures int                  // of the service, in a row
	users    map[string]time.Time // who were told to come later, since the last good answer
	pause    time.Duration        // the last one; 0 while closed
	since    time.Time            // its beginning
	until    time.Time            // its end
	probed   time.Time            // when the one request was sent that is on its way
	last     *Error
}

// enter says whether a request may be sent, or why not, and whether it is the
// probe. A caller who may send must call leave.
func (c *circuit) enter() (probe bool, refused *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pause == 0 {
		return false, nil
	}
	now := c.now()
	// A transport that ignores its context must not keep the circuit open forever.
	if !lasts(c.probed, exchangeTimeout, now) && !lasts(c.since, c.until.Sub(c.since), now) {
		c.probed = now
		return true, nil
	}
	return false, &Error{
		Kind: c.last.Kind, AADSTS: c.last.AADSTS, OAuthError: c.last.OAuthError, Resource: c.last.Resource,
		Problem:    "Entra ID keeps failing and is not asked for the moment",
		Remedy:     "try again in a moment; if it persists, " + askOperator + "look at the first failures (" + serverLog + ")",
		RetryAfter: min(max(c.until.Sub(now), time.Second), circuitMaxPause),
		cause:      c.last.cause,
	}
}

// leave reports what came of the user's request: e is nil if there is a token.
func (c *circuit) leave(ctx context.Context, probe bool, user string, e *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	open := c.pause != 0
	switch {
	case e == nil || !e.outage():
		c.users = nil
		c.close(ctx)
	case open && !probe: // it was sent before the circuit opened
	case !e.service:
		c.count(ctx, user, e)
	default:
		if c.failures++; open || c.failures >= circuitThreshold {
			c.open(ctx, e)
		}
	}
}

// count counts a user whom Entra tells to come later. Its evidence is as old as a pause
// is long, at most.
func (c *circuit) count(ctx context.Context, user string, e *Error) {
	now := c.now()
	for other, at := range c.users {
		if !lasts(at, circuitMaxPause, now) {
			delete(c.users, other)
		}
	}
	_, again := c.users[user]
	if c.users == nil {
		c.users = map[string]time.Time{}
	}
	c.users[user] = now
	switch {
	case c.failures >= circuitThreshold: // it answers, so it is not down
		c.close(ctx)
	case c.pause == 0 && len(c.users) < circuitThreshold:
	case c.pause != 0 && again:
		c.probed = time.Time{} // no new evidence: another user's request will tell
	default:
		c.open(ctx, e)
	}
}

// open begins a pause.
func (c *circuit) open(ctx context.Context, e *Error) {
	c.last, c.probed = e, time.Time{}
	c.pause = min(max(circuitPause, 2*c.pause), circuitMaxPause)
	c.since = c.now()
	c.until = c.since.Add(max(c.pause, min(e.RetryAfter, circuitMaxPause)))
	c.logger.LogAttrs(ctx, slog.LevelError, "Entra ID keeps failing; no requests are sent to it for a while",
		slog.String("tenant", c.tenant), slog.Time("until", c.until), slog.String("reason", e.Error()))
}

func (c *circuit) close(ctx context.Context) {
	if c.pause != 0 {
		c.logger.LogAttrs(ctx, slog.LevelInfo, "Entra ID answers again", slog.String("tenant", c.tenant))
	}
	c.failures, c.pause, c.probed, c.last = 0, 0, time.Time{}, nil
}

// lasts reports whether what began at a time and takes d is under way. What seems to
// begin in the future is over: the clock was set back, and nobody waits for that.
func lasts(began time.Time, d time.Duration, now time.Time) bool {
	age := now.Sub(began)
	return age >= 0 && age < d
}
