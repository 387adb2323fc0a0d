package obo

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// exchangeTimeout bounds one exchange, including getting the app's credential.
	exchangeTimeout = 30 * time.Second
	// attemptTimeout bounds one request, so that a lost one can be retried.
	attemptTimeout = 10 * time.Second
	// circuitThreshold is how many requests in a row must fail, or how many users must
	// be throttled, before a tenant's circuit opens.
	circuitThreshold = 5
	// An open circuit sends nothing for circuitPause, or for as long as Entra asks. Each
	// failed probe doubles the pause, up to circuitMaxPause.
	circuitPause    = 5 * time.Second
	circuitMaxPause = time.Minute
)

// circuit is a circuit breaker: while a tenant's authority is down, exchanges fail at
// once, so that callers don't wait and an overloaded service gets no more load. It opens
// when requests keep failing because of the service (HTTP 5xx, no answer), whoever makes
// them, or when several users are throttled; a single user, however often throttled,
// doesn't open it. After a pause it lets one request through, the probe (half-open);
// the answer closes the circuit or starts the next pause. Each agent's first step has a
// circuit of its own.
type circuit struct {
	now      func() time.Time
	logger   *slog.Logger
	tenantID string
	says     circuitTexts

	mu       sync.Mutex
	failures int                  // of the service, in a row
	users    map[string]time.Time // throttled since the last good answer, and when
	pause    time.Duration        // the latest; 0 while closed
	since    time.Time            // its start
	until    time.Time            // its end
	probed   time.Time            // when the probe in flight was sent
	last     *Error
}

// circuitTexts say what a circuit pauses: in errors, and in the log when it opens and closes.
type circuitTexts struct{ problem, paused, again string }

var (
	ofTenant = circuitTexts{
		"Entra ID keeps failing, so the server is not sending it requests at the moment",
		"Entra ID keeps failing; pausing requests to it", "Entra ID answers again",
	}
	ofAgent = circuitTexts{
		"Entra ID keeps failing to issue the assertion for the server's agent identity, so the server is not asking for it at the moment",
		"Entra ID keeps failing to issue the assertion for an agent; pausing requests for it alone", "Entra ID issues the assertion for the agent again",
	}
)

// enter returns an error if no request may be sent, and else whether the request is the
// probe. A caller that may send must call leave.
func (c *circuit) enter() (probe bool, open *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pause == 0 {
		return false, nil
	}
	now := c.now()
	if !c.pausedAt(now) {
		c.probed = now
		return true, nil
	}
	return false, &Error{
		Kind: c.last.Kind, AADSTS: c.last.AADSTS, OAuthError: c.last.OAuthError,
		Problem:    c.says.problem,
		Remedy:     "try again in a moment; if it persists, " + askOperator + "look at the first failures (" + serverLog + ")",
		RetryAfter: min(max(c.until.Sub(now), time.Second), circuitMaxPause),
		cause:      c.last.cause,
	}
}

// leave records the outcome of the user's request; e is nil if there is a token.
func (c *circuit) leave(ctx context.Context, probe bool, user string, e *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	open := c.pause != 0
	switch {
	case e == nil || !e.outage():
		c.users = nil
		c.close(ctx)
	case open && !probe: // sent before the circuit opened
	case !e.service:
		c.count(ctx, user, e)
	default:
		if c.failures++; open || c.failures >= circuitThreshold {
			c.open(ctx, e)
		}
	}
}

// count counts a throttled user, for the length of a pause.
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
	case c.failures >= circuitThreshold: // it answers again, so it is not down
		c.close(ctx)
	case c.pause == 0 && len(c.users) < circuitThreshold:
	case c.pause != 0 && again:
		c.probed = time.Time{} // nothing new: let another user's request be the probe
	default:
		c.open(ctx, e)
	}
}

// open starts a pause.
func (c *circuit) open(ctx context.Context, e *Error) {
	c.last, c.probed = e, time.Time{}
	c.pause = min(max(circuitPause, 2*c.pause), circuitMaxPause)
	c.since = c.now()
	c.until = c.since.Add(max(c.pause, min(e.RetryAfter, circuitMaxPause)))
	c.logger.LogAttrs(ctx, slog.LevelError, c.says.paused,
		slog.String("tenant", c.tenantID), slog.Time("until", c.until), slog.String("reason", e.Error()))
}

func (c *circuit) close(ctx context.Context) {
	if c.pause != 0 {
		c.logger.LogAttrs(ctx, slog.LevelInfo, c.says.again, slog.String("tenant", c.tenantID))
	}
	c.failures, c.pause, c.probed, c.last = 0, 0, time.Time{}, nil
}

// isOpen reports whether a request would not be sent now. After a pause the next one is, as the
// probe: without any, nobody knows whether the service is back.
func (c *circuit) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pause != 0 && c.pausedAt(c.now())
}

// pausedAt reports whether an open circuit is in its pause, or waits for the probe's answer. A
// transport that ignores its context must not keep it open forever.
func (c *circuit) pausedAt(now time.Time) bool {
	return lasts(c.probed, exchangeTimeout, now) || lasts(c.since, c.until.Sub(c.since), now)
}

// lasts reports whether a period that began at a time and takes d is still running. One
// that begins in the future is over: the clock was set back, and nobody should wait
// for that.
func lasts(began time.Time, d time.Duration, now time.Time) bool {
	age := now.Sub(began)
	return age >= 0 && age < d
}
