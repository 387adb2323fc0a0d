package mcpentra

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// MaxIdleUsers is the bound on users that are remembered.
const MaxIdleUsers = maxIdleUsers

// Users is the table of users, for tests of what it keeps.
type Users struct{ t *users }

func NewUsers(l Limits, now func() time.Time) Users {
	return Users{newUsers(l.withDefaults(), now, nil)}
}

// Admit counts a request of the user and returns what ends it, or how long to wait.
func (u Users) Admit(id string) (release func(), wait time.Duration) {
	l, wait := u.t.admit(id, 1)
	if wait > 0 {
		return nil, wait
	}
	return l.close, 0
}

// AdmitShort is Admit for a request that takes no place.
func (u Users) AdmitShort(id string) (release func(), wait time.Duration) {
	l, wait := u.t.admit(id, 0)
	if wait > 0 {
		return nil, wait
	}
	return l.close, 0
}

// Hold returns what counts the bytes of a body of the user's, and what ends that.
func (u Users) Hold(id string) (hold func(int64) *edge.Refusal, release func()) {
	l, _ := u.t.admit(id, 1)
	return l.Hold, l.close
}

// Held is how many bytes of bodies are counted.
func (s *Server) Held() int64 {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	return s.users.held
}

func (u Users) Known() int { return len(u.t.known) }

// TraceID reads what strangers send.
func TraceID(traceparent string) string { return traceID(traceparent) }

// Middleware that tests of what a context holds need.
var RequestID = requestID

// OpensState reports whether a text opens with the key.
func OpensState(key []byte, text string) bool {
	s, err := newSealer([][]byte{key})
	if err != nil {
		panic(err)
	}
	_, err = s.open(text)
	return err == nil
}

// CanonicalURI is the one spelling of a URI.
var CanonicalURI = canonical

// Closes returns whether a WithResourcePolicy of that pattern holds for a URI.
func Closes(pattern string) func(uri string) bool {
	r := newRule(resource, pattern, entraauth.Policy{})
	return func(uri string) bool {
		all, complete := readings(uri)
		return !complete || r.matches(all...)
	}
}

// HideAndRestore is what the SDK reads of the body, and what the client is sent of
// what the SDK makes of it.
func HideAndRestore(body string, sdk func(hidden string) string) (hidden, restored string) {
	x := newIDs()
	hidden = string(x.hide([]byte(body)))
	return hidden, string(x.restore([]byte(sdk(hidden))))
}

// HideIDs returns a function that looks at the body once.
func HideIDs(body []byte) func() {
	x := newIDs()
	return func() { _ = x.hide(body) }
}

// Bounded is a logger as the server has it.
func Bounded(h slog.Handler) *slog.Logger { return slog.New(bounded{h}) }

// EndSessions ends the sessions that a test has left.
func (s *Server) EndSessions() { s.endSessions() }

// PrimingDelay sets how long a priming event is held back.
func (s *Server) PrimingDelay(d time.Duration) { s.primingDelay = d }

// CheckStreams looks whether the tokens of open streams are good, as it is done
// each second.
func (s *Server) CheckStreams() { s.streams.check() }

// OpenStreams is how many streams are watched.
func (s *Server) OpenStreams() int {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	return len(s.streams.open)
}

// Kept is what is kept for sessions and streams.
func (s *Server) Kept() (sessions, subscriptions, consents int) {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	for _, n := range s.sessions.uris {
		subscriptions += n
	}
	s.waiting.mu.Lock()
	defer s.waiting.mu.Unlock()
	return len(s.sessions.byServer), subscriptions, len(s.waiting.byID)
}

// Events is the store of events, for tests of what it keeps.
type Events struct{ *events }

// NewEvents returns a store with smaller bounds than a server's.
func NewEvents() Events {
	e := newEvents()
	e.userBytes, e.allBytes = MaxUserEvents, MaxAllEvents
	return Events{e}
}

// Sizes returns how many streams are kept and what they take, for all and for a user.
func (e Events) Sizes(user string) (streams, bytes, all int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if sh := e.shelves[user]; sh != nil {
		streams, bytes = len(sh.open)+sh.answered.Len(), sh.bytes
	}
	return streams, bytes, e.bytes
}

// OpenFor opens a stream of the user.
func (e Events) OpenFor(user, session, stream string) { e.open(user, session, stream) }

// Answer appends an answer to a call's stream of its own, which then ends.
func (e Events) Answer(user, session, stream string, data []byte) {
	r := e.open(user, session, stream)
	_ = e.Append(context.Background(), session, stream, data) // to a stream that is there
	e.answered(r)
}

// The bounds of Events.
const (
	MaxUserEvents = maxUserEvents >> 4
	MaxAllEvents  = maxAllEvents >> 4
	MaxAnswers    = maxAnswers
)

// KeptEvents is what is kept for resuming the streams of the user with that object id.
func (s *Server) KeptEvents(objectID string) (streams, bytes int) {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	for user, sh := range s.events.shelves {
		if strings.HasSuffix(user, objectID) {
			return len(sh.open) + sh.answered.Len(), sh.bytes
		}
	}
	return 0, 0
}

// ResourcePolicyOfNobody is what tools ask on behalf of a caller who meets no policy.
func ResourcePolicyOfNobody(p entraauth.Policy, patterns ...string) func(uri string) error {
	var a access
	for _, pattern := range patterns {
		a.resources = append(a.resources, newRule(resource, pattern, p))
	}
	return a.refusesResources(nil, "tools/call", nil)
}

// Redacted is a text as the log has it.
var Redacted = redacted

// PanicText is what the log holds of a panic's value.
var PanicText = panicText
