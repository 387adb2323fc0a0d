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

// take counts n writes of that user, or returns why they must wait. Beyond the bound of all users,
// only those wait who have had more than their share: nobody waits for another's sake.
func (r *writeRates) take(user string, n int) error {
	if r.perUser < 0 && r.total == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	own := r.of(user, now)
	if n = min(n, own.Burst()); own.TokensAt(now) < float64(n) {
		return failuref(ErrThrottled, "You have made as many writes as this server allows a user, %d a minute; a large copy counts as several. Nothing was changed. Wait a little, then call again.", own.Burst())
	}
	if r.total != nil && !r.total.AllowN(now, min(n, r.total.Burst())) && float64(own.Burst()+n)-own.TokensAt(now) > r.share(own, now) {
		return failuref(ErrThrottled, "This server has reached its limit of writes by all users. Nothing was changed. Wait a little, then call again.")
	}
	own.AllowN(now, n)
	return nil
}

// share returns how many writes a minute each of the users who write now may make.
func (r *writeRates) share(own *rate.Limiter, now time.Time) float64 {
	writing := 1
	for _, l := range r.users {
		if l != own && l.TokensAt(now) < float64(l.Burst()) {
			writing++
		}
	}
	return float64(r.total.Burst()) / float64(writing)
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
	bound := r.perUser
	if bound < 0 {
		bound = r.total.Burst()
	}
	limiter = perMinute(bound)
	r.users[user] = limiter
	return limiter
}
