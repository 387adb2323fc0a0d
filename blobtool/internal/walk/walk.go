// Package walk reads the service's listings page by page, with a cursor for continuing.
package walk

import (
	"context"
	"fmt"
	"slices"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// MaxFetches limits how many of the service's pages fill one page of a call: the service
// may return any number of empty ones.
const MaxFetches = 20

// Place is a position in a walk.
type Place struct {
	Root   int    `json:"r,omitempty"` // which of the walk's roots
	Marker string `json:"m,omitempty"` // the service's, of its page
	After  string `json:"a,omitempty"` // name of the last entry seen on that page
	Same   int    `json:"s,omitempty"` // how many entries of that name were seen: a blob's versions have one name
}

// Valid implements [Position].
func (p Place) Valid() bool {
	return p.Root >= 0 && len(p.Marker) <= maxMarker && len(p.After) <= 4*names.MaxBlob+len("/") && p.Same >= 0 && (p.After == "") == (p.Same == 0)
}

// Source is a sequence of listings, each of which has pages.
type Source[E any] struct {
	Roots int
	// Fetch returns a page of a listing, and the marker of the next one.
	Fetch func(ctx context.Context, root int, marker string, most int) (page []E, next string, err error)
	// Name is what a listing is sorted by.
	Name func(E) string
}

// Walk reads a source entry by entry, holding one page at a time. After each entry, At is
// where to continue.
type Walk[E any] struct {
	Source[E]
	Largest int          // most entries of a page: each asks for twice as many as the one before
	Fetches int          // pages that may still be asked for
	At      Place        // behind the last entry seen
	Worker  *work.Worker // gives its core back while a page is fetched, not while it is parsed
	most    int          // entries of the next page
	page    []E          // not seen yet
	next    string       // marker of the page after it
}

// New returns a walk that begins at a place, with up to most entries on a page.
func New[E any](s Source[E], at Place, most int, w *work.Worker) *Walk[E] {
	return &Walk[E]{Source: s, At: at, most: most, Largest: most, Fetches: MaxFetches, Worker: w}
}

// Done reports whether the walk has ended.
func (w *Walk[E]) Done() bool { return w.At.Root >= w.Roots }

// Next returns the next entry. It returns false at the end, or after so many pages
// that the caller should go on with a cursor.
func (w *Walk[E]) Next(ctx context.Context) (entry E, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return entry, false, err
	}
	for len(w.page) == 0 {
		if w.Done() || w.Fetches == 0 {
			return entry, false, nil
		}
		w.Fetches--
		if err := w.turn(ctx); err != nil {
			return entry, false, err
		}
	}
	entry, w.page = w.page[0], w.page[1:]
	if name := w.Name(entry); name == w.At.After {
		w.At.Same++
	} else {
		w.At.After, w.At.Same = name, 1
	}
	if len(w.page) == 0 {
		w.move("", 0)
	}
	return entry, true, nil
}

// turn fetches the page at Marker and skips what was seen of it.
func (w *Walk[E]) turn(ctx context.Context) error {
	busy := w.Worker.End()
	page, next, err := w.Fetch(work.WithParser(ctx, w.Worker), w.At.Root, w.At.Marker, w.most)
	if err == nil {
		err = w.Worker.Resume(busy)
	}
	if !busy {
		w.Worker.End()
	}
	if err != nil {
		return err
	}
	if len(next) > maxMarker || next != "" && next == w.At.Marker {
		return fmt.Errorf("%w: a listing's marker of %d bytes, the same again %v", fault.ErrBadAnswer, len(next), next == w.At.Marker)
	}
	w.next = next
	w.most = min(2*w.most, w.Largest)
	if w.page = w.unseen(page); len(w.page) == 0 {
		w.move(w.At.After, w.At.Same)
	}
	return nil
}

// move goes to the next page or the next root. It keeps what is still to be skipped: the
// service may divide the listing differently the second time.
func (w *Walk[E]) move(after string, same int) {
	if w.next == "" {
		w.At = Place{Root: w.At.Root + 1}
		return
	}
	w.At = Place{Root: w.At.Root, Marker: w.next, After: after, Same: same}
}

// unseen returns what follows the last entry seen or, if it no longer exists, what sorts
// after it. If the page ends before that, Same is what is left to skip.
func (w *Walk[E]) unseen(page []E) []E {
	if w.At.After == "" {
		return page
	}
	first := slices.IndexFunc(page, func(e E) bool { return w.Name(e) == w.At.After })
	if first < 0 {
		first = slices.IndexFunc(page, func(e E) bool { return w.Name(e) > w.At.After })
		if first < 0 {
			return nil
		}
		return page[first:]
	}
	same := 0
	for same < w.At.Same && first+same < len(page) && w.Name(page[first+same]) == w.At.After {
		same++
	}
	rest := page[first+same:]
	if len(rest) == 0 {
		if w.At.Same -= same; w.At.Same == 0 {
			w.At.After = ""
		}
	}
	return rest
}
