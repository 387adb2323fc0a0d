package pattern_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/pattern"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

func worker(ctx context.Context) *work.Worker { return work.New(ctx, work.NewShares(1, 8, 1), "") }

// find looks for an expression in a text, within a context.
func find(ctx context.Context, expr string, text []byte) (found bool, err error) {
	e, err := pattern.ParseText(expr, false)
	if err != nil {
		return false, err
	}
	at, err := e.Find(worker(ctx), text)
	return at != nil, err
}

// steps is a context that ends when the time has been looked at so many times.
type steps struct {
	context.Context
	left int
}

func (s *steps) Err() error {
	if s.left--; s.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// Matching looks at the time within a line and within a name.
func TestMatchingLooksAtTheTime(t *testing.T) {
	t.Parallel()
	line := []byte(strings.Repeat("a", 32<<10))
	const slow = "(a|aa|aaa|b?){1,40}z"
	ctx := &steps{t.Context(), 1 << 30}
	if found, err := find(ctx, slow, line); found || err != nil || 1<<30-ctx.left < 10 {
		t.Errorf("got %v, %v after %d looks at the time; want false, nil after 10", found, err, 1<<30-ctx.left)
	}
	if found, err := find(&steps{t.Context(), 3}, slow, line); found || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v; want false, %v", found, err, context.DeadlineExceeded)
	}
	// The same is found with and without looking.
	for _, c := range []struct{ expr, text string }{
		{slow, strings.Repeat("a", 12_000) + "z"}, {"^" + slow + "$", strings.Repeat("é", 12_000) + "z"}, {slow + "|é$", strings.Repeat("\xff", 12_000) + "é"},
	} {
		got, err := find(&steps{t.Context(), 1 << 30}, c.expr, []byte(c.text))
		if want := strings.HasPrefix(c.text, "a") || strings.HasSuffix(c.text, "é"); got != want || err != nil {
			t.Errorf("%s: got %v, %v; want %v, nil", c.expr, got, err, want)
		}
	}
	p, err := pattern.ParseName(strings.Repeat("**a", 100)+"z", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Match(worker(&steps{t.Context(), 0}), strings.Repeat("a", 1000)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Match = %v, want %v", err, context.DeadlineExceeded)
	}
}

// Expressions and patterns are bounded by what they compile to, and refused before that
// takes long.
func TestExpressionsAreBounded(t *testing.T) {
	for _, expr := range []string{strings.Repeat("a{1000}", 140), strings.Repeat(`(\pL{500}|x){2}`, 60), "((a{10}){10}){10}b", strings.Repeat("(?:){1000}", 100), strings.Repeat("(?:|){1000}", 90), strings.Repeat("(?:a{0}){1000}", 70)} {
		allocations := testing.AllocsPerRun(1, func() {
			_, err := find(t.Context(), expr, nil)
			if !errors.Is(err, fault.ErrInvalidArgument) {
				t.Errorf("%.20s: got %v, want an invalid argument", expr, err)
			}
		})
		if allocations > 20_000 {
			t.Errorf("%.20s: %.0f allocations, want at most 20000", expr, allocations)
		}
	}
	for name, ok := range map[string]bool{
		strings.Repeat("**a", 341): false, strings.Repeat("*a", 511): false, strings.Repeat("{a,b}", 204): true, strings.Repeat("{ab,c*}", 146): false, strings.Repeat("**/", 341): false,
		strings.Repeat("a", 1024): true, strings.Repeat("?", 1024): true, strings.Repeat("*a", 100): true, "{" + strings.Repeat("a1,", 150) + "}": true,
	} {
		_, err := pattern.ParseName(name, false)
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "wildcards and alternatives; use at most 200") {
			t.Errorf("%.20s: got %v, want nil: %t", name, err, ok)
		}
	}
}
