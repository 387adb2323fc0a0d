package mcpentra

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// The outcomes of a request, in the log.
const (
	done    = "ok"
	failed  = "error"   // allowed, and did not work
	refused = "refused" // not allowed
	wanting = "input"   // the user is asked for something
)

// requestLine is the message of each request's line, whatever became of it.
const requestLine = "mcp request"

// audit writes the line of a request: who, what, whether it was allowed, and what
// became of it. It holds neither arguments nor results.
func (s *Server) audit(ctx context.Context, method string, req mcp.Request, result mcp.Result, cause error, took time.Duration) {
	notification := strings.HasPrefix(method, "notifications/")
	if notification && s.toldByHTTP(ctx) {
		return
	}
	level, outcome := slog.LevelInfo, done
	var denied *denial
	switch {
	case errors.As(cause, &denied):
		level, outcome = slog.LevelWarn, refused
	case needsInput(result):
		outcome = wanting
	case cause != nil:
		level, outcome = slog.LevelWarn, failed
	case method == "ping" || notification:
		level = slog.LevelDebug
	}
	if !s.log.Enabled(ctx, level) {
		return
	}
	a := askedBy(req)
	attrs := append(requestAttrs(ctx), slog.String("method", method))
	attrs = appendTargets(attrs, a.targets(method))
	if id := entraauth.FromContext(ctx); id != nil {
		attrs = append(attrs, slog.Any("caller", id))
	}
	attrs = append(attrs, slog.String("outcome", outcome))
	switch {
	case denied != nil:
		attrs = append(attrs, slog.String("reason", denied.refusal.Reason), slog.Any("detail", denied.refusal))
	case cause != nil:
		attrs = append(attrs, causeAttrs(cause)...)
	}
	attrs = append(attrs, slog.Duration("duration", took))
	s.log.LogAttrs(ctx, level, requestLine, attrs...)
}

func needsInput(result mcp.Result) bool {
	r, ok := result.(*mcp.CallToolResult)
	return ok && r != nil && r.NeedsInput()
}

// auditRefusal writes the line of a request that was refused before it was
// dispatched, by its token or by a policy.
func (s *Server) auditRefusal(r *http.Request, status int, e *entraauth.Error, targets []target) {
	level := slog.LevelWarn                 // also of a 503: its cause, such as missing keys, has an ERROR of its own
	if errors.Is(e, entraauth.ErrNoToken) { // how every client begins
		level = slog.LevelInfo
	}
	attrs := append(arrivalAttrs(r), slog.Int("status", status))
	if body := requestBody(r); body != nil && !isBatch(body) { // of a request without good token nothing is read
		method, _ := envelope(body, jsonspan.Value(body, 0))
		attrs = append(attrs, slog.String("method", method))
	}
	attrs = appendTargets(attrs, targets)
	id := e.Caller()
	if id == nil {
		id = entraauth.FromContext(r.Context())
	}
	if id != nil {
		attrs = append(attrs, slog.Any("caller", id))
	}
	attrs = append(attrs, slog.String("outcome", refused), slog.String("reason", e.Reason), slog.Any("detail", e))
	s.log.LogAttrs(r.Context(), level, requestLine, attrs...)
}

// appendTargets names what a request uses: one by its kind, several in a list.
func appendTargets(attrs []slog.Attr, targets []target) []slog.Attr {
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
