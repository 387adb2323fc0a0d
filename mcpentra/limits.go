package mcpentra

import (
	"container/list"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// Limits limits what one user and one client may use. Zero fields have defaults, which are far
// above what people and agents need.
type Limits struct {
	// RequestsPerSecond is a user's average number of requests per second. Requests beyond it get
	// 429 and Retry-After. Defaults to 100.
	RequestsPerSecond float64
	// Burst is how many requests a user may send at once after a pause. Defaults to 200.
	Burst int
	// Concurrent is how many calls a user may have in progress, including open streams. Calls
	// beyond it get 429 and Retry-After. Defaults to 64. Each call of a JSON-RPC batch (at most 32
	// messages, protocol 2025-03-26) counts here, and each message counts in RequestsPerSecond.
	// With sessions, a call counts until it ends, even if its client hangs up. Notifications,
	// responses, and the DELETE of a session have a separate limit of the same size, so that a
	// user can always cancel.
	Concurrent int
	// Sessions is how many sessions a user may have with [WithSessions]. One more ends the user's
	// oldest. Defaults to 32.
	Sessions int
	// AllSessions is how many sessions all users together may have; beyond it the
	// oldest session of the user with the most ends to make room for a user with fewer.
	// If no user has at least two more than the newcomer, it is refused with 503 and
	// Retry-After. Defaults to 4,096.
	AllSessions int
	// BodyBytes is the maximum size of a request's body. Larger ones get 413. Defaults to 4 MiB.
	// All bodies of a user's requests in progress may have 32 MiB together, or twice BodyBytes if
	// that is more; those of all users 256 MiB, or 16 times BodyBytes.
	BodyBytes int64
	// BodyTimeout is how long a request's body may take to arrive. Slower ones get 408. Defaults
	// to 30 seconds.
	BodyTimeout time.Duration
	// WriteTimeout is how long a client may take to read each write of an answer. Slower clients
	// lose the connection. It limits neither calls nor streams. Defaults to 30 seconds.
	WriteTimeout time.Duration
	// DrainTimeout is how long calls in progress may continue after the context of [Server.Serve]
	// ends. Defaults to 25 seconds: Kubernetes and Azure Container Apps kill a process 30 seconds
	// after telling it to stop.
	DrainTimeout time.Duration
}

// The maximum of a limit: for a count or size, and for a time-out.
const (
	maxLimit   = 1 << 30
	maxTimeout = 24 * time.Hour
)

// check returns an error for each field that is out of range.
func (l Limits) check() error {
	var faults []error
	for _, field := range []struct {
		name        string
		value, most float64
	}{
		{"RequestsPerSecond", l.RequestsPerSecond, maxLimit},
		{"Burst", float64(l.Burst), maxLimit},
		{"Concurrent", float64(l.Concurrent), maxLimit},
		{"Sessions", float64(l.Sessions), maxLimit},
		{"AllSessions", float64(l.AllSessions), maxLimit},
		{"BodyBytes", float64(l.BodyBytes), maxLimit},
		{"BodyTimeout", l.BodyTimeout.Seconds(), maxTimeout.Seconds()},
		{"WriteTimeout", l.WriteTimeout.Seconds(), maxTimeout.Seconds()},
		{"DrainTimeout", l.DrainTimeout.Seconds(), maxTimeout.Seconds()},
	} {
		if inside := field.value >= 0 && field.value <= field.most; !inside { // false for NaN
			faults = append(faults, fmt.Errorf("%s is %g: it must be positive, and at most %.0f; a limit can't be turned off", field.name, field.value, field.most))
		}
	}
	return errors.Join(faults...)
}

// withDefaults replaces zero fields by their defaults.
func (l Limits) withDefaults() Limits {
	setDefault(&l.RequestsPerSecond, 100)
	setDefault(&l.Burst, 200)
	setDefault(&l.Concurrent, 64)
	setDefault(&l.Sessions, 32)
	setDefault(&l.AllSessions, 4096)
	setDefault(&l.BodyBytes, 4<<20)
	setDefault(&l.BodyTimeout, 30*time.Second)
	setDefault(&l.WriteTimeout, 30*time.Second)
	setDefault(&l.DrainTimeout, 25*time.Second)
	return l
}

// busy returns the text for a user who is over the limits.
func (l Limits) busy() string {
	return fmt.Sprintf("Too many requests: a user may make %g a second and %d at a time; each message of a batch counts. "+
		"Wait as long as Retry-After says, then try again, with smaller batches", l.RequestsPerSecond, l.Concurrent)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// maxIdleUsers limits how many users without a request in progress are remembered.
const maxIdleUsers = 10_000

// users tracks what each user uses. A user idle long enough for their bucket to refill is evicted
// when requests of others arrive.
type users struct {
	limits Limits
	now    func() time.Time
	refill time.Duration // time in which an empty bucket refills

	mu     sync.Mutex
	rates  rates
	held   int64 // bytes of request bodies
	known  map[string]*user
	recent *list.List // of *user; most recent first
}

// A user is guarded by the lock of users.
type user struct {
	id      string
	place   *list.Element
	bucket  bucket
	serving int // calls and streams
	short   int // HTTP requests without a place: see lease
	held    int64
	seen    time.Time // when the last request came or ended
	warned  time.Time
}

func newUsers(l Limits, now func() time.Time) *users {
	refill := float64(l.Burst) / l.RequestsPerSecond * float64(time.Second)
	t := &users{
		limits: l, now: now, refill: time.Duration(min(refill, math.MaxInt64/2)),
		known: map[string]*user{}, recent: list.New(),
	}
	t.rates = rates{limits: l, lock: &t.mu, now: now, end: func() {}}
	return t
}

// A lease is an HTTP request's part of its user's limits: a place for a stream or for each of its
// calls. With sessions, a call continues when the client hangs up, and keeps its place until it
// ends. A lease is guarded by the lock of users.
//
// Short requests have no place: requests whose body is still to come, notifications and responses,
// and the end of a session. Their number has the same limit as places, so a user whose calls have
// taken all places can still cancel them.
type lease struct {
	table   *users
	user    *user
	short   bool
	places  int
	running int  // calls inside the receiving middleware
	over    bool // the HTTP request has ended
	held    int64
	after   []func()
}

// admit counts a user's request, which takes the given number of places or is short, and
// initializes its lease l. If there is no room, it returns the time to wait before trying again.
func (t *users) admit(l *lease, id string, places int) time.Duration {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(now)
	u := t.known[id]
	if u == nil {
		u = &user{id: id, bucket: t.rates.newBucket(id)}
		u.place = t.recent.PushFront(u)
		t.known[id] = u
	}
	t.touch(u, now)
	l.table, l.user = t, u
	if places == 0 {
		if u.short >= t.limits.Concurrent {
			return time.Second
		}
		l.short = true
		u.short++
	}
	wait := l.take(1, places, now)
	if wait > 0 {
		l.endShort()
	}
	return wait
}

// settle counts n more messages of the request when all its messages are known, and takes places
// for all of its calls or for none. If there is no room, it returns the time to wait before trying
// again.
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
	u := l.user
	if places > 0 && u.serving+places > l.table.limits.Concurrent {
		return time.Second // it is unknown when a call ends
	}
	u.serving += places // first: spend may unlock users
	if wait = l.table.rates.spend(&u.bucket, messages, now); wait > 0 {
		u.serving -= places
		return wait
	}
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

// afterwards arranges to call f when the request has ended and none of its calls is running.
func (l *lease) afterwards(f func()) {
	l.table.mu.Lock()
	l.after = append(l.after, f)
	l.unlock()
}

// unlock unlocks users and runs the callbacks that are due.
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

// begin records that a call of the request is running. A call that starts after its client hung up
// needs a new place, and begin fails if there is none.
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

// end records that a call has ended.
func (l *lease) end() {
	now := l.table.now()
	l.table.mu.Lock()
	if l.running--; l.over && l.running < l.places {
		l.give(1, now)
	}
	l.unlock()
}

// give frees n places.
func (l *lease) give(n int, now time.Time) {
	l.places -= n
	l.user.serving -= n
	l.table.touch(l.user, now)
}

func (t *users) touch(u *user, now time.Time) {
	u.seen = now
	t.recent.MoveToFront(u.place)
}

// forget evicts users from the back of the list: those whose bucket would be full and, beyond
// maxIdleUsers, those idle the longest. Two steps per request keep up even if every request comes
// from a new user.
func (t *users) forget(now time.Time) {
	for range 2 {
		last := t.recent.Back()
		if last == nil {
			return
		}
		u := last.Value.(*user)
		switch {
		case u.serving+u.short > 0 || u.held > 0: // a long-open stream
			t.recent.MoveToFront(last)
		case now.Sub(u.seen) >= max(t.refill, u.bucket.owes()) || len(t.known) > maxIdleUsers:
			t.recent.Remove(last)
			delete(t.known, u.id)
		default:
			return
		}
	}
}

// mayWarn reports whether to log that the user's requests are rejected: once per second.
func (t *users) mayWarn(u *user) bool {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(u.warned) < time.Second {
		return false
	}
	u.warned = now
	return true
}

// Limits on the bodies of requests in progress, in bytes. Serving a body takes about five times
// its size.
const (
	maxUserHeld = 32 << 20  // per user, or twice Limits.BodyBytes
	maxAllHeld  = 256 << 20 // for all users, or eight times the limit per user
	// A user may always hold freeHeld, so other users' bodies never keep out small ones.
	freeHeld = 256 << 10
)

// heldBounds returns the limits for a user and for all users.
func heldBounds(l Limits) (user, all int64) {
	user = max(maxUserHeld, 2*l.BodyBytes)
	return user, max(maxAllHeld, 8*user)
}

// Hold counts n more bytes of the request's body until its calls have ended. A user may hold at
// most as much as then remains free, so some always remains for others.
func (l *lease) Hold(n int64) *edge.Refusal {
	t, u := l.table, l.user
	t.mu.Lock()
	defer t.mu.Unlock()
	most, all := heldBounds(t.limits)
	switch has := u.held + n; {
	case has > most:
		return &edge.Refusal{Status: http.StatusTooManyRequests, Reason: "too_many_body_bytes",
			Message: fmt.Sprintf("Too many large requests at a time: the bodies of a user's requests under way may have %d bytes together. Wait until some of yours are answered, then try again", most)}
	case has > freeHeld && has > all-t.held-n:
		return &edge.Refusal{Status: http.StatusServiceUnavailable, Reason: "too_many_body_bytes_in_all",
			Message: "This server holds as many large requests as it can: try again later"}
	}
	l.held += n
	u.held += n
	t.held += n
	return nil
}

// letGo requires the lock of users.
func (l *lease) letGo() {
	l.user.held -= l.held
	l.table.held -= l.held
	l.held = 0
}
