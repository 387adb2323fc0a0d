package mcpentra

import (
	"container/list"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// Limits bounds what one user and one client may use. A zero field means its default.
// The defaults are far above what people and agents need.
type Limits struct {
	// RequestsPerSecond is how many requests a user may make per second on average;
	// more are refused with 429 and Retry-After. Defaults to 100.
	RequestsPerSecond float64
	// Burst is how many requests a user may make at once after a pause.
	// Defaults to 200.
	Burst int
	// Concurrent is how many calls of a user may be under way at a time, open
	// streams included; beyond it they are refused with 429 and Retry-After.
	// Defaults to 64. Each call of a JSON-RPC batch (at most 32 messages, protocol
	// 2025-03-26) counts here, and each message in RequestsPerSecond. With sessions a
	// call counts until it has ended, even if its client hung up. Notifications, answers and the
	// DELETE of a session do not count here, so that a user can always cancel; they have a
	// limit of their own, of the same size.
	Concurrent int
	// Sessions is how many sessions a user may have, with [WithSessions]; the oldest
	// ends when there is one more. Defaults to 32.
	Sessions int
	// AllSessions is how many sessions all users together may have; beyond it the
	// oldest session of the user with the most ends to make room for a user with fewer.
	// If no user has at least two more than the newcomer, it is refused with 503 and
	// Retry-After. Defaults to 4,096.
	AllSessions int
	// BodyBytes is the largest request body that is accepted, in bytes; a larger one is
	// refused with 413. Defaults to 4 MiB. The bodies of a user's requests under way may have 32
	// MiB together, or twice this; those of all users 256 MiB, or 16 times this.
	BodyBytes int64
	// BodyTimeout is how long a request's body may take to arrive; what takes
	// longer is refused with 408. Defaults to 30 seconds.
	BodyTimeout time.Duration
	// WriteTimeout is how long a client may take to read each piece of an answer;
	// a slower client loses the connection. It bounds neither calls nor streams.
	// Defaults to 30 seconds.
	WriteTimeout time.Duration
	// DrainTimeout is how long [Server.Serve] lets calls under way go on after its
	// context has ended. Defaults to 25 seconds: Kubernetes and Azure Container
	// Apps kill a process 30 seconds after they told it to stop.
	DrainTimeout time.Duration
}

// The largest values of a limit: for a count or a size, and for a time-out.
const (
	maxLimit   = 1 << 30
	maxTimeout = 24 * time.Hour
)

// check returns an error for each field that is out of bounds.
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
		if inside := field.value >= 0 && field.value <= field.most; !inside { // NaN too
			faults = append(faults, fmt.Errorf("WithLimits: %s is %g: it must be positive, and at most %.0f; a limit can't be turned off", field.name, field.value, field.most))
		}
	}
	return errors.Join(faults...)
}

// withDefaults fills the fields that are zero.
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

// busy is the text for a user who is over the limits.
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

// maxIdleUsers is how many users are remembered that have no request under way.
const maxIdleUsers = 10_000

// users counts what each user uses. A user idle long enough for their bucket to
// refill is evicted when requests of others arrive.
type users struct {
	limits Limits
	now    func() time.Time
	refill time.Duration // after which an empty bucket is full again

	mu     sync.Mutex
	held   int64 // bytes of bodies
	known  map[string]*user
	recent *list.List // of *user; most recent first
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

func newUsers(l Limits, now func() time.Time) *users {
	refill := float64(l.Burst) / l.RequestsPerSecond * float64(time.Second)
	return &users{
		limits: l, now: now, refill: time.Duration(min(refill, math.MaxInt64/2)),
		known: map[string]*user{}, recent: list.New(),
	}
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

// admit counts a request of the user that takes so many places, or is short, and makes l
// its lease, or returns after which time to try again.
func (t *users) admit(l *lease, id string, places int) time.Duration {
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
	l.table, l.user = t, u
	if places == 0 && u.short >= t.limits.Concurrent {
		return time.Second
	}
	wait := l.take(1, places, now)
	if wait == 0 && places == 0 {
		l.short = true
		u.short++
	}
	return wait
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

// mayWarn reports whether the log should have a line for the user, who is refused: one a
// second.
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

// The bounds on the bodies of requests under way, in bytes. A body costs about five
// times its size while it is served.
const (
	maxUserHeld = 32 << 20  // of a user, or twice Limits.BodyBytes
	maxAllHeld  = 256 << 20 // of all users, or eight times as much as of one
	// freeHeld is what a user may always hold: others' bodies never keep out small ones.
	freeHeld = 256 << 10
)

// heldBounds are the bounds for a user and for all.
func heldBounds(l Limits) (user, all int64) {
	user = max(maxUserHeld, 2*l.BodyBytes)
	return user, max(maxAllHeld, 8*user)
}

// Hold counts n more bytes of the request's body, until its calls are over. A user may
// hold as much as is then still free, so some is always left for others.
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

// letGo is called with the table's lock.
func (l *lease) letGo() {
	l.user.held -= l.held
	l.table.held -= l.held
	l.held = 0
}
