package mcpentra

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/internal/arguments"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// requestStages are what a request of the endpoint passes on its way to the SDK, in
// order. (Before them, and before every other path, come arrive and the host check.)
func (s *Server) requestStages() []func(http.Handler) http.Handler {
	return []func(http.Handler) http.Handler{
		s.bearerCheck,      // the caller first: a request without a valid token costs a verification and no more
		s.users.limit,      // limits are per user: behind a gateway an address is not a user
		s.formed,           // by method and headers, before the body is read
		s.ownSession,       // for the caller, another user's session does not exist
		s.readBody,         // all of it, bounded: the stages below look into it
		s.users.messages,   // every message counts against the limits before any of them runs
		s.draining,         // counts calls under way, so that streams end after them
		s.watchStreams,     // a stream ends with the token that opened it
		s.replays,          // a resumed stream shows the answer of a call, made with another token
		s.policies.request, // a refusal before dispatch has its status and challenge
		bridged,            // from here on the request shows no token, and the call travels with it
		s.speak,            // innermost: sees what the SDK writes, and says it in JSON-RPC
	}
}

// A messageStage is a step of a message on its way to its tool, and back. Where enter
// returns an error, or sets the result, that is the answer: the stages below it are not
// entered. Either may be nil.
type messageStage struct {
	enter func(*message) error
	leave func(*message)
}

// messageStages are what a message passes when the SDK has read it, in order; they are
// left in reverse. Around them, serve recovers panics and writes the line in the log.
func (s *Server) messageStages(sessions bool) []messageStage {
	stages := []messageStage{
		{smallIfKept, nil}, // nothing large stays behind in a session
		{s.sessions.beginRunning, s.sessions.endRunning},  // a session's end cancels its calls, and they send nothing after theirs
		{s.policies.enter, s.policies.leave},              // decides by what will be done; the stages below see canonical URIs
		{s.subscribe, s.subscribed},                       // bounds what the policies allow
		{s.consent.resume, nil},                           // takes out of the call what consent put in: the tool sees none of it
		{nil, (&failures{s.refuser, s.consent}).conclude}, // innermost: turns the tool's failure into an answer
	}
	if sessions {
		stages = append([]messageStage{
			{s.users.counted, s.users.ended}, // a call counts until it ends, also when its client has hung up
			stages[0],
			{s.sessions.bound, nil}, // a session belongs to the caller who begins it
		}, stages[1:]...)
	}
	return stages
}

// receive is the receiving middleware, the only one. It belongs outside those of the
// tool sets, which know the caller.
func (s *Server) receive(sessions bool) mcp.Middleware {
	stages := s.messageStages(sessions)
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		s.unsubscribe = next
		dispatch := arguments.WithoutNulls(nil)(next)
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			makeRoom(method == "")
			m := newMessage(ctx, s, method, req, dispatch)
			s.serve(m, stages)
			return m.result, m.err
		}
	}
}

// serve takes the message through the stages.
func (s *Server) serve(m *message, stages []messageStage) {
	entered := s.enter(m, stages)
	s.leave(m, stages[:entered])
	if m.cause == nil {
		m.cause = m.err
	}
	s.log.message(m)
	m.err = wireError(m.err)
	m.call.tell(m.err)
}

// enter enters the stages, dispatches the message if all let it pass, and returns how
// many did.
func (s *Server) enter(m *message, stages []messageStage) (entered int) {
	defer s.recoverMessage(m)
	for ; entered < len(stages); entered++ {
		if enter := stages[entered].enter; enter != nil {
			if m.err = enter(m); m.err != nil || m.result != nil {
				return entered
			}
		}
	}
	m.result, m.err = m.next(m, m.method, m.req)
	return entered
}

// leave leaves the stages in reverse order, also those outside one that panics.
func (s *Server) leave(m *message, stages []messageStage) {
	for len(stages) > 0 {
		last := stages[len(stages)-1]
		stages = stages[:len(stages)-1]
		if last.leave != nil {
			func() {
				defer s.recoverMessage(m)
				last.leave(m)
			}()
		}
	}
}

