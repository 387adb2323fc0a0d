//go:build unix

package soak_test

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A call is what a client asked and got.
type call struct {
	kind         string
	user         *user
	key          string // the ID of the token's key
	begun, ended time.Time
	status       int
	body         string
	err          error // instead of an answer
}

// A ledger counts calls, and fails the test for those that went wrong.
type ledger struct {
	t    *testing.T
	book *book

	mu      sync.Mutex
	kinds   map[string]*kindCount
	renewed int // tokens, since their keys had left
	lost    int // sessions, with their replicas
	streams int // opened
	thefts  int // answers that belong to somebody else
	wrong   int // failures without an entry
}

type kindCount struct {
	failed int
	took   []time.Duration // of those that did not
}

func newLedger(t *testing.T, b *book) *ledger {
	return &ledger{t: t, book: b, kinds: map[string]*kindCount{}}
}

func (l *ledger) count(n *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*n++
}

// claims are the words by which answers say whose they are.
var claims = regexp.MustCompile(`(?:caller=|subject=|owner=|/[0-9a-f-]{36}\.)([0-9a-f-]{36})`)

// mine fails the test if the answer has anything of anybody but the caller.
func (l *ledger) mine(c *call) {
	for _, found := range claims.FindAllStringSubmatch(c.body, -1) {
		if found[1] != c.user.ObjectID {
			l.mu.Lock()
			l.thefts++
			first := l.thefts <= 5
			l.mu.Unlock()
			if first {
				l.t.Errorf("%s: the caller is %s, and the answer has %s", c.kind, c.user.ObjectID, found[0])
			}
		}
	}
}

func (l *ledger) succeeded(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.of(c.kind)
	k.took = append(k.took, c.ended.Sub(c.begun))
}

// failed says that a call did not give what it should.
func (l *ledger) failed(c *call, problem error) {
	allowed := l.book.allows(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(c.kind).failed++
	if allowed {
		return
	}
	if l.wrong++; l.wrong <= 20 {
		l.t.Errorf("%s of %s, %s to %s, fails without a fault: %v", c.kind, c.user.folder, c.begun.Format(clock), c.ended.Format(clock), problem)
	}
}

const clock = "15:04:05.000"

func (l *ledger) of(kind string) *kindCount {
	k := l.kinds[kind]
	if k == nil {
		k = &kindCount{}
		l.kinds[kind] = k
	}
	return k
}

// has returns an error unless the call was answered with the texts.
func (c *call) has(status int, texts ...string) error {
	if c.err != nil {
		return c.err
	}
	if c.status != status {
		return fmt.Errorf("got %d %.600s, want %d", c.status, c.body, status)
	}
	for _, text := range texts {
		if !strings.Contains(c.body, text) {
			return fmt.Errorf("got %d %.600s, want %s", c.status, c.body, text)
		}
	}
	return nil
}

// result is has for a tool call that succeeds.
func (c *call) result(texts ...string) error {
	if c.err == nil && strings.Contains(c.body, `"isError":true`) {
		return errors.New(c.body[:min(600, len(c.body))])
	}
	return c.has(200, texts...)
}

// String is the table of what was counted.
func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %8s %8s %9s %9s %9s %9s\n", "calls", "good", "failed", "p50", "p95", "p99", "most")
	for _, kind := range slices.Sorted(maps.Keys(l.kinds)) {
		k := l.kinds[kind]
		slices.Sort(k.took)
		fmt.Fprintf(&b, "%-12s %8d %8d", kind, len(k.took), k.failed)
		for _, q := range []float64{0.5, 0.95, 0.99, 1} {
			fmt.Fprintf(&b, " %9s", quantile(k.took, q).Round(100*time.Microsecond))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d tokens renewed after a rotation, %d sessions lost with their replica, %d streams\n", l.renewed, l.lost, l.streams)
	counts := l.book.counts()
	for _, fault := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "%6d calls failed: %s\n", counts[fault], fault)
	}
	return b.String()
}

// quantile returns the quantile of sorted values.
func quantile[T any](sorted []T, q float64) (v T) {
	if len(sorted) == 0 {
		return v
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
