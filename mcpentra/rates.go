package mcpentra

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A RateStore keeps a bucket of calls for each user, which the replicas of a server share. It must
// be safe for concurrent use.
type RateStore interface {
	// Take takes least to most calls, as many as there are, from the user's bucket, which holds
	// burst calls, fills by rate calls a second, and is full at first: none if it has fewer than
	// least, so that a batch that is refused uses nothing up. 1 <= least <= most <= burst. Take
	// returns how many it took; if that is fewer than most, wait is how long until the bucket has
	// least again.
	//
	// The user is a hash in hexadecimal (64 characters), the same at all replicas of a server and
	// different at other servers. The limits may change when a new version of a server starts.
	// A context ends after a second; what Take returns later is ignored.
	Take(ctx context.Context, user string, least, most int, rate float64, burst int) (taken int, wait time.Duration, err error)
}

// WithSharedRates shares [Limits].RequestsPerSecond and Burst between the replicas of a server,
// which then have one bucket for each user. The other limits, such as Concurrent, remain each
// replica's. The store of package redisstore keeps the buckets in Redis.
//
// Calls don't wait for the store. A replica leases calls from a user's bucket ahead, in the
// background, as many as the user makes there in half a second. What isn't used within a second
// lapses. A replica may also lend a user calls that it leases right after, and gets them back
// first. It never holds or lends more than a tenth of Burst, nor more than 1 % of Burst and ten
// seconds of RequestsPerSecond, so that what a user gets from all replicas together differs by at
// most that for each replica. If that is less than one call, or used up, a call waits for the
// store, 25 milliseconds at most.
//
// No call fails because the store is slow or down. After a call has waited in vain, none waits
// until the store answers in time again: each replica applies the limits by itself, and what it
// admits is taken from the bucket when the store answers. An error, or no answer within a second,
// is an outage: the store is tried once a second in the background, and what is admitted meanwhile
// is not charged. The log has a WARN at its start and an INFO at its end. At most 256 requests to
// the store run at once.
func WithSharedRates(store RateStore) Option {
	return func(c *config) error {
		if isNil(store) {
			return errors.New("WithSharedRates: the store is nil; pass one, or leave the option out")
		}
		c.rateStore = store
		return nil
	}
}

const (
	// rateWait is how long a call waits for the store.
	rateWait = 25 * time.Millisecond
	// rateTimeout is how long a request to the store may take, and ratePause how long the store is
	// left alone after a failure.
	rateTimeout, ratePause = time.Second, time.Second
	// maxAsking bounds the requests to the store that run at once, also those that hang.
	maxAsking = 256
	// leaseAhead is for how long a lease lasts if the user goes on like this, and leaseLife when
	// what is left of it lapses.
	leaseAhead, leaseLife = 500 * time.Millisecond, time.Second
	// emptyPause is how long an empty bucket is left alone, at least, unless it fills within that.
	emptyPause = 50 * time.Millisecond
)

// A bucket has the calls that a user may make: at this replica alone, and of those that replicas
// share. It is guarded by the lock of users.
type bucket struct {
	own *rate.Limiter

	name     string        // the user's, in the store
	leased   int           // calls that may be made; if negative, those that were lent
	lapses   time.Time     // when the lease does
	empty    time.Time     // when the store may have calls again
	short    int           // until then it has fewer calls than that
	waiting  int           // calls that wait for an answer
	least    int           // the fewest of them that belong together
	answered chan struct{} // closed at the answer; nil if none is to come
	asked    time.Time     // when the store was asked last
	used     int           // calls since then
}

// rates has the limits of rate. Its buckets and fields are guarded by the lock of users.
type rates struct {
	limits Limits
	lock   *sync.Mutex
	now    func() time.Time

	store    RateStore // nil without one; with it, the fields below
	resource string
	log      *slog.Logger
	most     int             // that a replica holds or lends of a user's calls
	pause    time.Duration   // how long an empty bucket is left alone
	asking   int             // requests that have not returned, even if nobody waits for them
	slow     bool            // the last call that waited did so in vain
	down     time.Time       // when the outage began; zero without one
	retry    time.Time       // when the store is tried again
	life     context.Context // of requests to the store
	end      context.CancelFunc
}

