package mcpentra

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
)

const sessionHeader = "Mcp-Session-Id"

// sessions are the sessions of all users, and the streams of protocol 2026-07-28,
// which are sessions for the SDK. They live on when a client leaves without a word,
// so they are bounded for each user and for the process.
type sessions struct {
	limits Limits
	reject rejecter
	ended  func(*session) // is told, without the lock

	mu       sync.Mutex
	byID     map[string]*session
	byUser   map[string][]*session // oldest first; without streams of 2026-07-28
	byServer map[*mcp.ServerSession]*session
	uris     map[string]int // that a user is subscribed to, in all sessions
}

// A session belongs to a user with one client application. It is guarded by the
// table's lock.
type session struct {
	id           string // "" for a stream of protocol 2026-07-28
	user, client string
	server       *mcp.ServerSession
	latest       *entraauth.Identity // of the latest request; nil for a session that did not come by HTTP
	stream       *entraauth.Identity // of the request that opened the stream of server messages, if it is open
	uris         map[string]bool     // subscribed to
	listening    int                 // to how many URIs, by subscriptions/listen
	running      map[*running]struct{}
	ending       bool // its calls are cancelled, also those that begin now
	requests     int  // HTTP requests under way
	idle         *time.Timer
	asking       map[*usage]int // of the requests that wait for an answer of the client
}

func newSessions(l Limits, reject rejecter, ended func(*session)) *sessions {
	return &sessions{
		limits: l, reject: reject, ended: ended, byID: map[string]*session{}, byUser: map[string][]*session{},
		byServer: map[*mcp.ServerSession]*session{}, uris: map[string]int{},
	}
}

// owned lets requests through to the caller's own sessions, and those without. Any other session does not exist for the caller, who can't find out
// which ones do. It belongs inside the verifier's middleware.
func (t *sessions) owned(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(sessionHeader)
		if id == "" {
			next.ServeHTTP(w, r)
			return
		}
		s := t.find(id, callOf(r.Context()).caller)
		if s == nil {
			t.reject(w, r, sessionNotFound)
			return
		}
		defer t.serving(s)()
		if r.Method == http.MethodDelete {
			t.cancelCalls(s)
			defer t.end(s)
		}
		next.ServeHTTP(w, r)
	})
}

// serving notes an HTTP request of the session. When it has had none for long, its calls
// are cancelled: the SDK ends the session then, and would wait for them.
func (t *sessions) serving(s *session) (over func()) {
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

// find returns the caller's session of that id, or nil.
func (t *sessions) find(id string, caller *entraauth.Identity) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byID[id]
	if s == nil || s.user != caller.UserID() || !strings.EqualFold(s.client, caller.ClientID()) {
		return nil
	}
	return s
}

// bound is the stage that notes who begins a session and whom the session then acts for.
func (t *sessions) bound(m *message) error {
	server, ok := m.req.GetSession().(*mcp.ServerSession)
	if !ok || m.caller == nil { // not by HTTP
		return nil
	}
	if m.method != "initialize" {
		t.seen(server, m.caller)
		return nil
	}
	t.mu.Lock()
	begun := t.byServer[server] != nil
	t.mu.Unlock()
	if begun {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "The session has begun already: initialize is for new ones, without Mcp-Session-Id"}
	}
	if !t.begin(m.caller, server) {
		return refuseBusy(m)
	}
	return nil
}

// refuseBusy makes 503 the answer, and returns the error for when it is too late for that.
func refuseBusy(m *message) error {
	e := &jsonrpc.Error{Code: codeUnavailable, Message: "This server has as many sessions as it can hold: try again later"}
	m.refuse(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "60")
		mcpauth.WriteRefusal(w, r, http.StatusServiceUnavailable, int(e.Code), "too_many_sessions", e.Message)
	})
	return e
}

// begin notes a new session, and reports whether there is room for it. If the user has
// one too many, the oldest ends: its client gets 404 and begins another.
func (t *sessions) begin(id *entraauth.Identity, server *mcp.ServerSession) bool {
	t.mu.Lock()
	if t.byServer[server] != nil || server.ID() == "" { // a second initialize, which the SDK refuses; or for this request alone
		t.mu.Unlock()
		return true
	}
	s := &session{id: server.ID(), user: id.UserID(), client: strings.Clone(id.ClientID()), server: server, latest: id}
	oldest, ok := t.makeRoom(s.user)
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
		go func() { _ = oldest.server.Close() }() // it waits for calls that are under way
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

// makeRoom returns the session that has to end for another of the user's, if any.
// The user's own comes first. Where the process has no more room, it is taken from
// whoever has most, as long as they keep no fewer than the user then has.
func (t *sessions) makeRoom(user string) (oldest *session, ok bool) {
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

// seen notes the caller of a request in a session: the latest counts.
func (t *sessions) seen(server *mcp.ServerSession, id *entraauth.Identity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.byServer[server]; s != nil {
		s.latest = id
	}
}

// end forgets a session and what is kept for it.
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

// remove is the part of end that needs the lock.
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
