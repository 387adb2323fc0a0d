//go:build unix

package soak_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	shortSoak    = 30 * time.Second // with what comes before and after, less than a minute
	deployEvery  = 40 * time.Second // or a quarter of a shorter soak
	preStop      = 2 * time.Second  // as a platform waits between the end of /ready and SIGTERM
	moreHeap     = 1.05
	enoughLooks  = 5 // in a third of the time
	moreThanIdle = 5 // goroutines or descriptors that may be left: connections that have just been closed
)

// A soak is the load, and what it is measured by.
type soak struct {
	*world
	t        *testing.T
	balancer *balancer
	book     *book
	ledger   *ledger

	gate sync.RWMutex // held for reading during each call

	mu      sync.Mutex
	deploys int
	suffers map[string]int // faults
}

// TestSoak is what the package's documentation says.
func TestSoak(t *testing.T) {
	most := shortSoak
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if most, err = time.ParseDuration(text); err != nil {
			t.Fatalf("SOAK: %v; want a duration, such as 10m", err)
		}
	}
	b := &book{}
	s := &soak{world: newWorld(t), t: t, balancer: newBalancer(), book: b, ledger: newLedger(t, b), suffers: map[string]int{}}
	told := s.settings(t, os.Getenv("SOAK_FLAW"), preStop)
	following, unfollow := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer unfollow()
	lasting, err := s.start(t.Context(), "C", told())
	must(t, err)
	wg.Go(func() { s.balancer.follow(following) })

	warm := time.Now()
	s.warmUp(t.Context())
	t.Logf("a call or two as each of %d users took %v", users, time.Since(warm).Round(time.Millisecond))
	before := s.quiet(t, lasting, state{})
	calls := lasting.calls.Load()
	var deployed [2]*replica
	for i := range deployed {
		deployed[i], err = s.start(t.Context(), string(rune('A'+i)), told())
		must(t, err)
	}
	heaps := s.run(t, most, lasting, deployed, told)
	after := s.quiet(t, lasting, before)
	calls = lasting.calls.Load() - calls

	t.Logf("%v with %d deploys, %d connections refused\n%s", most, s.deploys, s.balancer.refused, s.ledger)
	t.Logf("faults: %v", s.suffers)
	t.Logf("replica C: %d calls, %v of CPU each; %d goroutines before, %d after; %d descriptors before, %d after",
		calls, ((after.CPU - before.CPU) / time.Duration(max(calls, 1))).Round(time.Microsecond), before.Goroutines, after.Goroutines, before.Descriptors, after.Descriptors)
	if after.Goroutines > before.Goroutines+moreThanIdle || after.Descriptors > before.Descriptors+moreThanIdle {
		t.Errorf("replica C has %d goroutines and %d descriptors, want at most %d more than %d and %d", after.Goroutines, after.Descriptors, moreThanIdle, before.Goroutines, before.Descriptors)
		if text, err := lasting.look(t.Context(), "/debug/pprof/goroutine?debug=1"); err == nil {
			t.Logf("%.8000s", text)
		}
	}
	s.compare(t, heaps)
	if s.ledger.lost == 0 || s.ledger.renewed == 0 || s.ledger.streams == 0 || s.deploys == 0 {
		t.Error("the load was not what it should be: no session was lost, no token renewed, no stream opened, or nothing deployed")
	}
}

// warmUp calls once as each user, so that caches and limits have met all of them.
func (s *soak) warmUp(ctx context.Context) {
	work := make(chan *user)
	var wg sync.WaitGroup
	kinds := s.kinds()
	for range 8 {
		wg.Go(func() {
			for u := range work {
				for _, k := range kinds {
					if k.name == "who" || k.name == "save" {
						s.call(ctx, u, k)
					}
				}
			}
		})
	}
	for _, u := range s.users {
		work <- u
	}
	close(work)
	wg.Wait()
}

