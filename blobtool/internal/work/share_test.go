package work_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// queue lets a user wait for n, and returns when the call waits. served gets the user's
// name once it has it.
func queue(t *testing.T, s *work.Share, user string, n int64, served chan<- string) {
	t.Helper()
	before := s.Waiting(user)
	go func() {
		if err := s.Take(context.Background(), user, n); err != nil {
			t.Errorf("Take(%s, %d) = %v, want nil", user, n, err)
		}
		served <- user
	}()
	for s.Waiting(user) == before {
		runtime.Gosched()
	}
}

// A user with many calls costs another one turn.
func TestShareInTurns(t *testing.T) {
	t.Parallel()
	s := work.NewShare(1, 1)
	served := make(chan string, 100)
	if err := s.Take(t.Context(), "alice", 1); err != nil {
		t.Fatal(err)
	}
	for range 64 {
		queue(t, s, "alice", 1, served)
	}
	queue(t, s, "bob", 1, served)
	queue(t, s, "carol", 1, served)
	s.Give("alice", 1)
	var order []string
	for range 66 {
		user := <-served
		order = append(order, user)
		s.Give(user, 1)
	}
	if got := strings.Join(order[:4], " "); got != "alice bob carol alice" {
		t.Errorf("served %s, want \"alice bob carol alice\"", got)
	}
	if free, users := s.State(); free != 1 || users != 0 {
		t.Errorf("%d left, %d users known; want 1, 0", free, users)
	}
}

// One user holds no more than so much, and what is too large for the moment is not passed
// by what is small.
func TestShareBounds(t *testing.T) {
	t.Parallel()
	s := work.NewShare(100, 60)
	served := make(chan string, 100)
	take := func(user string, n int64) {
		t.Helper()
		if err := s.Take(t.Context(), user, n); err != nil {
			t.Fatal(err)
		}
	}
	take("alice", 60)
	queue(t, s, "alice", 1, served) // waits for herself, and holds nobody up
	take("bob", 30)
	queue(t, s, "carol", 40, served)
	queue(t, s, "dave", 5, served) // would fit, but carol waits for more
	for _, c := range []struct {
		gives string
		n     int64
		next  string
	}{{"bob", 30, "carol"}, {"carol", 40, "dave"}, {"alice", 60, "alice"}} {
		s.Give(c.gives, c.n)
		if next := <-served; next != c.next {
			t.Errorf("after %s's, %s was served, want %s", c.gives, next, c.next)
		}
	}
}

// A call that gives up leaves nothing behind, whenever it does.
func TestShareGivingUp(t *testing.T) {
	t.Parallel()
	const size = 50
	s := work.NewShare(size, 20)
	var wg sync.WaitGroup
	for i := range 200 {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		wg.Go(func() {
			user, n := string(rune('a'+random.IntN(5))), 1+random.Int64N(20)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for range random.IntN(50) {
					runtime.Gosched()
				}
				cancel()
			}()
			if err := s.Take(ctx, user, n); err == nil {
				s.Give(user, n)
			} else if !errors.Is(err, context.Canceled) {
				t.Errorf("Take = %v, want nil or %v", err, context.Canceled)
			}
		})
	}
	wg.Wait()
	if free, users := s.State(); free != size || users != 0 {
		t.Errorf("%d left, %d users known; want %v, 0", free, users, size)
	}
}
