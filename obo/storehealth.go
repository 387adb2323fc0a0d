package obo

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// storeTimeout is how long an exchange waits for the store, each time.
	storeTimeout = 250 * time.Millisecond
	// storePause is how long a store that failed is not asked.
	storePause = 10 * time.Second
	// maxStoreCalls bounds the calls that run at once, and with them the goroutines
	// that a store can hold forever when it hangs.
	maxStoreCalls = 256
)

// storeHealth calls the store for exchanges that can do without it. A store that
// has failed gets one call at a time, when its pause is over and none of its earlier
// calls hangs any more; if that one succeeds, the store is healthy.
type storeHealth struct {
	now    func() time.Time
	logger *slog.Logger

	mu       sync.Mutex
	running  int // calls that have not returned, whether or not somebody waits
	failing  bool
	failedAt time.Time // the last failure

	failures atomic.Uint64
}

// storeCall is one call. Its outcome is what comes first: its result, or the end of
// the time that it has.
type storeCall struct {
	what    string
	probe   bool // it decides whether the store is healthy again
	settled bool
}

// call calls the store and reports whether it answered; otherwise it failed, or was
// not asked. It returns in time also from a store that ignores its context; then f
// still runs, and what it writes must not be read.
func (h *storeHealth) call(ctx context.Context, what string, f func(context.Context) error) bool {
	c, ok := h.enter(what)
	if !ok {
		return false
	}
	// Its own time, not what is left of a slow exchange's: that is not the store's fault.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := error(&panickedError{})
		defer func() {
			_ = recover() // not the store's value: it may hold anything
			h.settle(ctx, c, err, true)
			done <- err
		}()
		err = f(ctx)
	}()
	select {
	case err := <-done:
		return err == nil
	case <-ctx.Done():
		h.settle(ctx, c, ctx.Err(), false)
		return false
	}
}

// enter returns the call to make, if the store may be called.
func (h *storeHealth) enter(what string) (*storeCall, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	paused := h.failing && (h.running > 0 || lasts(h.failedAt, storePause, h.now()))
	if paused || h.running >= maxStoreCalls {
		return nil, false
	}
	h.running++
	return &storeCall{what: what, probe: h.failing}, true
}

// settle notes how a call ended, and whether it has returned. It logs the first
// failure and the recovery. A success of a call that began before the failure says nothing.
func (h *storeHealth) settle(ctx context.Context, c *storeCall, err error, returned bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if returned {
		h.running--
	}
	if c.settled {
		return
	}
	c.settled = true
	switch {
	case err != nil:
		h.failures.Add(1)
		h.failedAt = h.now()
		if !h.failing {
			h.failing = true
			h.logger.LogAttrs(ctx, slog.LevelError, "the token store fails; tokens are exchanged as if there were none",
				slog.String("call", c.what), slog.String("reason", err.Error()))
		}
	case c.probe && h.failing:
		h.failing = false
		h.logger.LogAttrs(ctx, slog.LevelInfo, "the token store works again")
	}
}

type panickedError struct{}

func (*panickedError) Error() string { return "the store panicked" }
