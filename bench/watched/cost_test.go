// Package watched measures what OpenTelemetry's SDK costs a tools/call.
package watched

import (
	"context"
	"flag"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/mcpentra/mcp-entra-go/bench"
	"github.com/mcpentra/mcp-entra-go/bench/calls"
)

var rounds = flag.Int("rounds", 1, "how often each handler has its turn; 200 give steady figures on a quiet machine")

// discard is an exporter to nowhere.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }

// The whole handler with policies and a log, with and without the SDK, which samples 1 in 100 and
// measures everything, take turns; the time is CPU time of the process. With 100 rounds or more it
// fails if the difference is above 3 % beyond the noise, in the lower quartile too: on a busy machine
// that tells only gross faults, so look at what it prints.
func TestCost(t *testing.T) {
	bed, err := bench.NewBed()
	if err != nil {
		t.Fatal(err)
	}
	defer bed.Close()
	sampler := sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01))
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(discard{}), sdktrace.WithSampler(sampler))
	defer func() { _ = tracers.Shutdown(context.Background()) }()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	defer func() { _ = meters.Shutdown(context.Background()) }()
	plain := calls.Watched("without providers", nil, nil)
	handlers := []calls.Handler{
		plain, plain,
		calls.Watched("spans, 1 in 100", tracers, nil),
		calls.Watched("metrics", nil, meters),
		calls.Watched("both", tracers, meters),
	}
	costs, err := calls.Direct(t.Context(), calls.EntraOf(bed), handlers, calls.Call(calls.Old, bed.Token(nil)), func() {}, *rounds)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range costs[1:] {
		low, median, high := c.Ratio.Quartiles()
		t.Logf("%-18s %.4f (%.4f to %.4f) of the time, %v, %d allocations, %d bytes", c.Name, median, low, high, c.Time, c.Allocs, c.Bytes)
	}
	if low, median, _ := costs[len(costs)-1].Ratio.Quartiles(); *rounds >= 100 && min(low, median) > 1.03 {
		t.Errorf("telemetry costs %.1f %%, want 3 at most", 100*(median-1))
	}
}
