// Package requestline keeps one failure from being logged twice: the line that a
// server writes for each request says how it ended, so that packages below need not.
package requestline

import (
	"context"
	"log/slog"
)

type key struct{}

// With returns a context of a request whose line, in this log, will tell its failure.
func With(ctx context.Context, l *slog.Logger) context.Context {
	return context.WithValue(ctx, key{}, l)
}

// Log returns the log that will have the request's line, or nil if there is none.
func Log(ctx context.Context) *slog.Logger {
	l, _ := ctx.Value(key{}).(*slog.Logger)
	return l
}
