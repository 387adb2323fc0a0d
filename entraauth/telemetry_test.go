package entraauth_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry/telemetrytest"
)

// observed is a fixture whose verifier tells a recorder.
func observed(t *testing.T, prepare func(*fixture)) (*fixture, *telemetrytest.Recorder) {
	t.Helper()
	f, r := newTenant(t), telemetrytest.New()
	if prepare != nil {
		prepare(f)
	}
	f.start(t, func(o *entraauth.Options) { o.TracerProvider, o.MeterProvider = r.TracerProvider(), r.MeterProvider() })
	t.Cleanup(func() {
		_ = f.verifier.Close()
		never := []string{f.tenant.ID(), f.api.ClientID, f.client.ClientID, f.alice.ObjectID, "127.0.0.1", "localhost", "https:", "/v2.0", "contoso", "jwks", "Bearer"}
		for _, fault := range r.Faults(never...) {
			t.Error(fault)
		}
	})
	return f, r
}

// caller begins the span of a caller.
func caller(t *testing.T, r *telemetrytest.Recorder) (ctx context.Context, id trace.SpanContext) {
	t.Helper()
	ctx, span := r.TracerProvider().Tracer("test").Start(t.Context(), "caller")
	span.End()
	return ctx, span.SpanContext()
}

func wantSeries(t *testing.T, r *telemetrytest.Recorder, m telemetry.Metric, set string, want float64) {
	t.Helper()
	if got, ok := r.Series(m.Name)[set]; !ok || got != want {
		t.Errorf("%s{%s} is %v (there: %v), want %v; all: %v", m.Name, set, got, ok, want, r.Series(m.Name))
	}
}

func TestMetricsBeginAtZero(t *testing.T) {
	t.Parallel()
	f, r := observed(t, func(f *fixture) { f.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Delay: time.Hour}) })
	for m, sets := range map[string][]string{
		telemetry.KeysFetches.Name:    {"mcpentra.outcome=ok", "mcpentra.outcome=error"},
		telemetry.Verifications.Name:  {"mcpentra.result=hit", "mcpentra.result=miss"},
		telemetry.KeysFailures.Name:   {""},
		telemetry.TokenCacheSize.Name: {""},
		telemetry.KeysAge.Name:        {""},
	} {
		for _, set := range sets {
			if got, ok := r.Series(m)[set]; !ok || got != 0 {
				t.Errorf("%s{%s} is %v (there: %v), want 0", m, set, got, ok)
			}
		}
	}
	f.clock.Add(time.Hour)
	wantSeries(t, r, telemetry.KeysAge, "", 3600) // no keys since the start
	if err := f.verifier.Close(); err != nil {
		t.Fatal(err)
	}
	for _, m := range []telemetry.Metric{telemetry.KeysAge, telemetry.KeysFailures, telemetry.TokenCacheSize, telemetry.Verifications} {
		if got := r.Series(m.Name); len(got) != 0 {
			t.Errorf("after Close, %s is %v, want none", m.Name, got)
		}
	}
	if got := r.Series(telemetry.KeysFetches.Name)["mcpentra.outcome=error"]; got != 0 {
		t.Errorf("%v failed fetches, want 0: Close canceled the only one", got)
	}
}

func TestSpanOfAFetchInTheBackground(t *testing.T) {
	t.Parallel()
	f, r := observed(t, nil)
	if err := f.verifier.Ready(t.Context()); err != nil { // waits for the first fetch
		t.Fatal(err)
	}
	token := f.token()
	ctx, _ := caller(t, r)
	for range 3 {
		if _, err := f.verifier.Verify(ctx, token); err != nil {
			t.Fatal(err)
		}
	}
	fetches := r.Named(telemetry.SpanKeys)
	if len(fetches) != 1 || fetches[0].Parent.IsValid() || trace.ValidateSpanKind(fetches[0].Kind) != trace.SpanKindInternal || !fetches[0].Has(telemetry.Outcome, "ok") || len(fetches[0].Links) != 0 {
		t.Fatalf("fetches: %+v; want one internal root with outcome ok and no link", fetches)
	}
	requests := r.Named(telemetry.SpanKeysRequest)
	for _, s := range requests {
		if s.Parent.SpanID() != fetches[0].Context.SpanID() || s.Kind != trace.SpanKindClient || !s.Has(telemetry.HTTPMethod, "GET") ||
			!s.Has(telemetry.HTTPStatus, "200") || !s.Has(telemetry.ServerAddress, telemetry.Other) || len(s.Attributes) != 3 {
			t.Errorf("request: %+v; want a client's GET below the fetch with status 200 and server.address _OTHER alone", s)
		}
	}
	if len(requests) != 3 { // metadata of both versions, keys
		t.Errorf("%d requests, want 3", len(requests))
	}
	// Those, the caller's, and that of Ready if it has waited; cached and local verifications have none.
	if n := len(r.Spans()) - len(r.Named(telemetry.SpanKeysWait)); n != 5 {
		t.Errorf("%d spans, want 5", n)
	}
	wantSeries(t, r, telemetry.Verifications, "mcpentra.result=miss", 1)
	wantSeries(t, r, telemetry.Verifications, "mcpentra.result=hit", 2)
	wantSeries(t, r, telemetry.TokenCacheSize, "", 1)
	wantSeries(t, r, telemetry.KeysFetches, "mcpentra.outcome=ok", 1)

	// A set that is due is fetched while the old one serves: a trace of its own, with a link.
	f.clock.Add(2 * time.Hour)
	ctx, id := caller(t, r)
	if _, err := f.verifier.Verify(ctx, f.token()); err != nil {
		t.Fatal(err)
	}
	_ = f.verifier.Close()
	renewals := r.Named(telemetry.SpanKeys)[1:]
	if len(renewals) != 1 || renewals[0].Parent.IsValid() || len(renewals[0].Links) != 1 || renewals[0].Links[0].SpanContext.SpanID() != id.SpanID() {
		t.Errorf("renewals: %+v; want one root with a link to the caller", renewals)
	}
}

