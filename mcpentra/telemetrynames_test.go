package mcpentra_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry/telemetrytest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// watchedWorld is a world of which all packages report to the recorder.
func watchedWorld(t *testing.T, r *telemetrytest.Recorder, opts ...mcpentra.Option) *world {
	t.Helper()
	w := policyWorld(t, append(opts, mcpentra.WithTracerProvider(r.TracerProvider()), mcpentra.WithMeterProvider(r.MeterProvider()))...)
	var err error
	w.verifier, err = entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(), KeyRefetchInterval: time.Second,
		TracerProvider: r.TracerProvider(), MeterProvider: r.MeterProvider(),
	})
	must(t, err)
	t.Cleanup(func() { _ = w.verifier.Close() })
	proxyApp := w.tenant.AddApp("The proxy")
	proxy, err := authproxy.New("https://mcp.example.com", w.tenant.ID(), proxyApp.ClientID, clientauth.Secret(proxyApp.AddSecret()), [][]byte{[]byte("a key of at least 32 random bytes")}, &authproxy.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), TracerProvider: r.TracerProvider(), MeterProvider: r.MeterProvider(),
	})
	must(t, err)
	w.exchanger, err = obo.NewExchanger(w.tenant.ID(), w.api.ClientID, clientauth.Secret(w.api.AddSecret()), &obo.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(),
		TracerProvider: r.TracerProvider(), MeterProvider: r.MeterProvider(),
	})
	must(t, err)
	set, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{
		HTTPClient: w.blobs.HTTPClient(), Logger: w.logger(), Tools: []string{"list_blobs", "read_blob", "search_blobs"},
		TracerProvider: r.TracerProvider(), MeterProvider: r.MeterProvider(),
	})
	must(t, err)
	w.options = append(w.options, mcpentra.WithTools(set), mcpentra.WithAuthProxy(proxy))
	w.rebuild(t)
	addFailures(w)
	return w
}

