package obo

import (
	"context"
	"sync"
)

const (
	// maxTurns is how many exchanges of one user run at once, whatever their tokens:
	// this many requests can be in flight before the first refusal is known.
	maxTurns = 8
	// maxLine bounds one user's exchanges, waiting ones included: an exchange outlives
	// its caller, so the number of callers is no bound.
	maxLine = 256
)

// turns limits the exchanges of one user that run at once. No user waits for another.
type turns struct {
	mu    sync.Mutex
	users map[string]*line
}

// A line queues one user's exchanges. It exists while there are any.
type line struct {
	places chan struct{}
	length int // running and waiting
}

// take waits for the user's turn, which the caller must give back.
func (t *turns) take(ctx context.Context, user string) (giveBack func(), err *Error) {
	l := t.join(user)
	if l == nil {
		return nil, &Error{Kind: ErrThrottled, RetryAfter: refusalLife,
			Problem: "too many requests to Entra ID for this user are waiting", Remedy: "wait, then try again"}
	}
	select {
	case l.places <- struct{}{}:
		return func() { <-l.places; t.leave(user, l) }, nil
	case <-ctx.Done():
		t.leave(user, l)
		return nil, &Error{Kind: ErrUnavailable, cause: ctx.Err(),
			Problem: "other requests to Entra ID for this user have not been answered", Remedy: "try again in a moment"}
	}
}

// join returns the user's line, or nil if it is full.
func (t *turns) join(user string) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.users[user]
	if l == nil {
		l = &line{places: make(chan struct{}, maxTurns)}
		if t.users == nil {
			t.users = map[string]*line{}
		}
		t.users[user] = l
	}
	if l.length >= maxLine {
		return nil
	}
	l.length++
	return l
}

func (t *turns) leave(user string, l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.length--; l.length == 0 {
		delete(t.users, user)
	}
}
