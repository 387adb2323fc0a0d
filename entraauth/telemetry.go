package entraauth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

// verifierTelemetry is what a verifier tells OpenTelemetry. Without providers, each method does
// nothing.
type verifierTelemetry struct {
	*telemetry.Telemetry
	keys         *keyTelemetry
	hits, misses *telemetry.Tally
	stops        []func()
}

// keyTelemetry is the part of the key sources.
type keyTelemetry struct {
	*telemetry.Telemetry
	fetches *telemetry.Counter[string] // by outcome
}

const (
	fetchOK    = "ok"
	fetchError = "error"
)

func newVerifierTelemetry(o *Options) verifierTelemetry {
	t := telemetry.New(o.TracerProvider, o.MeterProvider)
	v := verifierTelemetry{Telemetry: t, keys: &keyTelemetry{t, telemetry.NewCounter(t, telemetry.KeysFetches,
		func(outcome string) []attribute.KeyValue {
			return []attribute.KeyValue{telemetry.Outcome.String(outcome)}
		}, fetchOK, fetchError)}}
	if o.TokenCache >= 0 {
		var stopHits, stopMisses func()
		v.hits, stopHits = telemetry.NewTally(t, telemetry.Verifications, telemetry.Result.String("hit"))
		v.misses, stopMisses = telemetry.NewTally(t, telemetry.Verifications, telemetry.Result.String("miss"))
		v.stops = []func(){stopHits, stopMisses}
	}
	return v
}

// client returns an HTTP client whose requests have spans.
func (t *verifierTelemetry) client(c *http.Client) *http.Client {
	return t.Client(c, telemetry.SpanKeysRequest, authority.ShownHost)
}

// observe reports the state of the verifier whenever metrics are collected.
func (t *verifierTelemetry) observe(v *Verifier) {
	worst := func(of func(*keySource) float64) func() (float64, bool) {
		return func() (most float64, ok bool) {
			v.tenancy.each(func(s *keySource) { most = max(most, of(s)) })
			return most, true
		}
	}
	t.stops = append(t.stops,
		t.Observe(telemetry.KeysAge, worst(func(s *keySource) float64 { return s.age().Seconds() })),
		t.Observe(telemetry.KeysFailures, worst((*keySource).failed)))
	if v.tokens != nil {
		t.stops = append(t.stops, t.ObserveCount(telemetry.TokenCacheSize, v.tokens.Len))
	}
}

func (t *verifierTelemetry) stop() {
	for _, stop := range t.stops {
		stop()
	}
}

// lookup counts a look into the token cache.
func (t *verifierTelemetry) lookup(hit bool) {
	if hit {
		t.hits.Add(1)
	} else {
		t.misses.Add(1)
	}
}

// age is how long ago the keys were fetched, or since the start while there are none.
func (s *keySource) age() time.Duration {
	since := s.made
	if set := s.set.Load(); set != nil {
		since = set.fetchedAt
	}
	return s.now().Sub(since)
}

// failed is how many fetches have failed since the last one that worked.
func (s *keySource) failed() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(s.failures)
}

// fetch begins the span of a fetch. It is the child of the caller's if the caller waits.
func (t *keyTelemetry) fetch(ctx, caller context.Context, waits bool) (context.Context, telemetry.Span) {
	if !t.Traces() {
		return ctx, telemetry.Span{}
	}
	if waits {
		return t.Start(telemetry.Follow(ctx, caller), telemetry.SpanKeys)
	}
	return t.StartLinked(ctx, telemetry.SpanKeys, telemetry.Cause(caller))
}

// fetched ends the span of a fetch, and counts it. A fetch that [Verifier.Close] has canceled is
// no failure.
func (t *keyTelemetry) fetched(ctx context.Context, span telemetry.Span, err error) {
	outcome := fetchOK
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		span.End()
		return
	default:
		outcome = fetchError
		kind := "keys_unavailable"
		if _, missing := errors.AsType[*tenantError](err); missing {
			kind = tenantNotFound
		}
		span.Fail(kind)
	}
	if span.Recording() {
		span.Set(telemetry.Outcome.String(outcome))
	}
	span.End()
	t.fetches.Add(ctx, outcome, 1)
}
