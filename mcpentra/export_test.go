package mcpentra

import (
	"log/slog"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

// MaxIdleUsers is the bound on users that are remembered.
const MaxIdleUsers = maxIdleUsers

// Users is the table of users, for tests of what it keeps.
type Users struct{ t *users }

func NewUsers(l Limits, now func() time.Time) Users {
	return Users{newUsers(l.withDefaults(), now)}
}

// Share makes replicas share the rates.
func (u Users) Share(store RateStore, log *slog.Logger) Users {
	u.t.rates.share(store, "https://mcp.example.com/mcp", log)
	return u
}

// Admit counts a request of the user and returns what ends it, or how long to wait.
func (u Users) Admit(id string) (release func(), wait time.Duration) {
	l := new(lease)
	wait = u.t.admit(l, id, 1)
	if wait > 0 {
		return nil, wait
	}
	return l.close, 0
}

// AdmitBatch is Admit for a batch of n calls, which is counted when its body is there.
func (u Users) AdmitBatch(id string, n int) (release func(), wait time.Duration) {
	l := new(lease)
	wait = u.t.admit(l, id, 0)
	if wait == 0 {
		wait = l.settle(n-1, n)
		if wait > 0 {
			l.close()
		}
	}
	if wait > 0 {
		return nil, wait
	}
	return l.close, 0
}

// AdmitShort is Admit for a request that takes no place.
func (u Users) AdmitShort(id string) (release func(), wait time.Duration) {
	l := new(lease)
	wait = u.t.admit(l, id, 0)
	if wait > 0 {
		return nil, wait
	}
	return l.close, 0
}

// Hold returns what counts the bytes of a body of the user's, and what ends that.
func (u Users) Hold(id string) (hold func(int64) *edge.Refusal, release func()) {
	l := new(lease)
	_ = u.t.admit(l, id, 1)
	return l.Hold, l.close
}

// Held is how many bytes of bodies are counted.
func (s *Server) Held() int64 {
	s.stages.admission.users.mu.Lock()
	defer s.stages.admission.users.mu.Unlock()
	return s.stages.admission.users.held
}

func (u Users) Known() int { return len(u.t.known) }

// TraceID reads what strangers send.
func TraceID(traceparent string) string { return traceID(parseTraceparent(traceparent)) }

// Middleware that tests of what a context holds need.
var RequestID = requestID

// OpensState reports whether a text opens with the key.
func OpensState(key []byte, text string) bool {
	s, err := seal.New(statePurpose, [][]byte{key})
	if err != nil {
		panic(err)
	}
	_, err = openState(s, text)
	return err == nil
}

// EndSessions ends the sessions that a test has left.
func (s *Server) EndSessions() { s.endSessions() }

// PrimingDelay sets how long a priming event is held back.
func (s *Server) PrimingDelay(d time.Duration) { s.stages.policies.primingDelay = d }

// CheckStreams ends the streams whose tokens are no longer valid, as the server does each
// second.
func (s *Server) CheckStreams() { s.stages.streams.check() }

// CheckStreamsEvery sets how often the server does it by itself.
func (s *Server) CheckStreamsEvery(d time.Duration) { s.stages.streams.every = d }

// Kept is what is kept for sessions and streams.
func (s *Server) Kept() (sessions, subscriptions, consents int) {
	s.stages.sessions.mu.Lock()
	defer s.stages.sessions.mu.Unlock()
	for _, n := range s.stages.sessions.uris {
		subscriptions += n
	}
	s.stages.consent.waiting.mu.Lock()
	defer s.stages.consent.waiting.mu.Unlock()
	return len(s.stages.sessions.byServer), subscriptions, len(s.stages.consent.waiting.byID)
}

// KeptEvents is what is kept for resuming the user's streams.
func (s *Server) KeptEvents(user string) (streams, bytes int) {
	return s.stages.events.Kept(user)
}

// ResourcePolicyOfNobody is what tools ask on behalf of a caller who meets no policy.
func ResourcePolicyOfNobody(p entraauth.Policy, patterns ...string) func(uri string) error {
	var a access
	for _, pattern := range patterns {
		of, err := resourceuri.ParseURIPattern(pattern)
		if err != nil {
			panic(err)
		}
		a.resources = append(a.resources, rule{of, p})
	}
	return a.refusesResources(nil, "tools/call", nil)
}

// MakeRoom grows a call's stack as the server does.
func MakeRoom(never bool) { makeRoom(never) }

// Receive is the server's middleware around another handler.
func (s *Server) Receive(next mcp.MethodHandler) mcp.MethodHandler { return s.stages.receive(next) }
