package mcpentra

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/eventstore"
	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
)

// Admits implements [eventstore.Audience].
func (u *usage) Admits(ctx context.Context) bool {
	var caller *entraauth.Identity
	if a := callOf(ctx); a != nil {
		caller = a.caller
	}
	return u.decide(caller) == nil
}

// beginAnswer tells the event store about the call whose stream is opened.
func beginAnswer(ctx context.Context, finished func()) eventstore.Audience {
	a := callOf(ctx)
	if a == nil {
		return nil
	}
	if a.lease != nil {
		a.lease.afterwards(finished)
	}
	return a.usage
}

// replays rejects a caller who may not have a call's answer: a client can resume the
// stream of a call with another token. The event store has the last word.
func (s *streaming) replays(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.events != nil && r.Method == http.MethodGet {
			stream, _, _ := strings.Cut(r.Header.Get("Last-Event-ID"), "_")
			if u, ok := s.events.Audience(r.Header.Get(sessionHeader), stream).(*usage); ok {
				if d := u.decide(callOf(r.Context()).caller); d != nil {
					s.refuser.refuse(w, r, d)
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// beginRunning is the stage by which onItsStream knows whether a call still runs, and by
// which a session's end cancels its calls.
func (t *sessions) beginRunning(m *message) error {
	if strings.HasPrefix(m.method, "notifications/") { // it has no stream of its own
		return nil
	}
	m.session, m.begun = m.req.GetSession(), true
	server, _ := m.session.(*mcp.ServerSession)
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.byServer[server]
	if x == nil {
		return nil
	}
	m.Context, m.cancel = context.WithCancel(m.Context)
	if x.running == nil {
		x.running = map[*message]struct{}{}
	}
	x.running[m] = struct{}{}
	if x.ending {
		m.cancel()
	}
	m.leaveSession = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(x.running, m)
		m.cancel()
	}
	return nil
}

// endRunning ends what beginRunning began.
func (t *sessions) endRunning(m *message) {
	m.over.Store(true)
	if m.leaveSession != nil {
		m.leaveSession()
	}
}

// cancelCalls cancels what still runs in the session: the SDK would wait for it.
func (t *sessions) cancelCalls(x *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x.ending = true
	for m := range x.running {
		m.cancel()
	}
}

// cancelAll cancels what still runs in all sessions.
func (t *sessions) cancelAll() {
	t.mu.Lock()
	all := slices.Collect(maps.Values(t.byServer))
	t.mu.Unlock()
	for _, x := range all {
		t.cancelCalls(x)
	}
}

var errCallOver = errors.New("the call is over: nothing can be sent to its client")

// onItsStream is sending middleware. The SDK finds a call's stream by the call's id,
// which may by now be another call's: what a tool sends after its end must not go to
// that one's caller. And of what it asks its client, the answer must come from a
// caller who may make the call.
func (s *streaming) onItsStream(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		m := messageOf(ctx)
		if m == nil || !m.begun || m.session != req.GetSession() {
			return next(ctx, method, req)
		}
		if m.over.Load() {
			return nil, errCallOver
		}
		if server, ok := req.GetSession().(*mcp.ServerSession); ok && !strings.HasPrefix(method, "notifications/") {
			defer s.sessions.asks(server, m.call)()
		}
		return next(ctx, method, req)
	}
}

// asks notes that a request of the session asks its client, until it has an answer.
func (t *sessions) asks(server *mcp.ServerSession, a *call) (answered func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.byServer[server]
	if x == nil || a == nil {
		return func() {}
	}
	if x.asking == nil {
		x.asking = map[*usage]int{}
	}
	x.asking[a.usage]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if x.asking[a.usage]--; x.asking[a.usage] == 0 {
			delete(x.asking, a.usage)
		}
	}
}

// mayAnswer returns why the caller may not answer what the session asks its client.
// Whose question it is, the body does not say; so it is refused to a caller who may
// not make any one of the calls that wait for an answer.
func (t *sessions) mayAnswer(c *call, r *http.Request) *denial {
	id := r.Header.Get(sessionHeader)
	if id == "" || !slices.ContainsFunc(c.messages, func(m rpcwire.Message) bool { return m.Method == "" }) {
		return nil
	}
	t.mu.Lock()
	var waiting []*usage
	if x := t.byID[id]; x != nil {
		for u := range x.asking {
			waiting = append(waiting, u)
		}
	}
	t.mu.Unlock()
	for _, u := range waiting {
		if d := u.decide(c.caller); d != nil {
			return d
		}
	}
	return nil
}
