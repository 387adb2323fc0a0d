package work

import (
	"context"
	"slices"
	"sync"
)

// A Share is an amount of a resource, such as cores or memory, that all calls in the process
// share. Calls that want more than is left wait, and users are served in turn: a user with a
// hundred calls delays another user's call by one turn.
type Share struct {
	mu      sync.Mutex
	free    int64
	most    int64            // limit per user
	held    map[string]int64 // by user
	waiting map[string][]*waiter
	turns   []string // waiting users; the first is next
}

// A waiter is a waiting call.
type waiter struct {
	n      int64
	served chan struct{}
}

// NewShare returns a share of the given size, with a limit of most per user.
func NewShare(size, most int64) *Share {
	return &Share{free: size, most: most, held: map[string]int64{}, waiting: map[string][]*waiter{}}
}

// Take waits until it gets n or ctx is done. n must not exceed the limit per user.
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

// TryTake takes n if it is available without waiting.
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

// Wanted reports whether any call waits.
func (s *Share) Wanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.turns) > 0
}

// Waiting returns the number of a user's waiting calls.
func (s *Share) Waiting(user string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting[user])
}

// State returns how much is free, and how many users hold or want some.
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

// serve serves waiters in turn while there is enough for the next one. It skips users at their
// limit. It never skips a waiter because too little is free: otherwise large requests would
// starve.
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

// leave removes a waiter that gives up, or returns what the waiter got in the meantime.
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
