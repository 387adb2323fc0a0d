package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// observe is receiving middleware: it recovers panics, which would end the
// process, rewrites errors that are not for the caller, and logs one line for
// each request.
func (s *Server) observe(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
		start := time.Now()
		defer func() {
			if p := recover(); p != nil {
				s.log.ErrorContext(ctx, "panic in an MCP request", "method", method, "tool", toolName(req),
					"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				result, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error"}
			}
			cause := present(result, err)
			s.record(ctx, method, req, cause, time.Since(start))
		}()
		return next(ctx, method, req)
	}
}

// record writes the line of a request. The cause may hold what the caller must
// not see; it never holds a token.
func (s *Server) record(ctx context.Context, method string, req mcp.Request, cause error, took time.Duration) {
	level, outcome := slog.LevelInfo, "ok"
	switch {
	case cause != nil:
		level, outcome = slog.LevelWarn, "error"
	case method == "ping" || strings.HasPrefix(method, "notifications/"):
		level = slog.LevelDebug
	}
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("method", method)}
	if tool := toolName(req); tool != "" {
		attrs = append(attrs, slog.String("tool", tool))
	}
	if id := entraauth.FromContext(ctx); id != nil {
		attrs = append(attrs, slog.Any("caller", id))
	}
	attrs = append(attrs, slog.String("outcome", outcome), slog.Duration("duration", took))
	if cause != nil {
		attrs = append(attrs, slog.String("error", cut(cause.Error(), maxLoggedCause)))
		if detail, ok := errors.AsType[loggable](cause); ok {
			attrs = append(attrs, slog.Any("detail", detail))
		}
	}
	s.log.LogAttrs(ctx, level, "mcp request", attrs...)
}

const (
	maxLoggedName  = 128
	maxLoggedCause = 1024
)

// toolName returns the name of the tool that a request calls, bounded.
func toolName(req mcp.Request) string {
	if r, ok := req.(*mcp.CallToolRequest); ok && r.Params != nil {
		return cut(r.Params.Name, maxLoggedName)
	}
	return ""
}

// loggable is an error that knows what a log should hold of it: entraauth's, obo's.
type loggable interface {
	error
	slog.LogValuer
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
