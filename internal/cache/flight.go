package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/trail"
)

// A Load is what a running load knows of its callers, for telemetry. Its context has it; see
// [LoadOf].
type Load struct {
	// Renewal says that no caller waits: the old value is still served.
	Renewal bool
	// Cause is the span of the caller that started the load. Unless it is a renewal, the load's
	// context has that span, too.
	Cause trace.SpanContext

	telemetry.Work
}

// A Wait is the load for which a caller has waited; nil if the value was cached. Joined says that
// another caller started it.
type Wait struct {
	Load   *Load
	Joined bool
}

type loadKey struct{}

// LoadOf returns the load whose context ctx is, or else an empty one.
func LoadOf(ctx context.Context) *Load {
	if l, ok := ctx.Value(loadKey{}).(*Load); ok {
		return l
	}
	return &Load{}
}

// flight is a running load and its waiters. Whoever finishes the flight first writes item
// and err before closing done.
type flight[V any] struct {
	load   Load
	done   chan struct{}
	finish sync.Once
	item   Item[V]
	err    error
	trail  trail.Trail
}

// wait returns the flight's result, or ctx's error if ctx ends first. If both are there,
// the result wins. In any case, what the load has sent until then is in ctx's trail.
func (f *flight[V]) wait(ctx context.Context) (Item[V], error) {
	defer func() { trail.Of(ctx).Join(&f.trail) }()
	select {
	case <-f.done:
		return f.item, f.err
	case <-ctx.Done():
	}
	select {
	case <-f.done:
		return f.item, f.err
	default:
		return Item[V]{}, ctx.Err()
	}
}

// join returns the flight of key, or a new one (mine). It returns nil if a flight has
// stored a value since the caller's lookup.
func (c *Cache[K, V]) join(ctx context.Context, key K, load LoadFunc[V]) (f *flight[V], mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[key]; f != nil {
		return f, false
	}
	// A flight stores its value before it is removed from the table.
	if c.lookup(key, c.moment()) != nil {
		return nil, false
	}
	return c.launch(ctx, key, load, false), true
}

// launch starts a load for a caller. The caller holds the lock, and key has no flight.
func (c *Cache[K, V]) launch(caller context.Context, key K, load LoadFunc[V], renewal bool) *flight[V] {
	f := &flight[V]{done: make(chan struct{}), load: Load{Renewal: renewal, Cause: telemetry.Cause(caller)}}
	c.flights[key] = f
	ctx := context.WithValue(context.Background(), loadKey{}, &f.load) //nolint:contextcheck // no caller may cancel the load
	if !renewal {
		ctx = telemetry.Follow(ctx, caller)
	}
	go c.run(ctx, key, f, load)
	return f
}

// run loads with a context that no caller can cancel.
func (c *Cache[K, V]) run(ctx context.Context, key K, f *flight[V], load LoadFunc[V]) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx = trail.With(ctx, &f.trail)
	// A load that ignores its context must not block its key forever.
	overdue := time.AfterFunc(c.timeout+abandonAfter, func() {
		c.land(key, f, Item[V]{}, fmt.Errorf("%w (%v): %w", ErrAbandoned, c.timeout, context.DeadlineExceeded))
	})
	defer overdue.Stop()
	var item Item[V]
	var err error = &PanicError{reason: "runtime.Goexit"}
	// Deferred, because runtime.Goexit in a load runs only deferred functions.
	defer func() { c.land(key, f, item, err) }()
	item, err = guard(ctx, load)
}

// land finishes a flight with its first result: it stores it, removes the flight from the
// table, then wakes the waiters. It reports whether this result was the first.
func (c *Cache[K, V]) land(key K, f *flight[V], item Item[V], err error) bool {
	first := false
	f.finish.Do(func() {
		first = true
		if err == nil {
			f.item = item
			c.put(key, item)
		}
		f.err = err
		c.mu.Lock()
		if c.flights[key] == f {
			delete(c.flights, key)
		}
		c.mu.Unlock()
		close(f.done)
	})
	return first
}

// A PanicError is the error of a load that panicked or called runtime.Goexit.
type PanicError struct {
	reason string
	// Stack is the stack of the panic, for the log.
	Stack []byte
}

// Error says what kind of panic it was. It shows only values of the runtime: others may
// contain what the load was working on.
func (e *PanicError) Error() string { return "cache: the load panicked: " + e.reason }

// guard calls load and turns a panic, which would crash the process, into an error.
func guard[V any](ctx context.Context, load LoadFunc[V]) (item Item[V], err error) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		reason := fmt.Sprintf("%T", r)
		var re runtime.Error
		if cause, ok := r.(error); ok && errors.As(cause, &re) {
			reason = re.Error()
		}
		item, err = Item[V]{}, &PanicError{reason: reason, Stack: debug.Stack()}
	}()
	return load(ctx)
}