// share makes the replicas share the rates of the resource's users.
func (r *rates) share(store RateStore, resource string, log *slog.Logger) {
	r.store, r.resource, r.log = store, resource, log
	burst, perSecond := float64(r.limits.Burst), r.limits.RequestsPerSecond
	r.most = int(min(burst/10, (burst+10*perSecond)/100))
	r.pause = min(emptyPause, r.until(burst/4))
	r.life, r.end = context.WithCancel(context.Background())
}

// newBucket returns the user's bucket, which is full.
func (r *rates) newBucket(user string) bucket {
	b := bucket{own: rate.NewLimiter(rate.Limit(r.limits.RequestsPerSecond), r.limits.Burst)}
	if r.store != nil { // the store sees no user
		sum := sha256.Sum256([]byte("mcpentra rate\n" + r.resource + "\n" + user))
		b.name = hex.EncodeToString(sum[:])
	}
	return b
}

// owes returns how long a user who is idle owes calls that were lent.
func (b *bucket) owes() time.Duration {
	if b.leased < 0 {
		return time.Minute
	}
	return 0
}

// spend takes n calls from the bucket, or returns the time to wait before trying again. It may
// unlock users for up to rateWait.
func (r *rates) spend(b *bucket, n int, now time.Time) time.Duration {
	if r.store == nil || n == 0 || n > r.limits.Burst {
		return r.spendOwn(b, n, now)
	}
	var patience *time.Timer
	for {
		if b.leased > 0 && !now.Before(b.lapses) {
			b.leased = 0
		}
		empty := now.Before(b.empty) && n >= b.short
		switch {
		case !r.down.IsZero():
			if b.leased = 0; !now.Before(r.retry) {
				r.ask(b, 1, now)
			}
			return r.spendOwn(b, n, now)
		case b.leased >= n || !empty && b.leased-n >= -r.most:
			r.use(b, n, now)
			if ahead := r.ahead(b, now); !empty && b.leased < (ahead+1)/2 {
				r.ask(b, ahead, now)
			}
			return 0
		case empty:
			return b.empty.Sub(now) + r.until(float64(n-b.short-max(0, b.leased)))
		}
		if b.waiting == 0 {
			b.least = n
		}
		b.waiting += n
		b.least = min(b.least, n)
		r.ask(b, r.ahead(b, now), now)
		if r.slow || b.answered == nil {
			b.waiting -= n
			return r.lend(b, n, now)
		}
		if patience == nil {
			patience = time.NewTimer(rateWait)
			defer patience.Stop()
		}
		r.await(b.answered, patience.C)
		b.waiting -= n
		now = r.now()
	}
}

// use takes n leased calls. This replica's own bucket has them too, for an outage.
func (r *rates) use(b *bucket, n int, now time.Time) {
	b.leased -= n
	b.used += n
	b.own.AllowN(now, n)
}

// lend takes n calls from this replica's own bucket, which the store is owed, unless the store has
// answered that the user has none, within the time in which a bucket fills.
func (r *rates) lend(b *bucket, n int, now time.Time) time.Duration {
	if owed := n - b.leased; now.Sub(b.empty) < r.until(float64(r.limits.Burst)) || owed > r.limits.Burst {
		return r.until(float64(owed))
	}
	wait := r.spendOwn(b, n, now)
	if wait == 0 {
		b.leased -= n
		b.used += n
	}
	return wait
}

// spendOwn takes n calls from this replica's own bucket.
func (r *rates) spendOwn(b *bucket, n int, now time.Time) time.Duration {
	if b.own.AllowN(now, n) {
		return 0
	}
	return r.until(float64(n) - b.own.TokensAt(now))
}

// until returns the time in which a bucket gets so many calls.
func (r *rates) until(calls float64) time.Duration {
	return max(1, time.Duration(min(calls/r.limits.RequestsPerSecond*float64(time.Second), math.MaxInt64/2)))
}

