package mcpentra

import (
	"bytes"
	"container/list"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

const (
	// maxUserEvents and maxAllEvents bound what is kept for resuming streams, in
	// bytes, for a user and for the process.
	maxUserEvents = 10 << 20
	maxAllEvents  = 256 << 20
	// maxAnswers is how many streams of calls that have ended are kept for a user.
	maxAnswers = 1024
	// recordCost and eventCost are about what a stream and an event take besides
	// their text.
	recordCost = 512
	eventCost  = 64
)

// events is an [mcp.EventStore] in memory, bounded for each user. What a user has
// pushes out that user's own: the oldest answers first, then the oldest events of
// calls under way and of open streams. Where the process has no more room, it is
// taken from whoever has most.
type events struct {
	userBytes, allBytes, answers int                            // the bounds
	admits                       func(session, uri string) bool // nil: all news are for all

	mu       sync.Mutex
	bytes    int
	shelves  map[string]*shelf             // by user
	sessions map[string]map[string]*record // by session and stream
}

// A shelf is what is kept for a user.
type shelf struct {
	user     string
	bytes    int
	open     map[*record]struct{}
	answered *list.List // of *record; the oldest at the front
}

// A record is what was sent on a stream.
type record struct {
	shelf           *shelf
	session, stream string
	usage           *usage // of the request; nil for the stream of a session
	first           int    // the index of events[0]
	events          [][]byte
	bytes           int
	place           *list.Element // in shelf.answered, or nil
}

func newEvents() *events {
	return &events{userBytes: maxUserEvents, allBytes: maxAllEvents, answers: maxAnswers,
		shelves: map[string]*shelf{}, sessions: map[string]map[string]*record{}}
}

// Open implements [mcp.EventStore]. The stream of a call ends with its request's lease.
func (s *events) Open(ctx context.Context, session, stream string) error {
	user := session // where nobody is known
	if info := auth.TokenInfoFromContext(ctx); info != nil {
		user = info.UserID
	}
	r := s.open(user, session, stream)
	if a := callOf(ctx); stream != "" && a != nil {
		s.mu.Lock()
		r.usage = a.usage
		s.mu.Unlock()
		if a.lease != nil {
			a.lease.afterwards(func() { s.answered(r) })
		}
	}
	return nil
}

func (s *events) open(user, session, stream string) *record {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.sessions[session][stream]; r != nil {
		return r
	}
	sh := s.shelves[user]
	if sh == nil {
		sh = &shelf{user: user, open: map[*record]struct{}{}, answered: list.New()}
		s.shelves[user] = sh
	}
	r := &record{shelf: sh, session: session, stream: stream}
	if s.sessions[session] == nil {
		s.sessions[session] = map[string]*record{}
	}
	s.sessions[session][stream] = r
	sh.open[r] = struct{}{}
	s.charge(r, recordCost)
	s.makeRoom(sh)
	return r
}

// answered notes that the stream's calls have ended.
func (s *events) answered(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := r.shelf.open[r]; !open {
		return
	}
	delete(r.shelf.open, r)
	r.place = r.shelf.answered.PushBack(r)
	s.makeRoom(r.shelf)
}

// Append implements [mcp.EventStore].
func (s *events) Append(_ context.Context, session, stream string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.sessions[session][stream]
	if r == nil { // the session has ended, or the call was long ago
		return mcp.ErrEventsPurged
	}
	r.events = append(r.events, data)
	s.charge(r, eventCost+cap(data))
	s.makeRoom(r.shelf)
	return nil
}

// usageOf returns what the call used whose stream that is.
func (s *events) usageOf(session, stream string) *usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.sessions[session][stream]; r != nil && r.usage != nil {
		return r.usage
	}
	return &usage{}
}

