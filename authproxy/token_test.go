package authproxy_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A reply is an answer of the token or the revocation endpoint.
type reply struct {
	status  int
	header  http.Header
	members map[string]any
	text    string
}

func (r reply) get(name string) string { s, _ := r.members[name].(string); return s }

// post sends a form to an endpoint of the proxy.
func (w *world) post(path string, form url.Values, change func(*http.Request)) reply {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.proxy.Issuer()+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if change != nil {
		change(r)
	}
	answer, err := w.server.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	got := reply{status: answer.StatusCode, header: answer.Header, text: string(body)}
	_ = json.Unmarshal(body, &got.members)
	if c := answer.Header.Get("Cache-Control"); c != "no-store" {
		w.t.Errorf("POST %s: Cache-Control %q, want no-store", path, c)
	}
	return got
}

// changed returns a copy of the form. Each change is "name=value"; an empty value removes it.
func changed(form url.Values, changes ...string) url.Values {
	c := maps.Clone(form)
	for _, change := range changes {
		name, value, _ := strings.Cut(change, "=")
		if c.Del(name); value != "" {
			c.Set(name, value)
		}
	}
	return c
}

// codeForm signs Alice in and returns a form that redeems the code.
func (w *world) codeForm(changes ...string) url.Values {
	w.t.Helper()
	back := w.browser(w.alice).signIn(request(changes...))
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {back.Query().Get("code")},
		"redirect_uri": {clientBack}, "code_verifier": {verifier},
	}
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}, "refresh_token": {token}}
}

// tokens redeems a code of a sign-in.
func (w *world) tokens(changes ...string) reply {
	w.t.Helper()
	return w.good("code", w.post("/token", w.codeForm(changes...), nil))
}

// good checks a token response.
func (w *world) good(what string, r reply) reply {
	w.t.Helper()
	if r.status != http.StatusOK || r.get("access_token") == "" || r.get("refresh_token") == "" {
		w.t.Errorf("%s: %d %s, want tokens", what, r.status, r.text)
	}
	return r
}

// bad checks an error.
func (w *world) bad(what string, r reply, status int, code string) {
	w.t.Helper()
	if r.status != status || r.get("error") != code || r.get("error_description") == "" {
		w.t.Errorf("%s: %d %s, want %d %s with a description", what, r.status, r.text, status, code)
	}
	if d := r.get("error_description"); strings.ContainsAny(d, "\"\\") || strings.ContainsFunc(d, func(r rune) bool { return r < ' ' || r > '~' }) {
		w.t.Errorf("%s: the description %q has characters that RFC 6749 forbids", what, d)
	}
	if status == http.StatusServiceUnavailable && r.header.Get("Retry-After") == "" {
		w.t.Errorf("%s: 503 without Retry-After", what)
	}
}

func (w *world) refresh(token string, changes ...string) reply {
	w.t.Helper()
	return w.post("/token", changed(refreshForm(token), changes...), nil)
}

func TestTokenResponse(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]setup{
		"proxy app of its own": {},
		"the API's own app":    {self: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			got := w.tokens("scope=openid profile offline_access access_as_user Files.Read https://graph.microsoft.com/User.Read", "resource="+resource)
			for _, r := range []reply{got, w.good("refresh", w.refresh(got.get("refresh_token")))} {
				if len(r.members) != 5 || r.get("token_type") != "Bearer" || r.members["expires_in"].(float64) < 3000 {
					t.Errorf("the response is %v, want access_token, token_type, expires_in, scope and refresh_token alone", r.members)
				}
				if want := w.api.Scope("Files.Read") + " " + w.api.Scope("access_as_user"); r.get("scope") != want {
					t.Errorf("scope is %q, want %q: what the token has", r.get("scope"), want)
				}
				caller, err := w.verifier.Verify(t.Context(), r.get("access_token"))
				if err != nil || caller.ObjectID() != w.alice.ObjectID || !caller.HasScope("access_as_user") {
					t.Errorf("Verify = %v, %v; want Alice's token", caller, err)
				}
			}
			t.Logf("a refresh token has %d characters, an access token %d", len(got.get("refresh_token")), len(got.get("access_token")))
		})
	}
}

