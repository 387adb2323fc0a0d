package onbehalf_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mcpentra/mcp-entra-go/bench/onbehalf"
)

// Ours is held to what the table says of it. The others are as found.
func TestOurs(t *testing.T) {
	got, err := onbehalf.Count(t.Context(), onbehalf.Contestants()[0])
	if err != nil {
		t.Fatal(err)
	}
	if got.First != 1 {
		t.Errorf("%d requests for a new user's first token, want 1", got.First)
	}
	if got.Discoveries != 0 || got.Exchanges != 1 {
		t.Errorf("100 callers of one user: %d discoveries, %d exchanges; want 0 and 1", got.Discoveries, got.Exchanges)
	}
	if !errors.Is(got.Err, context.DeadlineExceeded) || !got.Overtook {
		t.Errorf("a caller with a deadline of %v got %v (before the exchange of %v ended: %v), want that its deadline passed",
			onbehalf.Deadline, got.Err, onbehalf.Slow, got.Overtook)
	}
}

// Everybody gets tokens, and the caches are caches.
func TestHits(t *testing.T) {
	costs, err := onbehalf.Hits(t.Context(), onbehalf.Contestants(), 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range onbehalf.Contestants() {
		if got := costs[i].Requests > 0; got != c.Uncached {
			t.Errorf("%s made %d requests for tokens that it had", c.Name, costs[i].Requests)
		}
	}
}