// run loads the replicas for a while, and returns the live heap of the one that lasts, over the time.
func (s *soak) run(t *testing.T, most time.Duration, lasting *replica, deployed [2]*replica, told func() settings) (heaps []uint64) {
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { s.callAll(ctx, i) })
	}
	for i := range 3 {
		wg.Go(func() { s.useSessions(ctx, i) })
	}
	for i := range 2 {
		wg.Go(func() { s.signIn(ctx, i) })
	}
	wg.Go(func() { s.fail(ctx) })
	wg.Go(func() { s.deploy(ctx, min(deployEvery, most/4), deployed, told) })
	for wait(ctx, min(most/24, 5*time.Second)) {
		now, err := s.pause(context.WithoutCancel(ctx), lasting)
		if err != nil {
			t.Errorf("asking replica C: %v", err)
			break
		}
		heaps = append(heaps, now.Heap)
	}
	wg.Wait()
	return heaps
}

// pause returns the replica's state between calls: what calls in progress hold is no leak, and differs from
// one moment to the next.
func (s *soak) pause(ctx context.Context, r *replica) (state, error) {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.balancer.transport.CloseIdleConnections()
	return r.state(ctx, true)
}

// deploy deploys one replica after the other until the context ends.
func (s *soak) deploy(ctx context.Context, every time.Duration, deployed [2]*replica, told func() settings) {
	for i := 0; wait(ctx, every); i++ {
		old := deployed[i%2]
		if err := old.stop(); err != nil {
			s.t.Errorf("replica %s ends with %v, want 0", old.name, err)
		}
		s.balancer.remove(old)
		started, err := s.start(context.WithoutCancel(ctx), old.name, told())
		if err != nil {
			s.t.Error(err)
			return
		}
		deployed[i%2] = started
		s.deploys++
	}
}

// start starts a replica, and waits until it is ready.
func (s *soak) start(ctx context.Context, name string, told settings) (*replica, error) {
	r, err := startReplica(s.t, name, told)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := s.balancer.add(ctx, r); err != nil {
		return nil, fmt.Errorf("replica %s is not ready: %w", name, err)
	}
	return r, nil
}

// quiet returns the replica's state once it has no more than expected, or after half a minute.
func (s *soak) quiet(t *testing.T, r *replica, expected state) (now state) {
	t.Helper()
	for range 60 {
		s.balancer.transport.CloseIdleConnections()
		earlier := now
		var err error
		now, err = r.state(t.Context(), true)
		must(t, err)
		few := now.Goroutines <= expected.Goroutines && now.Descriptors <= expected.Descriptors
		settled := expected == state{} && now.Goroutines == earlier.Goroutines && now.Descriptors == earlier.Descriptors
		if few || settled {
			break
		}
		wait(t.Context(), 500*time.Millisecond)
	}
	return now
}

// compare fails the test if the last third of the heaps is larger than the middle third. The first third
// belongs to the warm-up. Few looks, of a short soak or a busy machine, say too little to fail.
func (s *soak) compare(t *testing.T, heaps []uint64) {
	t.Helper()
	third := len(heaps) / 3
	if third == 0 {
		t.Errorf("the heap was looked at %d times, want 3 at least", len(heaps))
		return
	}
	median := func(part []uint64) float64 {
		part = slices.Clone(part)
		slices.Sort(part)
		return float64(quantile(part, 0.5)) / 1024
	}
	begin, middle, last := median(heaps[:third]), median(heaps[third:2*third]), median(heaps[2*third:])
	t.Logf("replica C: live heap %.0f KiB, then %.0f KiB, then %.0f KiB (medians of thirds, after collections)", begin, middle, last)
	if third >= enoughLooks && last > moreHeap*middle {
		t.Errorf("live heap: %.0f KiB in the last third, want at most %.2f times the %.0f KiB in the middle", last, moreHeap, middle)
	}
}

func (s *soak) counted(fault string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suffers[strings.TrimSpace(fault)]++
}
