package walk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/walk"
)

// names goes through names that come in pages, from a place on, and returns those that
// it sees before it stops after most of them, and where to go on. pages are those of
// each root; the marker of a page is its number.
func names(pages [][][]string, from walk.Place, most int) (seen []string, next walk.Place, done bool, err error) {
	w := walk.New(walk.Source[string]{
		Roots: len(pages),
		Name:  func(s string) string { return s },
		Fetch: func(_ context.Context, root int, marker string, _ int) ([]string, string, error) {
			n := 0
			if marker != "" {
				if n, err = strconv.Atoi(marker); err != nil || n >= len(pages[root]) {
					return nil, "", fmt.Errorf("marker %q", marker)
				}
			}
			if n+1 == len(pages[root]) {
				return pages[root][n], "", nil
			}
			return pages[root][n], strconv.Itoa(n + 1), nil
		},
	}, from, 0, nil)
	for len(seen) < most {
		name, ok, err := w.Next(context.Background())
		if err != nil {
			return nil, walk.Place{}, false, err
		}
		if !ok {
			break
		}
		seen = append(seen, name)
	}
	return seen, w.At, w.Done(), nil
}

// However a list is cut into pages, by the service and by the caller, and even if the
// service cuts it otherwise the next time, each entry is seen once.
func TestWalk(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		roots := make([][]string, r.IntN(3)+1)
		var want []string
		for i := range roots {
			for j := range r.IntN(6) {
				for range r.IntN(3) + 1 { // as versions of one name
					roots[i] = append(roots[i], strconv.Itoa(i)+"/"+strconv.Itoa(j))
				}
			}
			want = append(want, roots[i]...)
		}
		paged := func() [][][]string {
			var all [][][]string
			for _, root := range roots {
				pages := [][]string{}
				for rest := root; ; {
					n := r.IntN(len(rest) + 1)
					pages = append(pages, rest[:n])
					if rest = rest[n:]; len(rest) == 0 {
						break
					}
				}
				all = append(all, pages)
			}
			return all
		}
		pages := paged()
		var got []string
		var at walk.Place
		for calls, done := 0, false; !done; calls++ {
			if at.Marker == "" && r.IntN(4) == 0 {
				pages = paged() // a marker is of the pages that it came with
			}
			var seen []string
			var err error
			if seen, at, done, err = names(pages, at, r.IntN(4)+1); err != nil || calls > 1000 {
				t.Fatalf("%v after %d calls, want nil, at most 1000", err, calls)
			}
			got = append(got, seen...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q in pages %q: got %q, want %q", want, pages, got, want)
		}
	}
}

// A walk through pages without end stops, and says so.
func TestWalkOfEmptyPages(t *testing.T) {
	t.Parallel()
	pages := make([][]string, 100)
	pages[99] = []string{"a"}
	var at walk.Place
	calls := 0
	for done := false; !done; calls++ {
		var seen []string
		var err error
		if seen, at, done, err = names([][][]string{pages}, at, 10); err != nil || (len(seen) == 1) != done {
			t.Fatalf("got %q, done %v, %v; want %v, nil", seen, done, err, done)
		}
	}
	if calls != 100/walk.MaxFetches {
		t.Errorf("%d calls, want %v", calls, 100/walk.MaxFetches)
	}
}
