// Package eventstore keeps the events sent on streams, so that clients can resume them. It is an
// [mcp.EventStore] in memory, limited per user and per process, that replays only what the caller
// is allowed to see now.
//
// A user's new events evict only that user's old ones: first the oldest answers, then the oldest
// events of calls in progress and open streams. If the process runs out of room, the user with the
// most bytes loses events.
package eventstore

import (
	"container/list"
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The approximate overhead of a stream and of an event beyond its text, in bytes.
const (
	streamCost = 512
	eventCost  = 64
)

// Options are a store's limits and callbacks. Zero limits mean the defaults.
type Options struct {
	UserBytes int // for each user; default 10 MiB
	AllBytes  int // for all users; default 256 MiB
	Answers   int // streams of finished calls per user; default 1,024

	// Begin is called with the context of the request that opens a call's stream. It returns who
	// may replay the stream, or nil for every caller of the session. It calls finished when the
	// request and its calls have ended. A nil Begin means that calls last until their session
	// ends.
	Begin func(ctx context.Context, finished func()) Audience
	// Keep reports whether the client of a session may still receive an event that it missed. The
	// store deletes such events of the session's own stream when Keep returns false. Nil keeps
	// all.
	Keep func(session string, event []byte) bool
}

// An Audience decides who may receive a call's answer. The store keeps it as long as the answer.
type Audience interface {
	// Admits reports whether the context's caller may receive it.
	Admits(ctx context.Context) bool
}

// A Store implements [mcp.EventStore].
type Store struct {
	Options

	mu       sync.Mutex
	bytes    int
	users    map[string]*user
	sessions map[string]map[string]*stream // by session and stream
}

// A user is the owner of streams.
type user struct {
	id       string
	bytes    int
	open     map[*stream]struct{}
	answered *list.List // of *stream, oldest first
}

// A stream is the events of one stream.
type stream struct {
	user        *user
	session, id string
	audience    Audience
	first       int // index of events[0]
	events      [][]byte
	bytes       int
	place       *list.Element // in user.answered, or nil
}

// New returns an empty store.
func New(o Options) *Store {
	for bound, byDefault := range map[*int]int{&o.UserBytes: 10 << 20, &o.AllBytes: 256 << 20, &o.Answers: 1024} {
		if *bound == 0 {
			*bound = byDefault
		}
	}
	return &Store{Options: o, users: map[string]*user{}, sessions: map[string]map[string]*stream{}}
}

// Open implements [mcp.EventStore].
func (s *Store) Open(ctx context.Context, session, id string) error {
	owner := session
	if info := auth.TokenInfoFromContext(ctx); info != nil {
		owner = info.UserID
	}
	x, isNew := s.open(owner, session, id)
	if isNew && id != "" && s.Begin != nil { // a call's stream
		audience := s.Begin(ctx, func() { s.finish(x) })
		s.mu.Lock()
		defer s.mu.Unlock()
		x.audience = audience
	}
	return nil
}

func (s *Store) open(owner, session, id string) (x *stream, isNew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.sessions[session][id]; x != nil {
		return x, false
	}
	u := s.users[owner]
	if u == nil {
		u = &user{id: owner, open: map[*stream]struct{}{}, answered: list.New()}
		s.users[owner] = u
	}
	x = &stream{user: u, session: session, id: id}
	if s.sessions[session] == nil {
		s.sessions[session] = map[string]*stream{}
	}
	s.sessions[session][id] = x
	u.open[x] = struct{}{}
	s.charge(x, streamCost)
	s.makeRoom(u)
	return x, true
}

// finish records that the stream's calls have ended.
func (s *Store) finish(x *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := x.user.open[x]; !open {
		return
	}
	delete(x.user.open, x)
	x.place = x.user.answered.PushBack(x)
	s.makeRoom(x.user)
}

// Append implements [mcp.EventStore].
func (s *Store) Append(_ context.Context, session, id string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions[session][id]
	if x == nil { // the session ended, or the answer was evicted
		return mcp.ErrEventsPurged
	}
	x.events = append(x.events, data)
	s.charge(x, eventCost+cap(data))
	s.makeRoom(x.user)
	return nil
}

// Audience returns the audience of a stream, or nil.
func (s *Store) Audience(session, id string) Audience {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.sessions[session][id]; x != nil {
		return x.audience
	}
	return nil
}

// After implements [mcp.EventStore]. It yields nothing to a caller who may not receive the stream.
func (s *Store) After(ctx context.Context, session, id string, index int) iter.Seq2[[]byte, error] {
	rest, first, err := s.after(session, id, index)
	if audience := s.Audience(session, id); audience != nil && !audience.Admits(ctx) {
		rest, err = nil, mcp.ErrEventsPurged
	}
	if id == "" && s.Keep != nil {
		rest = s.keep(session, first, rest)
	}
	return func(yield func([]byte, error) bool) {
		if err != nil {
			yield(nil, err)
			return
		}
		for _, data := range rest {
			if !yield(data, nil) {
				return
			}
		}
	}
}

// after returns a stream's events after the index, and the index of the first of them.
func (s *Store) after(session, id string, index int) (rest [][]byte, first int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions[session][id]
	if x == nil {
		return nil, 0, mcp.ErrEventsPurged
	}
	if id == "" && index < 0 { // a new stream, not a resumed one: numbering starts here
		x.first = 0
	}
	start := index + 1 - x.first
	if start < 0 {
		return nil, 0, mcp.ErrEventsPurged
	}
	return slices.Clone(x.events[min(start, len(x.events)):]), index + 1, nil
}

// keep deletes missed events of a session's own stream that its client may no longer see. The
// other events get the numbers that the SDK will give them. The SDK appends nothing to the stream
// meanwhile.
func (s *Store) keep(session string, first int, rest [][]byte) [][]byte {
	var kept [][]byte
	gone := map[int]bool{} // by index
	for i, data := range rest {
		if s.Keep(session, data) {
			kept = append(kept, data)
		} else {
			gone[first+i] = true
		}
	}
	if len(gone) == 0 {
		return rest
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions[session][""]
	if x == nil {
		return kept
	}
	var left [][]byte
	for i, data := range x.events {
		if gone[x.first+i] {
			s.charge(x, -eventCost-cap(data))
		} else {
			left = append(left, data)
		}
	}
	evicted := 0 // since after returned
	for i := range gone {
		if i < x.first {
			evicted++
		}
	}
	x.events, x.first = left, x.first-evicted
	return kept
}

// SessionClosed implements [mcp.EventStore].
func (s *Store) SessionClosed(_ context.Context, session string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.sessions[session] {
		s.drop(x)
	}
	return nil
}

// Kept returns how many streams and bytes the store keeps for a user.
func (s *Store) Kept(owner string) (streams, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[owner]; u != nil {
		return len(u.open) + u.answered.Len(), u.bytes
	}
	return 0, 0
}

// makeRoom evicts events after the user's grew.
func (s *Store) makeRoom(u *user) {
	for u.bytes > s.UserBytes || u.answered.Len() > s.Answers {
		if !s.evict(u) {
			break
		}
	}
	for s.bytes > s.AllBytes {
		most := u
		for _, other := range s.users {
			if other.bytes > most.bytes {
				most = other
			}
		}
		if !s.evict(most) {
			break
		}
	}
}

// evict drops a user's oldest answer or, if there is none, the oldest event of the largest stream.
// It reports whether it dropped anything.
func (s *Store) evict(u *user) bool {
	if oldest := u.answered.Front(); oldest != nil {
		s.drop(oldest.Value.(*stream))
		return true
	}
	var most *stream
	for x := range u.open {
		if len(x.events) > 0 && (most == nil || x.bytes > most.bytes) {
			most = x
		}
	}
	if most == nil {
		return false
	}
	s.charge(most, -eventCost-cap(most.events[0]))
	most.events[0] = nil
	most.events = most.events[1:]
	most.first++
	return true
}

func (s *Store) drop(x *stream) {
	s.charge(x, -x.bytes)
	delete(x.user.open, x)
	if x.place != nil {
		x.user.answered.Remove(x.place)
	}
	delete(s.sessions[x.session], x.id)
	if len(s.sessions[x.session]) == 0 {
		delete(s.sessions, x.session)
	}
	if u := x.user; len(u.open)+u.answered.Len() == 0 && s.users[u.id] == u {
		delete(s.users, u.id)
	}
}

func (s *Store) charge(x *stream, bytes int) {
	x.bytes += bytes
	x.user.bytes += bytes
	s.bytes += bytes
}
