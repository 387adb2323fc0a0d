package entraauth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

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
	t.stops = append(t.stops,
		t.Observe(telemetry.KeysAge, func() (float64, bool) { age, _ := worstKeys(v); return age.Seconds(), true }),
		t.Observe(telemetry.KeysFailures, func() (float64, bool) { _, failures := worstKeys(v); return float64(failures), true }))
	if v.tokens != nil {
		t.stops = append(t.stops, t.ObserveCount(telemetry.TokenCacheSize, v.tokens.Len))
	}
}

// worstKeys returns the age and the failures of one tenant's keys: the oldest of those whose fetch
// fails, or else the oldest. A tenant that nobody uses has old keys, and that is no failure.
func worstKeys(v *Verifier) (age time.Duration, failures int) {
	v.tenancy.each(func(s *keySource) {
		if a, f := s.age(), s.failed(); min(f, 1) > min(failures, 1) || min(f, 1) == min(failures, 1) && a > age {
			age, failures = a, f
		}
	})
	return age, failures
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
func (s *keySource) failed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures
}

// under returns the context of a fetch and what its span is linked to. If the caller waits, the
// context has the caller's span, as parent, and there is no link.
func (t *keyTelemetry) under(ctx, caller context.Context, waits bool) (context.Context, trace.SpanContext) {
	switch {
	case !t.Traces():
		return ctx, trace.SpanContext{}
	case waits:
		return telemetry.Follow(ctx, caller), trace.SpanContext{}
	}
	return ctx, telemetry.Cause(caller)
}

// fetch begins the span of a fetch.
func (t *keyTelemetry) fetch(ctx context.Context, cause trace.SpanContext) (context.Context, telemetry.Span) {
	if cause.IsValid() {
		return t.StartLinked(ctx, telemetry.SpanKeys, cause)
	}
	return t.Start(ctx, telemetry.SpanKeys)
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
