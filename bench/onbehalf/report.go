package onbehalf

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Table tries the contestants, ours first, and renders what was found in
// Markdown: a row for each thing measured, a column for each contestant.
func Table(ctx context.Context, contestants []Contestant, users, rounds int) (string, error) {
	one, err := Hits(ctx, contestants, 1, rounds)
	if err != nil {
		return "", err
	}
	many, err := Hits(ctx, contestants, users, rounds)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(name string, cell func(int) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for i := range contestants {
			fmt.Fprintf(&b, " %s |", cell(i))
		}
		b.WriteString("\n")
	}
	line("", func(i int) string { return contestants[i].Name })
	b.WriteString("|---|" + strings.Repeat("--:|", len(contestants)) + "\n")
	for _, t := range []struct {
		name  string
		costs []Cost
	}{{"1 user", one}, {"many users", many}} {
		line("same user again, "+t.name+": time", func(i int) string { return t.costs[i].Time.Round(10 * time.Nanosecond).String() })
		line("ratio, ours / theirs", func(i int) string { return fmt.Sprintf("%.3f", t.costs[i].Ratio) })
		line("allocations", func(i int) string { return count(t.costs[i].Allocs) })
	}
	line("how many are many", func(i int) string { return count(many[i].Users) })
	line("heap for each user, bytes", func(i int) string {
		if contestants[i].Uncached {
			return "nothing kept"
		}
		return count(many[i].HeapPerUser)
	})
	err = counts(ctx, contestants, line)
	return b.String(), err
}

// counts adds the rows that are no times of calls.
func counts(ctx context.Context, contestants []Contestant, line func(string, func(int) string)) error {
	found, left := make([]Counts, len(contestants)), make([]string, len(contestants))
	for i, c := range contestants {
		var err error
		if found[i], err = Count(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		if left[i] = "nothing kept"; c.Uncached {
			continue
		}
		part, err := Left(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		left[i] = fmt.Sprintf("%.0f %%", 100*part)
	}
	line("left of it when all tokens have expired", func(i int) string { return left[i] })
	line("new user's first token: requests", func(i int) string { return count(found[i].First) })
	line("100 concurrent calls of one new user: exchanges", func(i int) string { return count(found[i].Exchanges) })
	line("and discoveries", func(i int) string { return count(found[i].Discoveries) })
	line("caller with 50 ms, exchange of 900 ms under way: waits", func(i int) string { return found[i].Waited.Round(time.Millisecond).String() })
	line("and gets", func(i int) string {
		switch {
		case found[i].Err == nil:
			return "a token"
		case errors.Is(found[i].Err, context.DeadlineExceeded):
			return "`DeadlineExceeded`"
		default:
			return "another error"
		}
	})
	return nil
}

func count[N int | int64 | uint64](n N) string { return fmt.Sprintf("%d", n) }
