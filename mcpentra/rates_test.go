package mcpentra_test

import (
	"context"
	"errors"
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
	delay   time.Duration
	err     error
	hangs   chan struct{} // Take ignores its context until it is closed
	panics  bool
	answers func(want int) int // in place of what is right
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

func (s *rateStore) Take(ctx context.Context, user string, want int, rate float64, burst int) (int, time.Duration, error) {
	s.mu.Lock()
	s.asked++
	delay, hangs, panics := s.delay, s.hangs, s.panics
	s.mu.Unlock()
	if panics {
		panic("a secret")
	}
	if hangs != nil {
		<-hangs
		return want, 0, nil
	}
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, 0, s.err
	}
	if s.answers != nil {
		return s.answers(want), 0, nil
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
	taken := min(want, int(math.Floor(calls+1e-6)))
	s.full[user] = full.Add(time.Duration(taken) * each)
	return taken, time.Duration((1 - calls + float64(taken)) * float64(each)), nil
}

// replicas are tables of users that share a store.
func replicas(n int, l mcpentra.Limits, store mcpentra.RateStore, log *slog.Logger) []mcpentra.Users {
	all := make([]mcpentra.Users, n)
	for i := range all {
		all[i] = mcpentra.NewUsers(l, time.Now).Share(store, log)
	}
	return all
}

// offer sends so many calls a second for a while, in turn to each replica, and returns how many
// were admitted and the longest that a call took. Calls don't wait for each other.
func offer(replicas []mcpentra.Users, user string, perSecond float64, most time.Duration) (admitted int, longest time.Duration) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	end := time.Now().Add(most)
	for i := 0; time.Now().Before(end); i++ {
		wg.Go(func() {
			begin := time.Now()
			release, wait := replicas[i%len(replicas)].Admit(user)
			took := time.Since(begin)
			mu.Lock()
			defer mu.Unlock()
			longest = max(longest, took)
			if wait == 0 {
				admitted++
				release()
			}
		})
		time.Sleep(time.Duration(float64(time.Second) / perSecond))
	}
	wg.Wait()
	time.Sleep(2 * time.Second) // for the last requests
	return admitted, longest
}

func TestSharedRates(t *testing.T) {
	t.Parallel()
	for _, limits := range []mcpentra.Limits{
		{RequestsPerSecond: 100, Burst: 200}, {RequestsPerSecond: 20, Burst: 40}, {RequestsPerSecond: 10, Burst: 10}, {RequestsPerSecond: 5, Burst: 10},
		{RequestsPerSecond: 100, Burst: 1}, {RequestsPerSecond: 1, Burst: 200}, {RequestsPerSecond: 1000, Burst: 1000},
	} {
		for _, n := range []int{1, 2, 4, 8} {
			for _, delay := range []time.Duration{200 * time.Microsecond, 5 * time.Millisecond, 60 * time.Millisecond} {
				synctest.Test(t, func(t *testing.T) {
					store := &rateStore{delay: delay}
					limits.Concurrent = 1000
					admitted, longest := offer(replicas(n, limits, store, slog.New(slog.DiscardHandler)), "alice", 2*limits.RequestsPerSecond+float64(limits.Burst)/10, 10*time.Second)
					want := float64(limits.Burst) + 10*limits.RequestsPerSecond
					t.Logf("%g/s, burst %d, %d replicas, store %v: %d admitted, %+.1f %%, %d requests, longest %v", limits.RequestsPerSecond, limits.Burst, n, delay, admitted, 100*(float64(admitted)/want-1), store.requests(), longest)
				})
			}
		}
	}
	_ = errors.New
	_ = fmt.Sprint
	_ = strings.Cut
}
