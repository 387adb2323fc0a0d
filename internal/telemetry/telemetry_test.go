package telemetry_test

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry/telemetrytest"
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

// What is passed on is what a provider gets.
func TestRecorded(t *testing.T) {
	t.Parallel()
	r := telemetrytest.New()
	tel := telemetry.New(r.TracerProvider(), r.MeterProvider())
	ctx, parent := tel.Start(t.Context(), "parent", trace.WithSpanKind(trace.SpanKindServer))
	_, child := tel.Start(ctx, "child")
	child.Set(telemetry.Operation.String("read"))
	child.Fail("timeout")
	child.End()
	parent.End()
	spans := r.Spans()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want 2", len(spans))
	}
	if p := spans[0]; p.Kind != trace.SpanKindServer || p.Parent.IsValid() || p.Scope != telemetry.Scope || !p.Ended {
		t.Errorf("parent: got %+v, want a server's root", p)
	}
	if c := spans[1]; c.Parent.SpanID() != spans[0].Context.SpanID() || c.Status != codes.Error || c.StatusText != "" ||
		!c.Has(telemetry.ErrorType, "timeout") || !c.Has(telemetry.Operation, "read") {
		t.Errorf("child: got %+v, want a failed one of the parent's", c)
	}

	counter := telemetry.NewCounter(tel, telemetry.LimitsHit, reason, "known")
	counter.Add(ctx, "new", 2)
	counter.Add(ctx, "new", 1)
	if got, want := r.Series(telemetry.LimitsHit.Name), map[string]float64{"mcpentra.reason=known": 0, "mcpentra.reason=new": 3}; !maps.Equal(got, want) {
		t.Errorf("counter: got %v, want %v", got, want)
	}
	histogram := telemetry.NewHistogram(tel, telemetry.OperationDuration, reason)
	histogram.Record(ctx, "a", 0.5)
	if got := r.Values(telemetry.OperationDuration.Name); fmt.Sprint(got) != "map[mcpentra.reason=a:[0.5]]" {
		t.Errorf("histogram: got %v, want one value", got)
	}
	age := 1.0
	stop := tel.Observe(telemetry.KeysAge, func() (float64, bool) { return age, age < 3 })
	for _, want := range []string{"map[:1]", "map[:2]", "map[]"} {
		if got := fmt.Sprint(r.Series(telemetry.KeysAge.Name)); got != want {
			t.Errorf("gauge: got %s, want %s", got, want)
		}
		age++
	}
	stop()
	age = 1
	if got := r.Series(telemetry.KeysAge.Name); len(got) != 0 {
		t.Errorf("gauge after its end: got %v, want none", got)
	}
}

// A client can't make an instrument grow without bound.
func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	r := telemetrytest.New()
	counter := telemetry.NewCounter(telemetry.New(nil, r.MeterProvider()), telemetry.Requests, reason)
	const n = 3000
	for i := range n {
		counter.Add(t.Context(), fmt.Sprint(i), 1)
	}
	series := r.Series(telemetry.Requests.Name)
	if got := series["otel.metric.overflow=true"]; len(series) > 2001 || got+float64(len(series))-1 != n {
		t.Errorf("%d series, %v in the one for the rest; want at most 2001 and all counted", len(series), got)
	}
}
