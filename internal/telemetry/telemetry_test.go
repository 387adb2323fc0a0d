package telemetry_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

func reason(r string) []attribute.KeyValue {
	return []attribute.KeyValue{telemetry.Reason.String(r)}
}

// Without a provider nothing is called, and nothing allocated.
func TestWithoutProvider(t *testing.T) {
	none := telemetry.New(nil, nil)
	counter := telemetry.NewCounter(none, telemetry.Requests, reason)
	histogram := telemetry.NewHistogram(none, telemetry.OperationDuration, reason)
	defer none.Observe(telemetry.KeysAge, func() (float64, bool) { return 0, true })()
	allocs := testing.AllocsPerRun(100, func() {
		ctx, span := none.Start(context.Background(), telemetry.SpanKeys)
		span.Fail("any")
		span.End()
		counter.Add(ctx, "any", 1)
		histogram.Record(ctx, "any", 1)
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}
