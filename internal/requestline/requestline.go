// Package requestline prevents logging a failure twice. The server logs one line per request that
// includes the failure, so other packages don't log it.
package requestline

import (
	"context"
	"log/slog"
)

// Key is the context key of the *slog.Logger that gets the request's line, for custom context
// types.
type Key struct{}

// With marks a request's context: the request's line will report its failure. The log may be nil.
func With(ctx context.Context, log *slog.Logger) context.Context {
	return context.WithValue(ctx, Key{}, log)
}

// Follows reports whether the context is that of such a request.
func Follows(ctx context.Context) bool {
	_, ok := ctx.Value(Key{}).(*slog.Logger)
	return ok
}

// Log returns the log that gets the request's line, or nil.
func Log(ctx context.Context) *slog.Logger {
	l, _ := ctx.Value(Key{}).(*slog.Logger)
	return l
}
