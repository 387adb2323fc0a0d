package mcpentra_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A rateStore is a store in memory, which can be slow, down, or hang.
type rateStore struct {
	mu      sync.Mutex
	full    map[string]time.Time // when the user's bucket is
	asked   int
	gone    int // requests whose context ended
	delay   time.Duration
	err     error
	hangs   chan struct{} // Take ignores its context until it is closed
	panics  bool
	answers func(most int) int // in place of what is right
	wait    time.Duration      // with answers
}

func (s *rateStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *rateStore) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *rateStore) ended() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

func (s *rateStore) Take(ctx context.Context, user string, least, most int, rate float64, burst int) (int, time.Duration, error) {
	s.mu.Lock()
	s.asked++
	delay, hangs, panics := s.delay, s.hangs, s.panics
	s.mu.Unlock()
	if panics {
		panic("a secret")
	}
	if hangs != nil {
		<-hangs
		return most, 0, nil
	}
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			s.set(func() { s.gone++ })
			return 0, 0, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, 0, s.err
	}
	if s.answers != nil {
		return s.answers(most), s.wait, nil
	}
	if s.full == nil {
		s.full = map[string]time.Time{}
	}
	now, each := time.Now(), time.Duration(float64(time.Second)/rate)
	full := s.full[user]
	if full.Before(now) {
		full = now
	}
	calls := float64(burst) - float64(full.Sub(now))/float64(each)
	taken := min(most, int(math.Floor(calls+1e-6)))
	if taken < least {
		taken = 0
	}
	s.full[user] = full.Add(time.Duration(taken) * each)
	return taken, time.Duration((float64(least) - calls + float64(taken)) * float64(each)), nil
}

// replicas are tables of users that share a store.
func replicas(n int, l mcpentra.Limits, store mcpentra.RateStore, log *slog.Logger) []mcpentra.Users {
	all := make([]mcpentra.Users, n)
	for i := range all {
		all[i] = mcpentra.NewUsers(l, time.Now).Share(store, log)
	}
	return all
}

// An offer is calls that a user makes, whether those before are over or not.
type offer struct {
	user      string
	perSecond float64
	time      time.Duration
	at        func(call int) (replica int)
}

// An outcome is what became of an offer.
type outcome struct {
	admitted, refused int
	waited            int // calls that took time
	longest           time.Duration
}

func (o offer) send(replicas []mcpentra.Users) (x outcome) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range int(o.perSecond * o.time.Seconds()) {
		wg.Go(func() {
			begin := time.Now()
			release, wait := replicas[o.at(i)%len(replicas)].Admit(o.user)
			took := time.Since(begin)
			mu.Lock()
			defer mu.Unlock()
			x.longest = max(x.longest, took)
			if took > 0 {
				x.waited++
			}
			if wait > 0 {
				x.refused++
				return
			}
			x.admitted++
			release()
		})
		pass(time.Duration(float64(time.Second) / o.perSecond))
	}
	wg.Wait()
	return x
}

func inTurn(call int) int { return call }

// rateWait is how long a call may wait for the store.
const rateWait = 25 * time.Millisecond

// settle lets the last requests to the store end.
func settle() { pass(2 * time.Second) }

// At twice the limit, replicas together admit what one would, within 10 %; within 20 % if the store
// takes longer than a call waits, and the user moves from one replica to another.
func TestSharedRates(t *testing.T) {
	t.Parallel()
	for _, limits := range []mcpentra.Limits{
		{RequestsPerSecond: 100, Burst: 200}, {RequestsPerSecond: 20, Burst: 40}, {RequestsPerSecond: 10, Burst: 10}, {RequestsPerSecond: 5, Burst: 10},
		{RequestsPerSecond: 1, Burst: 200}, {RequestsPerSecond: 1000, Burst: 1000},
	} {
		limits.Concurrent = 1000
		for _, n := range []int{2, 4} {
			for _, delay := range []time.Duration{200 * time.Microsecond, 5 * time.Millisecond, 60 * time.Millisecond, 300 * time.Millisecond} {
				shareRates(t, limits, n, delay, "in turn", inTurn, 0.1)
				most := 0.1
				if delay > rateWait {
					most = 0.2
				}
				everyHalfSecond := func(call int) int { return call / int(limits.RequestsPerSecond+1) }
				shareRates(t, limits, n, delay, "moving", everyHalfSecond, most)
				shareRates(t, limits, n, delay, "mostly one", func(call int) int { return max(0, call%16-12) }, most)
			}
		}
	}
}

func shareRates(t *testing.T, limits mcpentra.Limits, n int, delay time.Duration, what string, at func(int) int, most float64) {
	t.Helper()
	name := fmt.Sprintf("%g/s, burst %d, %d replicas, %s, answers after %v", limits.RequestsPerSecond, limits.Burst, n, what, delay)
	total := float64(limits.Burst) + 10*limits.RequestsPerSecond
	synctest.Test(t, func(t *testing.T) {
		store := &rateStore{delay: delay}
		x := offer{"alice", 2 * total / 10, 10 * time.Second, at}.send(replicas(n, limits, store, slog.New(slog.DiscardHandler)))
		settle()
		off := float64(x.admitted)/total - 1
		t.Logf("%s: %d admitted, %+.1f %%, %d requests, %d waited", name, x.admitted, 100*off, store.requests(), x.waited)
		if math.Abs(off) > most || x.longest > rateWait {
			t.Errorf("%s: %d admitted, %+.1f %%, the longest wait %v; want %.0f, %.0f %% and %v at most", name, x.admitted, 100*off, x.longest, total, 100*most, rateWait)
		}
	})
}

