package telemetry

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Work for several callers, such as a fetch of keys, has a context of its own. Its span is a
// child of the caller's that started it and waits for it. If that one does not wait, the span is
// a new root with a link to it. Others that join and wait get a span of their own, with a link to
// the work's: the wait is in their trace, and the link leads to what took so long.

// Follow returns ctx with the span of another context.
func Follow(ctx, other context.Context) context.Context {
	if span := trace.SpanFromContext(other); span.SpanContext().IsValid() {
		return trace.ContextWithSpan(ctx, span)
	}
	return ctx
}

// Cause returns the identity of the span in ctx, for a link; it is invalid if there is none.
func Cause(ctx context.Context) trace.SpanContext { return trace.SpanContextFromContext(ctx) }

// StartLinked begins a new root with a link to its cause, if there is one.
func (t *Telemetry) StartLinked(ctx context.Context, name string, cause trace.SpanContext) (context.Context, Span) {
	if !t.Traces() {
		return ctx, Span{}
	}
	return t.Start(ctx, name, append(links(cause), trace.WithNewRoot())...)
}

// Work is what runs for several callers. It is safe for concurrent use.
type Work struct {
	span atomic.Pointer[trace.SpanContext]
}

// SetSpan says which span is the work's.
func (w *Work) SetSpan(s Span) {
	if c := s.Context(); c.IsValid() {
		w.span.Store(&c)
	}
}

// Waited makes the span of a caller's wait for work of another, which began at a time and is over.
func (t *Telemetry) Waited(ctx context.Context, name string, began time.Time, work *Work) {
	if !t.Traces() {
		return
	}
	options := []trace.SpanStartOption{trace.WithTimestamp(began)}
	if c := work.span.Load(); c != nil {
		options = append(options, links(*c)...)
	}
	_, span := t.Start(ctx, name, options...)
	span.End()
}

func links(to trace.SpanContext) []trace.SpanStartOption {
	if !to.IsValid() {
		return nil
	}
	return []trace.SpanStartOption{trace.WithLinks(trace.Link{SpanContext: to})}
}
