package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// defaultRatePrefix separates the keys of a [RateStore] from others in the database.
const defaultRatePrefix = "mcp-entra-go:rate:"

// A RateStore is a mcpentra.RateStore on Redis: the replicas of a server then limit the rate of a
// user's calls together. It is safe for concurrent use.
//
//	store, err := redisstore.NewRateStore(client, nil)
//	…
//	srv, err := mcpentra.NewServer(resourceURL, verifier, mcpentra.WithSharedRates(store))
//
// Redis sees no users, but hashes. Each has one key of about 120 bytes with a time to live, which
// is gone when the bucket is full again: a key that is evicted or lost by a failover is a full
// bucket. The time is Redis's, so the clocks of replicas don't matter. A request is one script,
// EVALSHA, of one key. The client must read from masters, as scripts do by default. go-redis may
// repeat a request whose answer was lost; then the user loses what it had taken.
type RateStore struct {
	client redis.UniversalClient
	prefix string
}

// NewRateStore returns a store that uses the client, which the caller closes. The default of
// Options.Prefix is "mcp-entra-go:rate:". NewRateStore sends nothing: it succeeds even if Redis is
// down, when each replica limits users by itself.
func NewRateStore(client redis.UniversalClient, opts *Options) (*RateStore, error) {
	if client == nil {
		return nil, errors.New("redisstore: the client is nil; pass one of go-redis's")
	}
	s := &RateStore{client: client, prefix: defaultRatePrefix}
	if opts != nil && opts.Prefix != "" {
		s.prefix = opts.Prefix
	}
	return s, nil
}

// takeCalls keeps one number for a bucket: when it is full, in microseconds of Redis's clock. An
// empty bucket is full after a whole fill; a value beyond that is of other limits, or of a clock
// that was ahead, and what is no number is none.
//
//	KEYS[1] the user; ARGV: the fewest and the most calls, the microseconds in which one arrives, the burst
var takeCalls = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local least, most, each, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local was = tonumber(redis.call('GET', KEYS[1]) or now) or now
local full = math.min(math.max(was, now), now + each * burst)
local calls = burst - (full - now) / each
local taken = math.min(most, math.floor(calls + 0.000001))
if taken < least then
  taken = 0
end
if taken > 0 or was > full then
  full = full + taken * each
  redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', string.format('%.0f', math.max(1, math.ceil((full - now) / 1000))))
end
if taken == most then
  return {taken, 0}
end
return {taken, math.ceil((least - (calls - taken)) * each)}
`)

// The bounds on the microseconds in which a call arrives: a day, and what is less than the clock's
// resolution.
const (
	maxEach = 24 * 60 * 60 * 1e6
	minEach = 0.001
)

// Take takes least to most calls, as many as there are, from the user's bucket, which holds burst
// calls and fills by rate calls a second, and returns how many it took: none if the bucket has fewer
// than least. If that is fewer than most, wait is how long until the bucket has least again. A rate
// is at least one call a day.
func (s *RateStore) Take(ctx context.Context, user string, least, most int, rate float64, burst int) (taken int, wait time.Duration, err error) {
	if possible := 1 <= least && least <= most && least <= burst && rate > 0; !possible { // false for NaN
		return 0, 0, fmt.Errorf("redisstore: take: least %d, most %d, rate %g, burst %d; want 1 <= least <= most, least <= burst, and a positive rate", least, most, rate, burst)
	}
	each := min(max(1e6/rate, minEach), maxEach)
	got, err := takeCalls.Run(ctx, s.client, []string{s.prefix + user}, least, most, each, burst).Int64Slice()
	if err == nil && len(got) != 2 {
		err = fmt.Errorf("the answer has %d numbers, not 2", len(got))
	}
	if err != nil {
		return 0, 0, fmt.Errorf("redisstore: take: %w", err)
	}
	return int(got[0]), time.Duration(got[1]) * time.Microsecond, nil
}
