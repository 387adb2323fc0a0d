// Package trail collects the ids of the token requests that were sent to Entra for a call, so
// that its log line leads to the sign-in log: each is the client-request-id of the request, which
// Entra logs as CorrelationId, also on success.
//
// Whoever writes the line puts a [Trail] into the context of the call; whoever sends a token
// request adds its id. Work that several calls wait for has a trail of its own, whose ids are
// then added to the trail of each caller that waited.
package trail

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// maxIDs bounds the ids that a trail keeps: the two steps of an agent's exchange with all their
// retries, or the exchanges for a few resources.
const maxIDs = 8

// A Trail is the ids of one call's token requests. The zero value is empty and ready to use. It
// is safe for concurrent use: a call's line may be written while its tool still asks for tokens.
type Trail struct{ seen atomic.Pointer[requests] }

// requests never change: a trail gets new ones.
type requests struct {
	ids  []string
	more int // how many are left out
}

// Key is the context key of a *[Trail], for custom context types.
type Key struct{}

// With returns a context with the trail.
func With(ctx context.Context, t *Trail) context.Context { return context.WithValue(ctx, Key{}, t) }

// Of returns the trail of the context, or nil, of which all methods do nothing.
func Of(ctx context.Context) *Trail {
	t, _ := ctx.Value(Key{}).(*Trail)
	return t
}

// Add adds the id of a token request, a GUID. Anything else is ignored: the line has only ids
// that were made here.
func (t *Trail) Add(id string) {
	if authority.IsGUID(id) {
		t.add(&requests{ids: []string{id}})
	}
}

// Join adds the ids of other, which t's call has waited for.
func (t *Trail) Join(other *Trail) {
	if other == nil {
		return
	}
	if more := other.seen.Load(); more != nil {
		t.add(more)
	}
}

func (t *Trail) add(more *requests) {
	if t == nil {
		return
	}
	for {
		var all requests
		old := t.seen.Load()
		if old != nil {
			all = *old
		}
		all.ids, all.more = slices.Concat(all.ids, more.ids), all.more+more.more
		if beyond := len(all.ids) - maxIDs; beyond > 0 {
			all.ids, all.more = all.ids[:maxIDs], all.more+beyond
		}
		if t.seen.CompareAndSwap(old, &all) {
			return
		}
	}
}

// AppendAttrs adds exchanges, the ids in the order in which they were sent, and more_exchanges,
// how many are left out, to a log line. An empty trail adds nothing.
func (t *Trail) AppendAttrs(attrs []slog.Attr) []slog.Attr {
	if t == nil {
		return attrs
	}
	all := t.seen.Load()
	if all == nil {
		return attrs
	}
	attrs = append(attrs, slog.Any("exchanges", all.ids))
	if all.more > 0 {
		attrs = append(attrs, slog.Int("more_exchanges", all.more))
	}
	return attrs
}
