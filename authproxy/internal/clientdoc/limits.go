package clientdoc

import (
	"sync"
	"time"
)

// Limits on fetches, because strangers choose what is fetched.
const (
	maxAtOnce  = 16
	maxPerHost = 10 // in hostWindow
	hostWindow = time.Minute
	maxHosts   = 10_000 // that are remembered
)

// A limiter admits fetches.
type limiter struct {
	now   func() time.Time
	slots chan struct{}

	mu    sync.Mutex
	hosts map[string]*window
}

// A window has the times of a host's last fetches.
type window struct {
	times [maxPerHost]time.Time
	next  int // the oldest
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, slots: make(chan struct{}, maxAtOnce), hosts: map[string]*window{}}
}

// begin admits a fetch from the host, or says when to try again. It doesn't wait: waiters
// would be more of what there is too much of.
func (l *limiter) begin(host string) (end func(), err error) {
	select {
	case l.slots <- struct{}{}:
	default:
		return nil, &busyError{retryAfter: time.Second}
	}
	end = func() { <-l.slots }
	if err := l.count(host); err != nil {
		end()
		return nil, err
	}
	return end, nil
}

func (l *limiter) count(host string) error {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.hosts[host]
	if w == nil {
		if len(l.hosts) >= maxHosts && !l.sweep(now) {
			return &busyError{retryAfter: hostWindow}
		}
		w = &window{}
		l.hosts[host] = w
	}
	if free := w.times[w.next].Add(hostWindow); now.Before(free) {
		return &busyError{host: true, retryAfter: free.Sub(now)}
	}
	w.times[w.next] = now
	w.next = (w.next + 1) % maxPerHost
	return nil
}

// sweep forgets the hosts of which nothing was fetched for a while, and reports whether there
// is room for another.
func (l *limiter) sweep(now time.Time) bool {
	for host, w := range l.hosts {
		if last := w.times[(w.next+maxPerHost-1)%maxPerHost]; !now.Before(last.Add(hostWindow)) {
			delete(l.hosts, host)
		}
	}
	return len(l.hosts) < maxHosts
}
