package blobtool

import (
	"context"
	"time"
)

// What the tests of cores and memory look into.

// Share is an amount that users share.
type Share struct{ *share }

// NewShare returns one.
func NewShare(size, most int64) Share { return Share{newShare(size, most)} }

// Take waits for n, and Give returns it.
func (s Share) Take(ctx context.Context, user string, n int64) error { return s.take(ctx, user, n) }

// Give returns n.
func (s Share) Give(user string, n int64) { s.give(user, n) }

// Waiting is how many calls of a user wait.
func (s Share) Waiting(user string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting[user])
}

// State is what is left, and of how many users anything is known.
func (s Share) State() (free int64, users int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free, len(s.held) + len(s.waiting) + len(s.turns)
}

// SetShares gives a set cores and memory of its own.
func (s *Set) SetShares(cores, memory int64) (c, m Share) {
	s.shares = newShares(cores, memory, lineSlots)
	return Share{s.shares.cores}, Share{s.shares.memory}
}

// SetLine gives a set a line of its own to the storage account.
func (s *Set) SetLine(slots int64) Share {
	s.shares.line = newShare(slots, min(slots, userSlots))
	return Share{s.shares.line}
}

// What one user may have under way: requests, and large ones.
const (
	UserSlots = userSlots
	BulkSlots = bulkSlots
	BulkBytes = bulkBytes
)

// Find looks for an expression in a text, within a context.
func Find(ctx context.Context, expr string, text []byte) (found bool, err error) {
	e, err := compileText(expr, false)
	if err != nil {
		return false, err
	}
	at, err := e.find(&worker{ctx: ctx, shares: newShares(1, 1, 1)}, text)
	return at != nil, err
}

// MatchWithin reports whether the pattern matches all of a name, within a context.
func (p NamePattern) MatchWithin(ctx context.Context, name string) (bool, error) {
	return p.match(&worker{ctx: ctx, shares: newShares(1, 1, 1)}, name)
}

// Search is the tool search_blobs with nothing around it.
func (s *Set) Search(ctx context.Context, text string) (reason, cursor string, err error) {
	out, err := s.search(ctx, nil, searchInput{Text: text, MaxResults: 1, MaxBlobs: 1, MaxBytes: leastBytes, MaxSeconds: maxSeconds})
	return out.Reason, out.NextCursor, err
}

// SavedFiles counts how often folders were gone through, for a user's account: whether
// that is known, and what it says.
func (s *Set) SavedFiles(user string) (used, total int64, measured time.Time) {
	u := s.store.space(userFolder(user))
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return u.used, s.store.total, u.measured
}
