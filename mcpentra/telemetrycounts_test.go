package mcpentra_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry/telemetrytest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// sum is the sum of all series of a metric.
func sum(r *telemetrytest.Recorder, m telemetry.Metric) (total int) {
	for _, n := range r.Series(m.Name) {
		total += int(n)
	}
	return total
}

// until waits for a condition that another goroutine makes true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Errorf("%s: not after 5 s", what)
			return
		}
	}
}

// What is counted is what the log says, for each kind of request: a line, a count, and as many
// refusals as lines of refusals.
func TestCountsAreLines(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		r, opts := observed(mode.opts...)
		w := policyWorld(t, opts...)
		addFailures(w)
		x := addWaiting(w)
		known := w.begin(t, mode.name, strings.TrimPrefix(w.bearer(nil)["Authorization"], "Bearer "), "2025-03-26")
		const list = `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`
		hostile := strings.Repeat("é\x00", 2000)
		for _, c := range []struct {
			name, body string
			header     map[string]string
			want       int // lines
		}{
			{"allowed", callBody("secure_ping"), known, 1},
			{"a tool's error", callBody("fails"), known, 1},
			{"a panic", callBody("panics"), known, 1},
			{"refused by a policy", callBody("report"), known, 1},
			{"nobody's tool", callBody("nobody"), known, 1},
			{"a hostile tool", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q}}`, strings.ToValidUTF8(hostile, "?")), known, 1},
			{"a hostile method", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q}`, strings.ReplaceAll(hostile, "\x00", "x")), known, 1},
			{"no token", callBody("secure_ping"), nil, 1},
			{"a bad token", callBody("secure_ping"), map[string]string{"Authorization": "Bearer x.y.z"}, 1},
			{"not JSON", "{", known, 1},
			{"an empty batch", "[]", known, 1},
			{"an answer", `{"jsonrpc":"2.0","id":1,"result":{}}`, known, 0},
			{"a batch", batchOf(3, "secure_ping"), known, 3},
			{"a batch with a refused one", "[" + callBody("secure_ping") + "," + strings.Replace(callBody("report"), "7", "8", 1) + "," + strings.Replace(callBody("nobody"), "7", "9", 1) + "]", known, 1},
			{"a batch with what nobody knows", "[" + callBody("secure_ping") + `,{"jsonrpc":"2.0","id":8,"method":"nobody/knows"}]`, known, 2},
			{"a batch of notifications", "[" + list + "," + list + "]", known, 2},
			{"a notification", list, known, 1},
			{"nobody's notification", `{"jsonrpc":"2.0","method":"notifications/nobody"}`, known, 1},
			{"ping", `{"jsonrpc":"2.0","id":7,"method":"ping"}`, known, 1},
			{"a DELETE of nothing", "DELETE", map[string]string{"Authorization": known["Authorization"], "Mcp-Session-Id": "none"}, 1},
			{"a PUT", "PUT", known, 1},
		} {
			lines, refused := strings.Count(w.log.String(), `msg="mcp request"`), strings.Count(w.log.String(), "outcome=refused")
			counted, refusals := sum(r, telemetry.Requests), sum(r, telemetry.Refusals)
			if c.body == "DELETE" || c.body == "PUT" {
				do(t, c.body, w.url, "", c.header)
			} else {
				w.post(t, c.body, c.header)
			}
			until(t, mode.name+", "+c.name, func() bool { return strings.Count(w.log.String(), `msg="mcp request"`) >= lines+c.want })
			lines, refused = strings.Count(w.log.String(), `msg="mcp request"`)-lines, strings.Count(w.log.String(), "outcome=refused")-refused
			counted, refusals = sum(r, telemetry.Requests)-counted, sum(r, telemetry.Refusals)-refusals
			if lines != c.want || counted != lines || refusals != refused {
				t.Errorf("%s, %s: %d lines of which %d are refusals, %d counted and %d refusals; want %d lines, and as many", mode.name, c.name, lines, refused, counted, refusals, c.want)
			}
		}
		ended := w.server.Receive(func(context.Context, string, mcp.Request) (mcp.Result, error) {
			runtime.Goexit()
			return &mcp.CallToolResult{}, nil
		})
		for name, send := range map[string]func(){
			"hung up": func() {
				w.hangUp(t, callBody("wait"), known, x.begun)
				close(x.end)
			},
			"Goexit": func() { // not by HTTP: the SDK never answers it
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, _ = ended(t.Context(), "tools/call", &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Name: "secure_ping"}})
				}()
				<-done
			},
		} {
			lines, counted := strings.Count(w.log.String(), `msg="mcp request"`), sum(r, telemetry.Requests)
			send()
			until(t, mode.name+", "+name, func() bool { return strings.Count(w.log.String(), `msg="mcp request"`) > lines })
			if got := sum(r, telemetry.Requests) - counted; got != 1 {
				t.Errorf("%s, %s: counted %d times, want once", mode.name, name, got)
			}
		}
		until(t, mode.name+", the end of all spans", func() bool { return len(r.Faults()) == 0 })
	}
}

