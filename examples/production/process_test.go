package main

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A collector stands in for one: it takes OTLP over HTTP and keeps the bytes.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	received map[string]*bytes.Buffer // by path
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{received: map[string]*bytes.Buffer{"/v1/traces": {}, "/v1/metrics": {}}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if b := c.received[r.URL.Path]; b != nil {
			_, _ = b.ReadFrom(r.Body)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) got(path string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received[path].String()
}

// TestProgram runs the built program with everything on but Redis, which is away: it serves, and what
// it has measured arrives at the end, before its batches are due.
func TestProgram(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCollector(t)
	p := w.start(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_TRACES_SAMPLER": "always_on",
		"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=a-test",
		"OTEL_BSP_SCHEDULE_DELAY":  "3600000", "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
	})
	w.load(t, p)
	p.stop(t)
	traces, metrics := c.got("/v1/traces"), c.got("/v1/metrics")
	for _, want := range []string{"mcp-entra-server", "deployment.environment.name", "a-test", "tools/call read_blob_with_token", "on behalf of", "azure storage"} {
		if !strings.Contains(traces, want) {
			t.Errorf("the collector has no %q in its %d bytes of traces", want, len(traces))
		}
	}
	for _, want := range []string{"mcpentra.requests", "mcpentra.exchanges", "mcpentra.keys.fetches", "go.goroutine.count", "a-test"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the collector has no %q in its %d bytes of metrics", want, len(metrics))
		}
	}
	for name, text := range map[string]string{"traces": traces, "metrics": metrics, "log": p.log.String()} {
		for _, never := range []string{"a-password-of-redis", "readme.txt", "missing.txt", w.users[0].ObjectID, w.variables["AUTH_PROXY_CLIENT_SECRET"]} {
			if strings.Contains(text, never) && (name != "log" || never == "a-password-of-redis" || never == w.variables["AUTH_PROXY_CLIENT_SECRET"]) {
				t.Errorf("the %s have %q", name, never)
			}
		}
	}
}

// Nothing is sent and nothing listens unless a variable asks for it.
func TestOffByDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start(t, map[string]string{"METRICS_ADDR": "", "REDIS_URL": "", "STORE_KEYS": ""})
	w.load(t, p)
	if status, _ := get(t, p.origin+"/metrics"); status != http.StatusNotFound {
		t.Errorf("GET /metrics of the MCP endpoint: %d, want 404", status)
	}
	p.stop(t)
	if log := p.log.String(); strings.Contains(log, "msg=telemetry") || strings.Contains(log, "msg=metrics") || strings.Contains(log, "4318") {
		t.Errorf("the log is about telemetry:\n%s", log)
	}
}

// A collector that is away is one line in the log, and nobody waits for it.
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start(t, map[string]string{
		"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER": "always_on", "OTEL_BSP_SCHEDULE_DELAY": "10",
	})
	w.load(t, p)
	p.await(t, `level=WARN msg="(telemetry is not sent)`)
	w.load(t, p)
	p.stop(t)
	if n := strings.Count(p.log.String(), "telemetry is not sent"); n != 1 {
		t.Errorf("%d lines about the collector, want 1", n)
	}
}

// The port of the metrics has nothing else, and takes GET alone.
func TestMetricsPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start(t, nil)
	for _, row := range []struct {
		method, url string
		status      int
	}{
		{http.MethodGet, p.metrics, http.StatusOK},
		{http.MethodPost, p.metrics, http.StatusMethodNotAllowed},
		{http.MethodGet, strings.TrimSuffix(p.metrics, "/metrics") + "/mcp", http.StatusNotFound},
		{http.MethodGet, p.metrics + "/x", http.StatusNotFound},
		{http.MethodGet, p.origin + "/metrics", http.StatusNotFound},
	} {
		if status, body := send(t, row.method, row.url, "", ""); status != row.status {
			t.Errorf("%s %s = %d %.200s, want %d", row.method, row.url, status, body, row.status)
		}
	}
	p.stop(t)
}

// Every wrong value is told at the start, and no secret with it.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		variables map[string]string
		want      string
	}{
		"Redis over http":     {map[string]string{"REDIS_URL": "http://:s3cr3t@redis:6379"}, "REDIS_URL: is not a URL that begins with rediss://"},
		"an unknown option":   {map[string]string{"REDIS_URL": "rediss://:s3cr3t@redis:6379?s3cr3t=1"}, "REDIS_URL: is not a URL that go-redis accepts"},
		"an exporter":         {map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, `OTEL_TRACES_EXPORTER: "zipkin" is none of: otlp, console, none`},
		"the metrics' port":   {map[string]string{"METRICS_ADDR": "9464"}, `METRICS_ADDR: "9464" is not HOST:PORT`},
		"the end of a secret": {map[string]string{"CLIENT_SECRET_EXPIRES": "soon"}, "CLIENT_SECRET_EXPIRES: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := map[string]string{"TENANT_ID": "12345678-1234-1234-1234-123456789abc", "API_APP_ID": "87654321-4321-4321-4321-cba987654321"}
			maps.Copy(all, row.variables)
			var stderr bytes.Buffer
			code := run(context.Background(), nil, func(name string) (string, bool) { value, ok := all[name]; return value, ok }, &stderr)
			if code != exitFailed || !strings.Contains(stderr.String(), row.want) || strings.Contains(stderr.String(), "s3cr3t") {
				t.Errorf("exit code %d and %q, want %d and %q, without the secret", code, stderr.String(), exitFailed, row.want)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]int{"-h": exitOK, "-nonsense": exitUsage, "serve": exitUsage} {
		var stderr bytes.Buffer
		if code := run(context.Background(), []string{args}, func(string) (string, bool) { return "", false }, &stderr); code != want || stderr.Len() == 0 {
			t.Errorf("%s: exit code %d and %q, want %d and a text", args, code, stderr.String(), want)
		}
	}
}