// What must never reach a backend of traces or metrics, whatever clients send: who called, from
// where, with what, and what they looked at.
func TestTelemetryNamesNobody(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		r := telemetrytest.New()
		w := watchedWorld(t, r, mode.opts...)
		token := strings.TrimPrefix(w.bearer(map[string]any{"uti": "token-secret"})["Authorization"], "Bearer ")
		header := w.begin(t, mode.name, token, "2025-11-25")
		hostile := "hostile\n" + strings.Repeat("name", 100)
		message := func(method, params string) string {
			return fmt.Sprintf(`{"jsonrpc":"2.0","id":"id-secret","method":%q,"params":%s}`, method, params)
		}
		bodies := []string{
			callBody("secure_ping"), callBody("fails"), callBody("breaks"), callBody("panics"), callBody("report"), callBody("get_user_info"),
			message("tools/call", `{"name":"read_blob","arguments":{"blob_path":"hello.txt"}}`), message("tools/call", `{"name":"read_blob","arguments":{"blob_path":"missing-secret.txt"}}`),
			message("tools/call", `{"name":"list_blobs","arguments":{}}`), message("tools/call", `{"name":"search_blobs","arguments":{"text":"needle-secret"}}`), message("tools/call", `{"name":"read_blob_with_token","arguments":{"blob_path":"hello.txt"}}`),
			message("tools/call", fmt.Sprintf(`{"name":%q}`, hostile)), message("prompts/get", fmt.Sprintf(`{"name":%q}`, hostile)), message(hostile, `{}`),
			message("prompts/get", `{"name":"greet"}`), message("prompts/list", `{}`), message("tools/list", `{}`), message("tools/list", `{"cursor":"cursor-secret"}`),
			message("resources/list", `{}`), message("resources/read", `{"uri":"note://own"}`), message("resources/read", `{"uri":"note://team/plan"}`),
			message("resources/read", `{"uri":"note://secret/`+"%2e%2e"+`"}`), message("resources/templates/list", `{}`), message("resources/subscribe", `{"uri":"note://own"}`),
			message("completion/complete", `{"ref":{"type":"ref/resource","uri":"note://team/{name}"},"argument":{"name":"name","value":"secret"}}`),
			message("completion/complete", fmt.Sprintf(`{"ref":{"type":"ref/prompt","name":%q},"argument":{"name":"name","value":"secret"}}`, hostile)),
			message("logging/setLevel", `{"level":"info"}`), message("ping", `{}`), `{"jsonrpc":"2.0","id":"id-secret","result":{}}`,
			fmt.Sprintf(notification, "notifications/initialized"), fmt.Sprintf(notification, hostile), "{", "[]", `{"jsonrpc":"2.0","id":1,"method":1}`,
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"report","NAME":"secure_ping"}}`,
			message("tools/call", `{"name":"secure_ping","_meta":{"traceparent":"00-`+traceSent+`-b7ad6b7169203331-01","tracestate":"state-secret=1","baggage":"baggage-secret=1"}}`),
		}
		for _, body := range bodies {
			w.post(t, body, header)
		}
		for name, value := range map[string]string{
			"Host": "host-secret.example", "Origin": "https://origin-secret.example", "Authorization": "Bearer x.y.secret", "Content-Type": "text/secret",
			"Accept": "text/secret", "Mcp-Session-Id": "session-secret", "Traceparent": "00-" + traceSent + "-b7ad6b7169203331-01", "User-Agent": "agent-secret",
			"Tracestate": "state-secret=1", "Baggage": "baggage-secret=1", "X-Forwarded-For": "192.0.2.77", "X-Request-Id": "request-secret",
		} {
			changed := maps.Clone(header)
			changed[name] = value
			w.post(t, callBody("secure_ping"), changed)
		}
		do(t, "SECRET", w.url, "", header)
		do(t, http.MethodGet, strings.TrimSuffix(w.url, "/mcp")+"/path-secret?query-secret", "", nil)
		base := strings.TrimSuffix(w.url, "/mcp")
		signIn(t, base)
		w.tenant.RevokeConsent(w.api, w.tenant.Storage())
		w.post(t, message("tools/call", `{"name":"read_blob","arguments":{"blob_path":"hello.txt"}}`), w.bearer(map[string]any{"oid": w.bob.ObjectID}))

		never := []string{
			"secret", "hostile", "note:", "hello.txt", "docs", "127.0.0.1", "localhost", "192.0.2.77", "evil", "eyJ", "AADSTS", "/mcp", "mcp.example.com",
			w.alice.ObjectID, w.bob.ObjectID, "alice", "Alice", w.client.ClientID, w.api.ClientID, w.tenant.ID(), token, header["Mcp-Session-Id"], strings.TrimPrefix(w.blobs.URL(), "http://"),
		}
		texts := r.Texts()
		if len(texts) < 300 {
			t.Errorf("%s: only %d texts, want those of a run of everything", mode.name, len(texts))
		}
		for _, text := range texts {
			for _, part := range never {
				if part != "" && strings.Contains(text, part) {
					t.Errorf("%s: %q has %q, want it nowhere", mode.name, text, part)
				}
			}
		}
		for _, id := range strings.Split(w.log.String(), "request_id=")[1:] {
			id, _, _ = strings.Cut(id, " ")
			if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, id) }) {
				t.Errorf("%s: the request id %s is there, want it nowhere", mode.name, id)
			}
		}
		for _, name := range []string{telemetry.SpanKeys, telemetry.SpanKeysRequest, telemetry.SpanPolicy, telemetry.SpanExchange, telemetry.SpanEntra, telemetry.SpanStorage, telemetry.SpanSearch} {
			if len(r.Named(name)) == 0 {
				t.Errorf("%s: no span %q: this test sees nothing of it", mode.name, name)
			}
		}
		for _, m := range []telemetry.Metric{telemetry.KeysFetches, telemetry.Verifications, telemetry.Exchanges, telemetry.StorageDuration, telemetry.SignIns, telemetry.SignInsRefused} {
			if sum := 0.0; !slices.ContainsFunc(slices.Collect(maps.Values(r.Series(m.Name))), func(n float64) bool { sum += n; return sum > 0 }) {
				t.Errorf("%s: %s counted nothing: this test sees nothing of it", mode.name, m.Name)
			}
		}
		_ = w.verifier.Close()
		for _, fault := range r.Faults() {
			t.Errorf("%s: %s", mode.name, fault)
		}
	}
}

// signIn sends what the authorization proxy serves and refuses.
func signIn(t *testing.T, base string) {
	t.Helper()
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Traceparent": "00-" + traceSent + "-b7ad6b7169203331-01", "Baggage": "baggage-secret=1"}
	_, _, metadata := do(t, http.MethodGet, base+"/.well-known/oauth-authorization-server", "", nil)
	_, _, client := do(t, http.MethodPost, base+"/register", `{"redirect_uris":["https://client-secret.example/callback"],"client_name":"name-secret"}`, nil)
	id, _ := decode(t, client)["client_id"].(string)
	if !strings.Contains(metadata, "authorization_endpoint") || id == "" {
		t.Errorf("got the metadata %s and the client %s, want both", metadata, client)
	}
	do(t, http.MethodGet, base+"/authorize?response_type=code&state=state-secret&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&redirect_uri=https%3A%2F%2Fclient-secret.example%2Fcallback&client_id="+id, "", nil)
	do(t, http.MethodGet, base+"/authorize?client_id=hostile-secret", "", nil)
	do(t, http.MethodGet, base+"/callback?code=code-secret&state=state-secret", "", nil)
	do(t, http.MethodPost, base+"/consent", "consent=secret", form)
	do(t, http.MethodPost, base+"/token", "grant_type=authorization_code&code=code-secret&client_id="+id, form)
	do(t, http.MethodPost, base+"/token", "grant_type=grant-secret&client_id=hostile-secret", form)
	do(t, http.MethodPost, base+"/revoke", "token=token-secret&client_id="+id, form)
	do(t, "SECRET", base+"/token", "", form)
}