// ahead returns how many calls the user makes in leaseAhead.
func (r *rates) ahead(b *bucket, now time.Time) int {
	since := max(now.Sub(b.asked), time.Millisecond)
	return int(min(float64(r.most), float64(b.used)*float64(leaseAhead)/float64(since)))
}

// await unlocks users until the answer is there or patience ends.
func (r *rates) await(answered <-chan struct{}, patience <-chan time.Time) {
	r.lock.Unlock()
	late := false
	select {
	case <-answered:
	case <-patience:
		late = true
	}
	r.lock.Lock()
	r.slow = r.slow || late
}

// A demand is a request to the store.
type demand struct {
	bucket      *bucket
	least, most int
	asked       time.Time
	settled     bool
}

// ask asks the store for what was lent, for what calls wait for and for so many more, unless the
// bucket's last request is still running.
func (r *rates) ask(b *bucket, ahead int, now time.Time) {
	if b.answered != nil || r.asking >= maxAsking {
		return
	}
	most := min(b.waiting+ahead-b.leased, r.limits.Burst)
	if most <= 0 {
		return
	}
	least := 1 // what was lent is paid by any
	if b.waiting > 0 && b.leased >= 0 {
		least = min(b.least-b.leased, most)
	}
	r.asking++
	r.retry = now.Add(ratePause)
	b.answered, b.asked, b.used = make(chan struct{}), now, 0
	go r.take(&demand{bucket: b, least: max(1, least), most: most, asked: now})
}

// take sends the demand. A store that ignores its context keeps the goroutine, and nobody waits.
func (r *rates) take(d *demand) {
	ctx, cancel := context.WithTimeout(r.life, rateTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { r.settle(d, 0, 0, ctx.Err()) })
	taken, wait, err := 0, time.Duration(0), errRateStorePanicked
	defer func() {
		_ = recover() // the value may hold anything, so don't log it
		stop()
		r.settle(d, taken, wait, err)
		r.lock.Lock()
		r.asking--
		r.lock.Unlock()
	}()
	taken, wait, err = r.store.Take(ctx, d.bucket.name, d.least, d.most, r.limits.RequestsPerSecond, r.limits.Burst)
}

var errRateStorePanicked = errors.New("the store panicked")

// settle records the answer, or that there is none. The first one counts.
func (r *rates) settle(d *demand, taken int, wait time.Duration, err error) {
	r.lock.Lock()
	if d.settled {
		r.lock.Unlock()
		return
	}
	d.settled = true
	now, began := r.now(), r.down
	close(d.bucket.answered)
	d.bucket.answered = nil
	if err != nil {
		r.retry = now.Add(ratePause)
		d.bucket.leased = max(0, d.bucket.leased)
		if began.IsZero() {
			r.down = now
		}
	} else {
		r.down = time.Time{}
		r.slow = r.slow && now.Sub(d.asked) > rateWait
		r.lease(d, min(max(taken, 0), d.most), wait, now)
	}
	r.lock.Unlock()
	switch { // not while others wait for the log
	case r.life.Err() != nil: // the server's end is no outage
	case err != nil && began.IsZero():
		r.log.Warn("the rate store fails; each replica limits users by itself", slog.Any("error", err))
	case err == nil && !began.IsZero():
		r.log.Info("the rate store works again", slog.Duration("outage", now.Sub(began)))
	}
}

// lease adds what the store gave.
func (r *rates) lease(d *demand, taken int, wait time.Duration, now time.Time) {
	b := d.bucket
	b.leased += taken
	b.lapses = now.Add(leaseLife)
	b.empty = time.Time{}
	if taken < d.most {
		wait = min(wait, r.until(float64(d.least))) // a bucket fills in its time, whatever the store says
		b.empty = now.Add(max(wait-now.Sub(d.asked), r.pause))
		b.short = d.least
	}
}

// isPaused reports whether the store has failed and would not be asked now.
func (r *rates) isPaused() bool {
	r.lock.Lock()
	defer r.lock.Unlock()
	return !r.down.IsZero() && (r.now().Before(r.retry) || r.asking >= maxAsking)
}
