package blobtool

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxRatedUsers limits the memory for users. A user who has not written for a minute needs none.
const maxRatedUsers = 10_000

// writeRates bounds how often a set writes.
type writeRates struct {
	perUser int // a minute; -1: no bound
	now     func() time.Time

	mu    sync.Mutex
	total *rate.Limiter // nil: no bound
	users map[string]*rate.Limiter
}

func newWriteRates(perUser, total int, now func() time.Time) *writeRates {
	r := &writeRates{perUser: perUser, now: now, users: map[string]*rate.Limiter{}}
	if total > 0 {
		r.total = perMinute(total)
	}
	return r
}

func perMinute(n int) *rate.Limiter { return rate.NewLimiter(rate.Limit(float64(n)/60), n) }

// copiedBytes is how much of a copy counts as one write: a copy is one call, and may be large.
const copiedBytes = 64 << 20

// take counts n writes of that user, or returns why they must wait. What the user's bound refuses
// takes nothing from the others.
func (r *writeRates) take(user string, n int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.perUser > 0 && !r.of(user, now).AllowN(now, min(n, r.perUser)) {
		return failuref(ErrThrottled, "You have made as many writes as this server allows a user, %d a minute; a large copy counts as several. Nothing was changed. Wait a little, then call again.", r.perUser)
	}
	if r.total != nil && !r.total.AllowN(now, min(n, r.total.Burst())) {
		return failuref(ErrThrottled, "This server has reached its limit of writes by all users. Nothing was changed. Wait a little, then call again.")
	}
	return nil
}

// of returns a user's limiter. If there are too many, those of users who may write as much as ever
// are forgotten, or else that of the user who has written least.
func (r *writeRates) of(user string, now time.Time) *rate.Limiter {
	limiter := r.users[user]
	if limiter != nil {
		return limiter
	}
	if len(r.users) >= maxRatedUsers {
		least, most := "", -1.0
		for other, l := range r.users {
			left := l.TokensAt(now)
			if left >= float64(l.Burst()) {
				delete(r.users, other)
			} else if left > most {
				least, most = other, left
			}
		}
		if len(r.users) >= maxRatedUsers {
			delete(r.users, least)
		}
	}
	limiter = perMinute(r.perUser)
	r.users[user] = limiter
	return limiter
}
