package mcpentra

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/arguments"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/eventstore"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// stages are the steps of requests and their messages on the way to a tool.
type stages struct {
	proxies       edge.Proxies
	limits        Limits
	log           *requestLog
	refuser       *refuser
	hosts         *edge.HostCheck
	verifier      *entraauth.Verifier
	admission     *admission
	drain         *edge.Drainer
	sessions      *sessions
	streams       *streams
	events        *eventstore.Store // nil without sessions
	subscriptions *subscriptionCheck
	policies      *policyCheck
	speaker       *speaker
	consent       *consent
	failures      *failures
	lending       *lending
}

// An httpStage is a step of a request.
type httpStage func(next http.Handler) http.Handler

// ofAllPaths returns the stages of every request except probes, in order.
func (s *stages) ofAllPaths() []httpStage {
	return []httpStage{
		s.checkHost, // rejects foreign web pages and host names on every path
	}
}

// ofAuthProxy returns the stages of requests to the authorization proxy, in order, in place of
// ofAllPaths.
func (s *stages) ofAuthProxy() []httpStage {
	return []httpStage{
		s.checkHostAlone, // the proxy checks origins: every page may redeem codes, none may send a consent form
		s.log.signIns,    // innermost: what is rejected has its line already
	}
}

// ofEndpoint returns the stages of the MCP endpoint, after ofAllPaths, in order.
func (s *stages) ofEndpoint() []httpStage {
	return []httpStage{
		s.log.observer.traced,        // first: the span is that of everything below
		s.bearerCheck,                // the caller first: a bad token costs a verification; one that lacks scopes, up to 64 KiB of the body
		s.admission.limit,            // limits are per user: behind a gateway an address is not a user
		s.admission.formed,           // by method and headers, before the body is read
		s.sessions.owned(s.refuser),  // for the caller, another user's session does not exist
		s.admission.readBody,         // all of it, bounded: the stages below look into it
		s.admission.countMessages,    // every message counts against the limits before any of them runs
		s.draining,                   // counts calls under way, so that streams end after them
		s.streams.watch(s.sessions),  // a stream ends with the token that opened it
		replays(s.events, s.refuser), // a resumed stream shows the answer of a call, made with another token
		s.policies.request,           // a refusal before dispatch has its status and challenge
		bridged,                      // from here on the request shows no token, and the call travels with it
		s.speaker.speak,              // innermost: turns the SDK's plain text into JSON-RPC
	}
}

// A messageStage is a step of a message on its way to its tool, and back. Where enter
// returns an error, or sets the result, that is the answer, and the stages after it are
// not entered. Either function may be nil.
type messageStage struct {
	enter func(*rpcMessage) error
	leave func(*rpcMessage)
}

// ofMessages returns the stages of a message that the SDK has read, in order; messages
// leave them in reverse. Around them, serve recovers panics and writes the log line.
func (s *stages) ofMessages() []messageStage {
	return []messageStage{
		{s.admission.begin, s.admission.end},             // a call counts until it ends, also when its client has hung up
		{smallIfKept, nil},                               // nothing large stays behind in a session
		{s.sessions.bound, nil},                          // a session belongs to the caller who begins it
		{s.sessions.beginRunning, s.sessions.endRunning}, // a session's end cancels its calls, which send nothing after their own end
		{s.policies.enter, s.policies.leave},             // decides by what the SDK has read; the stages below see canonical URIs
		{s.subscriptions.enter, s.subscriptions.leave},   // bounds what the policies allow
		{s.consent.resume, nil},                          // removes what consent added to the call: no tool sees it
		{nil, s.failures.conclude},                       // innermost: turns a tool's failure into an answer
	}
}

// through returns the handler behind the stages.
func through(stages []httpStage, h http.Handler) http.Handler {
	for _, stage := range slices.Backward(stages) {
		h = stage(h)
	}
	return h
}

// wellKnown is where RFC 9728 section 3 puts protected resource metadata; the
// resource's path follows it. Some clients look at the bare one only.
const wellKnown = "/.well-known/oauth-protected-resource"

// arrive is the outermost stage: it makes the call, and bounds how long the client may
// take to send and to read.
func (s *stages) arrive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, r := newCall(r)
		if s.log.sessions { // apart from the call: the event store keeps it as long as the answer
			c.usage = &usage{}
		}
		c.client, c.host = s.proxies.Client(r)
		w.Header()[requestIDHeader] = []string{c.id}
		edge.CleanPath(r)
		defer c.endSpan() // also after a panic
		defer s.log.recovered(r)
		c.writer.Init(w, r, s.limits.BodyTimeout, s.limits.WriteTimeout)
		next.ServeHTTP(&c.writer, r)
		c.writer.Finish()
		c.ticket.done(0)
	})
}

