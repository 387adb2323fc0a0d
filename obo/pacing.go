package obo

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxTurns is how many exchanges of one user run at once, across tokens: this many
	// requests can be in flight before the first refusal is known.
	maxTurns = 8
	// maxLine bounds one user's running and waiting exchanges. Exchanges outlive their
	// callers, so the number of callers doesn't bound them.
	maxLine = 256
)

// turns limits how many exchanges of each user run at once.
type turns struct {
	mu    sync.Mutex
	users map[string]*line
}

// A line queues one user's exchanges. It exists only while there are any.
type line struct {
	places chan struct{}
	length int // running and waiting
}

// take waits for the user's turn. The caller must give it back.
func (t *turns) take(ctx context.Context, user string) (giveBack func(), err *Error) {
	l, err := t.join(user)
	if err != nil {
		return nil, err
	}
	select {
	case l.places <- struct{}{}:
		return func() { <-l.places; t.leave(user, l) }, nil
	case <-ctx.Done():
		t.leave(user, l)
		return nil, &Error{Kind: ErrUnavailable, cause: ctx.Err(),
			Problem: "Entra ID has not answered this user's earlier requests", Remedy: "try again in a moment"}
	}
}

// join puts an exchange into the user's line, unless it is full. The caller must leave it.
func (t *turns) join(user string) (*line, *Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.users[user]
	if l == nil {
		l = &line{places: make(chan struct{}, maxTurns)}
		if t.users == nil {
			t.users = map[string]*line{}
		}
		t.users[user] = l
	}
	if l.length >= maxLine {
		return nil, &Error{Kind: ErrThrottled, RetryAfter: refusalLife,
			Problem: "too many requests for this user are waiting for Entra ID", Remedy: "wait, then try again"}
	}
	l.length++
	return l, nil
}

func (t *turns) leave(user string, l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.length--; l.length == 0 {
		delete(t.users, user)
	}
}

const (
	// refusalLife is how long Entra's refusal answers the same request with the same
	// token: long enough that a failing user costs only a request or two a second, short
	// enough that nobody notices when the answer has changed.
	refusalLife = 2 * time.Second
	// patience is how often a request is sent before that if the answer to the same
	// token can change: a user who has just consented, or got access, calls once more,
	// and that call must succeed.
	patience = 2
	// maxRefusals is how many different requests of one user Entra may refuse before
	// the user's next ones are paced. They aren't blocked, since one may succeed.
	maxRefusals = 5
	// maxHistories bounds the users with a history.
	maxHistories = 4096
	// A throttled user waits as long as Entra asks, within these bounds.
	minBackOff = 2 * time.Second
	maxBackOff = 5 * time.Minute
	// forgetsPerSecond bounds how often refusals are dropped because a user, known or
	// not, seems to have consented.
	forgetsPerSecond = 3
)

// refusals remembers, for each user, which requests Entra has just refused for good and
// how long the user must wait. Users are independent: one user's failures neither
// fail another's requests nor evict another's history.
type refusals struct {
	now func() time.Time

	mu        sync.Mutex
	histories map[string]*history
	sweptAt   time.Time
	// moment counts drops of refusals. A request that began before a drop may be
	// answered as of before it, so its refusal doesn't count.
	moment    uint64
	consented uint64 // the moment of the latest consent by an unknown user
	pace      pace
}

// history is what is remembered of one user.
type history struct {
	refused   map[cacheKey]refusedRequest
	dropped   uint64 // the moment at which the user's refusals were last dropped
	pace      pace   // of drops
	beyond    pace   // of requests beyond maxRefusals
	passing   int    // temporary failures in a row
	later     *Error // why the user must wait
	quietFrom time.Time
	quiet     time.Duration
	end       time.Time // from then on the history can be evicted
}

type refusedRequest struct {
	err   *Error
	at    time.Time
	begun uint64 // the moment at which the request began
	times int
}

func newRefusals(now func() time.Time) *refusals {
	return &refusals{now: now, histories: map[string]*history{}}
}

// admit returns an error, which is known, if the request must not be sent, and else the moment,
// which the caller must hand to settle.
func (r *refusals) admit(user string, key cacheKey) (begun uint64, e *Error) {
	begun, e = r.recall(user, key)
	if e == nil {
		return begun, nil
	}
	known := *e
	known.known = true
	return 0, &known
}

