package mcpentra

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/eventstore"
)

// A usage is what a request's answer depends on: the policies that admitted its caller
// to the things it uses or lists. Whatever is sent for the request, now or when its
// stream is resumed, goes only to callers who meet them.
type usage struct {
	mu       sync.Mutex
	policies []*entraauth.Policy
}

// note adds a policy that the caller has met.
func (u *usage) note(p *entraauth.Policy) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !slices.Contains(u.policies, p) {
		u.policies = append(u.policies, p)
	}
}

// decide returns nil if the caller may have what is sent for the request.
func (u *usage) decide(id *entraauth.Identity) *denial {
	u.mu.Lock()
	policies := slices.Clone(u.policies)
	u.mu.Unlock()
	return deny(id, nil, func(show func(*entraauth.Policy)) {
		for _, p := range policies {
			show(p)
		}
	})
}

// noteUse notes for the context's request that its caller may use the targets.
func (a *access) noteUse(c *call, targets ...target) {
	if c != nil {
		for _, t := range targets {
			a.visit(t, c.usage.note)
		}
	}
}

// noteView notes that the answer is what this caller is shown of a list: it depends
// on all policies.
func (a *access) noteView(c *call, id *entraauth.Identity) {
	if c == nil {
		return
	}
	for _, rules := range [][]rule{a.tools, a.resources, a.prompts, a.brought.now.Load().tools} {
		c.usage.noteMet(id, rules)
	}
}

// noteResources notes that the answer has what this caller may use of the resources,
// whatever tool shows them.
func (a *access) noteResources(c *call, id *entraauth.Identity) {
	if c != nil {
		c.usage.noteMet(id, a.resources)
	}
}

// noteMet notes the policies of the rules that the caller meets.
func (u *usage) noteMet(id *entraauth.Identity, rules []rule) {
	for i := range rules {
		if rules[i].policy.Check(id) == nil {
			u.note(&rules[i].policy)
		}
	}
}

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
func (s *Server) replays(next http.Handler) http.Handler {
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

// A running call owns the messages that its tool sends to the client.
type running struct {
	session mcp.Session
	of      *session // nil if it is none of ours
	cancel  context.CancelFunc
	over    atomic.Bool
}

// beginRunning is the stage by which onItsStream knows whether a call still runs, and by which
// a session's end cancels its calls.
func (t *sessions) beginRunning(m *message) error {
	if strings.HasPrefix(m.method, "notifications/") { // it has no stream of its own
		return nil
	}
	call := &m.running
	call.session = m.req.GetSession()
	m.Context, call.cancel = context.WithCancel(m.Context)
	server, _ := call.session.(*mcp.ServerSession)
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.byServer[server]
	if x == nil {
		return nil
	}
	call.of = x
	if x.running == nil {
		x.running = map[*running]struct{}{}
	}
	x.running[call] = struct{}{}
	if x.ending {
		call.cancel()
	}
	return nil
}

// endRunning ends what beginRunning began.
func (t *sessions) endRunning(m *message) {
	call := &m.running
	if call.cancel == nil {
		return
	}
	if call.of != nil {
		t.mu.Lock()
		delete(call.of.running, call)
		t.mu.Unlock()
	}
	call.over.Store(true)
	call.cancel()
}

// cancelCalls cancels what still runs in the session: the SDK would wait for it.
func (t *sessions) cancelCalls(x *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x.ending = true
	for call := range x.running {
		call.cancel()
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
func (s *Server) onItsStream(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		m := messageOf(ctx)
		if m == nil || m.running.cancel == nil || m.running.session != req.GetSession() {
			return next(ctx, method, req)
		}
		if m.running.over.Load() {
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
func (t *sessions) mayAnswer(r *http.Request, body []byte) *denial {
	id := r.Header.Get(sessionHeader)
	if id == "" || !answersIn(body) {
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
		if d := u.decide(callOf(r.Context()).caller); d != nil {
			return d
		}
	}
	return nil
}

// answersIn reports whether the body has a message that is not a request: one
// without method.
func answersIn(body []byte) bool {
	for message := range messagesOf(body) {
		if method, _ := envelope(body, message); method == "" {
			return true
		}
	}
	return false
}