// hangUp sends a request, and leaves when it has begun.
func (w *world) hangUp(t *testing.T, body string, header map[string]string, begun <-chan struct{}) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	var client sync.WaitGroup
	client.Go(func() {
		if resp, err := connections.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
	})
	<-begun
	leave()
	client.Wait()
}

// Sessions and streams are counted while they are open, those of all servers with one provider,
// and no longer after the server's end.
func TestSessionsAndStreamsAreCounted(t *testing.T) {
	t.Parallel()
	r, opts := observed(mcpentra.WithSessions())
	worlds := []*world{newWorld(t, opts...), newWorld(t, opts...)}
	open := func(m telemetry.Metric) float64 { return r.Series(m.Name)[""] }
	if s, n := open(telemetry.Sessions), open(telemetry.Streams); s != 0 || n != 0 {
		t.Errorf("at the start: %v sessions and %v streams, want none", s, n)
	}
	var ends []context.CancelFunc
	var headers []map[string]string
	for i, w := range worlds {
		header := w.begin(t, "sessions", w.token(w.alice), "2025-11-25")
		headers = append(headers, header)
		ctx, end := context.WithCancel(t.Context())
		ends = append(ends, end)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, http.NoBody)
		must(t, err)
		req.Header.Set("Accept", "text/event-stream")
		for name, value := range header {
			req.Header.Set(name, value)
		}
		resp, err := connections.RoundTrip(req)
		must(t, err)
		defer func() { _ = resp.Body.Close() }()
		if s, n := open(telemetry.Sessions), open(telemetry.Streams); int(s) != i+1 || int(n) != i+1 {
			t.Errorf("%v sessions and %v streams of the servers together, want %d", s, n, i+1)
		}
	}
	ends[0]()
	until(t, "one stream", func() bool { return open(telemetry.Streams) == 1 })
	do(t, http.MethodDelete, worlds[0].url, "", headers[0])
	until(t, "one session", func() bool { return open(telemetry.Sessions) == 1 })
	ends[1]()
	worlds[1].server.EndSessions()
	until(t, "none", func() bool { return open(telemetry.Streams) == 0 && open(telemetry.Sessions) == 0 })
	served := make(chan error, 2)
	for _, w := range worlds {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		must(t, err)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		go func() { served <- w.server.Serve(ctx, listener) }()
	}
	for range worlds {
		must(t, <-served)
	}
	for _, m := range []telemetry.Metric{telemetry.Sessions, telemetry.Streams} {
		if got := r.Series(m.Name); len(got) != 0 {
			t.Errorf("after the servers' end, %s is %v, want none", m.Name, got)
		}
	}
}

