package mcpentra_test

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

const proxyIssuer = "https://login.example.com/auth"

// A fakeProxy answers with the path and the origin that it sees. It is told what the server
// tells it.
type fakeProxy struct {
	issuer, path, clientID string
	known                  []string
	fault                  error

	resource, name string
	scopes         []string
	verifier       *entraauth.Verifier
	log            *slog.Logger
}

func newFakeProxy() *fakeProxy {
	return &fakeProxy{issuer: proxyIssuer, path: "/auth", clientID: appB}
}

func (p *fakeProxy) Issuer() string                { return p.issuer }
func (p *fakeProxy) AuthorizationEndpoint() string { return p.issuer + "/authorize" }
func (p *fakeProxy) ClientID() string              { return p.clientID }
func (p *fakeProxy) HasClient(id string) bool      { return slices.Contains(p.known, id) }

func (p *fakeProxy) Serves(path string) bool {
	path = strings.TrimSuffix(path, "/")
	for _, rest := range edge.Rests(p.path) {
		if path == rest+"/authorize" || path == rest+"/token" || path == rest+"/panic" {
			return true
		}
	}
	return p.resource != "" && path == "/.well-known/oauth-authorization-server/mcp" // known since Attach
}

func (p *fakeProxy) Attach(resourceURL, name string, scopes []string, v *entraauth.Verifier, log *slog.Logger) error {
	p.resource, p.name, p.scopes, p.verifier, p.log = resourceURL, name, scopes, v, log
	return p.fault
}

func (p *fakeProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.log.WarnContext(r.Context(), "sign-in refused")
	switch {
	case strings.HasSuffix(r.URL.Path, "/panic"):
		panic("at the disco")
	case strings.Contains(string(body), "refuse"):
		w.WriteHeader(http.StatusBadRequest)
	case strings.Contains(string(body), "fail"):
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = io.WriteString(w, "proxy "+r.Method+" "+r.URL.Path+" of "+r.Header.Get("Origin"))
}

func TestProxyIsNamedInPlaceOfEntra(t *testing.T) {
	t.Parallel()
	p := newFakeProxy()
	w := newWorld(t, mcpentra.WithAuthProxy(p),
		mcpentra.WithTools(said("mail_send", entraauth.Policy{Scopes: []string{"Mail.Send"}}), said("payout"), said("either")),
		mcpentra.WithToolPolicy("payout", entraauth.Policy{AuthContext: "c1"}),
		mcpentra.WithToolPolicy("either", entraauth.Policy{AnyScope: []string{"Files.Read", "Files.All"}}))
	base := strings.TrimSuffix(w.url, "/mcp")
	_, _, body := do(t, http.MethodGet, base+"/.well-known/oauth-protected-resource/mcp", "", nil)
	if got := decode(t, body)["authorization_servers"]; !slices.Equal(got.([]any), []any{proxyIssuer}) {
		t.Errorf("authorization_servers: got %v, want the proxy alone", got)
	}
	api := "api://" + w.api.ClientID + "/"
	want := []string{api + "access_as_user", api + "Files.Read", api + "Files.All", api + "Mail.Send"}
	if p.resource != resourceURL || p.name != "mcp.example.com" || p.verifier != w.verifier || p.scopes[0] != want[0] ||
		!slices.Equal(slices.Sorted(slices.Values(p.scopes)), slices.Sorted(slices.Values(want))) {
		t.Errorf("the proxy is told of %s, %q and %q, want %s, the host and %q with the first as it is", p.resource, p.name, p.scopes, resourceURL, want)
	}
	// A claims challenge names an authorization endpoint, and no other challenge does.
	capable := w.tenant.Mint(w.api, 1, func(_, c map[string]any) { c["xms_cc"] = []string{"cp1"} })
	for tool, want := range map[string]string{"payout": `authorization_uri="` + proxyIssuer + `/authorize"`, "mail_send": "insufficient_scope"} {
		_, header, _ := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":{}}}`, map[string]string{"Authorization": "Bearer " + capable})
		got := header.Get("WWW-Authenticate")
		if !strings.Contains(got, want) || strings.Contains(got, "login.") != (tool == "payout") {
			t.Errorf("%s: got the challenge %s, want %s", tool, got, want)
		}
		for scope := range strings.FieldsSeq(paramOf(got, "scope")) {
			if !slices.Contains(p.scopes, scope) {
				t.Errorf("%s: the challenge names the scope %s, of which the proxy was not told", tool, scope)
			}
		}
	}
}

// paramOf returns a parameter of a challenge.
func paramOf(challenge, name string) string {
	_, rest, _ := strings.Cut(challenge, ", "+name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// The proxy is served below each prefix, and sees every origin; hosts are checked, and the MCP
// endpoint remains closed to pages that are not listed.
func TestProxyIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithAuthProxy(newFakeProxy()), mcpentra.WithAllowedOrigins(page))
	base := strings.TrimSuffix(w.url, "/mcp")
	for _, row := range []struct{ method, path, want string }{
		{"GET", "/auth/authorize", "proxy GET /auth/authorize"}, {"POST", "/auth/token/", "proxy POST /auth/token/"},
		{"POST", "/token", "proxy POST /token"}, {"OPTIONS", "/token", "proxy OPTIONS /token"}, {"GET", "//auth/../auth/authorize", "proxy GET /auth/authorize"},
		{"GET", "/.well-known/oauth-authorization-server/mcp", "proxy GET /.well-known/oauth-authorization-server/mcp"},
		{"POST", "/auth/tokens", ""}, {"POST", "/other/token", ""}, {"GET", "/auth", ""},
	} {
		for _, origin := range []string{"", page, "https://evil.example", "null"} {
			header := map[string]string{"Access-Control-Request-Method": "POST"}
			if origin != "" {
				header["Origin"] = origin
			}
			status, answer, body := do(t, row.method, base+row.path, "", header)
			want := row.want + " of " + origin
			if row.want == "" {
				if strings.HasPrefix(body, "proxy") {
					t.Errorf("%s %s: got %d %s, want no answer of the proxy", row.method, row.path, status, body)
				}
				continue
			}
			if status != http.StatusOK || body != want || answer.Get("X-Request-Id") == "" {
				t.Errorf("%s %s of %q: got %d %s, want 200 %s", row.method, row.path, origin, status, body, want)
			}
			if answer.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s of %q: the server allows an origin, which is the proxy's to do: %v", row.method, row.path, origin, answer)
			}
		}
	}
	for host, want := range map[string]int{"mcp.example.com": 200, "login.example.com:443": 200, "localhost": 200, "evil.example": 403} {
		if status, _, body := do(t, http.MethodPost, base+"/token", "", map[string]string{"Host": host}); status != want {
			t.Errorf("the host %s: got %d %s, want %d", host, status, body, want)
		}
	}
	if status, _, _ := w.post(t, listTools, map[string]string{"Origin": "https://evil.example", "Authorization": "Bearer " + w.token(w.alice)}); status != http.StatusForbidden {
		t.Errorf("a foreign page at the MCP endpoint: got %d, want 403", status)
	}
	if status, _, body := w.post(t, listTools, map[string]string{"Authorization": "Bearer " + w.token(w.alice)}); status != http.StatusOK {
		t.Errorf("a call: got %d %s, want 200", status, body)
	}
}

