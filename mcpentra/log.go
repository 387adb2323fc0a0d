package mcpentra

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// The outcomes of a request, in the log.
const (
	outcomeOK      = "ok"
	outcomeFailed  = "error"   // allowed, but failed
	outcomeRefused = "refused" // not allowed
	outcomeInput   = "input"   // the user is asked for something
)

// requestLine is the message of each request's line, whatever its outcome.
const requestLine = "mcp request"

// A requestLog writes a line for each message, or for a request whose messages were not
// read. A line contains neither arguments nor results.
type requestLog struct {
	*slog.Logger
	sessions bool // the server has them
	observer *observer
}

// line writes a line.
func (l *requestLog) line(ctx context.Context, level slog.Level, attrs []slog.Attr) {
	if l.Enabled(ctx, level) {
		l.lineAt(ctx, time.Now(), level, attrs)
	}
}

// lineAt writes a line of an enabled level, without a program counter: the source line says
// nothing here.
func (l *requestLog) lineAt(ctx context.Context, now time.Time, level slog.Level, attrs []slog.Attr) {
	r := slog.NewRecord(now, level, requestLine, 0)
	r.AddAttrs(attrs...)
	_ = l.Handler().Handle(ctx, r) // as slog.Logger does
}

// served writes the line of a message that has been served: its caller, method, targets
// and outcome.
func (l *requestLog) served(m *rpcMessage) {
	if l.isToldElsewhere(m) {
		return
	}
	level, outcome := slog.LevelInfo, outcomeOK
	denied := denialIn(m.cause)
	switch {
	case denied != nil:
		level, outcome = slog.LevelWarn, outcomeRefused
	case needsInput(m.result):
		outcome = outcomeInput
	case m.cause != nil:
		level, outcome = slog.LevelWarn, outcomeFailed
	case m.method == "ping" || strings.HasPrefix(m.method, "notifications/"):
		level = slog.LevelDebug
	}
	now, reason := time.Now(), reasonOf(m, denied)
	l.observer.served(m, outcome, reason, now.Sub(m.start))
	if !l.Enabled(m, level) {
		return
	}
	var room [16]slog.Attr
	attrs := append(m.appendAttrs(room[:0]), slog.String("method", m.method))
	attrs = appendTargetAttrs(attrs, m.targets)
	if m.caller != nil {
		attrs = append(attrs, slog.Attr{Key: "caller", Value: m.caller.LogValue()})
	}
	if agent := m.actsAs.Load(); agent != nil && agent.loggable {
		attrs = append(attrs, slog.String("acts_as", agent.id))
	}
	if m.lent.Load() {
		attrs = append(attrs, slog.String("credential", "server"))
	}
	attrs = m.actions.AppendAttrs(m.trail.AppendAttrs(attrs))
	attrs = append(attrs, slog.String("outcome", outcome))
	if reason != "" {
		attrs = append(attrs, slog.String("reason", reason))
	}
	switch {
	case denied != nil:
		attrs = append(attrs, slog.Any("detail", denied.refusal))
	case m.cause != nil:
		attrs = append(attrs, causeAttrs(m.cause)...)
	}
	l.lineAt(m, now, level, append(attrs, slog.Duration("duration", now.Sub(m.start))))
}

func denialIn(cause error) *denial {
	if cause == nil {
		return nil
	}
	d, _ := errors.AsType[*denial](cause)
	return d
}

func needsInput(result mcp.Result) bool {
	r, ok := result.(*mcp.CallToolResult)
	return ok && r != nil && r.NeedsInput()
}

// loggable is an error that knows how to log itself, as those of entraauth and obo.
type loggable interface {
	error
	slog.LogValuer
}

// reasonOf returns the reason code of a message's failure, or "" if it has none.
func reasonOf(m *rpcMessage, denied *denial) string {
	switch {
	case denied != nil:
		return denied.refusal.Reason
	case m.cause == nil:
		return ""
	}
	if e, ok := errors.AsType[*obo.Error](m.cause); ok {
		return telemetry.ReasonOf(e.Kind)
	}
	if e, ok := errors.AsType[*credentialError](m.cause); ok {
		return e.reason
	}
	return m.reason
}

// causeAttrs returns how the log describes a failure, never with a token.
func causeAttrs(cause error) []slog.Attr {
	attrs := []slog.Attr{safelog.Error(cause)}
	if detail, ok := errors.AsType[loggable](cause); ok {
		attrs = append(attrs, slog.Any("detail", detail))
	}
	return attrs
}

// denied writes the line of a request that its token or a policy refused before dispatch.
func (l *requestLog) denied(r *http.Request, status int, e *entraauth.Error, targets []target) {
	level := slog.LevelWarn                 // also of a 503: its cause, such as missing keys, has an ERROR of its own
	if errors.Is(e, entraauth.ErrNoToken) { // every client's first request
		level = slog.LevelInfo
	}
	c := callOf(r.Context())
	v := verdict{outcome: outcomeRefused, reason: e.Reason, status: status, code: int64(codeOf(status))}
	if c.data != nil && !c.isBatch { // without a valid token the body is not read
		v.method = c.soleMethod()
	}
	l.observer.refused(r, v, targets)
	attrs := append(requestAttrs(r), slog.Int("status", status))
	if v.method != "" {
		attrs = append(attrs, slog.String("method", v.method))
	}
	attrs = appendTargetAttrs(attrs, targets)
	id := e.Caller()
	if id == nil {
		id = c.caller
	}
	if id != nil {
		attrs = append(attrs, slog.Attr{Key: "caller", Value: id.LogValue()})
	}
	l.line(r.Context(), level, append(attrs, slog.String("outcome", outcomeRefused), slog.String("reason", e.Reason), slog.Any("detail", e)))
}

