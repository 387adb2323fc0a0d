// Package requestline keeps one failure from being logged twice: the line that a
// server writes for each request says how it ended, so that packages below need not.
package requestline

import (
	"context"
	"log/slog"
)

// Key is the context key of the log that gets the request's line, a *slog.Logger, for
// contexts that are a type of their own.
type Key struct{}

// With returns a context of a request whose line in the log, which may be nil, will tell
// its failure.
func With(ctx context.Context, log *slog.Logger) context.Context {
	return context.WithValue(ctx, Key{}, log)
}

// Follows reports whether the context is of such a request.
func Follows(ctx context.Context) bool {
	_, ok := ctx.Value(Key{}).(*slog.Logger)
	return ok
}

// Log returns the log that gets the request's line, or nil.
func Log(ctx context.Context) *slog.Logger {
	l, _ := ctx.Value(Key{}).(*slog.Logger)
	return l
}
