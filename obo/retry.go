package obo

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

const (
	// attemptTimeout bounds one request, so that a lost one can be made again.
	attemptTimeout = 10 * time.Second
	// defaultRetries is how often a request is made again.
	defaultRetries = 2
	// The pause before the first retry; each further one is four times as long.
	retryPause = 250 * time.Millisecond
	// maxRetryAfter is the longest Retry-After that is waited out. For a longer one
	// the caller gets the error and decides.
	maxRetryAfter = 5 * time.Second
)

// insist sends a request and retries transient failures: HTTP 429 and 5xx, Entra's
// transient codes, lost connections. ctx is the exchange's; callers stop waiting when
// their own contexts end.
func (s *sender) insist(ctx context.Context, a attempt) (*entrawire.Success, *Error) {
	for n := 0; ; n++ {
		got, e := s.guarded(ctx, a)
		if e == nil || !e.passing || n >= s.retries {
			return got, e
		}
		pause := jitter(retryPause << (2 * n))
		if e.RetryAfter > 0 {
			pause = e.RetryAfter + jitter(retryPause)
		}
		if deadline, ok := ctx.Deadline(); e.RetryAfter > maxRetryAfter || ok && time.Until(deadline) < pause {
			return got, e
		}
		if !sleep(ctx, pause) {
			return got, e
		}
	}
}

// guarded sends a request unless the tenant's circuit is open.
func (s *sender) guarded(ctx context.Context, a attempt) (got *entrawire.Success, e *Error) {
	probe, open := a.tenant.circuit.enter()
	if open != nil {
		return nil, open
	}
	// Deferred, because a panic in a transport must not leave a probe behind.
	e = &Error{Kind: ErrUnavailable, Problem: "the request failed", service: true}
	defer func() { a.tenant.circuit.leave(ctx, probe, a.caller, e) }()
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	got, e = s.send(ctx, a)
	return got, e
}

// jitter spreads d from half of it to one and a half times, so that callers that
// failed together don't retry together.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d) //nolint:gosec // not a secret
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
