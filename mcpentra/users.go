package mcpentra

import (
	"container/list"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"golang.org/x/time/rate"

	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
)

// maxIdleUsers is how many users are remembered that have no request under way.
const maxIdleUsers = 10_000

// users counts what each user takes. A user idle long enough for their bucket to
// refill is evicted when requests of others arrive.
type users struct {
	limits Limits
	now    func() time.Time
	reject rejecter
	refill time.Duration // after which an empty bucket is full again

	mu     sync.Mutex
	held   int64 // bytes of bodies
	known  map[string]*user
	recent *list.List // of *user; whoever came or went last is at the front
}

// A user is guarded by its table's lock.
type user struct {
	id      string
	place   *list.Element
	bucket  *rate.Limiter
	serving int // calls and streams
	short   int // HTTP requests that have no place: see lease
	held    int64
	seen    time.Time // when it last came or went
	warned  time.Time
}

func newUsers(l Limits, now func() time.Time, reject rejecter) *users {
	refill := float64(l.Burst) / l.RequestsPerSecond * float64(time.Second)
	return &users{
		limits: l, now: now, reject: reject, refill: time.Duration(min(refill, math.MaxInt64/2)),
		known: map[string]*user{}, recent: list.New(),
	}
}

// limit refuses requests of users that are over their limits. It belongs inside
// the verifier's middleware.
func (t *users) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := callOf(r.Context())
		places := 0
		if r.Method == http.MethodGet { // a stream
			places = 1
		}
		l, wait := t.admit(a.caller.UserID(), places)
		if wait > 0 {
			t.refuse(w, r, l.user, wait, t.tooMany())
			return
		}
		defer l.close()
		a.lease = l
		next.ServeHTTP(w, r)
	})
}

// A lease is what one HTTP request takes of its user's limits: a place for a stream
// or for each of its calls. With sessions a call goes on when the client hangs up, and
// keeps its place until it ends. A lease is guarded by the table's lock.
//
// What is short has no place: a request whose body is still to come, notifications and
// answers, the end of a session. There may be as many of them as there are places: a
// user whose calls have taken all of those can cancel them.
type lease struct {
	table   *users
	user    *user
	short   bool
	places  int
	running int  // calls that the receiving middleware is at
	over    bool // the HTTP request is
	held    int64
	after   []func()
}

// admit counts a request of the user that takes so many places, or is short, or says
// after which time to try again.
func (t *users) admit(id string, places int) (*lease, time.Duration) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(now)
	u := t.known[id]
	if u == nil {
		u = &user{id: id, bucket: rate.NewLimiter(rate.Limit(t.limits.RequestsPerSecond), t.limits.Burst)}
		u.place = t.recent.PushFront(u)
		t.known[id] = u
	}
	t.touch(u, now)
	l := &lease{table: t, user: u}
	if places == 0 && u.short >= t.limits.Concurrent {
		return l, time.Second
	}
	wait := l.take(1, places, now)
	if wait == 0 && places == 0 {
		l.short = true
		u.short++
	}
	return l, wait
}

// settle counts n more messages of the request, once all of its messages are known, and
// takes places for all of its calls or for none. If there is no room, it returns the time
// to wait before trying again.
func (l *lease) settle(n, calls int) time.Duration {
	now := l.table.now()
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	wait := l.take(n, calls, now)
	if wait == 0 && calls > 0 {
		l.endShort()
	}
	return wait
}

func (l *lease) take(messages, places int, now time.Time) (wait time.Duration) {
	limits, u := l.table.limits, l.user
	switch {
	case places > 0 && u.serving+places > limits.Concurrent:
		return time.Second // when one ends is unknown
	case !u.bucket.AllowN(now, messages):
		missing := float64(messages) - u.bucket.TokensAt(now)
		return max(1, time.Duration(min(missing/limits.RequestsPerSecond*float64(time.Second), math.MaxInt64/2)))
	}
	u.serving += places
	l.places += places
	return 0
}

func (l *lease) endShort() {
	if l.short {
		l.short = false
		l.user.short--
	}
}

// close ends the HTTP request. Calls that are still running keep their places.
func (l *lease) close() {
	now := l.table.now()
	l.table.mu.Lock()
	l.over = true
	l.endShort()
	l.give(max(0, l.places-l.running), now)
	l.unlock()
}

// afterwards has f called once the request is over and none of its calls runs.
func (l *lease) afterwards(f func()) {
	l.table.mu.Lock()
	l.after = append(l.after, f)
	l.unlock()
}

// unlock unlocks the table, and calls what is due.
func (l *lease) unlock() {
	var due []func()
	if l.over && l.running == 0 {
		due, l.after = l.after, nil
		l.letGo()
	}
	l.table.mu.Unlock()
	for _, f := range due {
		f()
	}
}

// begin notes that a call of the request runs. A call that starts only after its client
// hung up needs a new place, and there may be none.
func (l *lease) begin() bool {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	if l.running >= l.places {
		if l.user.serving >= l.table.limits.Concurrent {
			return false
		}
		l.user.serving++
		l.places++
	}
	l.running++
	return true
}

// end is the end of a call that has begun.
func (l *lease) end() {
	now := l.table.now()
	l.table.mu.Lock()
	if l.running--; l.over && l.running < l.places {
		l.give(1, now)
	}
	l.unlock()
}

// give returns n places.
func (l *lease) give(n int, now time.Time) {
	l.places -= n
	l.user.serving -= n
	l.table.touch(l.user, now)
}

// counted is a stage of servers with sessions: a call counts until it has ended.
func (t *users) counted(m *message) error {
	if m.call == nil || m.call.lease == nil || strings.HasPrefix(m.method, "notifications/") { // not by HTTP, or short
		return nil
	}
	if !m.call.lease.begin() {
		return &jsonrpc.Error{Code: codeBusy, Message: t.limits.busy()}
	}
	m.counted = true
	return nil
}

// ended is the other half of counted.
func (t *users) ended(m *message) {
	if m.counted {
		m.call.lease.end()
	}
}

func (t *users) touch(u *user, now time.Time) {
	u.seen = now
	t.recent.MoveToFront(u.place)
}

// forget evicts users from the back of the list: those whose bucket would be full and,
// beyond maxIdleUsers, those idle for the longest. Two steps for each request keep up
// with one new user for each request.
func (t *users) forget(now time.Time) {
	for range 2 {
		last := t.recent.Back()
		if last == nil {
			return
		}
		u := last.Value.(*user)
		switch {
		case u.serving+u.short > 0 || u.held > 0: // a stream that has been open for long
			t.recent.MoveToFront(last)
		case now.Sub(u.seen) >= t.refill || len(t.known) > maxIdleUsers:
			t.recent.Remove(last)
			delete(t.known, u.id)
		default:
			return
		}
	}
}

func (t *users) tooMany() rejection {
	return rejection{http.StatusTooManyRequests, codeBusy, "too_many_requests", t.limits.busy()}
}

// refuse answers 429, or 503. The log has one line a second for each user.
func (t *users) refuse(w http.ResponseWriter, r *http.Request, u *user, wait time.Duration, why rejection) {
	w.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
	w.Header().Set("Cache-Control", "no-store")
	if !t.warn(u) {
		mcpauth.WriteRefusal(w, r, why.status, why.code, why.reason, why.message)
		return
	}
	t.reject(w, r, why, slog.Duration("retry_after", wait))
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