// Each request to the proxy has a line, without what is secret, and the proxy's own records
// have the request's id.
func TestProxyRequestsAreLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithAuthProxy(newFakeProxy()))
	base := strings.TrimSuffix(w.url, "/mcp")
	ids := map[string]string{}
	for body, want := range map[string]string{
		"code=s3cr3t": "level=INFO", "refuse=s3cr3t": "level=INFO", "fail=s3cr3t": "level=WARN",
	} {
		_, header, _ := do(t, http.MethodPost, base+"/auth/token?code=s3cr3t&state=s3cr3t", body, map[string]string{"Authorization": "Basic czNjcjN0"})
		ids[header.Get("X-Request-Id")] = want
	}
	_, header, _ := do(t, http.MethodGet, base+"/.well-known/oauth-authorization-server/mcp?s3cr3t", "", nil)
	ids[header.Get("X-Request-Id")] = "level=DEBUG"
	lines, own := 0, 0
	for line := range strings.Lines(w.log.String()) {
		for id, level := range ids {
			switch {
			case !strings.Contains(line, "request_id="+id):
			case strings.Contains(line, "sign-in refused"):
				own++
			case strings.Contains(line, `msg="mcp request"`):
				lines++
				if !strings.Contains(line, level) || !strings.Contains(line, "client=127.0.0.1") || !strings.Contains(line, "duration=") {
					t.Errorf("got the line %s, want %s, client and duration", line, level)
				}
			}
		}
	}
	if lines != len(ids) || own != len(ids) || strings.Contains(w.log.String(), "s3cr3t") || strings.Contains(w.log.String(), "czNjcjN0") {
		t.Errorf("got %d lines and %d records of the proxy, want %d each, without secrets:\n%s", lines, own, len(ids), w.log)
	}
	for _, want := range []string{`reason=path_not_found`, `path=/auth/nothing`} {
		do(t, http.MethodGet, base+"/auth/nothing", "", nil)
		w.log.await(t, want)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/panic", nil)
	must(t, err)
	if resp, err := connections.RoundTrip(r); err == nil {
		_ = resp.Body.Close()
		t.Errorf("a panic: got %d, want a closed connection", resp.StatusCode)
	}
	w.log.await(t, "at the disco")
}

