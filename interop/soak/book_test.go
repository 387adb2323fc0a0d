//go:build unix

package soak_test

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// A book has an entry for each fault that may fail calls.
type book struct {
	mu      sync.Mutex
	entries []*entry
}

// An entry says which calls may fail, and counts those that did.
type entry struct {
	fault  string
	kinds  []string // of calls
	user   *user    // nil: everybody
	status int      // of the answer; 0: any
	says   []string // one of them is in the answer; none: any
	begun  time.Time
	ended  time.Time // with the time in which what the fault left behind passes; zero while it lasts
	failed int
}

// write adds an entry for a fault that begins now.
func (b *book) write(e entry) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.begun = time.Now()
	b.entries = append(b.entries, &e)
	return &e
}

// end says that the fault is over, and for how long calls may still fail.
func (b *book) end(e *entry, aftermath time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.ended = time.Now().Add(aftermath)
}

func (b *book) failed(e *entry) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return e.failed
}

// allows counts a failed call with the fault that may have failed it, and reports whether there is one.
func (b *book) allows(c *call) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range slices.Backward(b.entries) {
		if slices.Contains(e.kinds, c.kind) && (e.user == nil || e.user == c.user) && (e.status == 0 || e.status == c.status) && e.saidIn(c.body) &&
			!c.ended.Before(e.begun) && (e.ended.IsZero() || !c.begun.After(e.ended)) {
			e.failed++
			return true
		}
	}
	return false
}

// saidIn reports whether the answer is about the fault.
func (e *entry) saidIn(body string) bool {
	return len(e.says) == 0 || slices.ContainsFunc(e.says, func(text string) bool { return strings.Contains(body, text) })
}

// counts returns how many calls each fault has failed.
func (b *book) counts() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := map[string]int{}
	for _, e := range b.entries {
		counts[e.fault] += e.failed
	}
	return counts
}
