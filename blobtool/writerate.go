package blobtool

import (
	"maps"
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

// take counts a write of that user, or returns why it must wait. A write that the user's bound
// refuses takes nothing from the others.
func (r *writeRates) take(user string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if !r.user(user, now) {
		return failuref(ErrThrottled, "You have made %d writes within a minute, the most that this server allows a user. Wait a little, then call again.", r.perUser)
	}
	if r.total != nil && !r.total.AllowN(now, 1) {
		return failuref(ErrThrottled, "This server has reached its limit of writes by all users. Wait a little, then call again.")
	}
	return nil
}

func (r *writeRates) user(user string, now time.Time) bool {
	if r.perUser < 0 {
		return true
	}
	limiter := r.users[user]
	if limiter == nil {
		if len(r.users) >= maxRatedUsers {
			maps.DeleteFunc(r.users, func(_ string, l *rate.Limiter) bool { return l.TokensAt(now) >= float64(l.Burst()) })
		}
		if len(r.users) >= maxRatedUsers {
			return false
		}
		limiter = perMinute(r.perUser)
		r.users[user] = limiter
	}
	return limiter.AllowN(now, 1)
}
