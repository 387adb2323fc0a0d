// Package telemetry is what the packages of this module tell OpenTelemetry: the names of
// everything, and spans and instruments that do nothing, and cost nothing, without a provider.
package telemetry

import (
	"context"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the instrumentation scope of all spans and metrics.
const Scope = "github.com/mcpentra/mcp-entra-go"

// Telemetry makes spans and instruments. A nil one makes those that do nothing.
type Telemetry struct {
	tracer trace.Tracer // nil without a provider
	meter  metric.Meter // nil without a provider
}

// New returns what reports to the providers, or nil if both are nil.
func New(tracers trace.TracerProvider, meters metric.MeterProvider) *Telemetry {
	t := &Telemetry{}
	if !IsNil(tracers) {
		t.tracer = tracers.Tracer(Scope)
	}
	if !IsNil(meters) {
		t.meter = meters.Meter(Scope)
	}
	if t.tracer == nil && t.meter == nil {
		return nil
	}
	return t
}

// IsNil reports whether there is no provider, or a nil pointer in its place: a program has one
// in a variable that it did not set, and its first call would panic.
func IsNil(provider any) bool {
	v := reflect.ValueOf(provider)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// Traces reports whether there is a tracer provider.
func (t *Telemetry) Traces() bool { return t != nil && t.tracer != nil }

// Measures reports whether there is a meter provider.
func (t *Telemetry) Measures() bool { return t != nil && t.meter != nil }

// A Span is a span, or nothing.
type Span struct{ span trace.Span }

// Start begins a span. Callers keep the options, so that they cost nothing without a provider.
func (t *Telemetry) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, Span) {
	if !t.Traces() {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, name, options...) //nolint:spancheck // the caller ends it
	return ctx, Span{span}
}

// Recording reports whether somebody will see the span's attributes.
func (s Span) Recording() bool { return s.span != nil && s.span.IsRecording() }

// Set sets attributes. Callers look at Recording before they make any.
func (s Span) Set(attrs ...attribute.KeyValue) {
	if s.span != nil {
		s.span.SetAttributes(attrs...)
	}
}

// Fail marks the span as failed. The kind is of a small vocabulary: never an error's text.
func (s Span) Fail(kind string) {
	if s.Recording() {
		s.span.SetAttributes(ErrorType.String(kind))
		s.span.SetStatus(codes.Error, "")
	}
}

// End ends the span.
func (s Span) End() {
	if s.span != nil {
		s.span.End()
	}
}

// EndUnless is deferred where End is called later: it ends the span of what has not returned,
// because of a panic or runtime.Goexit.
func (s Span) EndUnless(returned *bool) {
	if !*returned {
		s.Fail(Internal)
		s.End()
	}
}

// Rename gives the span another name. Callers look at Recording before they make one.
func (s Span) Rename(name string) {
	if s.span != nil {
		s.span.SetName(name)
	}
}

// Link links the span to another, whose tracestate is dropped.
func (s Span) Link(other trace.SpanContext) {
	if s.Recording() && other.IsValid() {
		s.span.AddLink(trace.Link{SpanContext: other.WithTraceState(trace.TraceState{})})
	}
}

// Within returns the context with the span as the current one.
func (s Span) Within(ctx context.Context) context.Context {
	if s.span == nil || trace.SpanContextFromContext(ctx).Equal(s.span.SpanContext()) { // spans themselves can't be compared
		return ctx
	}
	return trace.ContextWithSpan(ctx, s.span)
}

// Context returns the span's identity; it is invalid for nothing.
func (s Span) Context() trace.SpanContext {
	if s.span == nil {
		return trace.SpanContext{}
	}
	return s.span.SpanContext()
}

// maxSeries bounds the attribute sets of one instrument: the SDK has the same default.
const maxSeries = 2000

// A Counter counts by sets of attributes, which the key K stands for. A nil one does nothing.
type Counter[K comparable] struct {
	counter metric.Int64Counter
	series  series[K]
}

// NewCounter returns a counter, nil without a meter provider. attributes returns the set of a
// key. The sets of the known keys begin at 0.
func NewCounter[K comparable](t *Telemetry, m Metric, attributes func(K) []attribute.KeyValue, known ...K) *Counter[K] {
	if !t.Measures() {
		return nil
	}
	counter, err := t.meter.Int64Counter(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description))
	if err != nil {
		return nil // the meter has reported it
	}
	c := &Counter[K]{counter: counter, series: series[K]{attributes: attributes}}
	for _, k := range known {
		c.Add(context.Background(), k, 0)
	}
	return c
}

// Add adds n to the set of the key.
func (c *Counter[K]) Add(ctx context.Context, key K, n int64) {
	if c != nil {
		c.counter.Add(ctx, n, c.series.of(key).add...)
	}
}

// A Histogram records durations in seconds by sets of attributes. A nil one does nothing.
type Histogram[K comparable] struct {
	histogram metric.Float64Histogram
	series    series[K]
}

// NewHistogram returns a histogram, nil without a meter provider.
func NewHistogram[K comparable](t *Telemetry, m Metric, attributes func(K) []attribute.KeyValue) *Histogram[K] {
	if !t.Measures() {
		return nil
	}
	histogram, err := t.meter.Float64Histogram(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description),
		metric.WithExplicitBucketBoundaries(m.Buckets...))
	if err != nil {
		return nil // the meter has reported it
	}
	return &Histogram[K]{histogram: histogram, series: series[K]{attributes: attributes}}
}

// Record records a value in the set of the key.
func (h *Histogram[K]) Record(ctx context.Context, key K, value float64) {
	if h != nil {
		h.histogram.Record(ctx, value, h.series.of(key).record...)
	}
}

// Observe reports what measure returns whenever metrics are collected; nothing is reported
// while it returns false. stop ends that.
func (t *Telemetry) Observe(m Metric, measure func() (value float64, ok bool), attrs ...attribute.KeyValue) (stop func()) {
	if !t.Measures() {
		return func() {}
	}
	gauge, err := t.meter.Float64ObservableGauge(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description))
	if err != nil {
		return func() {}
	}
	set := metric.WithAttributeSet(attribute.NewSet(attrs...))
	return t.callback(gauge, func(o metric.Observer) {
		if value, ok := measure(); ok {
			o.ObserveFloat64(gauge, value, set)
		}
	})
}

// series are an instrument's attribute sets, each made once. Reading takes no lock.
type series[K comparable] struct {
	attributes func(K) []attribute.KeyValue
	known      atomic.Pointer[map[K]*prepared]
	mu         sync.Mutex // held to add one
}

// prepared is a set as options, made once: an option made for each record would be the
// largest part of its cost.
type prepared struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

var overflow = prepare(attribute.NewSet(attribute.Bool("otel.metric.overflow", true)))

func prepare(set attribute.Set) *prepared {
	option := metric.WithAttributeSet(set)
	return &prepared{[]metric.AddOption{option}, []metric.RecordOption{option}}
}

func (s *series[K]) of(key K) *prepared {
	if known := s.known.Load(); known != nil {
		if p := (*known)[key]; p != nil {
			return p
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	grown := map[K]*prepared{}
	if known := s.known.Load(); known != nil {
		if p := (*known)[key]; p != nil {
			return p
		}
		if len(*known) >= maxSeries {
			return overflow
		}
		maps.Copy(grown, *known)
	}
	p := prepare(attribute.NewSet(s.attributes(key)...))
	grown[key] = p
	s.known.Store(&grown)
	return p
}
