//go:build redis && unix

package redisstore_test

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpentra/mcp-entra-go/redisstore"
)

func newRateStore(t *testing.T, client redis.UniversalClient) *redisstore.RateStore {
	t.Helper()
	s, err := redisstore.NewRateStore(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pass lets time pass for a user: the bucket is full earlier.
func pass(t *testing.T, client *redis.Client, user string, d time.Duration) {
	t.Helper()
	const prefix = "mcp-entra-go:rate:"
	full, err := client.Get(t.Context(), prefix+user).Float64()
	if err != nil {
		t.Fatal(err)
	}
	value := strconv.FormatFloat(full-float64(d.Microseconds()), 'f', 3, 64)
	if err := client.Set(t.Context(), prefix+user, value, redis.KeepTTL).Err(); err != nil {
		t.Fatal(err)
	}
}

// TestRateStore: a bucket at a call an hour, so that the test's own time is nothing.
func TestRateStore(t *testing.T) {
	t.Parallel()
	_, client := startRedis(t)
	s := newRateStore(t, client)
	const rate = 1.0 / 3600
	for i, step := range []struct {
		pass    time.Duration
		least   int
		most    int
		rate    float64
		burst   int
		taken   int
		minutes float64 // to wait
	}{
		{0, 1, 3, rate, 10, 3, 0},
		{0, 1, 5, rate, 10, 5, 0},
		{0, 3, 3, rate, 10, 0, 60}, // a batch takes all or nothing
		{0, 1, 5, rate, 10, 2, 60},
		{0, 1, 1, rate, 10, 0, 60},
		{20 * time.Minute, 1, 1, rate, 10, 0, 40},
		{40 * time.Minute, 1, 1, rate, 10, 1, 0},
		{150 * time.Minute, 1, 9, rate, 10, 2, 30},
		{0, 10, 10, rate, 10, 0, 9*60 + 30},
		{1000 * time.Hour, 1, 100, rate, 10, 10, 60}, // no more than the burst
		{0, 1, 1, rate, 5, 0, 60},                    // a new version with a smaller burst
		{0, 1, 1, 2 * rate, 10, 0, 30},               // and one with another rate
		{-1000 * time.Hour, 1, 1, rate, 10, 0, 60},   // a clock that was ahead
		{time.Hour, 1, 1, rate, 10, 1, 0},            // has no effect for longer
		{-1000 * time.Hour, 9, 9, rate, 10, 0, 9 * 60},
		{1000 * time.Hour, 1, 1, math.SmallestNonzeroFloat64, 1, 1, 0},
		{0, 1, 1, math.SmallestNonzeroFloat64, 1, 0, 24 * 60}, // a rate is at least one a day
	} {
		if step.pass != 0 {
			pass(t, client, "alice", step.pass)
		}
		taken, wait, err := s.Take(t.Context(), "alice", step.least, step.most, step.rate, step.burst)
		if taken != step.taken || math.Abs(wait.Minutes()-step.minutes) > 1 || err != nil {
			t.Errorf("step %d: Take = %d, %v, %v; want %d, %v minutes", i, taken, wait, err, step.taken, step.minutes)
		}
	}
	if taken, _, err := s.Take(t.Context(), "bob", 1, 1, rate, 10); taken != 1 || err != nil {
		t.Errorf("another user: Take = %d, %v; want 1", taken, err)
	}
	if err := client.Set(t.Context(), "mcp-entra-go:rate:carol", "no number", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if taken, _, err := s.Take(t.Context(), "carol", 1, 1, rate, 10); taken != 1 || err != nil {
		t.Errorf("a value that is none: Take = %d, %v; want 1, from a full bucket", taken, err)
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 3 || !strings.HasPrefix(keys[0], "mcp-entra-go:rate:") {
		t.Errorf("keys %q, %v; want one for each user, with our prefix", keys, err)
	}
	if ttl := client.PTTL(t.Context(), "mcp-entra-go:rate:bob").Val(); ttl <= 59*time.Minute || ttl > time.Hour {
		t.Errorf("the key lives for %v, want the hour until the bucket is full", ttl)
	}
}

// TestRateStoreExtremes: whatever mcpentra.Limits allows is no error.
func TestRateStoreExtremes(t *testing.T) {
	t.Parallel()
	_, client := startRedis(t)
	s := newRateStore(t, client)
	for i, c := range []struct {
		rate        float64
		burst, want int
	}{
		{math.SmallestNonzeroFloat64, 1, 1}, {math.SmallestNonzeroFloat64, 1 << 30, 1 << 30}, {1e9, 1, 1}, {1e9, 1 << 30, 1 << 30}, {1 << 30, 1 << 30, 1}, {1e6, 1, 1},
	} {
		if taken, wait, err := s.Take(t.Context(), fmt.Sprint(i), min(c.want, c.burst), c.want, c.rate, c.burst); taken != c.want || wait != 0 || err != nil {
			t.Errorf("Take(%d, %g, %d) = %d, %v, %v; want all of a full bucket", c.want, c.rate, c.burst, taken, wait, err)
		}
	}
}

// TestRateStoreRace: many take at once, and together get what one would.
func TestRateStoreRace(t *testing.T) {
	t.Parallel()
	_, client := startRedis(t)
	s := newRateStore(t, client)
	const rate, burst = 100, 200
	var all atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range 16 {
		wg.Go(func() {
			for range 100 {
				taken, _, err := s.Take(t.Context(), "alice", 1, 3, rate, burst)
				if err != nil {
					t.Error(err)
				}
				all.Add(int64(taken))
			}
		})
	}
	wg.Wait()
	if most := burst + rate*time.Since(begin).Seconds() + 1; all.Load() < burst || float64(all.Load()) > most {
		t.Errorf("%d calls taken, want %d to %.0f", all.Load(), burst, most)
	}
}

// TestRateStoreDown: an error, at the end of the context at the latest if the client follows it.
func TestRateStoreDown(t *testing.T) {
	t.Parallel()
	cmd, client := startRedis(t)
	options := *client.Options()
	options.ContextTimeoutEnabled = true
	bounded := redis.NewClient(&options)
	defer func() { _ = bounded.Close() }()
	s := newRateStore(t, bounded)
	if _, _, err := s.Take(t.Context(), "alice", 1, 1, 1, 1); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		_ = cmd.Process.Signal(signal)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		begin := time.Now()
		taken, _, err := s.Take(ctx, "alice", 1, 1, 1, 1)
		cancel()
		if taken != 0 || err == nil || !strings.HasPrefix(err.Error(), "redisstore: take: ") || time.Since(begin) > time.Second {
			t.Errorf("%v: Take = %d, %v after %v; want an error within the context's time", signal, taken, err, time.Since(begin))
		}
	}
}