// What can't work is found out at start, all of it.
func TestProxyFaults(t *testing.T) {
	t.Parallel()
	const direct = manager
	var none *fakeProxy
	clients := func(ids ...string) entraauth.Policy { return entraauth.Policy{Clients: ids} }
	known := newFakeProxy()
	known.known = []string{tenantA}
	for name, c := range map[string]struct {
		resource string
		policy   entraauth.Policy // the verifier's
		options  []mcpentra.Option
		want     []string
	}{
		"a proxy":                        {},
		"nil":                            {options: []mcpentra.Option{mcpentra.WithAuthProxy(nil)}, want: []string{"WithAuthProxy: the proxy is nil"}},
		"a nil pointer":                  {options: []mcpentra.Option{mcpentra.WithAuthProxy(none)}, want: []string{"WithAuthProxy: the proxy is nil"}},
		"two":                            {options: []mcpentra.Option{mcpentra.WithAuthProxy(newFakeProxy())}, want: []string{"there are two proxies"}},
		"what the proxy finds":           {options: []mcpentra.Option{mcpentra.WithToolPolicy("none", readers)}, resource: "https://h/auth/token", want: []string{"no such tool", `the path "/auth/token"`, `the path "/token"`}},
		"the resource is its path":       {resource: "https://mcp.example.com/authorize", want: []string{`the path "/authorize" of the resource URL is the proxy's too`}},
		"below a prefix":                 {resource: "https://mcp.example.com/tools/token", want: []string{`the path "/token"`}},
		"the verifier refuses its app":   {policy: clients(direct), want: []string{"the verifier's policy: Clients lacks " + appB}},
		"the verifier names its app":     {policy: clients(direct, strings.ToUpper(appB))},
		"client authentication":          {policy: entraauth.Policy{ClientAuth: entraauth.ClientAuthSecret}, want: []string{"the verifier's policy: ClientAuth is about the proxy"}},
		"a tool's client authentication": {options: []mcpentra.Option{mcpentra.WithToolPolicy("*", entraauth.Policy{ClientAuth: entraauth.ClientAuthCertificate})}, want: []string{`WithToolPolicy("*"): ClientAuth`}},
		"of direct clients alone":        {options: []mcpentra.Option{mcpentra.WithToolPolicy("*", entraauth.Policy{ClientAuth: entraauth.ClientAuthSecret, Clients: []string{direct}})}},
		"a tool's own": {options: []mcpentra.Option{mcpentra.WithTools(said("x", entraauth.Policy{ClientAuth: entraauth.ClientAuthSecret}))},
			want: []string{`mcpentra.Tool("x"): ClientAuth`}},
		"a client behind it":             {options: []mcpentra.Option{mcpentra.WithAuthProxy(known), mcpentra.WithToolPolicy("*", clients(tenantA))}, want: []string{`WithToolPolicy("*"): Clients has ` + tenantA + ", which signs in through the proxy"}},
		"a client behind it, and itself": {options: []mcpentra.Option{mcpentra.WithAuthProxy(known), mcpentra.WithToolPolicy("*", clients(tenantA, appB))}, want: []string{"Clients has " + tenantA}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := entraauth.NewVerifier(tenantB, appA, &entraauth.Options{HTTPClient: &http.Client{Transport: offline{}}, Policy: c.policy})
			must(t, err)
			t.Cleanup(func() { _ = v.Close() })
			options := append([]mcpentra.Option{mcpentra.WithTools(mcpentra.IdentityTools(v))}, c.options...)
			if !strings.Contains(name, "a client behind") {
				options = append(options, mcpentra.WithAuthProxy(newFakeProxy()))
			}
			if c.resource == "" {
				c.resource = resourceURL
			}
			_, err = mcpentra.NewServer(c.resource, v, options...)
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

// A policy that only clients which come directly can meet is said in the log.
func TestProxyWithDirectClients(t *testing.T) {
	t.Parallel()
	p := newFakeProxy()
	w := newWorld(t, mcpentra.WithAuthProxy(p), mcpentra.WithTools(said("desktop")))
	w.options = append(w.options, mcpentra.WithToolPolicy("desktop", entraauth.Policy{Clients: []string{w.client.ClientID}}))
	w.rebuild(t)
	if log := w.log.String(); !strings.Contains(log, "no client that signs in through the proxy meets this policy") || !strings.Contains(log, `policy="WithToolPolicy(\"desktop\")"`) {
		t.Errorf("got the log %s, want a warning about the policy", log)
	}
	for name, c := range map[string]struct {
		client *entratest.App
		want   int
	}{"direct": {w.client, http.StatusOK}, "through the proxy": {w.api, http.StatusForbidden}} {
		status, _, body := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"desktop","arguments":{}}}`,
			map[string]string{"Authorization": "Bearer " + w.tenant.Token(w.alice, c.client, w.api)})
		if status != c.want {
			t.Errorf("%s: got %d %s, want %d", name, status, body, c.want)
		}
	}
}
