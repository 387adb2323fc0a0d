package mcpentra_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// All packages report to the same providers: those of the SDK, go.opentelemetry.io/otel/sdk/trace and
// sdk/metric, which the program makes.
func ExampleWithTracerProvider() {
	const (
		tenantID         = "11111111-1111-4111-8111-111111111111"
		apiAppID         = "22222222-2222-4222-8222-222222222222"
		identityClientID = "33333333-3333-4333-8333-333333333333"
	)
	watched := func(tracers trace.TracerProvider, meters metric.MeterProvider) (*mcpentra.Server, error) {
		verifier, err := entraauth.NewVerifier(tenantID, apiAppID, &entraauth.Options{
			HTTPClient: &http.Client{Transport: offline{}}, TracerProvider: tracers, MeterProvider: meters,
		})
		if err != nil {
			return nil, err
		}
		defer func() { _ = verifier.Close() }()
		exchanger, err := obo.NewExchanger(tenantID, apiAppID, clientauth.ManagedIdentity(identityClientID), &obo.Options{
			TracerProvider: tracers, MeterProvider: meters,
		})
		if err != nil {
			return nil, err
		}
		return mcpentra.NewServer("https://mcp.example.com/mcp", verifier,
			mcpentra.WithExchanger(exchanger),
			mcpentra.WithTracerProvider(tracers),
			mcpentra.WithMeterProvider(meters),
			mcpentra.WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/24")), // whose traceparent is believed
		)
	}
	srv, err := watched(tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider())
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "https://mcp.example.com/mcp", nil))
	fmt.Println(w.Code)
	// Output: 401
}
