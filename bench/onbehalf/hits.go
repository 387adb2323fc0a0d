package onbehalf

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// chunk is how long one contestant runs before the next has its turn.
const chunk = 2 * time.Millisecond

// A Cost is what a call costs that finds its user's token, in a run in which
// everybody took turns.
type Cost struct {
	// Users are as many as the contestant knows.
	Users int
	// Time is the median of one call: CPU time of the process, garbage collection included.
	Time time.Duration
	// Ratio is the median, over the rounds, of our time just before and after
	// against that of the contestant; less than 1 where ours is faster.
	Ratio float64
	// Allocs are those of one call.
	Allocs uint64
	// HeapPerUser is what one cached user takes, in bytes.
	HeapPerUser int64
	// Requests were made during the run.
	Requests int64
}

// Hits measures the contestants, ours first, each with so many users or as many
// as it can. All of their memory is held at once.
func Hits(ctx context.Context, contestants []Contestant, users, rounds int) ([]Cost, error) {
	assertions := make([]string, users)
	for i := range assertions {
		assertions[i] = Assertion(i)
	}
	runners := make([]*runner, len(contestants))
	for i, c := range contestants {
		r, err := newRunner(ctx, c, assertions)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		runners[i] = r
	}
	base := runners[0]
	for range rounds {
		for _, i := range rand.Perm(len(runners)) { //nolint:gosec // an order, no secret
			r := runners[i]
			before, took, after := base.run(ctx), r.run(ctx), base.run(ctx)
			r.times = append(r.times, took)
			r.ratios = append(r.ratios, (before+after)/2/took)
		}
	}
	costs := make([]Cost, len(runners))
	for i, r := range runners {
		costs[i] = r.cost(ctx)
	}
	return costs, nil
}

// A runner measures one contestant.
type runner struct {
	name          string
	get           Get
	entra         *Entra
	assertions    []string
	requests      int64 // when all users were known
	heap          int64 // bytes for each user
	n, next       int   // calls in a chunk; the next call's place in the order of users
	times, ratios []float64
}

func newRunner(ctx context.Context, c Contestant, assertions []string) (*runner, error) {
	if c.MaxUsers > 0 {
		assertions = assertions[:min(len(assertions), c.MaxUsers)]
	}
	r := &runner{name: c.Name, entra: &Entra{}, assertions: assertions, n: 1}
	var err error
	if r.get, err = c.New(r.entra); err != nil {
		return nil, err
	}
	before := heapInUse()
	for i, a := range assertions {
		if err := r.get(ctx, i, a); err != nil {
			return nil, err
		}
	}
	r.heap = (heapInUse() - before) / int64(len(assertions))
	discoveries, exchanges := r.entra.Requests()
	r.requests = discoveries + exchanges
	for r.run(ctx)*float64(r.n) < float64(chunk) {
		r.n *= 2
	}
	return r, nil
}

// run returns the CPU time of one call, in nanoseconds. It goes from user to user.
func (r *runner) run(ctx context.Context) float64 {
	start := bench.CPUTime()
	for range r.n {
		r.next += 7919 // a prime: everybody comes, nobody after a neighbor
		user := r.next % len(r.assertions)
		if err := r.get(ctx, user, r.assertions[user]); err != nil {
			panic(fmt.Sprintf("%s fails with a user whom it knows: %v", r.name, err))
		}
	}
	return float64((bench.CPUTime() - start).Nanoseconds()) / float64(r.n)
}

func (r *runner) cost(ctx context.Context) Cost {
	var before, after runtime.MemStats
	r.n = 200
	runtime.ReadMemStats(&before)
	r.run(ctx)
	runtime.ReadMemStats(&after)
	discoveries, exchanges := r.entra.Requests()
	slices.Sort(r.times)
	slices.Sort(r.ratios)
	return Cost{
		Users:       len(r.assertions),
		Time:        time.Duration(r.times[len(r.times)/2]),
		Ratio:       r.ratios[len(r.ratios)/2],
		Allocs:      (after.Mallocs - before.Mallocs) / 200,
		HeapPerUser: r.heap,
		Requests:    discoveries + exchanges - r.requests,
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // G115: a heap of less than 2^63 bytes
}

const (
	leftLifetime = 4 * time.Second
	leftWait     = 8 * time.Second
	leftUsers    = 2000
)

// Left returns which part of the heap that 2,000 users' tokens took is still
// taken when all of them count as expired and one more user has come. The tokens
// live for 4 seconds and the contestant's margin; it waits for 8.
func Left(ctx context.Context, c Contestant) (float64, error) {
	e := &Entra{Lifetime: leftLifetime + c.Margin}
	get, err := c.New(e)
	if err != nil {
		return 0, err
	}
	first := Assertion(0)
	if err := get(ctx, leftUsers, Assertion(leftUsers)); err != nil {
		return 0, err
	}
	empty := heapInUse()
	for i := range leftUsers {
		assertion := first
		if i > 0 {
			assertion = Assertion(i)
		}
		if err := get(ctx, i, assertion); err != nil {
			return 0, err
		}
	}
	full := heapInUse()
	time.Sleep(leftWait)
	if err := get(ctx, leftUsers+1, Assertion(leftUsers+1)); err != nil {
		return 0, err
	}
	left := heapInUse()
	_, before := e.Requests()
	if err := get(ctx, 0, first); err != nil { // and so what is measured was alive
		return 0, err
	}
	if _, after := e.Requests(); after == before {
		return 0, errors.New("an expired token is served")
	}
	return float64(left-empty) / float64(full-empty), nil
}
