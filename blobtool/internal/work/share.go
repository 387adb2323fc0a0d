package work

import (
	"context"
	"slices"
	"sync"
)

// Share is an amount of something that all calls in the process use together, such as
// cores or memory. Calls that want more than is left wait, and users are served in turn:
// a user's hundred calls delay another user's call by one turn.
type Share struct {
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

// NewShare returns a share of that size, of which one user may hold at most most.
func NewShare(size, most int64) *Share {
	return &Share{free: size, most: most, held: map[string]int64{}, waiting: map[string][]*waiter{}}
}

// Take waits for n, which is at most what one user may hold, until ctx is done.
func (s *Share) Take(ctx context.Context, user string, n int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.TryTake(user, n) {
		return nil
	}
	s.mu.Lock()
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

// TryTake takes n if that needs no waiting.
func (s *Share) TryTake(user string, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.turns) > 0 || s.held[user]+n > s.most || n > s.free {
		return false
	}
	s.hold(user, n)
	return true
}

// Give returns n.
func (s *Share) Give(user string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold(user, -n)
	s.serve()
}

// Wanted reports whether anybody waits.
func (s *Share) Wanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.turns) > 0
}

// Waiting returns how many calls of a user wait.
func (s *Share) Waiting(user string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting[user])
}

// State returns how much is left, and how many users hold or want some.
func (s *Share) State() (free int64, users int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free, len(s.held) + len(s.waiting)
}

func (s *Share) hold(user string, n int64) {
	s.free -= n
	if s.held[user] += n; s.held[user] == 0 {
		delete(s.held, user)
	}
}

// serve serves those for whom there is enough. Users who hold as much as they may are
// passed over. Everybody waits behind a waiter for whom too little is left: otherwise
// large requests would never be served.
func (s *Share) serve() {
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

// leave removes a waiter that gives up, or returns what it has been served meanwhile.
func (s *Share) leave(user string, w *waiter) {
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

func (s *Share) drop(user string, i int) {
	if s.waiting[user] = slices.Delete(s.waiting[user], i, i+1); len(s.waiting[user]) == 0 {
		delete(s.waiting, user)
	}
}
