// Package telemetrytest records what code under test passes to OpenTelemetry, exactly as it
// passes it: the SDK, which changes some of it, is not in this module.
package telemetrytest

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
)

// A Recorder keeps all spans and measurements. Use New.
type Recorder struct {
	mu      sync.Mutex
	last    uint64 // id
	spans   []*span
	metrics map[string]*instrument
	observe []*callback
}

// New returns an empty recorder.
func New() *Recorder { return &Recorder{metrics: map[string]*instrument{}} }

// TracerProvider returns a provider whose spans are recorded.
func (r *Recorder) TracerProvider() trace.TracerProvider { return tracerProvider{r: r} }

// A Span is what was recorded of a span.
type Span struct {
	Scope      string
	Name       string
	Kind       trace.SpanKind
	Context    trace.SpanContext
	Parent     trace.SpanContext // not valid for a root
	Links      []trace.Link
	Attributes map[attribute.Key]string // values as [attribute.Value.String] writes them
	Events     []string                 // names, with attributes as text
	Status     codes.Code
	StatusText string
	Ended      bool
	Late       []string // what was done after the end, such as a second one
}

// Has reports whether the span has the attribute with the value.
func (s *Span) Has(key attribute.Key, value string) bool {
	got, ok := s.Attributes[key]
	return ok && got == value
}

// Spans returns all spans, in the order in which they began.
func (r *Recorder) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Span, len(r.spans))
	for i, s := range r.spans {
		all[i] = s.data
		all[i].Attributes = map[attribute.Key]string{}
		maps.Copy(all[i].Attributes, s.data.Attributes)
		all[i].Links, all[i].Events = slices.Clone(s.data.Links), slices.Clone(s.data.Events)
	}
	return all
}

// Named returns the spans with the name.
func (r *Recorder) Named(name string) []Span {
	return slices.DeleteFunc(r.Spans(), func(s Span) bool { return s.Name != name })
}

// Texts returns all that a backend would see: of spans their names, attributes, events, links'
// attributes and status; of metrics the attributes.
func (r *Recorder) Texts() []string {
	var all []string
	for _, s := range r.Spans() {
		all = append(append(all, s.Name, s.StatusText, s.Context.TraceState().String()), s.Events...)
		for k, v := range s.Attributes {
			all = append(all, string(k)+"="+v)
		}
		for _, l := range s.Links {
			all = append(all, l.SpanContext.TraceState().String(), text(l.Attributes))
		}
	}
	for _, name := range r.Metrics() {
		for set := range r.Series(name) {
			all = append(all, name+" "+set)
		}
	}
	return all
}

func text(attrs []attribute.KeyValue) string {
	set := attribute.NewSet(attrs...)
	return set.Encoded(attribute.DefaultEncoder())
}

type tracerProvider struct {
	embedded.TracerProvider
	r *Recorder
}

func (p tracerProvider) Tracer(scope string, _ ...trace.TracerOption) trace.Tracer {
	return tracer{provider: p, scope: scope}
}

type tracer struct {
	embedded.Tracer
	provider tracerProvider
	scope    string
}

func (t tracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	config, r := trace.NewSpanStartConfig(options...), t.provider.r
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	var id trace.SpanContextConfig
	binary.BigEndian.PutUint64(id.SpanID[:], r.last)
	parent := trace.SpanContextFromContext(ctx)
	if config.NewRoot() || !parent.IsValid() {
		parent = trace.SpanContext{}
		binary.BigEndian.PutUint64(id.TraceID[:], r.last)
	} else {
		id.TraceID, id.TraceState = parent.TraceID(), parent.TraceState()
	}
	id.TraceFlags = trace.FlagsSampled
	s := &span{tracer: t, data: Span{
		Scope: t.scope, Name: name, Kind: config.SpanKind(), Context: trace.NewSpanContext(id), Parent: parent,
		Links: config.Links(), Attributes: map[attribute.Key]string{},
	}}
	s.set(config.Attributes())
	r.spans = append(r.spans, s)
	return trace.ContextWithSpan(ctx, s), s
}

// A span is guarded by the lock of its recorder. The embedded interface is nil: what is not
// recorded panics.
type span struct {
	trace.Span
	tracer tracer
	data   Span
}

func (s *span) lock() (unlock func()) {
	s.tracer.provider.r.mu.Lock()
	return s.tracer.provider.r.mu.Unlock
}

func (s *span) set(attrs []attribute.KeyValue) {
	for _, a := range attrs {
		s.data.Attributes[a.Key] = a.Value.String()
	}
}

// late notes what comes after the end: it is lost.
func (s *span) late(what string) {
	if s.data.Ended {
		s.data.Late = append(s.data.Late, what)
	}
}

// End implements [trace.Span].
func (s *span) End(...trace.SpanEndOption) {
	defer s.lock()()
	s.late("End")
	s.data.Ended = true
}

// AddEvent implements [trace.Span].
func (s *span) AddEvent(name string, options ...trace.EventOption) {
	defer s.lock()()
	config := trace.NewEventConfig(options...)
	s.data.Events = append(s.data.Events, strings.TrimSpace(name+" "+text(config.Attributes())))
}

// RecordError implements [trace.Span].
func (s *span) RecordError(err error, options ...trace.EventOption) {
	s.AddEvent("exception "+err.Error(), options...)
}

// AddLink implements [trace.Span].
func (s *span) AddLink(l trace.Link) {
	defer s.lock()()
	s.late("AddLink")
	s.data.Links = append(s.data.Links, l)
}

// IsRecording implements [trace.Span].
func (s *span) IsRecording() bool {
	defer s.lock()()
	return !s.data.Ended
}

// SpanContext implements [trace.Span].
func (s *span) SpanContext() trace.SpanContext { return s.data.Context }

// SetStatus implements [trace.Span].
func (s *span) SetStatus(code codes.Code, text string) {
	defer s.lock()()
	s.late("SetStatus")
	s.data.Status, s.data.StatusText = code, text
}

// SetName implements [trace.Span].
func (s *span) SetName(name string) {
	defer s.lock()()
	s.late("SetName")
	s.data.Name = name
}

// SetAttributes implements [trace.Span].
func (s *span) SetAttributes(attrs ...attribute.KeyValue) {
	defer s.lock()()
	s.late("SetAttributes")
	s.set(attrs)
}

// TracerProvider implements [trace.Span].
func (s *span) TracerProvider() trace.TracerProvider { return s.tracer.provider }

// Faults returns what must not be: spans that have not ended, or more than once, a status or an event with a text,
// and what a backend would see of the texts of never.
func (r *Recorder) Faults(never ...string) (faults []string) {
	for _, s := range r.Spans() {
		if !s.Ended {
			faults = append(faults, s.Name+" has not ended")
		}
		if len(s.Late) > 0 {
			faults = append(faults, s.Name+" has ended before "+strings.Join(s.Late, ", "))
		}
		if s.StatusText != "" || len(s.Events) > 0 {
			faults = append(faults, s.Name+" has a status text or events")
		}
	}
	for _, seen := range r.Texts() {
		for _, text := range never {
			if text != "" && strings.Contains(strings.ToLower(seen), strings.ToLower(text)) {
				faults = append(faults, "a backend sees "+text+" in "+seen)
			}
		}
	}
	return faults
}
