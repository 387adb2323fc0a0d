package telemetry

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// A Tally counts on the hottest paths: an atomic number, which is read when metrics are
// collected, so that counting allocates nothing whatever the provider. A nil one does nothing.
type Tally struct{ n atomic.Int64 }

// NewTally returns a tally, nil without a meter provider. stop ends its reporting.
func NewTally(t *Telemetry, m Metric, attrs ...attribute.KeyValue) (tally *Tally, stop func()) {
	if !t.Measures() {
		return nil, func() {}
	}
	tally = &Tally{}
	return tally, t.ObserveTotal(m, tally.n.Load, attrs...)
}

// Add adds n.
func (t *Tally) Add(n int64) {
	if t != nil {
		t.n.Add(n)
	}
}

// ObserveTotal reports a counter that exists, whenever metrics are collected. Of several with
// the same attributes, backends see the sum. stop ends that.
func (t *Telemetry) ObserveTotal(m Metric, total func() int64, attrs ...attribute.KeyValue) (stop func()) {
	if !t.Measures() {
		return func() {}
	}
	counter, err := t.meter.Int64ObservableCounter(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description))
	if err != nil {
		return func() {}
	}
	set := metric.WithAttributeSet(attribute.NewSet(attrs...))
	return t.callback(counter, func(o metric.Observer) { o.ObserveInt64(counter, total(), set) })
}

// ObserveCount reports how many of something there are whenever metrics are collected. Unlike
// those of gauges, the values of several with the same attributes, such as two servers in one
// process, add up. stop ends that.
func (t *Telemetry) ObserveCount(m Metric, count func() int) (stop func()) {
	if !t.Measures() {
		return func() {}
	}
	counter, err := t.meter.Int64ObservableUpDownCounter(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description))
	if err != nil {
		return func() {}
	}
	return t.callback(counter, func(o metric.Observer) { o.ObserveInt64(counter, int64(count())) })
}

// callback calls observe whenever metrics are collected. stop ends that.
func (t *Telemetry) callback(of metric.Observable, observe func(metric.Observer)) (stop func()) {
	registration, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		observe(o)
		return nil
	}, of)
	if err != nil {
		return func() {}
	}
	return func() { _ = registration.Unregister() }
}
