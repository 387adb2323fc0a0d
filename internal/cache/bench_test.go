package cache_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
)

func BenchmarkHit(b *testing.B) {
	for _, entries := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			c := cache.New[int, *int](cache.Options{MaxBytes: 1 << 30})
			load := func(context.Context) (cache.Item[*int], error) {
				return cache.Item[*int]{Value: new(int), ExpiresAt: time.Now().Add(time.Hour)}, nil
			}
			for i := range entries {
				_, _ = c.Get(b.Context(), i, load)
			}
			ctx, i := b.Context(), 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Get(ctx, i%entries, load); err != nil {
					b.Fatal(err)
				}
				i += 7919
			}
		})
	}
}
