package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// streams ends the long-lived streams of server messages when the token that opened them becomes
// invalid because it expired or its key was withdrawn. A newer token in the session does not keep
// the stream alive; the client opens another stream.
type streams struct {
	recheck func(*entraauth.Identity) error
	every   time.Duration

	mu   sync.Mutex
	open map[*watchedStream]struct{}
	stop context.CancelFunc // stops the checks; nil while no stream is open
}

type watchedStream struct {
	caller *entraauth.Identity
	end    context.CancelFunc
}

func newStreams(recheck func(*entraauth.Identity) error) *streams {
	return &streams{recheck: recheck, every: time.Second, open: map[*watchedStream]struct{}{}}
}

// whileValid returns a context that ends when the caller's token becomes invalid or when the
// function is called.
func (t *streams) whileValid(ctx context.Context, caller *entraauth.Identity) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	x := &watchedStream{caller, cancel}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[x] = struct{}{}
	if t.stop == nil {
		var checks context.Context
		checks, t.stop = context.WithCancel(context.Background())
		go t.checkUntil(checks, t.every)
	}
	return ctx, func() {
		cancel()
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.open, x)
		if len(t.open) == 0 && t.stop != nil {
			t.stop()
			t.stop = nil
		}
	}
}

func (t *streams) checkUntil(done context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			t.check()
		case <-done.Done():
			return
		}
	}
}

// check ends the streams whose tokens are no longer valid.
func (t *streams) check() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for x := range t.open {
		if t.recheck(x.caller) != nil {
			x.end()
		}
	}
}

// watch is the stage that ends the GET streams of protocols up to 2025-11-25. Later protocols use
// a message instead, subscriptions/listen.
func (t *streams) watch(s *sessions) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				next.ServeHTTP(w, r)
				return
			}
			caller := callOf(r.Context()).caller
			ctx, stop := t.whileValid(r.Context(), caller)
			defer stop()
			if last := r.Header.Get("Last-Event-ID"); last == "" || strings.HasPrefix(last, "_") { // not the stream of a call
				defer s.streaming(r.Header.Get(sessionHeader), caller)()
			}
			next.ServeHTTP(&streamWriter{w, func() bool { return t.recheck(caller) == nil }, stop}, r.WithContext(ctx))
		})
	}
}

// A streamWriter rejects writes once its stream's token is invalid. The rejected events stay in
// the session, for the client's next stream.
type streamWriter struct {
	http.ResponseWriter
	isValid func() bool
	stop    func()
}

var errStreamOver = errors.New("the token that opened the stream is no longer valid")

// Write implements [http.ResponseWriter].
func (w *streamWriter) Write(p []byte) (int, error) {
	if !w.isValid() {
		w.stop()
		return 0, errStreamOver
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap supports [http.ResponseController].
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements [http.Flusher].
func (w *streamWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

const (
	// maxSubscriptions limits a user's subscriptions in all sessions and streams, because the SDK
	// scans all subscriptions whenever a session ends.
	maxSubscriptions = 512
	// maxSubscribed is the maximum length of a subscription's URI, in bytes.
	maxSubscribed = 2048
	// endTimeout limits the handler that runs when a subscription ends.
	endTimeout = 10 * time.Second
)

var (
	errNoSession = &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "Subscriptions need a session, and this server has none: " +
		"use subscriptions/listen of protocol 2026-07-28, or read the resource again"}
	errOldListen = &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "subscriptions/listen needs protocol 2026-07-28 or later"}
	errLongURI   = &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("The URI is too long: at most %d bytes can be subscribed to", maxSubscribed)}
	errManyURIs  = &jsonrpc.Error{Code: codeBusy, Message: fmt.Sprintf("Too many subscriptions: a user may have %d. Unsubscribe from others first", maxSubscriptions)}
)

// A subscriptionCheck limits users' subscriptions, and sends resource updates only to callers who may
// use the resource.
type subscriptionCheck struct {
	sessions    *sessions
	streams     *streams
	access      *access
	unsubscribe mcp.MethodHandler // the SDK's handler
}

// enter and leave are a stage inside the policy check. It limits subscriptions, and rejects those
// that could never receive anything.
//
// If a session ends while subscribed to a URI, the SDK keeps an entry for it forever, and scans
// all entries whenever a session ends; without sessions, that is at the end of every request. So a
// session unsubscribes when it ends, and a request without a session can't subscribe.
func (s *subscriptionCheck) enter(m *rpcMessage) error {
	server, _ := m.req.GetSession().(*mcp.ServerSession)
	byHTTP := m.call != nil
	switch p := m.req.GetParams().(type) {
	case *mcp.SubscribeParams:
		x, isNew, err := s.sessions.addURI(server, p.URI, byHTTP)
		if err != nil {
			m.noteLimit(err)
			return err
		}
		m.subscribing = &subscribing{session: x, isNew: isNew}
	case *mcp.UnsubscribeParams:
		if byHTTP && server.ID() == "" {
			return errNoSession
		}
	case *mcp.SubscriptionsListenParams:
		return s.listen(m, server, p)
	}
	return nil
}

// noteLimit notes for the log that the user has too many subscriptions.
func (m *rpcMessage) noteLimit(err error) {
	if err == errManyURIs { //nolint:errorlint // as it is returned
		m.reason = "too_many_subscriptions"
	}
}

