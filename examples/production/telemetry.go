package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/time/rate"

	"github.com/mcpentra/mcp-entra-go/examples/internal/documented"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

const (
	// sampled is the share of traces that are kept unless OTEL_TRACES_SAMPLER says otherwise.
	sampled = 0.01
	// flushTimeout is for sending what is left. Platforms wait for the drain and 10 seconds more.
	flushTimeout = 5 * time.Second
)

// A watch is how the server is watched: nil providers report to nobody, and cost nothing.
type watch struct {
	tracers  *sdktrace.TracerProvider
	meters   *sdkmetric.MeterProvider
	registry *prometheus.Registry // nil without METRICS_ADDR
}

// startTelemetry makes the providers that the configuration asks for.
func startTelemetry(ctx context.Context, c serverconfig.Production, log *slog.Logger) (*watch, error) {
	for name, value := range c.Telemetry.FromFile { // the exporters read the environment alone
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	logProblems(log)
	w := &watch{}
	if !c.Telemetry.Traces && !c.Telemetry.Metrics && c.MetricsAddr == "" {
		return w, nil
	}
	instance, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "mcp-entra-server"),
		attribute.String("service.instance.id", uuid.NewString()),
	), resource.WithFromEnv()) // which takes precedence
	if err != nil {
		return nil, err
	}
	if c.Telemetry.Traces {
		err = w.startTraces(ctx, c, instance)
	}
	if err == nil && (c.Telemetry.Metrics || c.MetricsAddr != "") {
		err = w.startMetrics(ctx, c, instance)
	}
	if err != nil {
		w.flush(ctx, log)
		return nil, err
	}
	log.Info("telemetry", "traces", c.Telemetry.Traces, "metrics", c.Telemetry.Metrics, "prometheus", c.MetricsAddr != "")
	return w, nil
}

func (w *watch) startTraces(ctx context.Context, c serverconfig.Production, instance *resource.Resource) error {
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return err
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithBatcher(exporter), sdktrace.WithResource(instance)}
	if !c.Telemetry.Sampler {
		options = append(options, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(sampled))))
	}
	w.tracers = sdktrace.NewTracerProvider(options...)
	return nil
}

func (w *watch) startMetrics(ctx context.Context, c serverconfig.Production, instance *resource.Resource) error {
	options := []sdkmetric.Option{sdkmetric.WithResource(instance)}
	if c.Telemetry.Metrics {
		reader, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return err
		}
		options = append(options, sdkmetric.WithReader(reader))
	}
	if c.MetricsAddr != "" {
		w.registry = prometheus.NewRegistry()
		w.registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(w.registry), otelprometheus.WithoutScopeInfo())
		if err != nil {
			return err
		}
		options = append(options, sdkmetric.WithReader(exporter))
	}
	w.meters = sdkmetric.NewMeterProvider(options...)
	if end := c.SecretExpires; !end.IsZero() {
		telemetry.New(nil, w.meters).Observe(telemetry.SecretEnds, func() (float64, bool) { return float64(end.Unix()), true })
	}
	return runtime.Start(runtime.WithMeterProvider(w.meters))
}

// addTo makes the server report to the providers.
func (w *watch) addTo(to *documented.Surroundings) {
	if w.tracers != nil {
		to.Tracers = w.tracers
	}
	if w.meters != nil {
		to.Meters = w.meters
	}
}

// flush sends what has not been sent yet, also after the context's end.
func (w *watch) flush(ctx context.Context, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	var wait sync.WaitGroup
	var traces, metrics error
	if w.tracers != nil {
		wait.Go(func() { traces = w.tracers.Shutdown(ctx) })
	}
	if w.meters != nil {
		wait.Go(func() { metrics = w.meters.Shutdown(ctx) })
	}
	wait.Wait()
	if err := errors.Join(traces, metrics); err != nil {
		log.Warn("some telemetry was not sent", "error", err)
	}
}

// logProblems logs what OpenTelemetry reports, such as a collector that is away: once a minute at
// most, because each batch fails then.
func logProblems(log *slog.Logger) {
	seldom := &rate.Sometimes{First: 1, Interval: time.Minute}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		seldom.Do(func() { log.Warn("telemetry is not sent; the server works without it", "error", err) })
	}))
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
}
