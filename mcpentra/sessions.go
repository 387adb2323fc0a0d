package mcpentra

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

const (
	sessionHeader = "Mcp-Session-Id"
	// Sessions end after being idle for sessionTimeout.
	sessionTimeout = 30 * time.Minute
)

// sessions holds all users' sessions, and the streams of protocol 2026-07-28, which the SDK treats
// as sessions. Clients leave without ending them, so their number is limited per user and per
// process.
type sessions struct {
	limits Limits
	ended  func(*session) // called without the lock held

	mu       sync.Mutex
	byID     map[string]*session
	byUser   map[string][]*session // oldest first, without streams of 2026-07-28
	byServer map[*mcp.ServerSession]*session
	uris     map[string]int // each user's number of subscriptions in all sessions
}

// A session belongs to a user of one client application. It is guarded by the lock of sessions.
type session struct {
	id           string // "" for a stream of protocol 2026-07-28
	user, client string
	server       *mcp.ServerSession
	latest       *entraauth.Identity // caller of the latest request; nil for a session without HTTP
	stream       *entraauth.Identity // caller who opened the stream of server messages; nil while it is not open
	uris         map[string]bool     // subscribed URIs
	listening    int                 // number of URIs of subscriptions/listen
	running      map[*runningCall]struct{}
	ending       bool // its calls are canceled, including new ones
	requests     int  // HTTP requests in progress
	idle         *time.Timer
	asking       map[*usage]int // calls that wait for the client's answer
}

// A runningCall is a message whose handler is running, which may send messages on its stream.
type runningCall struct {
	server  *mcp.ServerSession // nil if it is not running
	session *session           // nil without a session
	cancel  context.CancelFunc // nil without a session
	over    atomic.Bool
}

// A subscribing is a message that subscribes.
type subscribing struct {
	session *session
	isNew   bool   // the URI of resources/subscribe is new
	stop    func() // ends the stream of subscriptions/listen; nil for other methods
}

func newSessions(l Limits, ended func(*session)) *sessions {
	return &sessions{
		limits: l, ended: ended, byID: map[string]*session{}, byUser: map[string][]*session{},
		byServer: map[*mcp.ServerSession]*session{}, uris: map[string]int{},
	}
}

// beginRequest records an HTTP request of the session. If the session then has no request for
// sessionTimeout, its calls are canceled: the SDK ends the session at that time and would wait for
// them.
func (t *sessions) beginRequest(s *session) (over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.requests++
	if s.idle != nil {
		s.idle.Stop()
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if s.requests--; s.requests == 0 && t.byServer[s.server] == s {
			s.idle = time.AfterFunc(sessionTimeout, func() { t.cancelCalls(s) })
		}
	}
}

// find returns the caller's session with the ID, or nil.
func (t *sessions) find(id string, caller *entraauth.Identity) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byID[id]
	if s == nil || s.user != caller.UserID() || !strings.EqualFold(s.client, caller.ClientID()) {
		return nil
	}
	return s
}

// begin adds a new session and reports whether there is room for it. If the user has too many, the
// oldest one ends; its client gets 404 and starts another.
func (t *sessions) begin(id *entraauth.Identity, server *mcp.ServerSession) bool {
	t.mu.Lock()
	if t.byServer[server] != nil || server.ID() == "" { // a second initialize, which the SDK rejects, or a session for this request only
		t.mu.Unlock()
		return true
	}
	s := &session{id: server.ID(), user: id.UserID(), client: strings.Clone(id.ClientID()), server: server, latest: id}
	oldest, ok := t.displaced(s.user)
	if oldest != nil {
		t.remove(oldest)
	}
	if ok {
		t.byID[s.id], t.byServer[server] = s, s
		t.byUser[s.user] = append(t.byUser[s.user], s)
	}
	t.mu.Unlock()
	if oldest != nil {
		t.ended(oldest)
		t.cancelCalls(oldest)
		go func() { _ = oldest.server.Close() }() // Close waits for calls in progress
	}
	if !ok {
		return false
	}
	go func() {
		_ = server.Wait()
		t.end(s)
	}()
	return true
}

// displaced returns the session that must end so that the user can have another, if any. If the
// user is at the limit, that is the user's oldest. If the process is at the limit, it is the
// oldest of the user with the most sessions, who must keep at least as many as this user then has.
func (t *sessions) displaced(user string) (oldest *session, ok bool) {
	own := t.byUser[user]
	if len(own) >= t.limits.Sessions {
		return own[0], true
	}
	if len(t.byID) < t.limits.AllSessions {
		return nil, true
	}
	most := own
	for _, all := range t.byUser {
		if len(all) > len(most) {
			most = all
		}
	}
	if len(most) < len(own)+2 {
		return nil, false
	}
	return most[0], true
}

// noteCaller records the latest caller of a session.
func (t *sessions) noteCaller(server *mcp.ServerSession, id *entraauth.Identity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.byServer[server]; s != nil {
		s.latest = id
	}
}

// end removes a session and its data.
func (t *sessions) end(s *session) {
	t.mu.Lock()
	known := s != nil && t.byServer[s.server] == s
	if known {
		t.remove(s)
	}
	t.mu.Unlock()
	if known {
		t.ended(s)
	}
}

// remove is end without the callback. The caller holds the lock.
func (t *sessions) remove(s *session) {
	delete(t.byServer, s.server)
	if s.idle != nil {
		s.idle.Stop()
	}
	delete(t.byID, s.id)
	left := slices.DeleteFunc(t.byUser[s.user], func(other *session) bool { return other == s })
	if t.byUser[s.user] = left; len(left) == 0 {
		delete(t.byUser, s.user)
	}
	t.giveURIs(s.user, len(s.uris)+s.listening)
}

// streaming records who opened the session's stream of server messages, until the stream ends.
func (t *sessions) streaming(id string, caller *entraauth.Identity) (ended func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.byID[id]
	if x == nil {
		return func() {}
	}
	x.latest = caller
	if x.stream != nil {
		return func() {} // the SDK rejects a second one
	}
	x.stream = caller
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		x.stream = nil
	}
}

// local adds a session without HTTP, which has no caller.
func (t *sessions) local(server *mcp.ServerSession) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byServer[server] != nil {
		return
	}
	x := &session{server: server}
	t.byServer[server] = x
	go func() {
		_ = server.Wait()
		t.end(x)
	}()
}

func (t *sessions) isOpen(x *session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byServer[x.server] == x
}

// callers returns the callers of the session's latest request and of its stream of server
// messages.
func (t *sessions) callers(server *mcp.ServerSession) (latest, stream *entraauth.Identity, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.byServer[server]
	if x == nil {
		return nil, nil, false
	}
	return x.latest, x.stream, true
}

// cancelCalls cancels the session's running calls, because the SDK would wait for them.
func (t *sessions) cancelCalls(x *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x.ending = true
	for one := range x.running {
		one.cancel()
	}
}

// cancelAll cancels the running calls of all sessions.
func (t *sessions) cancelAll() {
	t.mu.Lock()
	all := slices.Collect(maps.Values(t.byServer))
	t.mu.Unlock()
	for _, x := range all {
		t.cancelCalls(x)
	}
}

// asks records that a call of the session waits for the client's answer.
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

// giveURIs subtracts n from a user's number of subscriptions. The caller holds the lock.
func (t *sessions) giveURIs(user string, n int) {
	if t.uris[user] -= n; t.uris[user] <= 0 {
		delete(t.uris, user)
	}
}
