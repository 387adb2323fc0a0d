package mcpentra

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// running is what a message has while its handler runs: the right to send messages on
// its stream.
type running struct {
	server  *mcp.ServerSession // nil unless it runs
	session *session           // nil without one
	cancel  context.CancelFunc // nil without a session
	over    atomic.Bool
}

// beginRunning and endRunning are a stage: the end of a session cancels its calls, and a
// call sends nothing after its own end.
func (t *sessions) beginRunning(m *message) error {
	server, ok := m.req.GetSession().(*mcp.ServerSession)
	if !ok || strings.HasPrefix(m.method, "notifications/") { // which has no stream of its own
		return nil
	}
	call := &m.running
	call.server = server
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.byServer[server]
	if x == nil {
		return nil
	}
	call.session = x
	m.Context, call.cancel = context.WithCancel(m.Context)
	if x.running == nil {
		x.running = map[*running]struct{}{}
	}
	x.running[call] = struct{}{}
	if x.ending {
		call.cancel()
	}
	return nil
}

func (t *sessions) endRunning(m *message) {
	call := &m.running
	call.over.Store(true)
	if call.session == nil {
		return
	}
	call.cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(call.session.running, call)
}

// cancelCalls cancels what runs in the session, for which the SDK would wait.
func (t *sessions) cancelCalls(x *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x.ending = true
	for call := range x.running {
		call.cancel()
	}
}

// cancelAll cancels what runs in all sessions.
func (t *sessions) cancelAll() {
	t.mu.Lock()
	all := slices.Collect(maps.Values(t.byServer))
	t.mu.Unlock()
	for _, x := range all {
		t.cancelCalls(x)
	}
}

var errCallOver = errors.New("the call is over: nothing can be sent to its client")

// whileRunning is sending middleware. The SDK finds the stream of a call by the call's
// id, which a later call may have too: what a tool sends after its end must not reach
// that one's client. And a question of a tool to the client may be answered only by
// callers who may make the call.
func (t *sessions) whileRunning(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		m := messageOf(ctx)
		if m == nil || m.running.server == nil || m.running.server != req.GetSession() {
			return next(ctx, method, req)
		}
		if m.running.over.Load() {
			return nil, errCallOver
		}
		if !strings.HasPrefix(method, "notifications/") && m.usage != nil {
			defer t.asks(m.running.session, m.usage)()
		}
		return next(ctx, method, req)
	}
}

// asks notes that a call of the session asks the client, until the client has answered.
func (t *sessions) asks(x *session, u *usage) (answered func()) {
	if x == nil {
		return func() {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if x.asking == nil {
		x.asking = map[*usage]int{}
	}
	x.asking[u]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if x.asking[u]--; x.asking[u] == 0 {
			delete(x.asking, u)
		}
	}
}

// mayAnswer returns why the caller may not answer what the session asks the client. The
// body does not say which call has asked, so the caller must be allowed to make each of
// those that wait for an answer.
func (t *sessions) mayAnswer(r *http.Request) *denial {
	id := r.Header.Get(sessionHeader)
	if id == "" || !answersIn(edge.BodyOf(r)) {
		return nil
	}
	t.mu.Lock()
	var waiting []*usage
	if x := t.byID[id]; x != nil {
		waiting = slices.Collect(maps.Keys(x.asking))
	}
	t.mu.Unlock()
	for _, u := range waiting {
		if d := u.decide(callOf(r.Context()).caller); d != nil {
			return d
		}
	}
	return nil
}

// answersIn reports whether the body has a message without method, which is an answer.
func answersIn(body []byte) bool {
	for message := range messagesOf(body) {
		if method, _ := envelope(body, message); method == "" {
			return true
		}
	}
	return false
}
