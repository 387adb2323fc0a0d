package actions_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/actions"
)

// An action is in the line from its beginning, as unknown, and as it ended at last.
func TestActions(t *testing.T) {
	t.Parallel()
	var l actions.Log
	if got := l.AppendAttrs(nil); got != nil {
		t.Errorf("an empty log: got %v, want nothing", got)
	}
	ctx := actions.With(t.Context(), &l)
	actions.Begin(ctx, "write", "docs")
	a := actions.Begin(ctx, "write", "")
	a.Rename("overwrite")
	a.On("reports")
	a.End(actions.Refused)
	a.End(actions.Done)
	actions.Begin(ctx, "delete", "docs").End("else")
	if got, want := fmt.Sprint(l.AppendAttrs(nil)), "[actions=[unknown write docs done overwrite reports unknown delete docs]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	none := actions.Begin(context.Background(), "write", "docs")
	none.Rename("x")
	none.On("x")
	none.End(actions.Done)
}

// A tool may act at the same time in many places, and the line has a bound.
func TestActionsAreBounded(t *testing.T) {
	t.Parallel()
	var l actions.Log
	ctx := actions.With(t.Context(), &l)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			actions.Begin(ctx, "write", "docs").End(actions.Done)
			l.AppendAttrs(nil)
		})
	}
	wg.Wait()
	got := l.AppendAttrs([]slog.Attr{slog.Int("before", 1)})
	if all, ok := got[1].Value.Any().([]string); len(got) != 3 || !ok || len(all) != 16 || got[2].Value.Int64() != 84 {
		t.Errorf("got %v, want 16 actions and 84 more", got)
	}
}
