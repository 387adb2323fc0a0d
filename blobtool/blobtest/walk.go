package blobtest

import "sort"

// nameList is a list of names in byte order, without duplicates.
type nameList struct {
	n  int
	at func(i int) string
}

// walk goes through several lists as if they were one, from a name on, and can
// leap: what it costs depends on what it visits, not on how much there is.
type walk struct {
	lists []nameList
	next  []int // of each list
}

func newWalk(lists ...nameList) *walk {
	return &walk{lists: lists, next: make([]int, len(lists))}
}

// leap moves on to the first name for which reached is true; reached must be
// false for the names before it and true for those after it.
func (w *walk) leap(reached func(name string) bool) {
	for i, l := range w.lists {
		from := w.next[i]
		w.next[i] = from + sort.Search(l.n-from, func(k int) bool { return reached(l.at(from + k)) })
	}
}

// name returns the next name, or false at the end.
func (w *walk) name() (string, bool) {
	first, found := "", false
	for i, l := range w.lists {
		if w.next[i] < l.n {
			if name := l.at(w.next[i]); !found || name < first {
				first, found = name, true
			}
		}
	}
	return first, found
}

// step moves beyond the next name, in each list that has it.
func (w *walk) step(name string) {
	for i, l := range w.lists {
		if w.next[i] < l.n && l.at(w.next[i]) == name {
			w.next[i]++
		}
	}
}