// rejected writes the line of a request, or of one of its messages, that is rejected. The method
// is "" if it is not known.
func (l *requestLog) rejected(r *http.Request, why rejection, method string, more ...slog.Attr) {
	l.observer.rejected(r, why, method)
	if method != "" {
		more = append(more, slog.String("method", method))
	}
	attrs := append(requestAttrs(r), slog.Int("status", why.status))
	if c := callOf(r.Context()); c.caller != nil {
		attrs = append(attrs, slog.Attr{Key: "caller", Value: c.caller.LogValue()})
	}
	attrs = append(attrs, slog.String("outcome", outcomeRefused), slog.String("reason", why.reason), slog.String("error", why.text))
	level := slog.LevelWarn
	switch why.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed: // scanners, ended sessions, clients that try for a stream
		if why.reason != "method_not_found" {
			level = slog.LevelInfo
		}
	case http.StatusAccepted: // a notification that nobody knows
		level = slog.LevelInfo
	}
	l.line(r.Context(), level, append(attrs, more...))
}

// requestAttrs returns what is known about a request before dispatch.
func requestAttrs(r *http.Request) []slog.Attr {
	return append(callOf(r.Context()).appendAttrs(nil), slog.String("http_method", r.Method), slog.String("path", r.URL.Path))
}

// hasNotifications reports whether the lines of the call's notifications are written where
// its answer is (see tellNotifications). Without sessions a request ends, with all that the
// SDK has of it, when a notification has been accepted: the middleware may never see it.
func (l *requestLog) hasNotifications(c *call) bool { return !l.sessions && c != nil }

// isToldElsewhere reports whether the line of the message is written where its answer is.
func (l *requestLog) isToldElsewhere(m *rpcMessage) bool {
	return strings.HasPrefix(m.method, "notifications/") && l.hasNotifications(m.call)
}

// accepted writes the line of a notification that the middleware does not write.
func (l *requestLog) accepted(r *http.Request, method string) {
	c := callOf(r.Context())
	l.observer.refused(r, verdict{method: method, outcome: outcomeOK}, nil)
	l.line(r.Context(), slog.LevelDebug, append(c.appendAttrs(nil), slog.String("method", method), slog.Any("caller", c.caller), slog.String("outcome", outcomeOK)))
}

// panicked writes the line of a message that panicked.
func (l *requestLog) panicked(m *rpcMessage, p any) {
	l.ErrorContext(m, "panic in an MCP request", "request_id", requestID(m), "method", m.method, "panic", safelog.Panic(p), "stack", string(debug.Stack()))
}

// recovered is deferred. It writes the line of a request whose handler panicked outside
// of MCP, and aborts the connection, because part of the answer may have been sent.
// net/http would log the panic only among connection errors.
func (l *requestLog) recovered(r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
		l.observer.refused(r, verdict{outcome: outcomeFailed, reason: "internal_error", status: http.StatusInternalServerError}, nil)
		l.line(r.Context(), slog.LevelError, append(requestAttrs(r), slog.String("outcome", outcomeFailed),
			slog.String("reason", "internal_error"), slog.String("panic", safelog.Panic(p)), slog.String("stack", string(debug.Stack()))))
	}
	panic(http.ErrAbortHandler)
}

// signIns is the stage that writes the line of a request to the authorization proxy. Queries
// and bodies have codes and tokens, and are not logged. Why a request was refused is in the
// proxy's own record, at WARN.
func (l *requestLog) signIns(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, answer := time.Now(), &statusWriter{ResponseWriter: w}
		l.observer.beginSignIn(r)
		next.ServeHTTP(answer, r)
		level, outcome := slog.LevelInfo, outcomeOK
		switch {
		case answer.status >= http.StatusInternalServerError:
			level, outcome = slog.LevelWarn, outcomeFailed
		case answer.status >= http.StatusBadRequest:
			outcome = outcomeRefused
		case strings.Contains(r.URL.Path, "/.well-known/"), r.Method == http.MethodOptions:
			level = slog.LevelDebug
		}
		l.observer.signedIn(r, outcome, answer.status)
		l.line(r.Context(), level, append(requestAttrs(r), slog.Int("status", answer.status), slog.String("outcome", outcome), slog.Duration("duration", time.Since(start))))
	})
}

// A statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A requestHandler adds the id of the request and the client's address to records about it.
type requestHandler struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	if c := callOf(ctx); c != nil {
		r = r.Clone()
		r.AddAttrs(appendTraces(c.appendIDs(nil), trace.SpanContextFromContext(ctx), c.traceparent)...)
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}

// appendTargetAttrs adds what a request uses: one target by its kind, several as a list.
func appendTargetAttrs(attrs []slog.Attr, targets []target) []slog.Attr {
	switch len(targets) {
	case 0:
		return attrs
	case 1:
		return append(attrs, slog.String(kindNames[targets[0].kind], targets[0].name))
	}
	names := make([]string, min(len(targets), safelog.MaxNames))
	for i := range names {
		names[i] = kindNames[targets[i].kind] + " " + safelog.Cut(targets[i].name, safelog.MaxName)
	}
	attrs = append(attrs, slog.Any("targets", names))
	if more := len(targets) - len(names); more > 0 {
		attrs = append(attrs, slog.Int("more_targets", more))
	}
	return attrs
}

var kindNames = [...]string{tool: "tool", resource: "resource", prompt: "prompt", template: "resource"}