// Users within their limits are never refused, and don't wait where the limits leave room.
func TestSharedRatesAtEase(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		limits    mcpentra.Limits
		perSecond float64
		waits     bool // the limits are too small for leases
	}{
		{mcpentra.Limits{RequestsPerSecond: 100, Burst: 200}, 90, false},
		{mcpentra.Limits{RequestsPerSecond: 100, Burst: 200}, 3, false},
		{mcpentra.Limits{RequestsPerSecond: 100, Burst: 200}, 0.2, false},
		{mcpentra.Limits{RequestsPerSecond: 20, Burst: 40}, 18, false},
		{mcpentra.Limits{RequestsPerSecond: 1, Burst: 5}, 0.9, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := &rateStore{delay: time.Millisecond}
			x := offer{"alice", row.perSecond, time.Minute, inTurn}.send(replicas(3, row.limits, store, slog.New(slog.DiscardHandler)))
			settle()
			if x.refused > 0 || (x.waited > 0) != row.waits || x.longest > time.Millisecond {
				t.Errorf("%+v, %g calls a second: %d admitted, %d refused, %d waited, %v at most; want none refused, and waiting %v", row.limits, row.perSecond, x.admitted, x.refused, x.waited, x.longest, row.waits)
			}
			t.Logf("%g calls a second: %d calls, %d requests to the store", row.perSecond, x.admitted, store.requests())
		})
	}
}

// A burst arrives at a replica that does not know the user, and all of it is admitted.
func TestSharedRatesBurst(t *testing.T) {
	t.Parallel()
	for _, limits := range []mcpentra.Limits{{RequestsPerSecond: 100, Burst: 200, Concurrent: 1000}, {RequestsPerSecond: 1, Burst: 20, Concurrent: 1000}} {
		synctest.Test(t, func(t *testing.T) {
			users := replicas(1, limits, &rateStore{delay: 2 * time.Millisecond}, slog.New(slog.DiscardHandler))
			x := offer{"alice", 1e6, time.Duration(limits.Burst) * time.Microsecond, inTurn}.send(users)
			settle()
			if x.admitted != limits.Burst || x.longest > 10*time.Millisecond {
				t.Errorf("%d of a burst of %d admitted after %v at most; want all after 10ms", x.admitted, limits.Burst, x.longest)
			}
		})
	}
}

// Batches get what they would at one replica: one that is refused uses up nothing, at whichever
// replica the client tries again.
func TestSharedRatesBatches(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		limits mcpentra.Limits
		batch  int
		every  time.Duration
	}{
		{mcpentra.Limits{RequestsPerSecond: 0.1, Burst: 10}, 5, 25 * time.Second},
		{mcpentra.Limits{RequestsPerSecond: 1, Burst: 40}, 32, 10 * time.Second},
		{mcpentra.Limits{RequestsPerSecond: 5, Burst: 10}, 10, 500 * time.Millisecond},
		{mcpentra.Limits{RequestsPerSecond: 5, Burst: 10}, 5, 500 * time.Millisecond},
		{mcpentra.Limits{RequestsPerSecond: 100, Burst: 200}, 32, 100 * time.Millisecond},
	} {
		send := func(users []mcpentra.Users) (admitted int, longest time.Duration) {
			for i := range 60 {
				release, wait := users[i%len(users)].AdmitBatch("alice", row.batch)
				if wait == 0 {
					admitted++
					release()
				}
				longest = max(longest, wait)
				pass(row.every)
			}
			settle()
			return admitted, longest
		}
		synctest.Test(t, func(t *testing.T) {
			alone, wait := send([]mcpentra.Users{mcpentra.NewUsers(row.limits, time.Now)})
			for _, n := range []int{1, 2, 4} {
				got, longest := send(replicas(n, row.limits, &rateStore{delay: time.Millisecond}, slog.New(slog.DiscardHandler)))
				if got < alone-1 || got > alone+1 || longest > wait+time.Second {
					t.Errorf("%+v, batches of %d every %v, %d replicas: %d admitted, Retry-After %v at most; want %d and %v, as without them", row.limits, row.batch, row.every, n, got, longest, alone, wait)
				}
			}
		})
	}
}

// The store sees hashes, which differ from server to server.
func TestRateStoreSeesNoUsers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &rateStore{}
		for _, user := range []string{"alice", "bob"} {
			offer{user, 10, time.Second, inTurn}.send(replicas(2, mcpentra.Limits{}, store, slog.New(slog.DiscardHandler)))
		}
		settle()
		if len(store.full) != 2 {
			t.Errorf("%d names for two users, want 2", len(store.full))
		}
		for name := range store.full {
			if len(name) != 64 || strings.Trim(name, "0123456789abcdef") != "" {
				t.Errorf("the store sees %q, want a hash", name)
			}
		}
	})
}

// BenchmarkAdmit is what counting a call costs, without a store and with one.
func BenchmarkAdmit(b *testing.B) {
	limits := mcpentra.Limits{RequestsPerSecond: 1e8, Burst: 1e8}
	for name, users := range map[string]mcpentra.Users{
		"own":    mcpentra.NewUsers(limits, time.Now),
		"shared": mcpentra.NewUsers(limits, time.Now).Share(&rateStore{}, slog.New(slog.DiscardHandler)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				release, wait := users.Admit("alice")
				if wait > 0 {
					b.Fatalf("must wait %v, want 0", wait)
				}
				release()
			}
		})
	}
}