func TestSpanOfAFetchForCallers(t *testing.T) {
	t.Parallel()
	f, r := observed(t, nil)
	if err := f.verifier.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, waits := len(r.Named(telemetry.SpanKeys)), len(r.Named(telemetry.SpanKeysWait))
	f.tenant.RotateKeys()
	tokens := []string{f.token(), f.token(), f.token(), f.token()}
	var wg sync.WaitGroup
	callers := map[trace.SpanID]bool{}
	for _, token := range tokens {
		ctx, id := caller(t, r)
		callers[id.SpanID()] = true
		wg.Go(func() {
			if _, err := f.verifier.Verify(ctx, token); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fetches := r.Named(telemetry.SpanKeys)[before:]
	if len(fetches) != 1 || !callers[fetches[0].Parent.SpanID()] || len(fetches[0].Links) != 0 {
		t.Fatalf("fetches: %+v; want one below a caller that waits", fetches)
	}
	for _, s := range r.Named(telemetry.SpanKeysWait)[waits:] {
		if !callers[s.Parent.SpanID()] || s.Parent.SpanID() == fetches[0].Parent.SpanID() || len(s.Links) != 1 || s.Links[0].SpanContext.SpanID() != fetches[0].Context.SpanID() {
			t.Errorf("wait: %+v; want one below another caller, with a link to the fetch", s)
		}
	}
}

func TestFailedFetches(t *testing.T) {
	t.Parallel()
	f, r := observed(t, func(f *fixture) {
		f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Status: http.StatusServiceUnavailable, Body: "down at contoso"})
	})
	ctx, _ := caller(t, r)
	if _, err := f.verifier.Verify(ctx, f.token()); err == nil {
		t.Fatal("Verify = nil, want keys unavailable")
	}
	wantSeries(t, r, telemetry.KeysFailures, "", 1)
	wantSeries(t, r, telemetry.KeysFetches, "mcpentra.outcome=error", 1)
	if s := r.Named(telemetry.SpanKeys); len(s) != 1 || !s[0].Has(telemetry.ErrorType, "keys_unavailable") || !s[0].Has(telemetry.Outcome, "error") {
		t.Errorf("fetches: %+v; want one with error.type keys_unavailable", s)
	}
	failed := slices.DeleteFunc(r.Named(telemetry.SpanKeysRequest), func(s telemetrytest.Span) bool { return !s.Has(telemetry.HTTPStatus, "503") })
	if len(failed) != 1 || !failed[0].Has(telemetry.ErrorType, "503") {
		t.Errorf("failed requests: %+v; want one with error.type 503", failed)
	}
	f.tenant.Fail(entratest.EndpointKeys)
	f.clock.Add(time.Minute)
	if err := f.verifier.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSeries(t, r, telemetry.KeysFailures, "", 0)
	wantSeries(t, r, telemetry.KeysAge, "", 0)
}

// A cached verification allocates nothing, with and without a meter provider.
func TestCachedVerificationWithMetrics(t *testing.T) {
	f, r := newTenant(t), telemetrytest.New()
	f.start(t, func(o *entraauth.Options) { o.TracerProvider, o.MeterProvider = r.TracerProvider(), r.MeterProvider() })
	token, ctx := f.token(), t.Context()
	if _, err := f.verifier.Verify(ctx, token); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = f.verifier.Verify(ctx, token) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
