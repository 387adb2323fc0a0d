package authproxy_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry/telemetrytest"
)

func wantSeries(t *testing.T, r *telemetrytest.Recorder, m telemetry.Metric, set string, want float64) {
	t.Helper()
	if got, ok := r.Series(m.Name)[set]; !ok || got != want {
		t.Errorf("%s{%s} is %v (there: %v), want %v; all: %v", m.Name, set, got, ok, want, r.Series(m.Name))
	}
}

func at(endpoint, outcome string) string {
	return "mcpentra.endpoint=" + endpoint + ",mcpentra.outcome=" + outcome
}

func TestTelemetry(t *testing.T) {
	t.Parallel()
	r := telemetrytest.New()
	l := newLab(t, authproxy.Options{TracerProvider: r.TracerProvider(), MeterProvider: r.MeterProvider()})
	for _, endpoint := range []string{"authorize", "consent", "callback", "token", "revoke", "register", "metadata"} {
		for _, outcome := range []string{"ok", "refused", "error"} {
			wantSeries(t, r, telemetry.SignIns, at(endpoint, outcome), 0)
		}
	}
	wantSeries(t, r, telemetry.SignInsRefused, "mcpentra.reason=invalid_grant", 0)
	client := l.register()
	code := l.code(client)
	ctx, caller := r.TracerProvider().Tracer("test").Start(t.Context(), "caller")
	caller.End()
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, labIssuer+"/token", strings.NewReader(labCode(client, code).Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	refresh := l.refreshToken(l.serve(request))
	calls := r.Named(telemetry.SpanEntra)
	if len(calls) != 1 || calls[0].Parent.SpanID() != caller.SpanContext().SpanID() || calls[0].Kind != trace.SpanKindClient ||
		!calls[0].Has(telemetry.HTTPStatus, "200") || !calls[0].Has(telemetry.HTTPMethod, "POST") || len(calls[0].Attributes) != 3 {
		t.Errorf("calls: %+v; want one client's POST below the caller with method, host and status alone", calls)
	}
	if w := l.form("/token", labCode(client, code)); w.Code != http.StatusBadRequest { // again
		t.Fatalf("status %d, want 400", w.Code)
	}
	if w := l.form("/revoke", labRefresh(client, refresh)); w.Code != http.StatusBadRequest { // without a token
		t.Fatalf("status %d, want 400", w.Code)
	}
	l.get(labIssuer + "/authorize?client_id=hidden-client")
	l.get(labIssuer + "/.well-known/oauth-authorization-server")
	l.get(labIssuer + "/token")                                                         // a wrong method
	l.serve(httptest.NewRequest(http.MethodOptions, labIssuer+"/token", http.NoBody))   // a preflight
	l.serve(httptest.NewRequest(http.MethodGet, labIssuer+"/hidden/path", http.NoBody)) // no endpoint
	for set, want := range map[string]float64{
		at("register", "ok"): 1, at("authorize", "ok"): 1, at("consent", "ok"): 1, at("callback", "ok"): 1, at("token", "ok"): 1, at("token", "refused"): 2,
		at("revoke", "refused"): 1, at("authorize", "refused"): 1, at("metadata", "ok"): 1,
	} {
		wantSeries(t, r, telemetry.SignIns, set, want)
	}
	for reason, want := range map[string]float64{"invalid_grant": 1, "invalid_request": 1, "unknown_client": 1, "method": 1, "server_error": 0} {
		wantSeries(t, r, telemetry.SignInsRefused, "mcpentra.reason="+reason, want)
	}
	for _, fault := range r.Faults("hidden", "https:", labRedirect, "client.example", "127.0.0.1", "localhost", "contoso", client, code, refresh, "lab-secret", "some-state") {
		t.Error(fault)
	}
}

func TestTelemetryOfADenial(t *testing.T) {
	t.Parallel()
	r := telemetrytest.New()
	l := newLab(t, authproxy.Options{MeterProvider: r.MeterProvider()})
	l.form("/consent", l.decision(l.authorize(l.register()), "deny"))
	wantSeries(t, r, telemetry.SignIns, at("consent", "refused"), 1)
	wantSeries(t, r, telemetry.SignInsRefused, "mcpentra.reason=denied", 1)
}

func TestTelemetryOfTheCertificate(t *testing.T) {
	t.Parallel()
	r := telemetrytest.New()
	newLab(t, authproxy.Options{MeterProvider: r.MeterProvider()})
	if got := r.Series(telemetry.AssertionEnds.Name); len(got) != 0 {
		t.Errorf("with a secret, the end is %v, want none", got)
	}
}
