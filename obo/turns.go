package obo

import (
	"context"
	"sync"
)

// maxTurns is how many exchanges of one user run at once, with whichever tokens: so
// many requests can be on their way before the first refusal is known.
const maxTurns = 8

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
	select {
	case l.places <- struct{}{}:
		return func() { <-l.places; t.leave(user, l) }, nil
	case <-ctx.Done():
		t.leave(user, l)
		return nil, &Error{Kind: ErrUnavailable, cause: ctx.Err(),
			Problem: "other requests to Entra ID for this user have not been answered", Remedy: "try again in a moment"}
	}
}

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
