package obo_test

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry/telemetrytest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// observe returns a recorder, and the change of options that makes an exchanger tell it.
func (w *world) observe(t *testing.T) (*telemetrytest.Recorder, func(*obo.Options)) {
	t.Helper()
	r := telemetrytest.New()
	t.Cleanup(func() {
		never := append([]string{
			w.tenant.ID(), w.api.ClientID, w.client.ClientID, w.alice.ObjectID, w.bob.ObjectID, w.secret, "contoso", "https:", "storage.azure",
			"127.0.0.1", "localhost", "user_impersonation", "/oauth2", "eyJ", "AADSTS",
		}, w.hidden...)
		for _, fault := range r.Faults(never...) {
			t.Error(fault)
		}
	})
	return r, func(o *obo.Options) { o.TracerProvider, o.MeterProvider = r.TracerProvider(), r.MeterProvider() }
}

// spanOf begins the span of a caller.
func spanOf(t *testing.T, r *telemetrytest.Recorder) (ctx context.Context, id trace.SpanContext) {
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

const (
	exchangedOK = "mcpentra.operation=exchange,mcpentra.outcome=ok"
	byExchange  = "mcpentra.operation=exchange"
)

func exchangeFailed(kind string) string {
	return "error.type=" + kind + ",mcpentra.operation=exchange,mcpentra.outcome=error"
}

func TestTelemetryOfAnExchange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, observe := w.observe(t)
	x := w.exchanger(observe)
	for _, kind := range []string{
		"no_user_assertion", "invalid_user_assertion", "user_assertion_expired_or_revoked", "scope_not_allowed", "tenant_not_allowed", "agent_not_allowed",
		"invalid_claims_challenge", "consent_required", "user_interaction_required", "blocked_by_policy", "misconfigured", "throttled", "unavailable", "internal_error",
	} {
		wantSeries(t, r, telemetry.Exchanges, exchangeFailed(kind), 0)
	}
	for _, m := range []telemetry.Metric{telemetry.ExchangeWaiters, telemetry.ExchangeAhead} {
		wantSeries(t, r, m, byExchange, 0)
	}
	for set, m := range map[string]telemetry.Metric{exchangedOK: telemetry.Exchanges, "mcpentra.result=hit": telemetry.ExchangeLookups, "mcpentra.target=entra": telemetry.CircuitOpen} {
		wantSeries(t, r, m, set, 0)
	}
	ctx, id := spanOf(t, r)
	c := x.Credential(w.assertion(w.alice))
	for range 3 {
		if _, err := w.get(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	exchanges, requests := r.Named(telemetry.SpanExchange), r.Named(telemetry.SpanEntra)
	if len(exchanges) != 1 || exchanges[0].Parent.SpanID() != id.SpanID() || !exchanges[0].Has(telemetry.Outcome, "ok") || len(exchanges[0].Attributes) != 1 {
		t.Fatalf("exchanges: %+v; want one below the caller with outcome ok alone", exchanges)
	}
	if len(requests) != 1 || requests[0].Parent.SpanID() != exchanges[0].Context.SpanID() || requests[0].Kind != trace.SpanKindClient ||
		!requests[0].Has(telemetry.HTTPMethod, "POST") || !requests[0].Has(telemetry.HTTPStatus, "200") ||
		!requests[0].Has(telemetry.ServerAddress, telemetry.Other) || len(requests[0].Attributes) != 3 {
		t.Errorf("requests: %+v; want one client's POST below the exchange with method, host and status alone", requests)
	}
	if n := len(r.Spans()); n != 3 {
		t.Errorf("%d spans, want 3: those and the caller's", n)
	}
	wantSeries(t, r, telemetry.Exchanges, exchangedOK, 1)
	wantSeries(t, r, telemetry.ExchangeDuration, exchangedOK, 1)
	wantSeries(t, r, telemetry.ExchangeLookups, "mcpentra.result=miss", 1)
	wantSeries(t, r, telemetry.ExchangeLookups, "mcpentra.result=hit", 2)
	wantSeries(t, r, telemetry.ExchangeCacheSize, "", 1)
	for _, request := range w.tenant.Requests() {
		for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
			if request.Header.Get(name) != "" {
				t.Errorf("a request to Entra has the header %s, want none", name)
			}
		}
	}
}

// A token that is due is renewed in a trace of its own, while the old one is served.
func TestTelemetryOfARenewal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, observe := w.observe(t)
	h, held := w.hold()
	h.began.Store(true) // the first answer passes
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{Body: `{"token_type":"Bearer","access_token":"opaque","expires_in":3600,"refresh_in":600}`})
	x := w.exchanger(func(o *obo.Options) { held(o); observe(o) })
	c := x.Credential(w.assertion(w.alice))
	if _, err := c.GetToken(t.Context(), storageOptions); err != nil {
		t.Fatal(err)
	}
	h.began.Store(false)
	w.clock.Advance(11 * time.Minute)
	ctx, id := spanOf(t, r)
	if _, err := c.GetToken(ctx, storageOptions); err != nil {
		t.Fatal(err)
	}
	<-h.arrived
	close(h.release)
	for r.Series(telemetry.ExchangeDuration.Name)[exchangedOK] < 2 { // nobody waits for a renewal
		runtime.Gosched()
	}
	renewals := r.Named(telemetry.SpanExchange)[1:]
	if len(renewals) != 1 || renewals[0].Parent.IsValid() || len(renewals[0].Links) != 1 || renewals[0].Links[0].SpanContext.SpanID() != id.SpanID() {
		t.Errorf("renewals: %+v; want one root with a link to the caller", renewals)
	}
	wantSeries(t, r, telemetry.ExchangeAhead, byExchange, 1)
	wantSeries(t, r, telemetry.ExchangeWaiters, byExchange, 0)
	wantSeries(t, r, telemetry.ExchangeLookups, "mcpentra.result=hit", 1)
	wantSeries(t, r, telemetry.ExchangeLookups, "mcpentra.result=miss", 1)
}

func TestTelemetryOfCallersThatWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, observe := w.observe(t)
	h, held := w.hold()
	x := w.exchanger(func(o *obo.Options) { held(o); observe(o) })
	c := x.Credential(w.assertion(w.alice))
	const callers = 8
	ids := map[trace.SpanID]bool{}
	var wg sync.WaitGroup
	for range callers {
		ctx, id := spanOf(t, r)
		ids[id.SpanID()] = true
		wg.Go(func() {
			if _, err := w.get(ctx, c); err != nil {
				t.Error(err)
			}
		})
	}
	<-h.arrived
	close(h.release)
	wg.Wait()
	exchanges := r.Named(telemetry.SpanExchange)
	if len(exchanges) != 1 || !ids[exchanges[0].Parent.SpanID()] {
		t.Fatalf("exchanges: %+v; want one below a caller", exchanges)
	}
	waits := r.Named(telemetry.SpanExchangeWait)
	for _, s := range waits {
		if !ids[s.Parent.SpanID()] || s.Parent.SpanID() == exchanges[0].Parent.SpanID() || len(s.Links) != 1 || s.Links[0].SpanContext.SpanID() != exchanges[0].Context.SpanID() {
			t.Errorf("wait: %+v; want one below another caller, with a link to the exchange", s)
		}
	}
	wantSeries(t, r, telemetry.ExchangeWaiters, byExchange, float64(len(waits)))
	lookups := r.Series(telemetry.ExchangeLookups.Name)
	if lookups["mcpentra.result=miss"] != float64(1+len(waits)) || lookups["mcpentra.result=hit"] != float64(callers-1-len(waits)) {
		t.Errorf("lookups: %v; want a miss for the exchange and each of %d waits, and hits for the rest of %d", lookups, len(waits), callers)
	}
}

func TestTelemetryOfFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, observe := w.observe(t)
	x := w.exchanger(observe)
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 65001})
	if _, err := w.get(t.Context(), x.Credential(w.assertion(w.alice))); err == nil {
		t.Fatal("got a token, want an error")
	}
	if _, err := w.get(t.Context(), x.Credential(obo.Assertion{})); err == nil {
		t.Fatal("got a token, want an error")
	}
	wantSeries(t, r, telemetry.Exchanges, exchangeFailed("consent_required"), 1)
	wantSeries(t, r, telemetry.Exchanges, exchangeFailed("no_user_assertion"), 1)
	wantSeries(t, r, telemetry.ExchangeDuration, "mcpentra.operation=exchange,mcpentra.outcome=error", 1)
	if s := r.Named(telemetry.SpanExchange); len(s) != 1 || !s[0].Has(telemetry.ErrorType, "consent_required") || !s[0].Has(telemetry.Outcome, "error") {
		t.Errorf("exchanges: %+v; want one with error.type consent_required", s)
	}
	if s := r.Named(telemetry.SpanEntra); len(s) != 1 || !s[0].Has(telemetry.HTTPStatus, "400") || !s[0].Has(telemetry.ErrorType, "400") {
		t.Errorf("requests: %+v; want one with status and error.type 400", s)
	}
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{Status: http.StatusServiceUnavailable})
	for range 5 { // users, each with a request of their own
		_, _ = w.get(t.Context(), x.Credential(w.assertion(w.tenant.AddUser("user@contoso.com", "User"))))
	}
	wantSeries(t, r, telemetry.CircuitOpen, "mcpentra.target=entra", 1)
	const failed = "mcpentra.operation=exchange,mcpentra.outcome=error"
	sent := r.Series(telemetry.ExchangeDuration.Name)[failed]
	_, _ = w.get(t.Context(), x.Credential(w.assertion(w.bob)))
	wantSeries(t, r, telemetry.ExchangeDuration, failed, sent) // nothing was sent, so it took no time at Entra
	w.tenant.Fail(entratest.EndpointToken)
	w.clock.Advance(time.Minute)
	w.mustGet(x.Credential(w.assertion(w.bob)))
	wantSeries(t, r, telemetry.CircuitOpen, "mcpentra.target=entra", 0)
}

func TestTelemetryOfTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, observe := w.observe(t)
	store := newMemoryStore()
	change := func(o *obo.Options) { observe(o); o.Store, o.StoreKeys = store, [][]byte{bytes.Repeat([]byte{7}, 32)} }
	x := w.exchanger(change)
	for _, result := range []string{"hit", "miss", "error"} {
		wantSeries(t, r, telemetry.StoreLookups, "mcpentra.result="+result, 0)
	}
	wantSeries(t, r, telemetry.CircuitOpen, "mcpentra.target=store", 0)
	a := w.assertion(w.alice)
	w.mustGet(x.Credential(a))
	w.mustGet(w.exchanger(change).Credential(a)) // another replica, with the same provider
	wantSeries(t, r, telemetry.StoreLookups, "mcpentra.result=miss", 1)
	wantSeries(t, r, telemetry.StoreLookups, "mcpentra.result=hit", 1)
	wantSeries(t, r, telemetry.Exchanges, exchangedOK, 1) // what the store has is not exchanged
	s := r.Named(telemetry.SpanExchange)
	if len(s) != 2 || !s[0].Has(telemetry.Result, "miss") || !s[1].Has(telemetry.Result, "hit") {
		t.Errorf("exchanges: %+v; want one with the result miss, then one with hit", s)
	}
}

func TestTelemetryOfAnAgent(t *testing.T) {
	t.Parallel()
	e, r := &agentEntra{}, telemetrytest.New()
	x := e.exchanger(t, func(o *obo.Options) { o.TracerProvider, o.MeterProvider = r.TracerProvider(), r.MeterProvider() })
	wantSeries(t, r, telemetry.Exchanges, "mcpentra.operation=assertion,mcpentra.outcome=ok", 0)
	wantSeries(t, r, telemetry.CircuitOpen, "mcpentra.target=agent", 0)
	mustAsk(t, x, 1, agentA)
	mustAsk(t, x, 2, agentA)
	exchanges, firsts := r.Named(telemetry.SpanExchange), r.Named(telemetry.SpanAgent)
	if len(exchanges) != 2 || len(firsts) != 1 || firsts[0].Parent.SpanID() != exchanges[0].Context.SpanID() {
		t.Fatalf("exchanges %+v and first steps %+v; want two, and one below the first of them", exchanges, firsts)
	}
	if s := r.Named(telemetry.SpanEntra); len(s) != 3 || s[0].Parent.SpanID() != firsts[0].Context.SpanID() || s[1].Parent.SpanID() != exchanges[0].Context.SpanID() ||
		!s[0].Has(telemetry.ServerAddress, "login.microsoftonline.com") {
		t.Errorf("requests: %+v; want one of the first step and two exchanges at login.microsoftonline.com", s)
	}
	wantSeries(t, r, telemetry.Exchanges, "mcpentra.operation=assertion,mcpentra.outcome=ok", 1)
	wantSeries(t, r, telemetry.Exchanges, exchangedOK, 2)
	e.mu.Lock()
	e.answer = func(url.Values) answer { return answer{status: http.StatusServiceUnavailable} }
	e.mu.Unlock()
	for user := range 6 {
		_, _ = askAs(t, x, user+10, agentB)
	}
	wantSeries(t, r, telemetry.CircuitOpen, "mcpentra.target=agent", 1)
	for _, fault := range r.Faults(agentA, agentB, someGUID, someAppID, "vouched", "token.", "secret") {
		t.Error(fault)
	}
}

// The end is the certificate's. A secret has none.
func TestTelemetryOfTheCertificate(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	path := filepath.Join(t.TempDir(), "app.pem")
	first := certificateFile(t, path)
	for name, method := range map[string]clientauth.Method{"certificate": clientauth.CertificateFile(path, ""), "secret": clientauth.Secret("the-secret-value")} {
		r := telemetrytest.New()
		entra.exchangerWith(t, method, func(o *obo.Options) { o.MeterProvider = r.MeterProvider() })
		if name == "secret" {
			if got := r.Series(telemetry.AssertionEnds.Name); len(got) != 0 {
				t.Errorf("with a secret, the end is %v, want none", got)
			}
			continue
		}
		wantSeries(t, r, telemetry.AssertionEnds, "mcpentra.use=exchange", float64(first.NotAfter.Unix()))
	}
}

// A cached token costs no allocation more with providers than without.
func TestCachedTokenWithMetrics(t *testing.T) {
	allocs := func(change func(*obo.Options)) float64 {
		w := newWorld(t)
		c := w.exchanger(change).Credential(w.assertion(w.alice))
		w.mustGet(c)
		return testing.AllocsPerRun(100, func() { _, _ = c.GetToken(t.Context(), storageOptions) })
	}
	r := telemetrytest.New()
	without := allocs(nil)
	if with := allocs(func(o *obo.Options) { o.TracerProvider, o.MeterProvider = r.TracerProvider(), r.MeterProvider() }); with != without {
		t.Errorf("%v allocations with providers, want %v as without", with, without)
	}
}
