package clientdoc

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits on fetches, because strangers choose what is fetched.
const (
	maxAtOnce  = 16
	maxPerHost = 10 // in hostWindow
	hostWindow = time.Minute
	maxWindows = 10_000 // that are remembered
)

// A limiter admits fetches. What one stranger can use up must not keep others' documents out: a
// URL that was good before doesn't count for its host, and when all places are taken, a site
// that has several gives one up.
type limiter struct {
	now func() time.Time

	mu      sync.Mutex
	running []*running         // the oldest first
	windows map[string]*window // by host, or by URL if that was good before
}

// running is a fetch under way.
type running struct {
	site   string
	proven bool // its URL was good before
	cancel context.CancelCauseFunc
}

// A window has the times of the last fetches.
type window struct {
	times [maxPerHost]time.Time
	next  int // the oldest
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, windows: map[string]*window{}}
}

// begin admits a fetch, or says when to try again. It doesn't wait: waiters would be more of what
// there is too much of. The context ends, with a busyError, if the fetch must make room.
func (l *limiter) begin(ctx context.Context, u *url.URL, proven bool) (_ context.Context, end func(), err error) {
	now, host := l.now(), strings.ToLower(u.Hostname())
	name := host
	if proven {
		name = u.String()
	}
	r := &running{site: siteOf(host), proven: proven}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.windows[name]
	if w != nil {
		if free := w.times[w.next].Add(hostWindow); now.Before(free) {
			return nil, nil, &busyError{host: true, retryAfter: free.Sub(now)}
		}
	}
	if len(l.running) >= maxAtOnce && !l.makeRoom(r) {
		return nil, nil, &busyError{retryAfter: time.Second}
	}
	if w == nil {
		w = l.newWindow(name)
	}
	w.times[w.next] = now
	w.next = (w.next + 1) % maxPerHost
	ctx, r.cancel = context.WithCancelCause(ctx)
	l.running = append(l.running, r)
	return ctx, func() { l.end(r) }, nil
}

func (l *limiter) end(r *running) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.running, r); i >= 0 {
		l.running = slices.Delete(l.running, i, i+1)
	}
	r.cancel(nil)
}

// makeRoom ends the oldest fetch of the site that has the most, if that has at least two more
// than the newcomer's, or if the newcomer's URL was good before and that fetch's was not.
func (l *limiter) makeRoom(newcomer *running) bool {
	count := map[string]int{}
	for _, r := range l.running {
		count[r.site]++
	}
	out := -1
	for i, r := range l.running {
		yields := count[r.site] >= count[newcomer.site]+2 || newcomer.proven && !r.proven
		if yields && (out < 0 || count[r.site] > count[l.running[out].site]) {
			out = i
		}
	}
	if out < 0 {
		return false
	}
	l.running[out].cancel(&busyError{retryAfter: time.Second})
	l.running = slices.Delete(l.running, out, out+1)
	return true
}

// siteOf returns the last two labels of a host: a stranger has as many hosts of one domain as
// they like.
func siteOf(host string) string {
	if i := strings.LastIndexByte(host, '.'); i > 0 {
		return host[strings.LastIndexByte(host[:i], '.')+1:]
	}
	return host
}

// newWindow returns a new window of the name. If there are too many, any other is forgotten: to
// refuse would let a stranger keep others out, and to forget one lets them fetch little more.
func (l *limiter) newWindow(name string) *window {
	if len(l.windows) >= maxWindows {
		for other := range l.windows {
			delete(l.windows, other)
			break
		}
	}
	w := &window{}
	l.windows[name] = w
	return w
}