// recoverMessage is deferred: a panic would end the process.
func (s *Server) recoverMessage(m *message) {
	if p := recover(); p != nil {
		s.log.panicked(m, p)
		m.result, m.err = nil, &jsonrpc.Error{Code: codeInternal, Message: "internal error"}
	}
}

// arrive is the outermost stage of all requests: it makes the call, and bounds how long
// the client may take over what it sends and reads.
func (s *Server) arrive(trusted edge.Proxies, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, r := newCall(r)
		if s.log.sessions { // the event store keeps it as long as the answer, and must not keep the call
			c.usage = &usage{}
		}
		if parent := r.Header["Traceparent"]; len(parent) > 0 {
			c.trace = traceID(parent[0])
		}
		c.client, c.host = trusted.Client(r)
		w.Header().Set(requestIDHeader, c.id)
		edge.CleanPath(r)
		defer s.log.recovered(r)
		c.writer.Init(w, r, s.limits.BodyTimeout, s.limits.WriteTimeout)
		next.ServeHTTP(&c.writer, r)
		c.writer.Finish()
	})
}

// bearerCheck lets requests with a valid token through, and notes whose they are.
func (s *Server) bearerCheck(next http.Handler) http.Handler {
	check := &entraauth.BearerCheck{
		ResourceMetadata: s.refuser.metadataURL, WriteBody: mcpauth.WriteBody,
		OnRefusal: func(r *http.Request, status int, e *entraauth.Error) { s.log.denied(r, status, e, nil) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := s.verifier.FromRequest(r)
		if err != nil {
			s.verifier.Refuse(w, r, check, err)
			return
		}
		callOf(r.Context()).caller = id
		next.ServeHTTP(w, r)
	})
}

func (s *Server) ownSession(next http.Handler) http.Handler {
	if !s.log.sessions {
		return next
	}
	return s.sessions.owned(next)
}

// readBody reads the body. What begins a session is kept with it, and so is small.
func (s *Server) readBody(next http.Handler) http.Handler {
	whole := s.users.readBody(s.limits, next)
	if !s.log.sessions {
		return whole
	}
	small := s.limits
	small.BodyBytes = min(small.BodyBytes, maxInitialize)
	begin := s.users.readBody(small, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(sessionHeader) == "" {
			begin.ServeHTTP(w, r)
			return
		}
		whole.ServeHTTP(w, r)
	})
}

// requestIDHeader is where an answer has its request's id.
const requestIDHeader = "X-Request-Id"

// traceID returns the trace id of a traceparent header, or "" if that is not a
// valid one (https://www.w3.org/TR/trace-context/#traceparent-header).
func traceID(traceparent string) string {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(traceparent) < length || (len(traceparent) > length && (traceparent[length] != '-' || traceparent[:2] == "00")) {
		return ""
	}
	for i := range length {
		c := traceparent[i]
		if hyphen := i == 2 || i == 35 || i == 52; hyphen != (c == '-') || !hyphen && !strings.ContainsRune("0123456789abcdef", rune(c)) {
			return ""
		}
	}
	trace, parent := traceparent[3:35], traceparent[36:52]
	if traceparent[:2] == "ff" || strings.Trim(trace, "0") == "" || strings.Trim(parent, "0") == "" {
		return ""
	}
	return strings.Clone(trace)
}

// through returns the handler behind the stages.
func through(stages []func(http.Handler) http.Handler, h http.Handler) http.Handler {
	for _, stage := range slices.Backward(stages) {
		h = stage(h)
	}
	return h
}

// credential, mayUse, resources and logger implement [host].
func (s *Server) credential(m *message) (azcore.TokenCredential, error) {
	return s.lending.credential(m)
}
func (s *Server) mayUse(m *message, tool string) bool          { return s.policies.mayUse(m, tool) }
func (s *Server) resources(m *message) *toolset.ResourcePolicy { return s.policies.resources(m) }
func (s *Server) logger() *slog.Logger                         { return s.log.Logger }