// checkHost is the host check. Every web page may read the metadata.
func (s *stages) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		public := strings.HasPrefix(r.URL.Path, wellKnown)
		if why := s.hosts.Check(w, r, callOf(r.Context()).host, public); why != nil {
			s.refuser.reject(w, r, rejectionOf(why), why.Attrs...)
			return
		}
		if !s.hosts.Preflight(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// checkHostAlone is the part of the host check that is not about web pages.
func (s *stages) checkHostAlone(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := s.hosts.CheckHost(r, callOf(r.Context()).host); why != nil {
			s.refuser.reject(w, r, rejectionOf(why), why.Attrs...)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// draining counts calls, and ends streams when the server drains.
func (s *stages) draining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		alive := edge.NewKeepAlive(w) // gateways cut a stream on which nothing comes, a call's after its first event too
		defer alive.Close()
		if !isStream(r) {
			s.drain.BeginCall()
			defer s.drain.EndCall()
			next.ServeHTTP(alive, r)
			return
		}
		ctx, cancel, refusal := s.drain.Stream(r.Context())
		if refusal != nil {
			w.Header().Set("Retry-After", "1")
			s.refuser.reject(w, r, rejectionOf(refusal))
			return
		}
		defer cancel()
		next.ServeHTTP(alive, r.WithContext(ctx))
	})
}

// isStream reports whether the request stays open for messages of the server: GET until
// 2025-11-25, and subscriptions/listen from 2026-07-28, whose header the SDK compares
// with the body.
func isStream(r *http.Request) bool {
	return r.Method == http.MethodGet || strings.EqualFold(r.Header.Get("Mcp-Method"), "subscriptions/listen")
}

// receive is the receiving middleware, the only one. It is outside the middleware of
// tool sets, which know the caller.
func (s *stages) receive(next mcp.MethodHandler) mcp.MethodHandler {
	s.subscriptions.unsubscribe = next
	stages := s.ofMessages()
	dispatch := arguments.WithoutNulls(nil)(next)
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		makeRoom(method == "")
		m := newMessage(ctx, s, method, req, dispatch)
		s.serve(m, stages)
		return m.result, m.err
	}
}

// serve takes the message through the stages.
func (s *stages) serve(m *rpcMessage, stages []messageStage) {
	defer s.finish(m, stages) // also after runtime.Goexit, by which a tool can end its goroutine
	s.enter(m, stages)
}

// finish leaves the stages that the message has entered, and writes its line.
func (s *stages) finish(m *rpcMessage, stages []messageStage) {
	ended := m.cause == errNoAnswer //nolint:errorlint // as enter has set it
	if ended {
		m.err = &jsonrpc.Error{Code: codeInternal, Message: "internal error"}
	}
	for _, stage := range slices.Backward(stages[:m.entered]) {
		if stage.leave != nil {
			s.leave(m, stage)
		}
	}
	switch {
	case ended:
		m.cause = errNoAnswer
	case m.cause == nil:
		m.cause = m.err
	}
	m.err = wireError(m.err)
	s.log.served(m)
	if m.call != nil {
		m.call.told.tell(m.err)
		m.call.ticket.done(1)
	}
}

// enter enters the stages, and dispatches the message if all let it pass.
func (s *stages) enter(m *rpcMessage, stages []messageStage) {
	defer s.recoverMessage(m)
	if !s.log.isToldElsewhere(m) {
		s.log.observer.beginMessage(m)
	}
	for ; m.entered < len(stages); m.entered++ {
		if enter := stages[m.entered].enter; enter != nil {
			if m.err = enter(m); m.err != nil || m.result != nil {
				return
			}
		}
	}
	m.cause = errNoAnswer
	m.result, m.err = m.next(m, m.method, m.req)
	m.cause = nil
}

var errNoAnswer = errors.New("its goroutine ended before it returned (runtime.Goexit)")

func (s *stages) leave(m *rpcMessage, stage messageStage) {
	defer s.recoverMessage(m)
	stage.leave(m)
}

// recoverMessage is deferred: a panic would end the process.
func (s *stages) recoverMessage(m *rpcMessage) {
	if p := recover(); p != nil {
		s.log.panicked(m, p)
		m.cause, m.result, m.err = nil, nil, &jsonrpc.Error{Code: codeInternal, Message: "internal error"}
	}
}

// The stages are the [host] of their messages.

func (s *stages) logger() *slog.Logger { return s.log.Logger }
func (s *stages) credential(m *rpcMessage) (azcore.TokenCredential, error) {
	return s.lending.credential(m)
}
func (s *stages) mayUse(m *rpcMessage, tool string) bool          { return s.policies.mayUse(m, tool) }
func (s *stages) resources(m *rpcMessage) *toolset.ResourcePolicy { return s.policies.resources(m) }
