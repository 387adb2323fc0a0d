package watched

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// counting counts the spans that are recorded, and looks at those that end.
type counting struct {
	discard
	mu      sync.Mutex
	begun   atomic.Int64
	ended   map[string]int // by name
	names   map[[8]byte]string
	parents [][2]any // name, and the parent's id
}

func (c *counting) OnStart(context.Context, sdktrace.ReadWriteSpan) { c.begun.Add(1) }
func (c *counting) OnEnd(s sdktrace.ReadOnlySpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended[s.Name()]++
	c.names[s.SpanContext().SpanID()] = s.Name()
	if s.Parent().IsValid() {
		c.parents = append(c.parents, [2]any{s.Name(), [8]byte(s.Parent().SpanID())})
	}
}
func (c *counting) ForceFlush(context.Context) error { return nil }

func (c *counting) finished() (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.ended {
		n += int64(m)
	}
	return n
}

// below reports whether a span of the name was below one of the other.
func (c *counting) below(child, parent string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.parents {
		if p[0] == child && c.names[p[1].([8]byte)] == parent {
			return true
		}
	}
	return false
}

// quiet checks that no request to Entra or to storage has a trace context.
type quiet struct {
	t    *testing.T
	next http.RoundTripper
}

func (q quiet) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, name := range []string{"Traceparent", "Tracestate", "Baggage", "B3", "X-B3-Traceid"} {
		if r.Header.Get(name) != "" {
			q.t.Errorf("%s has the header %s, want none", r.URL, name)
		}
	}
	return q.next.RoundTrip(r)
}

// A place is all packages together, reporting to the same providers.
type place struct {
	url     string
	server  *mcpentra.Server
	tokens  []string
	closers []func()
}

func newPlace(t *testing.T, tracers *sdktrace.TracerProvider, meters *sdkmetric.MeterProvider, opts ...mcpentra.Option) *place {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	tenant := entratest.NewTenant(nil)
	t.Cleanup(tenant.Close)
	api, app := tenant.AddApp("MCP server", "access_as_user"), tenant.AddApp("The proxy")
	tenant.Consent(api, tenant.Storage(), "user_impersonation")
	blobs := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
	t.Cleanup(blobs.Close)
	blobs.AddContainer("docs")
	blobs.Put("docs", "hello.txt", []byte("Hello"), "text/plain")
	entra := &http.Client{Transport: quiet{t, tenant.HTTPClient().Transport}}
	log := slog.New(slog.DiscardHandler)
	verifying := &entraauth.Options{HTTPClient: entra, AuthorityHost: tenant.AuthorityHost(), Logger: log}
	exchanging := &obo.Options{HTTPClient: entra, AuthorityHost: tenant.AuthorityHost(), Logger: log}
	proxying := &authproxy.Options{HTTPClient: entra, AuthorityHost: tenant.AuthorityHost()}
	reading := &blobtool.Options{HTTPClient: &http.Client{Transport: quiet{t, blobs.HTTPClient().Transport}}, Logger: log, Tools: []string{"list_blobs", "read_blob", "read_blob_with_token", "search_blobs"}}
	if tracers != nil {
		verifying.TracerProvider, exchanging.TracerProvider, proxying.TracerProvider, reading.TracerProvider = tracers, tracers, tracers, tracers
		opts = append(opts, mcpentra.WithTracerProvider(tracers))
	}
	if meters != nil {
		verifying.MeterProvider, exchanging.MeterProvider, proxying.MeterProvider, reading.MeterProvider = meters, meters, meters, meters
		opts = append(opts, mcpentra.WithMeterProvider(meters))
	}
	p := &place{}
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, verifying)
	must(err)
	exchanger, err := obo.NewExchanger(tenant.ID(), api.ClientID, clientauth.Secret(api.AddSecret()), exchanging)
	must(err)
	proxy, err := authproxy.New("https://mcp.example.com", tenant.ID(), app.ClientID, clientauth.Secret(app.AddSecret()), [][]byte{[]byte("a key of at least 32 random bytes")}, proxying)
	must(err)
	set, err := blobtool.New(blobs.URL(), "docs", mcpentra.Credential, reading)
	must(err)
	p.server, err = mcpentra.NewServer("https://mcp.example.com/mcp", verifier, append(opts, mcpentra.WithExchanger(exchanger), mcpentra.WithAuthProxy(proxy), mcpentra.WithLogger(log),
		mcpentra.WithTools(mcpentra.IdentityTools(verifier), set), mcpentra.WithToolPolicy("list_blobs", entraauth.Policy{UserRoles: []string{"Reader"}}),
		mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e6, Burst: 1e6}))...)
	must(err)
	mcp.AddTool(p.server.MCP(), &mcp.Tool{Name: "panics", Description: "Panics."}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		panic("at the disco")
	})
	client := tenant.AddClient("MCP client")
	for i := range 4 {
		user := tenant.AddUser(fmt.Sprintf("user%d@contoso.example", i), "A user")
		blobs.Grant(user.ObjectID, "docs", "")
		p.tokens = append(p.tokens, tenant.Token(user, client, api))
	}
	web := httptest.NewServer(p.server)
	p.url = web.URL
	p.closers = []func(){web.Close, func() { _ = verifier.Close() }}
	return p
}