func (s *subscriptionCheck) leave(m *rpcMessage) {
	server, _ := m.req.GetSession().(*mcp.ServerSession)
	x := m.subscribing
	switch p := m.req.GetParams().(type) {
	case *mcp.SubscribeParams:
		switch {
		case m.err != nil && x.isNew:
			s.sessions.dropURI(server, p.URI)
		case m.err == nil && !s.sessions.isOpen(x.session): // it ended in the meantime
			s.end(x.session, p.URI)
		}
	case *mcp.UnsubscribeParams:
		if m.err == nil {
			s.sessions.dropURI(server, p.URI)
		}
	case *mcp.SubscriptionsListenParams:
		if x != nil {
			x.stop()
			s.sessions.end(x.session)
		}
	}
	if r, ok := m.result.(*mcp.InitializeResult); ok && m.call != nil && server.ID() == "" && r.Capabilities != nil && r.Capabilities.Resources != nil {
		r.Capabilities.Resources.Subscribe = false
	}
}

// listen opens a stream of protocol 2026-07-28, which ends when the token that opened it becomes
// invalid. It rejects older protocols, which don't have such streams but which the SDK would
// serve.
func (s *subscriptionCheck) listen(m *rpcMessage, server *mcp.ServerSession, p *mcp.SubscriptionsListenParams) error {
	if !isModern(server) {
		return errOldListen
	}
	if m.call == nil || m.caller == nil {
		s.sessions.local(server)
		return nil
	}
	var uris []string
	if p.Notifications != nil {
		uris = p.Notifications.ResourceSubscriptions
	}
	x, err := s.sessions.openStream(server, m.caller, uris)
	if err != nil {
		m.noteLimit(err)
		return err
	}
	m.subscribing = &subscribing{session: x}
	m.Context, m.subscribing.stop = s.streams.whileValid(m.Context, m.caller)
	return nil
}

// end unsubscribes an ended session from a URI.
func (s *subscriptionCheck) end(x *session, uri string) {
	ctx, cancel := context.WithCancel(entraauth.NewContext(context.Background(), x.latest))
	cancel() // a canceled context tells endsAlways
	_, _ = s.unsubscribe(ctx, "resources/unsubscribe", &mcp.UnsubscribeRequest{Session: x.server, Params: &mcp.UnsubscribeParams{URI: uri}})
}

// endsAlways returns a handler that ends a subscription together with its session or stream, even
// if the program's handler fails. The SDK would keep the subscription then, and it calls the
// handler with a canceled context.
func endsAlways(handler func(context.Context, *mcp.UnsubscribeRequest) error, log *slog.Logger) func(context.Context, *mcp.UnsubscribeRequest) error {
	return func(ctx context.Context, req *mcp.UnsubscribeRequest) (err error) {
		if ctx.Err() == nil {
			return handler(ctx, req)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
			if err != nil {
				log.WarnContext(ctx, "the handler of a subscription's end failed", "resource", safelog.Cut(req.Params.URI, safelog.MaxName), "error", safelog.Cut(err.Error(), safelog.MaxText))
			}
			err = nil
		}()
		return handler(ctx, req)
	}
}

// onlyToAdmitted is sending middleware: resource updates go only to callers who may use the
// resource now, judged by the latest token of their session or stream. What a tool set saw with one
// user's rights goes to that user's sessions only.
func (s *subscriptionCheck) onlyToAdmitted(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if p, ok := req.GetParams().(*mcp.ResourceUpdatedNotificationParams); ok {
			server, _ := req.GetSession().(*mcp.ServerSession)
			if to, addressed := toolset.AddressOf(p); addressed && !to.Reaches(server) || !s.admits(server, p.URI) {
				return nil, nil
			}
		}
		return next(ctx, method, req)
	}
}

func (s *subscriptionCheck) admits(server *mcp.ServerSession, uri string) bool {
	latest, stream, known := s.sessions.callers(server)
	if !known {
		return false // it has ended
	}
	caller := latest
	if latest != nil && s.streams.recheck(latest) != nil {
		if caller = stream; caller == nil || s.streams.recheck(caller) != nil {
			return false
		}
	}
	return s.access.decide(caller, []target{{resource, uri}}) == nil
}

// admitsSession is admits for the session with the ID.
func (s *subscriptionCheck) admitsSession(id, uri string) bool {
	s.sessions.mu.Lock()
	x := s.sessions.byID[id]
	s.sessions.mu.Unlock()
	return x != nil && s.admits(x.server, uri)
}

// addURI records that the session subscribes to the URI, and reports whether the URI is new.
func (t *sessions) addURI(server *mcp.ServerSession, uri string, byHTTP bool) (x *session, isNew bool, err error) {
	if !byHTTP {
		t.local(server)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	x = t.byServer[server]
	switch {
	case x == nil:
		return nil, false, errNoSession
	case len(uri) > maxSubscribed:
		return nil, false, errLongURI
	case x.uris[uri]:
		return x, false, nil
	case byHTTP && t.uris[x.user] >= maxSubscriptions:
		return nil, false, errManyURIs
	}
	if x.uris == nil {
		x.uris = map[string]bool{}
	}
	x.uris[strings.Clone(uri)] = true
	t.uris[x.user]++
	return x, true, nil
}

func (t *sessions) dropURI(server *mcp.ServerSession, uri string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.byServer[server]; x != nil && x.uris[uri] {
		delete(x.uris, uri)
		t.giveURIs(x.user, 1)
	}
}

// openStream adds a stream of protocol 2026-07-28 with all its subscriptions. The SDK ends them
// with the stream.
func (t *sessions) openStream(server *mcp.ServerSession, id *entraauth.Identity, uris []string) (*session, error) {
	x := &session{user: id.UserID(), client: id.ClientID(), server: server, latest: id, listening: len(uris)}
	for _, uri := range uris {
		if len(uri) > maxSubscribed {
			return nil, errLongURI
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.byServer[server] != nil: // one request has one stream
		return nil, errOldListen
	case t.uris[x.user]+len(uris) > maxSubscriptions:
		return nil, errManyURIs
	}
	t.uris[x.user] += len(uris)
	t.byServer[server] = x
	return x, nil
}
