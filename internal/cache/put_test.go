package cache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
)

// TestPut replaces what is there, and what is being loaded.
func TestPut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := newClock()
		c := cache.New[string, int](cache.Options{MaxBytes: 1 << 20, Now: clock.Now})
		item := func(v int) cache.Item[int] {
			return cache.Item[int]{Value: v, ExpiresAt: clock.Now().Add(time.Hour)}
		}
		get := func(load cache.LoadFunc[int]) int {
			v, err := c.Get(t.Context(), "key", load)
			if err != nil {
				t.Errorf("Get = %v, want nil", err)
			}
			return v
		}
		never := func(context.Context) (cache.Item[int], error) {
			t.Error("Get loads what is there, want the value that was put")
			return item(0), nil
		}
		c.Put("key", item(1))
		if got := get(never); got != 1 {
			t.Errorf("Get = %d, want 1", got)
		}
		c.Put("key", item(2))
		if got := get(never); got != 2 {
			t.Errorf("Get = %d, want 2", got)
		}

		c.Forget("key")
		started, end := make(chan struct{}), make(chan struct{})
		old := func(context.Context) (cache.Item[int], error) {
			close(started)
			<-end
			return item(3), nil
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if got := get(old); got != 4 {
				t.Errorf("one who waited for the superseded load got %d, want 4", got)
			}
		})
		<-started
		c.Put("key", item(4))
		wg.Wait()
		close(end)
		synctest.Wait() // the superseded load has ended
		if got := get(never); got != 4 {
			t.Errorf("after the superseded load has ended, Get = %d, want 4", got)
		}
	})
}

// TestPutAgainstLoads: under load, a value that was put is never followed by an
// older one. Values grow with time.
func TestPutAgainstLoads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New[string, int64](cache.Options{MaxBytes: 1 << 20})
		var mu sync.Mutex
		var last int64
		load := func(context.Context) (cache.Item[int64], error) {
			mu.Lock()
			last++
			v := last
			mu.Unlock()
			time.Sleep(time.Duration(v%3) * 100 * time.Microsecond) //nolint:forbidigo // on the clock of testing/synctest: loads overlap
			return cache.Item[int64]{Value: v, ExpiresAt: time.Now().Add(time.Hour)}, nil
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 200 {
					_, _ = c.Get(t.Context(), "key", load)
					c.Forget("key")
				}
			})
		}
		wg.Go(func() {
			for range 200 {
				mu.Lock()
				last++
				put := last
				c.Put("key", cache.Item[int64]{Value: put, ExpiresAt: time.Now().Add(time.Hour)})
				mu.Unlock()
				if got, _ := c.Get(t.Context(), "key", load); got < put {
					t.Errorf("Get = %d, want %d, which was put, or a later one", got, put)
				}
			}
		})
		wg.Wait()
	})
}
