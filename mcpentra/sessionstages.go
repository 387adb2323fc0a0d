package mcpentra

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/internal/eventstore"
	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
)

// owned is the stage that accepts only requests to the caller's own sessions and requests without
// a session. Any other session ID gets the same answer as an unknown one, so that it does not
// reveal which sessions exist.
func (t *sessions) owned(f *refuser) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if !f.log.sessions {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := r.Header.Get(sessionHeader)
			if id == "" {
				next.ServeHTTP(w, r)
				return
			}
			s := t.find(id, callOf(r.Context()).caller)
			if s == nil {
				f.reject(w, r, sessionNotFound)
				return
			}
			defer t.beginRequest(s)()
			if r.Method == http.MethodDelete {
				t.cancelCalls(s)
				defer t.end(s)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// bound is the stage that records a session's first and latest caller.
func (t *sessions) bound(m *rpcMessage) error {
	server, ok := m.req.GetSession().(*mcp.ServerSession)
	if !ok || m.caller == nil { // not HTTP
		return nil
	}
	if m.method != "initialize" {
		t.noteCaller(server, m.caller)
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

// refuseBusy answers with 503. If it is too late for a status, the error is the answer.
func refuseBusy(m *rpcMessage) error {
	e := &jsonrpc.Error{Code: codeUnavailable, Message: "This server has as many sessions as it can hold: try again later"}
	m.refuseFor("too_many_sessions", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "60")
		mcpauth.WriteRefusal(w, r, http.StatusServiceUnavailable, int(e.Code), "too_many_sessions", e.Message)
	})
	return e
}

// beginRunning and endRunning are a stage: when a session ends, its calls are canceled, and a call
// that has ended sends nothing more.
func (t *sessions) beginRunning(m *rpcMessage) error {
	server, ok := m.req.GetSession().(*mcp.ServerSession)
	if !ok || strings.HasPrefix(m.method, "notifications/") { // notifications have no stream of their own
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
		x.running = map[*runningCall]struct{}{}
	}
	x.running[call] = struct{}{}
	if x.ending {
		call.cancel()
	}
	return nil
}

func (t *sessions) endRunning(m *rpcMessage) {
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

var errCallOver = errors.New("the call is over: nothing can be sent to its client")

// whileRunning is sending middleware. The SDK finds a call's stream by the call's ID, which a
// later call may reuse. What a tool sends after its call has ended must not reach that later
// call's client. And only callers who may make the call may answer a question that its tool asks
// the client.
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

// mayAnswer returns why the caller may not answer the session's question to the client, or nil.
// The body does not show which call asked, so the caller must be allowed to make every call that
// waits for an answer.
func (t *sessions) mayAnswer(c *call, r *http.Request) *denial {
	id := r.Header.Get(sessionHeader)
	if id == "" || !slices.ContainsFunc(c.messages, func(m rpcwire.Message) bool { return m.Method == "" }) {
		return nil
	}
	t.mu.Lock()
	var waiting []*usage
	if x := t.byID[id]; x != nil {
		waiting = slices.Collect(maps.Keys(x.asking))
	}
	t.mu.Unlock()
	return decideAll(c.caller, waiting)
}

// newEvents returns the store of events for replay.
func newEvents(s *subscriptionCheck) *eventstore.Store {
	return eventstore.New(eventstore.Options{
		Begin: func(ctx context.Context, finished func()) eventstore.Audience {
			c := callOf(ctx)
			if c == nil {
				return nil
			}
			if c.lease != nil {
				c.lease.afterwards(finished)
			}
			return c.usage
		},
		Keep: func(session string, event []byte) bool {
			uri, isNews := newsOf(event)
			return !isNews || s.admitsSession(session, uri)
		},
	})
}

// Admits implements [eventstore.Audience].
func (u *usage) Admits(ctx context.Context) bool {
	var caller *entraauth.Identity
	if c := callOf(ctx); c != nil {
		caller = c.caller
	}
	return u.decide(caller) == nil
}

// newsOf returns the URI of the resource whose update the event announces.
func newsOf(event []byte) (uri string, ok bool) {
	const method = "notifications/resources/updated"
	if !bytes.Contains(event, []byte(method)) {
		return "", false
	}
	var news struct {
		Method string `json:"method"`
		Params struct {
			URI string `json:"uri"`
		} `json:"params"`
	}
	err := json.Unmarshal(event, &news)
	return news.Params.URI, err == nil && news.Method == method
}

// replays is the stage that rejects a caller who may not have a call's answer: a client can resume
// a call's stream with a different token. Without this stage such a caller would get an empty
// answer; the rejection says what is missing.
func replays(events *eventstore.Store, f *refuser) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if events == nil || r.Method != http.MethodGet {
				next.ServeHTTP(w, r)
				return
			}
			stream, _, _ := strings.Cut(r.Header.Get("Last-Event-ID"), "_")
			if u, ok := events.Audience(r.Header.Get(sessionHeader), stream).(*usage); ok {
				if d := u.decide(callOf(r.Context()).caller); d != nil {
					f.refuse(w, r, d)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}
