package telemetrytest

import (
	"context"
	"maps"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
)

// MeterProvider returns a provider whose measurements are recorded.
func (r *Recorder) MeterProvider() metric.MeterProvider { return meterProvider{r: r} }

// An Instrument is how an instrument was made.
type Instrument struct {
	Kind                    string // counter, histogram, gauge, total (an observable counter), count (one that goes up and down)
	Name, Unit, Description string
	Buckets                 []float64
}

// An instrument is guarded by the lock of its recorder.
type instrument struct {
	Instrument
	r      *Recorder
	values map[string][]float64 // by attribute set
}

// Metrics returns the names of all instruments, sorted.
func (r *Recorder) Metrics() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.metrics))
}

// Instrument returns how the instrument was made; the zero value if it was not.
func (r *Recorder) Instrument(name string) Instrument {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.metrics[name]; i != nil {
		return i.Instrument
	}
	return Instrument{}
}

// Series returns the values of an instrument by attribute set, such as "a=1,b=2", sorted by
// key; "" is the empty set. A counter's is its sum, a histogram's how many values it has, a total's
// or count's the sum of what its callbacks report now, and a gauge's what the last of them reports.
func (r *Recorder) Series(name string) map[string]float64 {
	series := map[string]float64{}
	kind := r.Instrument(name).Kind
	for set, values := range r.Values(name) {
		switch kind {
		case "histogram":
			series[set] = float64(len(values))
		case "gauge":
			series[set] = values[len(values)-1]
		default:
			for _, v := range values {
				series[set] += v
			}
		}
	}
	return series
}

// Values returns what was recorded, one by one, by attribute set.
func (r *Recorder) Values(name string) map[string][]float64 {
	r.mu.Lock()
	i, callbacks := r.metrics[name], slices.Clone(r.observe)
	if i == nil {
		r.mu.Unlock()
		return nil
	}
	isObserved := slices.Contains([]string{"gauge", "total", "count"}, i.Kind)
	if isObserved {
		clear(i.values)
	}
	r.mu.Unlock()
	if isObserved {
		for _, c := range callbacks {
			if slices.Contains(c.instruments, i) {
				_ = c.f(context.Background(), observer{only: i})
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	values := map[string][]float64{}
	for set, v := range i.values {
		values[set] = slices.Clone(v)
	}
	return values
}

func (i *instrument) record(set attribute.Set, v float64) {
	i.r.mu.Lock()
	defer i.r.mu.Unlock()
	key := set.Encoded(attribute.DefaultEncoder())
	if i.Kind == "counter" {
		if len(i.values[key]) == 0 {
			i.values[key] = []float64{0}
		}
		i.values[key][0] += v
		return
	}
	i.values[key] = append(i.values[key], v)
}

type meterProvider struct {
	embedded.MeterProvider
	r *Recorder
}

func (p meterProvider) Meter(string, ...metric.MeterOption) metric.Meter { return meter{r: p.r} }

// A meter makes the instruments that this module uses. The embedded interface is nil: others
// panic.
type meter struct {
	metric.Meter
	r *Recorder
}

func (m meter) instrument(kind, name, unit, description string, buckets []float64) *instrument {
	m.r.mu.Lock()
	defer m.r.mu.Unlock()
	i := m.r.metrics[name]
	if i == nil {
		i = &instrument{r: m.r, Instrument: Instrument{kind, name, unit, description, buckets}, values: map[string][]float64{}}
		m.r.metrics[name] = i
	}
	return i
}

type counter struct {
	metric.Int64Counter
	*instrument
}

// Int64Counter implements [metric.Meter].
func (m meter) Int64Counter(name string, options ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	c := metric.NewInt64CounterConfig(options...)
	return counter{instrument: m.instrument("counter", name, c.Unit(), c.Description(), nil)}, nil
}

// Add implements [metric.Int64Counter].
func (c counter) Add(_ context.Context, n int64, options ...metric.AddOption) {
	config := metric.NewAddConfig(options)
	c.record(config.Attributes(), float64(n))
}

// Enabled implements [metric.Int64Counter].
func (counter) Enabled(context.Context) bool { return true }

type histogram struct {
	metric.Float64Histogram
	*instrument
}

// Float64Histogram implements [metric.Meter].
func (m meter) Float64Histogram(name string, options ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	c := metric.NewFloat64HistogramConfig(options...)
	return histogram{instrument: m.instrument("histogram", name, c.Unit(), c.Description(), c.ExplicitBucketBoundaries())}, nil
}

// Record implements [metric.Float64Histogram].
func (h histogram) Record(_ context.Context, v float64, options ...metric.RecordOption) {
	config := metric.NewRecordConfig(options)
	h.record(config.Attributes(), v)
}

// Enabled implements [metric.Float64Histogram].
func (histogram) Enabled(context.Context) bool { return true }

type gauge struct {
	metric.Float64ObservableGauge
	*instrument
}

// Float64ObservableGauge implements [metric.Meter].
func (m meter) Float64ObservableGauge(name string, options ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	c := metric.NewFloat64ObservableGaugeConfig(options...)
	return gauge{instrument: m.instrument("gauge", name, c.Unit(), c.Description(), nil)}, nil
}

type total struct {
	metric.Int64ObservableCounter
	*instrument
}

// Int64ObservableCounter implements [metric.Meter].
func (m meter) Int64ObservableCounter(name string, options ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	c := metric.NewInt64ObservableCounterConfig(options...)
	return total{instrument: m.instrument("total", name, c.Unit(), c.Description(), nil)}, nil
}

type upDown struct {
	metric.Int64ObservableUpDownCounter
	*instrument
}

// Int64ObservableUpDownCounter implements [metric.Meter].
func (m meter) Int64ObservableUpDownCounter(name string, options ...metric.Int64ObservableUpDownCounterOption) (metric.Int64ObservableUpDownCounter, error) {
	c := metric.NewInt64ObservableUpDownCounterConfig(options...)
	return upDown{instrument: m.instrument("count", name, c.Unit(), c.Description(), nil)}, nil
}

// An observed instrument is a gauge, a total or a count.
type observed interface{ recorded() *instrument }

func (i *instrument) recorded() *instrument { return i }

type callback struct {
	embedded.Registration
	r           *Recorder
	f           metric.Callback
	instruments []*instrument
}

// RegisterCallback implements [metric.Meter].
func (m meter) RegisterCallback(f metric.Callback, instruments ...metric.Observable) (metric.Registration, error) {
	c := &callback{r: m.r, f: f}
	for _, i := range instruments {
		c.instruments = append(c.instruments, i.(observed).recorded())
	}
	m.r.mu.Lock()
	defer m.r.mu.Unlock()
	m.r.observe = append(m.r.observe, c)
	return c, nil
}

// Unregister implements [metric.Registration].
func (c *callback) Unregister() error {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.observe = slices.DeleteFunc(c.r.observe, func(other *callback) bool { return other == c })
	return nil
}

type observer struct {
	metric.Observer
	only *instrument
}

// ObserveFloat64 implements [metric.Observer].
func (o observer) ObserveFloat64(of metric.Float64Observable, v float64, options ...metric.ObserveOption) {
	o.observe(of, v, options)
}

// ObserveInt64 implements [metric.Observer].
func (o observer) ObserveInt64(of metric.Int64Observable, v int64, options ...metric.ObserveOption) {
	o.observe(of, float64(v), options)
}

func (o observer) observe(of any, v float64, options []metric.ObserveOption) {
	if i := of.(observed).recorded(); i == o.only {
		config := metric.NewObserveConfig(options)
		i.record(config.Attributes(), v)
	}
}