// TestCodeChecks: what is wrong with a request spends nothing, so the right one still works.
func TestCodeChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
		o.Resources = append(o.Resources, "https://other.example.com/mcp")
		o.Clients = append(o.Clients, authproxy.Client{ID: "other", Redirects: []string{clientBack}})
	}})
	form := w.codeForm("resource=" + resource)
	other := verifier[1:] + "x"
	for _, c := range []struct {
		change string
		status int
		code   string
	}{
		{"grant_type=", 400, "invalid_request"},
		{"grant_type=client_credentials", 400, "unsupported_grant_type"},
		{"client_id=", 400, "invalid_request"},
		{"client_id=nobody", 401, "invalid_client"},
		{"client_id=other", 400, "invalid_grant"},
		{"client_secret=a-secret-of-a-public-client", 401, "invalid_client"},
		{"code=", 400, "invalid_request"},
		{"code=abc", 400, "invalid_grant"},
		{"code=" + form.Get("code")[:200], 400, "invalid_grant"},
		{"code=" + strings.ToLower(form.Get("code")), 400, "invalid_grant"},
		{"redirect_uri=https://client.example/callback", 400, "invalid_grant"},
		{"code_verifier=", 400, "invalid_request"},
		{"code_verifier=" + other, 400, "invalid_grant"},
		{"code_verifier=short", 400, "invalid_grant"},
		{"code_verifier=" + strings.Repeat("a", 129), 400, "invalid_grant"},
		{"code_verifier=" + verifier + "%", 400, "invalid_grant"},
		{"resource=https://evil.example/mcp", 400, "invalid_target"},
		{"resource=https://other.example.com/mcp", 400, "invalid_target"},
		{"refresh_token=ignored", 0, ""}, // the right request
	} {
		got := w.post("/token", changed(form, c.change), nil)
		if c.status == 0 {
			w.good("the right request", got)
			continue
		}
		w.bad(c.change, got, c.status, c.code)
	}
	if n := w.tenant.Count(entratest.EndpointToken); n != 1 {
		t.Errorf("%d requests to Entra, want 1", n)
	}
}

func TestCodeWithoutOptionalParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.good("no redirect_uri", w.post("/token", changed(w.codeForm(), "redirect_uri="), nil))
	w.good("a resource that authorize did not name", w.post("/token", changed(w.codeForm(), "resource=HTTPS://MCP.example.com:443/mcp/"), nil))
	form := w.codeForm("resource=" + resource)
	form["resource"] = []string{resource, resource + "/"}
	w.good("one resource twice", w.post("/token", form, nil))
}

func TestTokenRequestForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	form := w.codeForm()
	query := func(q string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery = q } }
	kind := func(k string) func(*http.Request) { return func(r *http.Request) { r.Header.Set("Content-Type", k) } }
	w.bad("JSON", w.post("/token", form, kind("application/json")), 400, "invalid_request")
	w.bad("no type", w.post("/token", form, kind("")), 400, "invalid_request")
	w.bad("a secret in the query", w.post("/token", form, query("client_secret=s")), 400, "invalid_request")
	for _, name := range []string{"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope"} {
		twice := changed(form)
		twice[name] = []string{form.Get(name) + "x", form.Get(name) + "x"}
		w.bad(name+" twice", w.post("/token", twice, nil), 400, "invalid_request")
	}
	w.bad("a large body", w.post("/token", changed(form, "x="+strings.Repeat("x", 64<<10)), nil), 413, "invalid_request")
	empty := changed(form)
	empty["scope"], empty["client_secret"], empty["code"] = []string{"", ""}, []string{""}, append(empty["code"], "")
	empty["unknown"] = []string{"1", "2"}
	w.good("parameters in the query are ignored", w.post("/token", empty, func(r *http.Request) {
		r.URL.RawQuery = "code=other&grant_type=refresh_token"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	}))
}

func TestCodeExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	form := w.codeForm()
	w.clock.advance(time.Minute)
	w.bad("after a minute", w.post("/token", form, nil), 400, "invalid_grant")
}

// TestCodeReplay: the second use with right proof ends what came of the first one.
func TestCodeReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	form := w.codeForm()
	first := w.good("first", w.post("/token", form, nil))
	next := w.good("refresh", w.refresh(first.get("refresh_token")))
	w.bad("second", w.post("/token", form, nil), 400, "invalid_grant")
	w.bad("refresh", w.refresh(next.get("refresh_token")), 400, "invalid_grant")
	if n := w.tenant.Count(entratest.EndpointToken); n != 2 {
		t.Errorf("%d requests to Entra, want 2", n)
	}
	form = w.codeForm()
	first = w.good("first", w.post("/token", form, nil))
	w.bad("without proof", w.post("/token", changed(form, "code_verifier="+verifier+"x"), nil), 400, "invalid_grant")
	w.good("refresh", w.refresh(first.get("refresh_token")))
}

// A gate holds requests for tokens on their way to Entra.
type gate struct {
	http.RoundTripper
	arrived chan struct{}
	open    chan error // what comes instead of an answer, or nil
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/token") {
		g.arrived <- struct{}{}
		if err := <-g.open; err != nil {
			return nil, err
		}
	}
	return g.RoundTripper.RoundTrip(r)
}

// TestReplayMeanwhile: a code that somebody tries again while Entra is asked is not released if
// Entra gives no answer, since what would come of it has been revoked.
func TestReplayMeanwhile(t *testing.T) {
	t.Parallel()
	g := &gate{arrived: make(chan struct{}), open: make(chan error)}
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
		client := *o.HTTPClient
		g.RoundTripper, client.Transport = client.Transport, g
		o.HTTPClient = &client
	}})
	for what, answer := range map[string]error{"Entra answers": nil, "Entra hangs up": io.ErrUnexpectedEOF} {
		form, first := w.codeForm(), make(chan reply)
		go func() { first <- w.post("/token", form, nil) }()
		<-g.arrived
		w.bad(what+", meanwhile", w.post("/token", form, nil), 400, "invalid_grant")
		g.open <- answer
		got := <-first
		if answer == nil {
			w.good(what, got)
			w.bad(what+": the refresh token", w.refresh(got.get("refresh_token")), 400, "invalid_grant")
			continue
		}
		w.bad(what, got, 503, "temporarily_unavailable")
		w.bad(what+", again", w.post("/token", form, nil), 400, "invalid_grant")
	}
}

// TestCodeReleased: without an answer of Entra's the code is good for another try; its own single
// use decides.
func TestCodeReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for name, f := range map[string]entratest.Fault{
		"dropped":     {Drop: true, Times: 1},
		"broken off":  {CutAfter: 10, Times: 1},
		"503":         {Status: 503, Times: 1},
		"throttled":   {RetryAfter: 7 * time.Second, Times: 1},
		"not allowed": {AADSTS: 7000222, Times: 1},
	} {
		form := w.codeForm()
		w.tenant.Fail(entratest.EndpointToken, f)
		got := w.post("/token", form, nil)
		if name == "not allowed" {
			w.bad(name, got, 500, "server_error")
		} else {
			w.bad(name, got, 503, "temporarily_unavailable")
		}
		if after := got.header.Get("Retry-After"); name == "throttled" && after != "7" {
			t.Errorf("Retry-After %s, want Entra's 7", after)
		}
		second := w.post("/token", form, nil)
		if name == "broken off" { // it was spent at Entra
			w.bad("again after "+name, second, 400, "invalid_grant")
			continue
		}
		w.good("again after "+name, second)
	}
}
