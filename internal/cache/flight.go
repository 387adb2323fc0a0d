package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// flight is one load and those who wait for it. item and err are written
// before done is closed, by whoever finishes the flight first.
type flight[V any] struct {
	done   chan struct{}
	finish sync.Once
	item   Item[V]
	err    error
}

// wait returns the result of the flight, or ctx's error if that ends first. A
// result that is there wins over a context that has ended.
func (f *flight[V]) wait(ctx context.Context) (Item[V], error) {
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

// join returns the flight of key, a new one (mine) if there is none. It returns
// no flight if one has stored a value since the caller looked.
func (c *Cache[K, V]) join(key K, load LoadFunc[V]) (f *flight[V], mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[key]; f != nil {
		return f, false
	}
	// A flight stores its value before it leaves the table.
	if c.lookup(key, c.moment()) != nil {
		return nil, false
	}
	return c.launch(key, load), true
}

// launch starts a load. The caller holds the lock and has seen no other flight of key.
func (c *Cache[K, V]) launch(key K, load LoadFunc[V]) *flight[V] {
	f := &flight[V]{done: make(chan struct{})}
	c.flights[key] = f
	go c.run(key, f, load)
	return f
}

// run loads on a context that no caller can end.
func (c *Cache[K, V]) run(key K, f *flight[V], load LoadFunc[V]) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	// A load that ignores its context must not block its key forever.
	overdue := time.AfterFunc(c.timeout+abandonAfter, func() {
		c.land(key, f, Item[V]{}, fmt.Errorf("%w (%v): %w", ErrAbandoned, c.timeout, context.DeadlineExceeded))
	})
	defer overdue.Stop()
	var item Item[V]
	var err error = &PanicError{reason: "runtime.Goexit"}
	// Deferred, because runtime.Goexit in a load runs nothing else.
	defer func() { c.land(key, f, item, err) }()
	item, err = guard(ctx, load)
}

// land ends a flight with the first result that it gets: stored, then out of
// the table, then handed to those who wait. It reports whether this one was the first.
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

// Error says what kind of panic it was. The value itself is shown only if the
// runtime made it: any other may hold what the load was working on.
func (e *PanicError) Error() string { return "cache: the load panicked: " + e.reason }

// guard calls load and turns a panic, which would end the process here, into an error.
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
