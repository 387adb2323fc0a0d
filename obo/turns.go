package obo

import (
	"context"
	"sync"
)

const (
	// maxTurns is how many exchanges of one user run at once, with whichever tokens: so
	// many requests can be on their way before the first refusal is known.
	maxTurns = 8
	// maxLine is how many of them there may be, those that wait included: an exchange
	// goes on when its caller has hung up, so callers don't bound it.
	maxLine = 256
)

// turns keep one user's exchanges from taking more than a share. The others wait for
// their turn; nobody waits for another user.
type turns struct {
	mu    sync.Mutex
	users map[string]*line
}

// line is where one user's exchanges wait. It lives as long as there is one.
type line struct {
	places chan struct{}
	length int // who have a place, and who wait for one
}

// take waits for a turn of the user's, which the caller must give back.
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
