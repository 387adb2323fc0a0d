package obo

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxTurns is how many exchanges of one user run at once, whatever their tokens:
	// this many requests can be in flight before the first refusal is known.
	maxTurns = 8
	// maxLine bounds one user's exchanges, waiting ones included: an exchange outlives
	// its caller, so the number of callers is no bound.
	maxLine = 256
)

// turns limits the exchanges of one user that run at once. No user waits for another.
type turns struct {
	mu    sync.Mutex
	users map[string]*line
}

// A line queues one user's exchanges. It exists while there are any.
type line struct {
	places chan struct{}
	length int // running and waiting
}

// take waits for the user's turn, which the caller must give back.
func (t *turns) take(ctx context.Context, user string) (giveBack func(), err *Error) {
	l := t.join(user)
	if l == nil {
		return nil, &Error{Kind: ErrThrottled, RetryAfter: refusalLife,
			Problem: "too many requests to Entra ID for this user are waiting", Remedy: "wait, then try again"}
	}
	select {
	case l.places <- struct{}{}:
		return func() { <-l.places; t.leave(user, l) }, nil
	case <-ctx.Done():
		t.leave(user, l)
		return nil, &Error{Kind: ErrUnavailable, cause: ctx.Err(),
			Problem: "other requests to Entra ID for this user have not been answered", Remedy: "try again in a moment"}
	}
}

// join returns the user's line, or nil if it is full.
func (t *turns) join(user string) *line {
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
		return nil
	}
	l.length++
	return l
}

func (t *turns) leave(user string, l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.length--; l.length == 0 {
		delete(t.users, user)
	}
}

const (
	// refusalLife is how long Entra's refusal is the answer to the same request of
	// the same token: long enough that a failing user costs a request or two a
	// second, short enough that nobody waits for what has changed.
	refusalLife = 2 * time.Second
	// patience is how often Entra is asked before that if the answer to the same token
	// can change: a user who has consented, or whom an administrator has let in, calls
	// once more, and that call is sent.
	patience = 2
	// maxRefusals is how many different requests of one user Entra may refuse before
	// the user's next ones are paced: one of them may be the one that works.
	maxRefusals = 5
	// maxHistories bounds the users for whom something is remembered.
	maxHistories = 4096
	// A throttled user waits as long as Entra says, within these bounds.
	minBackOff = 2 * time.Second
	maxBackOff = 5 * time.Minute
	// forgetsPerSecond bounds how often refusals are forgotten because their user, or
	// somebody, seems to have consented.
	forgetsPerSecond = 3
)

// refusals are Entra's recent refusals, by user: those that no retry changes, and how
// long to wait before asking again. Each user has a share, so that no user is refused,
// or forgotten, because of another.
type refusals struct {
	now func() time.Time

	mu        sync.Mutex
	histories map[string]*history
	sweptAt   time.Time
	// moment counts the times that something was forgotten. A refusal of before is void.
	moment    uint64
	consented uint64 // the last moment at which somebody, unknown who, had consented
	pace      pace
}

// history is what is remembered of one user.
type history struct {
	refused   map[cacheKey]refused
	forgotten uint64 // the moment at which the user's refusals were last forgotten
	pace      pace
	beyond    pace // of requests beyond maxRefusals
	passing   int  // failures in a row of which each may pass
	later     *Error
	quietFrom time.Time
	quiet     time.Duration
	end       time.Time // from then on there is nothing of interest
}

type refused struct {
	err   *Error
	at    time.Time
	begun uint64 // the moment at which its request began
	times int
}

func newRefusals(now func() time.Time) *refusals {
	return &refusals{now: now, histories: map[string]*history{}}
}

// admit returns the refusal of a request that is not to be made, or the moment of
// its beginning, for settle.
func (r *refusals) admit(user string, key cacheKey) (begun uint64, known *Error) {
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
			Problem: "Entra ID refuses too many different requests for this user at the moment",
			Remedy:  "look at the earlier failures, which say why; then try again"}
	}
	return r.moment, nil
}

// void reports whether something has happened since the refused request began that
// may have changed the answer.
func (r *refusals) void(h *history, old refused) bool {
	return old.begun < h.forgotten || old.begun < r.consented && errors.Is(old.err, ErrConsentRequired)
}

// leftAlone is the error while Entra is not asked for the user.
func (h *history) leftAlone(rest time.Duration) *Error {
	e := h.later
	return &Error{
		Kind: e.Kind, AADSTS: e.AADSTS, OAuthError: e.OAuthError, Resource: e.Resource, CorrelationID: e.CorrelationID, TraceID: e.TraceID,
		Problem: e.Problem + ", so it is not asked for this user at the moment", Remedy: e.Remedy,
		RetryAfter: max(rest, time.Second), cause: e.cause,
	}
}

// leaveAlone lets the user wait.
func (h *history) leaveAlone(e *Error, now time.Time, d time.Duration) {
	if lasts(h.quietFrom, h.quiet, now) && lasts(h.quietFrom, h.quiet, now.Add(d)) {
		return // it lasts longer already
	}
	h.later, h.quietFrom, h.quiet = e, now, d
	h.lives(now.Add(d))
}

// settle notes what came of a request that was admitted; e is nil if there is a token.
func (r *refusals) settle(user string, key cacheKey, begun uint64, e *Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	switch {
	case e == nil: // so what was refused before may be granted too
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
		if h.passing++; h.passing >= circuitThreshold { // for others it may work
			h.leaveAlone(e, now, min(max(e.RetryAfter, circuitPause), maxBackOff))
		}
	default:
		h := r.history(user, now)
		h.passing = 0
		times := 1
		if old, ok := h.refused[key]; ok && lasts(old.at, refusalLife, now) && !r.void(h, old) {
			times += old.times
		}
		h.refused[key] = refused{e, now, begun, times}
		h.lives(now.Add(refusalLife))
	}
}

// forget drops the refusals of a user who may have consented; of "", which is
// nobody, all users' for lack of consent. It is paced, for whoever asks for it may
// be the one whose requests are refused.
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
	h.lives(now.Add(exchangeTimeout)) // for the requests that are on their way
}

// drop voids everything that was refused to a user so far.
func (r *refusals) drop(h *history) {
	r.moment++
	h.forgotten = r.moment
	clear(h.refused)
}

func (h *history) lives(until time.Time) {
	if until.After(h.end) {
		h.end = until
	}
}

// history returns the user's history, a new one if there is none. At the bound an
// arbitrary one is dropped: each user has only one, so no user can drive out the others.
func (r *refusals) history(user string, now time.Time) *history {
	if h := r.histories[user]; h != nil {
		return h
	}
	if len(r.histories) >= maxHistories || !lasts(r.sweptAt, refusalLife, now) {
		r.sweep(now)
	}
	h := &history{refused: map[cacheKey]refused{}}
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

// pace lets forgetsPerSecond events through.
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
