package blobtool

import (
	"context"
	"slices"
	"sync"
)

// share is an amount of something that all calls in the process use together: cores or
// memory. Calls that want more than is left wait, and users are served in turn, so that
// one user's hundred calls delay another user's single call by one turn.
type share struct {
	mu      sync.Mutex
	free    int64
	most    int64            // that one user may hold
	held    map[string]int64 // by user
	waiting map[string][]*waiter
	turns   []string // users who wait; the first is next
}

// waiter is a call that waits.
type waiter struct {
	n      int64
	served chan struct{}
}

// newShare returns a share of that size, of which one user may hold no more than most.
func newShare(size, most int64) *share {
	return &share{free: size, most: most, held: map[string]int64{}, waiting: map[string][]*waiter{}}
}

// take waits for n, which is at most what one user may hold, until ctx is done.
func (s *share) take(ctx context.Context, user string, n int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if len(s.turns) == 0 && s.held[user]+n <= s.most && n <= s.free {
		s.hold(user, n)
		s.mu.Unlock()
		return nil
	}
	w := &waiter{n, make(chan struct{})}
	if len(s.waiting[user]) == 0 {
		s.turns = append(s.turns, user)
	}
	s.waiting[user] = append(s.waiting[user], w)
	s.serve()
	s.mu.Unlock()
	select {
	case <-w.served:
		return nil
	case <-ctx.Done():
		s.leave(user, w)
		return ctx.Err()
	}
}

// give returns n.
func (s *share) give(user string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold(user, -n)
	s.serve()
}

// wanted reports whether anybody waits.
func (s *share) wanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.turns) > 0
}

func (s *share) hold(user string, n int64) {
	s.free -= n
	if s.held[user] += n; s.held[user] == 0 {
		delete(s.held, user)
	}
}

// serve lets those begin for whom there is enough. Users who hold as much as they may
// are passed over; behind a waiter for whom too little is left everybody waits, or
// large requests would never be served.
func (s *share) serve() {
	for i := 0; i < len(s.turns); {
		user := s.turns[i]
		w := s.waiting[user][0]
		if s.held[user]+w.n > s.most {
			i++
			continue
		}
		if w.n > s.free {
			return
		}
		s.hold(user, w.n)
		close(w.served)
		s.turns = slices.Delete(s.turns, i, i+1)
		if s.drop(user, 0); len(s.waiting[user]) > 0 {
			s.turns = append(s.turns, user)
		}
	}
}

// leave takes a waiter out that gives up, or gives back what it has been served
// meanwhile.
func (s *share) leave(user string, w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting[user], w)
	switch {
	case i < 0:
		s.hold(user, -w.n)
	case len(s.waiting[user]) == 1:
		at := slices.Index(s.turns, user)
		s.turns = slices.Delete(s.turns, at, at+1)
		fallthrough
	default:
		s.drop(user, i)
	}
	s.serve()
}

func (s *share) drop(user string, i int) {
	if s.waiting[user] = slices.Delete(s.waiting[user], i, i+1); len(s.waiting[user]) == 0 {
		delete(s.waiting, user)
	}
}