func (r *refusals) recall(user string, key cacheKey) (begun uint64, known *Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, now := r.histories[user], r.now()
	if h == nil {
		return r.moment, nil
	}
	if lasts(h.quietFrom, h.quiet, now) {
		return 0, h.leftAlone(h.quiet - now.Sub(h.quietFrom))
	}
	for k, old := range h.refused {
		if !lasts(old.at, refusalLife, now) || r.void(h, old) {
			delete(h.refused, k)
		}
	}
	switch old, ok := h.refused[key]; {
	case ok && (old.times >= patience || old.err.needsToken()):
		return 0, old.err
	case !ok && len(h.refused) >= maxRefusals && !h.beyond.allows(now):
		return 0, &Error{Kind: ErrThrottled, RetryAfter: refusalLife,
			Problem: "Entra ID refused too many different requests for this user",
			Remedy:  "look at the earlier errors, which say why, then try again"}
	}
	return r.moment, nil
}

// void reports whether something that may change the answer has happened since the
// refused request began.
func (r *refusals) void(h *history, old refusedRequest) bool {
	return old.begun < h.dropped || old.begun < r.consented && errors.Is(old.err, ErrConsentRequired)
}

// leftAlone is the error while the user must wait.
func (h *history) leftAlone(rest time.Duration) *Error {
	e := h.later
	return &Error{
		Kind: e.Kind, AADSTS: e.AADSTS, OAuthError: e.OAuthError, CorrelationID: e.CorrelationID, TraceID: e.TraceID,
		Problem: e.Problem + ", so the server is pausing requests like this one", Remedy: e.Remedy,
		RetryAfter: max(rest, time.Second), cause: e.cause,
	}
}

// leaveAlone makes the user wait.
func (h *history) leaveAlone(e *Error, now time.Time, d time.Duration) {
	if lasts(h.quietFrom, h.quiet, now) && lasts(h.quietFrom, h.quiet, now.Add(d)) {
		return // already waiting for longer
	}
	h.later, h.quietFrom, h.quiet = e, now, d
	h.lives(now.Add(d))
}

// settle records the outcome of an admitted request; e is nil if there is a token.
func (r *refusals) settle(user string, key cacheKey, begun uint64, e *Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	switch {
	case e == nil: // so Entra may grant now what it refused before
		if h := r.histories[user]; h != nil {
			h.passing = 0
			r.drop(h)
		}
	case !e.answered && !e.service: // nothing was sent
	case errors.Is(e.Kind, ErrThrottled):
		r.history(user, now).leaveAlone(e, now, min(max(e.RetryAfter, minBackOff), maxBackOff))
	case errors.Is(e.Kind, ErrUnavailable):
		h := r.history(user, now)
		h.lives(now.Add(circuitMaxPause))
		if h.passing++; h.passing >= circuitThreshold { // other users' requests may succeed
			h.leaveAlone(e, now, min(max(e.RetryAfter, circuitPause), maxBackOff))
		}
	default:
		h := r.history(user, now)
		h.passing = 0
		times := 1
		if old, ok := h.refused[key]; ok && lasts(old.at, refusalLife, now) && !r.void(h, old) {
			times += old.times
		}
		h.refused[key] = refusedRequest{e, now, begun, times}
		h.lives(now.Add(refusalLife))
	}
}

// forget drops the refusals of a user who may have consented. For the user "" it drops
// all users' refusals for lack of consent. It is paced, because the caller may be the
// very user whose requests are refused.
func (r *refusals) forget(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if user == "" {
		if r.pace.allows(now) {
			r.moment++
			r.consented = r.moment
		}
		return
	}
	h := r.history(user, now)
	if h.pace.allows(now) {
		r.drop(h)
	}
	h.lives(now.Add(exchangeTimeout)) // until requests in flight have ended
}

// drop drops a user's refusals, also those of requests in flight.
func (r *refusals) drop(h *history) {
	r.moment++
	h.dropped = r.moment
	clear(h.refused)
}

func (h *history) lives(until time.Time) {
	if until.After(h.end) {
		h.end = until
	}
}

// history returns the user's history, or a new one. When there are too many, it evicts an
// arbitrary one: each user has only one, so no user can evict the others.
func (r *refusals) history(user string, now time.Time) *history {
	if h := r.histories[user]; h != nil {
		return h
	}
	if len(r.histories) >= maxHistories || !lasts(r.sweptAt, refusalLife, now) {
		r.sweep(now)
	}
	h := &history{refused: map[cacheKey]refusedRequest{}}
	r.histories[user] = h
	return h
}

func (r *refusals) sweep(now time.Time) {
	if !lasts(r.sweptAt, refusalLife, now) {
		r.sweptAt = now
		for user, h := range r.histories {
			if !now.Before(h.end) {
				delete(r.histories, user)
			}
		}
	}
	for user := range r.histories {
		if len(r.histories) < maxHistories {
			return
		}
		delete(r.histories, user)
	}
}

// pace allows forgetsPerSecond events.
type pace struct {
	began time.Time
	count int
}

func (p *pace) allows(now time.Time) bool {
	if d := now.Sub(p.began); d >= time.Second || d < 0 {
		p.began, p.count = now, 0
	}
	p.count++
	return p.count <= forgetsPerSecond
}
