package mcpentra

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/requestline"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// A note is what became of a request, for its line in the log.
type note struct {
	cause error // why it failed, which the caller may not read
}

type noteKey struct{}

func noteOf(ctx context.Context) *note {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		return n
	}
	return &note{}
}

// observe is receiving middleware: it recovers panics, which would end the
// process, writes the request's line in the log, and keeps from the caller what is
// not for the caller.
func (s *Server) observe(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
		start, n := time.Now(), &note{}
		ctx = requestline.WithLog(ctx, s.log)
		defer func() {
			if p := recover(); p != nil {
				s.log.ErrorContext(ctx, "panic in an MCP request", "request_id", requestID(ctx), "method", method,
					"panic", safelog.Panic(p), "stack", string(debug.Stack()))
				result, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error"}
			}
			if n.cause == nil {
				n.cause = err
			}
			s.audit(ctx, method, req, result, n.cause, time.Since(start))
			err = wireError(err)
			arrivalOf(ctx).tell(err)
		}()
		return next(requestline.With(context.WithValue(ctx, noteKey{}, n)), method, req)
	}
}

// loggable is an error that knows what a log should hold of it: entraauth's, obo's.
type loggable interface {
	error
	slog.LogValuer
}

// causeAttrs are what the log holds of a failure. It never holds a token.
func causeAttrs(cause error) []slog.Attr {
	var attrs []slog.Attr
	if e, ok := errors.AsType[*obo.Error](cause); ok {
		attrs = append(attrs, slog.String("reason", strings.ReplaceAll(e.Kind.Error(), " ", "_"))) // consent_required
	}
	attrs = append(attrs, safelog.Error(cause))
	if detail, ok := errors.AsType[loggable](cause); ok {
		attrs = append(attrs, slog.Any("detail", detail))
	}
	return attrs
}