func (p *place) close() {
	for _, c := range p.closers {
		c()
	}
}

func (p *place) send(t *testing.T, method, path, token, session, body string) (int, http.Header, string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	header := map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Session-Id": session, "Authorization": "Bearer " + token,
		"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Baggage": "user=stranger", "Tracestate": "vendor=stranger",
	}
	if path == "/token" {
		header["Content-Type"] = "application/x-www-form-urlencoded"
	}
	for name, value := range header {
		if value != "" && value != "Bearer " {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, resp.Header, string(data)
}

// use sends everything that a server serves, and checks the answers.
func (p *place) use(t *testing.T, token string, sessions bool) {
	session := ""
	if sessions {
		status, header, body := p.send(t, http.MethodPost, "/mcp", token, "", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
		if session = header.Get("Mcp-Session-Id"); status != http.StatusOK {
			t.Errorf("initialize: got %d %s, want 200", status, body)
			return
		}
	}
	call := func(id int, tool, args string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s,"_meta":{"traceparent":"00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"}}}`, id, tool, args)
	}
	for _, row := range []struct {
		body   string
		status int
		want   string
	}{
		{call(1, "secure_ping", "{}"), 200, "successful"},
		{call(1, "read_blob_with_token", `{"blob_path":"hello.txt"}`), 200, "Hello"},
		{call(1, "read_blob", `{"blob_path":"hello.txt"}`), 200, "Hello"},
		{call(1, "read_blob", `{"blob_path":"missing.txt"}`), 200, "isError"},
		{call(1, "search_blobs", `{"text":"Hello"}`), 200, "hello.txt"},
		{call(1, "panics", "{}"), 200, "internal error"},
		{call(1, "list_blobs", "{}"), 403, "role"},
		{call(1, "nobody", "{}"), 200, "error"},
		{`{"jsonrpc":"2.0","id":1,"method":"nobody"}`, 404, ""},
		{`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`, 202, ""},
		{"[" + call(1, "secure_ping", "{}") + "," + call(2, "read_blob", `{"blob_path":"hello.txt"}`) + "," + call(3, "panics", "{}") + "]", 200, "successful"},
		{"{", 400, ""},
	} {
		status, _, body := p.send(t, http.MethodPost, "/mcp", token, session, row.body)
		if row.status == 404 {
			row.status = status // differs by mode, and is tested elsewhere
		}
		if status != row.status || !strings.Contains(body, row.want) {
			t.Errorf("%s: got %d %s, want %d and %s", row.body, status, body, row.status, row.want)
		}
	}
	if status, _, _ := p.send(t, http.MethodPost, "/mcp", "", session, call(1, "secure_ping", "{}")); status != http.StatusUnauthorized {
		t.Errorf("without a token: got %d, want 401", status)
	}
	for path, form := range map[string]string{
		"/.well-known/oauth-authorization-server": "", "/authorize?client_id=nobody": "",
		"/token": url.Values{"grant_type": {"authorization_code"}, "code": {"nobody's"}}.Encode(),
	} {
		method := http.MethodGet
		if form != "" {
			method = http.MethodPost
		}
		if status, _, body := p.send(t, method, path, "", "", form); status == 0 || status >= 500 {
			t.Errorf("%s: got %d %s, want an answer", path, status, body)
		}
	}
	if sessions {
		p.send(t, http.MethodDelete, "/mcp", token, session, "")
	}
}

// Every path through all packages, with the SDK as it is, at each rate of sampling and with each
// provider alone: the answers are the same, every span that is recorded ends, strangers' flags
// sample nothing, no trace leaves, and what is open goes back to 0.
func TestSampling(t *testing.T) {
	samplers := map[string]sdktrace.Sampler{
		"nothing": sdktrace.ParentBased(sdktrace.NeverSample()), "0 %": sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0)),
		"1 %": sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01)), "all": sdktrace.ParentBased(sdktrace.AlwaysSample()), "metrics alone": nil,
	}
	for name, sampler := range samplers {
		for _, believing := range []bool{false, true} {
			for _, sessions := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, believing %t, sessions %t", name, believing, sessions), func(t *testing.T) {
					var opts []mcpentra.Option
					if sessions {
						opts = append(opts, mcpentra.WithSessions())
					}
					if believing {
						opts = append(opts, mcpentra.WithTraceFromHeader(), mcpentra.WithTraceFromMeta())
					}
					seen := &counting{ended: map[string]int{}, names: map[[8]byte]string{}}
					var tracers *sdktrace.TracerProvider
					if sampler != nil {
						tracers = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(seen), sdktrace.WithSampler(sampler))
					}
					reader := sdkmetric.NewManualReader()
					var meters *sdkmetric.MeterProvider
					if name != "nothing" { // spans alone
						meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
					}
					p := newPlace(t, tracers, meters, opts...)
					var users sync.WaitGroup
					for i := range 2 * len(p.tokens) {
						users.Go(func() { p.use(t, p.tokens[i/2], sessions) })
					}
					users.Wait()
					if meters != nil {
						checkMetrics(t, reader, sessions)
					}
					p.close()
					for end := time.Now().Add(10 * time.Second); seen.begun.Load() != seen.finished() && time.Now().Before(end); {
						time.Sleep(10 * time.Millisecond)
					}
					if begun, ended := seen.begun.Load(), seen.finished(); begun != ended {
						t.Errorf("%d spans have begun and %d have ended: %v", begun, ended, seen.ended)
					}
					switch {
					case (name == "nothing" || name == "0 %") && !believing && seen.begun.Load() > 0:
						t.Errorf("strangers' flags made %v, want no span", seen.ended)
					case name == "all":
						for child, parent := range map[string]string{
							"on behalf of": "tools/call read_blob", "entra token": "on behalf of", "azure storage": "search", "search": "tools/call search_blobs",
							"policy": "tools/call secure_ping", "entra keys request": "entra keys",
						} {
							if !seen.below(child, parent) && (child != "on behalf of" || !seen.below(child, parent+"_with_token")) {
								t.Errorf("no span %q below %q", child, parent)
							}
						}
					}
				})
			}
		}
	}
}

func checkMetrics(t *testing.T, reader *sdkmetric.ManualReader, sessions bool) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Error(err)
	}
	found := map[string]bool{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			found[m.Name] = true
			if m.Name != "mcpentra.sessions" && m.Name != "mcpentra.streams" {
				continue
			}
			counts, ok := m.Data.(metricdata.Sum[int64])
			if !ok || counts.IsMonotonic || len(counts.DataPoints) != 1 || counts.DataPoints[0].Value != 0 {
				t.Errorf("%s is %+v (sessions %t), want 0", m.Name, m.Data, sessions)
			}
		}
	}
	for _, name := range []string{
		"mcpentra.sessions", "mcpentra.streams", "mcpentra.requests", "mcpentra.refusals", "mcp.server.operation.duration", "mcpentra.keys.age", "mcpentra.token_cache.lookups",
		"mcpentra.token_cache.size", "mcpentra.exchanges", "mcpentra.exchange.cache.size", "mcpentra.circuit.open", "mcpentra.storage.duration", "mcpentra.storage.read", "mcpentra.signins",
	} {
		if !found[name] {
			t.Errorf("no metric %s in %v", name, found)
		}
	}
}
