package trail_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/trail"
)

func id(n int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", n) }

func line(t *trail.Trail) string { return fmt.Sprint(t.AppendAttrs(nil)) }

func TestIDs(t *testing.T) {
	t.Parallel()
	var own, load trail.Trail
	if got := line(&own); got != "[]" {
		t.Errorf("an empty trail: got %s, want []", got)
	}
	own.Add(id(1))
	load.Add(id(2))
	own.Join(&load)
	load.Add(id(3)) // after the caller has stopped waiting
	own.Join(nil)
	own.Join(&trail.Trail{})
	if got, want := line(&own), fmt.Sprintf("[exchanges=[%s %s]]", id(1), id(2)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, other := range []string{"", "x", id(1) + "x", "{" + id(1) + "}", strings.Repeat("a", 36)} {
		load.Add(other)
	}
	if got, want := line(&load), fmt.Sprintf("[exchanges=[%s %s]]", id(2), id(3)); got != want {
		t.Errorf("what is no GUID: got %s, want %s", got, want)
	}
}

func TestBound(t *testing.T) {
	t.Parallel()
	var a, b trail.Trail
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() { a.Add(id(i)) })
	}
	wg.Wait()
	b.Add(id(1000))
	b.Join(&a)
	attrs := b.AppendAttrs(nil)
	if ids, _ := attrs[0].Value.Any().([]string); len(ids) != 8 || ids[0] != id(1000) || len(attrs) != 2 || attrs[1].String() != "more_exchanges=93" {
		t.Errorf("101 ids: got %v, want 8, its own first, and more_exchanges=93", attrs)
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	none := trail.Of(context.Background())
	none.Add(id(1))
	none.Join(&trail.Trail{})
	if got := none.AppendAttrs([]slog.Attr{slog.Int("a", 1)}); none != nil || len(got) != 1 {
		t.Errorf("a context without trail: got %v, %v; want nil, no more attributes", none, got)
	}
	var own trail.Trail
	trail.Of(trail.With(t.Context(), &own)).Add(id(1))
	if line(&own) == "[]" {
		t.Error("the trail of the context has no id, want 1")
	}
}
