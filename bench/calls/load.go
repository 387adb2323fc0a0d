package calls

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// A Rate is what one entrant did in one round under load.
type Rate struct {
	// PerSecond is how many requests were answered in a second.
	PerSecond float64
	// CPU is what the server's process used for each request, in nanoseconds.
	CPU float64
	// Resident is the memory of the process at the end, in bytes; 0 where unknown.
	Resident float64
}

// Connections are how many clients ask at once.
const Connections = 8

// warmUp is how long each entrant is asked before it is measured: virtual machines
// compile what is used.
const warmUp = 2 * time.Second

// Load has the entrants answer the requests, each in a process of its own and
// while the others rest: in each round each has its turn, in random order, for that
// long. It returns the rounds of each entrant.
func Load(ctx context.Context, b *bench.Bed, entrants []Entrant, reqs []Request, rounds int, each time.Duration) ([][]Rate, error) {
	ctx, cancel := context.WithCancel(ctx)
	started := make([]*Process, 0, len(entrants))
	defer func() {
		cancel()
		for _, p := range started {
			p.Wait()
		}
	}()
	for i := range entrants {
		p, err := Start(ctx, b, &entrants[i])
		if err != nil {
			return nil, err
		}
		started = append(started, p)
		// Each request is made once at least: what can be cached is.
		if _, err := p.load(ctx, reqs, min(warmUp, each), len(reqs)); err != nil {
			return nil, fmt.Errorf("%s: %w", entrants[i].Name, err)
		}
	}
	rates := make([][]Rate, len(entrants))
	for range rounds {
		for _, i := range rand.Perm(len(started)) { //nolint:gosec // G404: an order, no secret
			r, err := started[i].load(ctx, reqs, each, 1)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", entrants[i].Name, err)
			}
			rates[i] = append(rates[i], r)
		}
	}
	return rates, nil
}

// load asks the process on all connections, for that long and until so many
// requests are answered.
func (p *Process) load(ctx context.Context, reqs []Request, each time.Duration, least int) (Rate, error) {
	before, err := p.cpuTime()
	if err != nil {
		return Rate{}, err
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var faults []error
	answered := 0
	start := time.Now()
	for i := range Connections {
		running.Go(func() {
			// Connections share the requests, each begins elsewhere.
			n, err := p.ask(ctx, reqs, i*len(reqs)/Connections, start.Add(each), least/Connections)
			mu.Lock()
			defer mu.Unlock()
			answered += n
			if err != nil {
				faults = append(faults, err)
			}
		})
	}
	running.Wait()
	took := time.Since(start)
	after, err := p.cpuTime()
	if err := errors.Join(append(faults, err)...); err != nil {
		return Rate{}, err
	}
	return Rate{
		PerSecond: float64(answered) / took.Seconds(),
		CPU:       float64(after-before) / float64(answered),
		Resident:  float64(p.resident()),
	}, nil
}

// A spread is the median of some values, with the quartiles.
type spread struct{ low, median, high float64 }

// Quartiles returns the lower quartile, the median and the upper quartile.
func (s spread) Quartiles() (low, median, high float64) { return s.low, s.median, s.high }

func spreadOf(values []float64) spread {
	values = slices.Sorted(slices.Values(values))
	return spread{quantile(values, 0.25), quantile(values, 0.5), quantile(values, 0.75)}
}

// of picks a value of each round.
func of(rates []Rate, value func(Rate) float64) spread {
	values := make([]float64, len(rates))
	for i, r := range rates {
		values[i] = value(r)
	}
	return spreadOf(values)
}

// against divides, round by round.
func against(a, b []Rate, value func(Rate) float64) spread {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = value(a[i]) / value(b[i])
	}
	return spreadOf(values)
}

func perSecond(r Rate) float64 { return r.PerSecond }
func cpu(r Rate) float64       { return r.CPU }
func megabytes(r Rate) float64 { return r.Resident / (1 << 20) }
