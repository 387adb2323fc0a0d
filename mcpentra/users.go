package mcpentra

import (
	"container/list"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
)

// maxIdleUsers is how many users are remembered that have no request under way.
const maxIdleUsers = 10_000

// codeBusy is the JSON-RPC error code of 429, from the range that JSON-RPC leaves
// to servers.
const codeBusy = -32005

// users counts what each user takes. Who has been away long enough to be as good
// as new is forgotten when others come.
type users struct {
	limits Limits
	now    func() time.Time
	log    *slog.Logger
	refill time.Duration // after which an empty bucket is full again

	mu     sync.Mutex
	known  map[string]*user
	recent *list.List // of *user; whoever came or went last is at the front
}

// A user is guarded by its table's lock.
type user struct {
	id      string
	place   *list.Element
	bucket  *rate.Limiter
	serving int
	seen    time.Time // when it last came or went
	warned  time.Time
}

func newUsers(l Limits, now func() time.Time, log *slog.Logger) *users {
	refill := float64(l.Burst) / l.RequestsPerSecond * float64(time.Second)
	return &users{
		limits: l, now: now, log: log, refill: time.Duration(min(refill, math.MaxInt64/2)),
		known: map[string]*user{}, recent: list.New(),
	}
}

// limit refuses requests of users that are over their limits. It belongs inside
// the verifier's middleware.
func (t *users) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := entraauth.FromContext(r.Context())
		u, wait := t.admit(caller.UserID())
		if wait > 0 {
			t.refuse(w, r, u, caller, wait)
			return
		}
		defer t.release(u)
		next.ServeHTTP(w, r)
	})
}

// admit counts a request of the user, or says after which time to try again.
func (t *users) admit(id string) (u *user, wait time.Duration) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(now)
	u = t.known[id]
	if u == nil {
		u = &user{id: id, bucket: rate.NewLimiter(rate.Limit(t.limits.RequestsPerSecond), t.limits.Burst)}
		u.place = t.recent.PushFront(u)
		t.known[id] = u
	}
	t.touch(u, now)
	switch {
	case u.serving >= t.limits.Concurrent:
		return u, time.Second // who knows when one ends
	case !u.bucket.AllowN(now, 1):
		missing := 1 - u.bucket.TokensAt(now)
		return u, max(1, time.Duration(min(missing/t.limits.RequestsPerSecond*float64(time.Second), math.MaxInt64/2)))
	}
	u.serving++
	return u, 0
}

func (t *users) release(u *user) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	u.serving--
	t.touch(u, now)
}

func (t *users) touch(u *user, now time.Time) {
	u.seen = now
	t.recent.MoveToFront(u.place)
}

// forget drops users from the far end: who would have a full bucket, and beyond
// maxIdleUsers whoever has been away for longest. Two steps for each request
// keep up with one more user for each.
func (t *users) forget(now time.Time) {
	for range 2 {
		last := t.recent.Back()
		if last == nil {
			return
		}
		u := last.Value.(*user)
		switch {
		case u.serving > 0: // a stream that has been open for long
			t.recent.MoveToFront(last)
		case now.Sub(u.seen) >= t.refill || len(t.known) > maxIdleUsers:
			t.recent.Remove(last)
			delete(t.known, u.id)
		default:
			return
		}
	}
}

// refuse answers 429. A user who goes on asking makes one line a second.
func (t *users) refuse(w http.ResponseWriter, r *http.Request, u *user, caller *entraauth.Identity, wait time.Duration) {
	if t.warn(u) {
		attrs := append(requestAttrs(r.Context()),
			slog.Int("status", http.StatusTooManyRequests), slog.Any("caller", caller), slog.Duration("retry_after", wait))
		t.log.LogAttrs(r.Context(), slog.LevelWarn, "request refused: too many of this user; more such lines are left out", attrs...)
	}
	w.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
	w.Header().Set("Cache-Control", "no-store")
	mcpauth.WriteError(w, r, http.StatusTooManyRequests, codeBusy, t.limits.busy())
}

func (t *users) warn(u *user) bool {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(u.warned) < time.Second {
		return false
	}
	u.warned = now
	return true
}