// After implements [mcp.EventStore]. It has nothing for a caller who may not make the
// stream's call.
func (s *events) After(ctx context.Context, session, stream string, index int) iter.Seq2[[]byte, error] {
	rest, first, err := s.after(session, stream, index)
	var caller *entraauth.Identity
	if a := callOf(ctx); a != nil {
		caller = a.caller
	}
	if s.usageOf(session, stream).decide(caller) != nil {
		rest, err = nil, mcp.ErrEventsPurged
	}
	if stream == "" && s.admits != nil {
		rest = s.withhold(session, first, rest)
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

// after returns the events of a stream after the index, and the index of the first.
func (s *events) after(session, stream string, index int) (rest [][]byte, first int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.sessions[session][stream]
	if r == nil {
		return nil, 0, mcp.ErrEventsPurged
	}
	if stream == "" && index < 0 { // nothing is resumed: what is left counts from here
		r.first = 0
	}
	start := index + 1 - r.first
	if start < 0 {
		return nil, 0, mcp.ErrEventsPurged
	}
	return slices.Clone(r.events[min(start, len(r.events)):]), index + 1, nil
}

// withhold takes news of resources out of what a session's client missed that its
// caller may not have now, for good. The rest is numbered as the SDK will: it lets
// nothing be appended to the stream meanwhile.
func (s *events) withhold(session string, first int, rest [][]byte) [][]byte {
	var kept [][]byte
	gone := map[int]bool{} // by index
	for i, data := range rest {
		if uri, ok := newsOf(data); ok && !s.admits(session, uri) {
			gone[first+i] = true
		} else {
			kept = append(kept, data)
		}
	}
	if len(gone) == 0 {
		return rest
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.sessions[session][""]
	if r == nil {
		return kept
	}
	var left [][]byte
	for i, data := range r.events {
		if gone[r.first+i] {
			s.charge(r, -eventCost-cap(data))
		} else {
			left = append(left, data)
		}
	}
	evicted := 0 // meanwhile
	for i := range gone {
		if i < r.first {
			evicted++
		}
	}
	r.events, r.first = left, r.first-evicted
	return kept
}

// newsOf returns the resource that an event tells of, if it does.
func newsOf(data []byte) (uri string, ok bool) {
	const method = "notifications/resources/updated"
	if !bytes.Contains(data, []byte(method)) {
		return "", false
	}
	var event struct {
		Method string `json:"method"`
		Params struct {
			URI string `json:"uri"`
		} `json:"params"`
	}
	err := json.Unmarshal(data, &event)
	return event.Params.URI, err == nil && event.Method == method
}

// SessionClosed implements [mcp.EventStore].
func (s *events) SessionClosed(_ context.Context, session string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.sessions[session] {
		s.drop(r)
	}
	return nil
}

// makeRoom keeps the bounds after something was added to the shelf.
func (s *events) makeRoom(sh *shelf) {
	for sh.bytes > s.userBytes || sh.answered.Len() > s.answers {
		if !s.evict(sh) {
			break
		}
	}
	for s.bytes > s.allBytes {
		most := sh
		for _, other := range s.shelves {
			if other.bytes > most.bytes {
				most = other
			}
		}
		if !s.evict(most) {
			break
		}
	}
}

// evict drops the oldest answer of a user, or the oldest event of the stream that
// has most, and reports false if there is neither.
func (s *events) evict(sh *shelf) bool {
	if oldest := sh.answered.Front(); oldest != nil {
		s.drop(oldest.Value.(*record))
		return true
	}
	var most *record
	for r := range sh.open {
		if len(r.events) > 0 && (most == nil || r.bytes > most.bytes) {
			most = r
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

// drop forgets a stream.
func (s *events) drop(r *record) {
	s.charge(r, -r.bytes)
	delete(r.shelf.open, r)
	if r.place != nil {
		r.shelf.answered.Remove(r.place)
	}
	delete(s.sessions[r.session], r.stream)
	if len(s.sessions[r.session]) == 0 {
		delete(s.sessions, r.session)
	}
	if sh := r.shelf; len(sh.open)+sh.answered.Len() == 0 && s.shelves[sh.user] == sh {
		delete(s.shelves, sh.user)
	}
}

func (s *events) charge(r *record, bytes int) {
	r.bytes += bytes
	r.shelf.bytes += bytes
	s.bytes += bytes
}
