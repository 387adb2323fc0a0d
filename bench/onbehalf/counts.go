package onbehalf

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Counts is what a contestant asks of Entra, and what becomes of those who wait.
type Counts struct {
	// First are the requests for the first token of a user who comes second to a warm process.
	First int64
	// Discoveries and Exchanges are the requests for 100 concurrent calls of one new user.
	Discoveries, Exchanges int64
	// Waited is how long a caller with a deadline of [Deadline] waited, while an
	// exchange for the same user that takes [Slow] was under way; Err what it got.
	Waited time.Duration
	Err    error
	// Overtook is set when that caller returned before the exchange did.
	Overtook bool
}

const (
	// Slow is how long the exchange takes for which a caller waits.
	Slow = 900 * time.Millisecond
	// Deadline is that caller's.
	Deadline = 50 * time.Millisecond
	callers  = 100
)

// Count tries one contestant. It takes some [Slow].
func Count(ctx context.Context, c Contestant) (Counts, error) {
	var out Counts
	e := &Entra{}
	get, err := c.New(e)
	if err != nil {
		return out, err
	}
	if err := get(ctx, 0, Assertion(0)); err != nil {
		return out, err
	}
	d0, x0 := e.Requests()
	if err := get(ctx, 1, Assertion(1)); err != nil {
		return out, err
	}
	d1, x1 := e.Requests()
	out.First = d1 + x1 - d0 - x0
	if out.Discoveries, out.Exchanges, err = crowd(ctx, c); err != nil {
		return out, err
	}
	return out, out.wait(ctx, c)
}

// crowd lets 100 callers ask for one user at once, of a warm process.
func crowd(ctx context.Context, c Contestant) (discoveries, exchanges int64, err error) {
	e := &Entra{Delay: 100 * time.Millisecond}
	get, err := c.New(e)
	if err != nil {
		return 0, 0, err
	}
	if err := get(ctx, 0, Assertion(0)); err != nil {
		return 0, 0, err
	}
	d, x := e.Requests()
	assertion, errs := Assertion(1), make([]error, callers)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = get(ctx, 1, assertion) })
	}
	wg.Wait()
	discoveries, exchanges = e.Requests()
	return discoveries - d, exchanges - x, errors.Join(errs...)
}

// wait lets a caller in a hurry come while the exchange of another is under way.
func (out *Counts) wait(ctx context.Context, c Contestant) error {
	e := &Entra{Delay: Slow}
	get, err := c.New(e)
	if err != nil {
		return err
	}
	assertion, leader := Assertion(0), make(chan error, 1)
	go func() { leader <- get(ctx, 0, assertion) }()
	for {
		if _, exchanges := e.Requests(); exchanges > 0 {
			break
		}
		select {
		case err := <-leader:
			return errors.Join(errors.New("no exchange was made"), err)
		case <-time.After(time.Millisecond):
		}
	}
	hurried, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	start := time.Now()
	out.Err = get(hurried, 0, assertion)
	out.Waited = time.Since(start)
	select {
	case err := <-leader:
		return err
	default:
		out.Overtook = true
		return <-leader
	}
}
