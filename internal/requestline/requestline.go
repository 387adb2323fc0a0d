// Package requestline keeps one failure from being logged twice: the line that a
// server writes for each request says how it ended, so that packages below need not.
package requestline

import "context"

type key struct{}

// With returns a context of a request whose line in the log will tell its failure.
func With(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, true) }

// Follows reports whether the context is of such a request.
func Follows(ctx context.Context) bool { return ctx.Value(key{}) != nil }