// Each limit is counted where it is hit.
func TestLimitsAreCounted(t *testing.T) {
	t.Parallel()
	hit := func(r *telemetrytest.Recorder, limit string) float64 {
		return r.Series(telemetry.LimitsHit.Name)["mcpentra.limit="+limit]
	}
	r, opts := observed(mcpentra.WithSessions(), mcpentra.WithLimits(mcpentra.Limits{AllSessions: 1, BodyBytes: 2000}))
	w := newWorld(t, opts...)
	for _, limit := range telemetry.Limits {
		if got, ok := r.Series(telemetry.LimitsHit.Name)["mcpentra.limit="+limit]; !ok || got != 0 {
			t.Errorf("%s is %v (there: %t), want 0", limit, got, ok)
		}
	}
	header := w.begin(t, "sessions", w.token(w.alice), "2025-11-25")
	w.post(t, initialize, map[string]string{"Authorization": "Bearer " + w.token(w.bob)})
	w.post(t, strings.Replace(callBody("secure_ping"), "{}", `{"x":"`+strings.Repeat("x", 3000)+`"}`, 1), header)
	if s, b := hit(r, telemetry.LimitSessions), hit(r, telemetry.LimitBodySize); s != 1 || b != 1 {
		t.Errorf("%v hits of the limit of sessions and %v of a body's, want 1 and 1; the log is %s", s, b, w.log)
	}
	r, opts = observed(mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 0.001, Burst: 2}))
	w = newWorld(t, opts...)
	for range 7 {
		w.post(t, callBody("secure_ping"), map[string]string{"Authorization": "Bearer " + w.token(w.alice)})
	}
	if got, refused := hit(r, telemetry.LimitRequests), r.Series(telemetry.Refusals.Name)["mcpentra.reason=too_many_requests"]; got != 5 || refused != 5 {
		t.Errorf("%v hits of the limit of requests and %v refusals, want 5 and 5, with and without a line", got, refused)
	}
}

// The end of the certificate that the server shows is known after the first handshake.
func TestCertificateEndIsMeasured(t *testing.T) {
	t.Parallel()
	r, opts := observed()
	w := newWorld(t, opts...)
	certFile, keyFile, client := certificateFiles(t)
	get, err := mcpentra.CertificateFiles(certFile, keyFile, w.logger())
	must(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.server.ServeTLS(ctx, listener, get) }()
	if got := r.Series(telemetry.CertificateEnds.Name); len(got) != 0 {
		t.Errorf("before a handshake it is %v, want none", got)
	}
	client.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, listener.Addr().String())
	}
	doOver(t, client, http.MethodGet, "https://localhost/health", "", nil)
	if end := time.Unix(int64(r.Series(telemetry.CertificateEnds.Name)[""]), 0); time.Until(end) < 50*time.Minute || time.Until(end) > 70*time.Minute {
		t.Errorf("it ends at %v, want in an hour", end)
	}
	stop()
	must(t, <-served)
	if got := r.Series(telemetry.CertificateEnds.Name); len(got) != 0 {
		t.Errorf("after the server's end it is %v, want none", got)
	}
}

// A nil pointer is no provider.
func TestNilPointersAreNoProviders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, option := range map[string]mcpentra.Option{
		"WithTracerProvider": mcpentra.WithTracerProvider((*nilTracers)(nil)), "WithMeterProvider": mcpentra.WithMeterProvider((*nilMeters)(nil)),
	} {
		if _, err := mcpentra.NewServer(resourceURL, w.verifier, option); err == nil || !strings.Contains(err.Error(), name+": the provider is nil") {
			t.Errorf("%s: got %v, want that the provider is nil", name, err)
		}
	}
	v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(), TracerProvider: (*nilTracers)(nil), MeterProvider: (*nilMeters)(nil),
	})
	must(t, err)
	must(t, v.Close())
}

// Providers whose methods panic, as those of nil pointers do.
type (
	nilTracers struct{ trace.TracerProvider }
	nilMeters  struct{ metric.MeterProvider }
)
