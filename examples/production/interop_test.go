//go:build interop

package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// otelName is a gauge that OpenTelemetry's conventions call a count, which promtool does not like.
var otelName = regexp.MustCompile(`(?m)^(# \w+ )?go_goroutine_count.*\n`)

// TestWatched runs the program with a real Redis, a real collector and a real Prometheus, under load:
// the collector gets its traces, Prometheus its metrics, each rule is evaluated, and each panel's
// query returns data.
func TestWatched(t *testing.T) {
	w := newWorld(t)
	collector := startCollector(t)
	p := w.start(t, map[string]string{
		"REDIS_URL":                   startRedis(t),
		"OTEL_EXPORTER_OTLP_ENDPOINT": collector.origin, "OTEL_METRICS_EXPORTER": "none",
		"OTEL_TRACES_SAMPLER": "always_on", "OTEL_BSP_SCHEDULE_DELAY": "200",
	})
	prometheus := startPrometheus(t, strings.TrimSuffix(strings.TrimPrefix(p.metrics, "http://"), "/metrics"))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var empty []query
	for round := 0; round < 3 || len(empty) > 0; round++ {
		if ctx.Err() != nil {
			t.Fatalf("these queries return nothing:\n%v", empty)
		}
		w.users = []*entratest.User{w.addUser()} // whose token must be exchanged
		w.load(t, p)
		empty = prometheus.empty(t)
	}
	for _, q := range panels(t) {
		series := prometheus.query(t, q.expr)
		first := ""
		if len(series) > 0 {
			first = string(series[0])
		}
		t.Logf("%-40s %2d series  %s\n%42s%s", q.of, len(series), q.expr, "", first)
	}
	prometheus.checkRules(t)
	_, scraped := get(t, p.metrics)
	promtool(t, otelName.ReplaceAllString(scraped, ""), "check", "metrics")
	p.stop(t)
	for _, span := range []string{"tools/call read_blob_with_token", "on behalf of", "entra token", "azure storage"} {
		collector.await(t, `Name +: (`+span+`)`)
	}
	if text := collector.log.String(); strings.Contains(text, "readme.txt") || strings.Contains(text, w.users[0].ObjectID) {
		t.Error("the traces have the name of a blob, or of a user")
	}
}

// Alerts fire and are silent as they should, by Prometheus's own tool.
func TestRules(t *testing.T) {
	promtool(t, "", "check", "config", "prometheus.yml")
	promtool(t, "", "check", "rules", "rules.yml")
	promtool(t, "", "test", "rules", "rules_test.yml")
}

func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Dir, cmd.Stdin = filepath.Dir(rulesFile), strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	t.Logf("promtool %s\n%s", strings.Join(args, " "), out)
}

// addUser returns a user who may do what the others may.
func (w *world) addUser() *entratest.User {
	user := w.tenant.AddUser("user"+time.Now().Format("150405.000000")+"@contoso.example", "User")
	w.tenant.ConsentUser(user, w.api, w.tenant.Storage())
	w.blobs.Grant(user.ObjectID, container, "")
	return user
}

// freePort returns a port that nobody uses now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func startRedis(t *testing.T) (redisURL string) {
	t.Helper()
	port := freePort(t)
	p := launch(t, nil, installed(t, "redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", "", "--requirepass", "a-password-of-redis")
	p.await(t, "Ready to accept connections")
	return "redis://:a-password-of-redis@127.0.0.1:" + port
}

// installed returns a program's path.
func installed(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v; make interop-programs installs it", err)
	}
	return path
}

// startCollector builds and starts the collector of interop/collector, which prints each span.
func startCollector(t *testing.T) *process {
	t.Helper()
	path := filepath.Join(filepath.Dir(program), "collector")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Dir = "../../interop/collector"
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build in interop/collector: %v\n%s", err, out)
	}
	endpoint := "127.0.0.1:" + freePort(t)
	config := `{receivers: {otlp: {protocols: {http: {endpoint: "` + endpoint + `"}}}}, exporters: {debug: {verbosity: detailed}},
  service: {telemetry: {metrics: {level: none}}, pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}}`
	p := launch(t, map[string]string{"HOME": t.TempDir()}, path, "--config", "yaml:"+config)
	p.await(t, "Everything is ready")
	p.origin = "http://" + endpoint
	return p
}

// startPrometheus starts it with deploy/prometheus, for a server that is elsewhere and tests that
// do not wait long.
func startPrometheus(t *testing.T, target string) *process {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"prometheus.yml", "rules.yml"} {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(rulesFile), name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer("127.0.0.1:9464", target, "scrape_interval: 15s", "scrape_interval: 2s\n  evaluation_interval: 2s").Replace(string(data))
		writeFile(t, folder, name, []byte(text))
	}
	address := "127.0.0.1:" + freePort(t)
	p := launch(t, nil, installed(t, "prometheus"), "--config.file="+filepath.Join(folder, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address)
	p.await(t, "Server is ready to receive web requests")
	p.origin = "http://" + address
	return p
}

// query returns the series of a panel's query.
func (p *process) query(t *testing.T, expr string) []json.RawMessage {
	t.Helper()
	expr = strings.NewReplacer("$__rate_interval", "30s", "$job", ".*", "$instance", ".*").Replace(expr)
	status, body := get(t, p.origin+"/api/v1/query?query="+url.QueryEscape(expr))
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s", expr, status, body)
	}
	var series []json.RawMessage
	for _, s := range answer.Data.Result {
		if !strings.Contains(string(s), `"NaN"`) {
			series = append(series, s)
		}
	}
	return series
}

// empty returns the panels' queries that return nothing.
func (p *process) empty(t *testing.T) (all []query) {
	t.Helper()
	for _, q := range panels(t) {
		if len(p.query(t, q.expr)) == 0 && !strings.Contains(q.expr, onlyTLS) {
			all = append(all, q)
		}
	}
	return all
}

// checkRules expects that each rule is evaluated without an error, and that none fires.
func (p *process) checkRules(t *testing.T) {
	t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, State, LastError string }
			}
		}
	}
	_, body := get(t, p.origin+"/api/v1/rules")
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	n := 0
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			if n++; r.Health != "ok" || r.State == "firing" {
				t.Errorf("rule %s is %s and %s: %s", r.Name, r.Health, r.State, r.LastError)
			}
		}
	}
	if want := len(alerts(t)); n != want {
		t.Errorf("Prometheus has %d rules, want %d", n, want)
	}
}
