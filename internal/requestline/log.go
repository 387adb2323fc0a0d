package requestline

import (
	"context"
	"log/slog"
)

type logKey struct{}

// WithLog returns a context that carries the log of the server whose request it is.
func WithLog(ctx context.Context, l *slog.Logger) context.Context {
	return context.WithValue(ctx, logKey{}, l)
}

// Log returns the log of the server whose request it is, or nil.
func Log(ctx context.Context) *slog.Logger {
	l, _ := ctx.Value(logKey{}).(*slog.Logger)
	return l
}
