package bench

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A Cost is what verifying one token costs, in a run in which everything took
// turns with the signature check.
type Cost struct {
	Name string
	// Ratio is the median, over the rounds, of the time against that of
	// [rsa.VerifyPKCS1v15] alone just before and after. Low and High are the quartiles.
	Ratio, Low, High float64
	// Time is the median of one verification: CPU time of the process, garbage
	// collection included.
	Time time.Duration
	// Allocs and Bytes are allocated by one verification.
	Allocs, Bytes uint64
	// Requests were made of the tenant during the whole run.
	Requests int
}

// chunk is how long one contestant runs before the next has its turn.
const chunk = 2 * time.Millisecond

// Ratios measures the contestants on one token. Each is warm: it has its keys,
// and its cache, if it has one, the token.
func Ratios(ctx context.Context, b *Bed, contestants []Contestant, token string, rounds int) ([]Cost, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	raw, withHash, err := SignatureAlone(b, token)
	if err != nil {
		return nil, err
	}
	runners := []*runner{{name: "`rsa.VerifyPKCS1v15` alone", verify: raw}, {name: "the same with SHA-256 of the token", verify: withHash}}
	for _, c := range contestants {
		verify, err := c.New(ctx, b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		runners = append(runners, &runner{name: c.Name, verify: verify})
	}
	for _, r := range runners {
		if err := r.calibrate(ctx, token); err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	base := runners[0]
	for range rounds {
		for _, i := range rand.Perm(len(runners)) { //nolint:gosec // an order, no secret
			r := runners[i]
			before := base.run(ctx, token)
			requests := b.requests()
			took := r.run(ctx, token)
			r.requests += b.requests() - requests
			after := base.run(ctx, token)
			r.times = append(r.times, took)
			r.ratios = append(r.ratios, 2*took/(before+after))
		}
	}
	costs := make([]Cost, len(runners))
	for i, r := range runners {
		costs[i] = r.cost(ctx, token)
	}
	return costs, nil
}

// A runner measures one verifier.
type runner struct {
	name     string
	verify   Verify
	n        int       // of verifications in a chunk
	times    []float64 // of one verification, nanoseconds, by round
	ratios   []float64
	requests int
}

func (r *runner) calibrate(ctx context.Context, token string) error {
	for range 3 {
		if err := r.verify(ctx, token); err != nil {
			return err
		}
	}
	for r.n = 1; ; r.n *= 2 {
		if took := r.run(ctx, token) * float64(r.n); took > float64(chunk) {
			return nil
		}
	}
}

// run returns the CPU time of one verification, in nanoseconds.
func (r *runner) run(ctx context.Context, token string) float64 {
	start := CPUTime()
	for range r.n {
		if err := r.verify(ctx, token); err != nil {
			panic(fmt.Sprintf("%s refuses what it accepted: %v", r.name, err))
		}
	}
	return float64((CPUTime() - start).Nanoseconds()) / float64(r.n)
}

func (r *runner) cost(ctx context.Context, token string) Cost {
	const n = 200
	saved := r.n
	r.n = n
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r.run(ctx, token)
	runtime.ReadMemStats(&after)
	r.n = saved
	slices.Sort(r.times)
	slices.Sort(r.ratios)
	quantile := func(s []float64, q float64) float64 { return s[int(q*float64(len(s)-1)+0.5)] }
	return Cost{
		Name:     r.name,
		Ratio:    quantile(r.ratios, 0.5),
		Low:      quantile(r.ratios, 0.25),
		High:     quantile(r.ratios, 0.75),
		Time:     time.Duration(quantile(r.times, 0.5)),
		Allocs:   (after.Mallocs - before.Mallocs) / n,
		Bytes:    (after.TotalAlloc - before.TotalAlloc) / n,
		Requests: r.requests,
	}
}

// SignatureAlone returns what no verifier can do without: the check of the
// signature with the digest at hand, and with the digest to be made.
func SignatureAlone(b *Bed, token string) (alone, withHash Verify, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, errors.New("not a token")
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(data, &header); err != nil {
		return nil, nil, err
	}
	key, ok := b.Tenant.PublicKey(header.KeyID)
	if !ok {
		return nil, nil, errors.New("the token's key is not the tenant's")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, nil, err
	}
	signed := []byte(parts[0] + "." + parts[1])
	digest := sha256.Sum256(signed)
	alone = func(context.Context, string) error {
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
	}
	withHash = func(context.Context, string) error {
		sum := sha256.Sum256(signed)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	}
	return alone, withHash, nil
}
