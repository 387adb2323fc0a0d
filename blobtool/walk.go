package blobtool

import (
	"context"
	"fmt"
	"slices"
)

// maxFetches is how many pages of the service a call asks for on its way to one
// page of its own: the service may answer any number of empty ones.
const maxFetches = 20

// place is where a walk goes on.
type place struct {
	Root   int    `json:"r,omitempty"` // which of the walk's roots
	Marker string `json:"m,omitempty"` // the service's, of its page
	After  string `json:"a,omitempty"` // name of the last entry seen on that page
	Same   int    `json:"s,omitempty"` // how many entries of that name were seen: a blob's versions have one name
}

func (p place) valid() bool {
	return p.Root >= 0 && len(p.Marker) <= maxMarker && len(p.After) <= 4*maxBlobName+len("/") && p.Same >= 0 && (p.After == "") == (p.Same == 0)
}

// source is what a walk goes through: lists of the service, one after the other,
// each page by page.
type source[E any] struct {
	roots int
	// fetch returns a page of a list, and the marker of the next one.
	fetch func(ctx context.Context, root int, marker string, most int) (page []E, next string, err error)
	// name is that by which a list is sorted.
	name func(E) string
}

// walk goes through a source entry by entry, holding one page at a time. It knows
// at each entry where to go on after it.
type walk[E any] struct {
	source[E]
	most    int // entries of a page; each asks for twice as many as the one before it,
	largest int // but no more than so many
	fetches int // pages that may still be asked for
	at      place
	worker  *worker // gives its core back while a page is fetched, not while it is parsed
	page    []E     // not seen yet
	next    string  // marker of the page after it
}

// newWalk returns a walk that begins there, with so many entries on a page.
func newWalk[E any](s source[E], at place, most int) *walk[E] {
	return &walk[E]{source: s, at: at, most: most, largest: most, fetches: maxFetches}
}

// done reports whether the walk has come to its end.
func (w *walk[E]) done() bool { return w.at.Root >= w.roots }

// nextEntry returns the next entry. It returns false at the end, or if so many pages
// were asked for that the caller had better go on with a cursor.
func (w *walk[E]) nextEntry(ctx context.Context) (entry E, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return entry, false, err
	}
	for len(w.page) == 0 {
		if w.done() || w.fetches == 0 {
			return entry, false, nil
		}
		w.fetches--
		if err := w.turn(ctx); err != nil {
			return entry, false, err
		}
	}
	entry, w.page = w.page[0], w.page[1:]
	if name := w.name(entry); name == w.at.After {
		w.at.Same++
	} else {
		w.at.After, w.at.Same = name, 1
	}
	if len(w.page) == 0 {
		w.move("", 0)
	}
	return entry, true, nil
}

// turn fetches the page at Marker and skips what was seen of it.
func (w *walk[E]) turn(ctx context.Context) error {
	busy := w.worker.end()
	page, next, err := w.fetch(withParser(ctx, w.worker), w.at.Root, w.at.Marker, w.most)
	if err == nil {
		err = w.worker.resume(busy)
	}
	if !busy {
		w.worker.end()
	}
	if err != nil {
		return err
	}
	if len(next) > maxMarker || next != "" && next == w.at.Marker {
		return fmt.Errorf("%w: a listing's marker of %d bytes, the same again %v", errBadAnswer, len(next), next == w.at.Marker)
	}
	w.next = next
	w.most = min(2*w.most, w.largest)
	if w.page = w.unseen(page); len(w.page) == 0 {
		w.move(w.at.After, w.at.Same)
	}
	return nil
}

// move goes to the next page, or else to the next root. What is still to be skipped
// goes along: the service may cut its pages otherwise the second time.
func (w *walk[E]) move(after string, same int) {
	if w.next == "" {
		w.at = place{Root: w.at.Root + 1}
		return
	}
	w.at = place{Root: w.at.Root, Marker: w.next, After: after, Same: same}
}

// unseen returns what follows the last entry seen. If that is gone, it is what is
// sorted behind it. Where the page ends before, Same is what is left to skip.
func (w *walk[E]) unseen(page []E) []E {
	if w.at.After == "" {
		return page
	}
	first := slices.IndexFunc(page, func(e E) bool { return w.name(e) == w.at.After })
	if first < 0 {
		first = slices.IndexFunc(page, func(e E) bool { return w.name(e) > w.at.After })
		if first < 0 {
			return nil
		}
		return page[first:]
	}
	same := 0
	for same < w.at.Same && first+same < len(page) && w.name(page[first+same]) == w.at.After {
		same++
	}
	rest := page[first+same:]
	if len(rest) == 0 {
		if w.at.Same -= same; w.at.Same == 0 {
			w.at.After = ""
		}
	}
	return rest
}
