package authproxy_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A world is a tenant, an API's proxy in front of it, and a client.
type world struct {
	t      testing.TB
	clock  *clock
	tenant *entratest.Tenant
	api    *entratest.App
	app    *entratest.App // the proxy's
	alice  *entratest.User
	logs   *logs

	server   *httptest.Server
	handler  http.Handler // the proxy
	proxy    *authproxy.Proxy
	verifier *entraauth.Verifier
	secret   string
	opts     *authproxy.Options
}

// What a client of the world has.
const (
	clientID   = "desk"
	clientBack = "https://client.example/callback?app=1"
	loopback   = "http://127.0.0.1/callback"
	resource   = "https://mcp.example.com/mcp"
	verifier   = "a-code-verifier-of-forty-three-characters-0123"
)

// A setup says how a world differs from the usual one.
type setup struct {
	path     string // of the issuer
	plain    bool   // http on loopback
	self     bool   // the proxy's app is the API's
	api      func(*entratest.App)
	options  func(*world, *authproxy.Options)
	detached bool // without resources, scopes and verifier
	keys     [][]byte
}

// testKey is the world's key.
var testKey = bytes.Repeat([]byte("0123456789abcdef"), 3) // longer than 32 bytes

func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	w := &world{t: t, clock: newClock(), logs: &logs{}}
	w.tenant = entratest.New(t, &entratest.Options{Now: w.clock.now})
	w.alice = w.tenant.AddUser("alice@contoso.com", "Alice")
	w.api = w.tenant.AddApp("My MCP server", "access_as_user", "Files.Read")
	w.api.AccessTokenVersion = 2
	if s.api != nil {
		s.api(w.api)
	}
	w.app = w.api
	if !s.self {
		w.app = w.tenant.AddApp("Sign-in of my MCP server") // not AddClient: it would be public
	}
	w.secret = w.app.AddSecret()

	start := httptest.NewTLSServer
	if s.plain {
		start = httptest.NewServer
	}
	w.server = start(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.handler.ServeHTTP(rw, r) }))
	t.Cleanup(w.server.Close)
	issuer := w.server.URL + s.path
	w.app.AddRedirectURI(entratest.PlatformWeb, issuer+"/oauth/callback")

	log := slog.New(slog.NewTextHandler(io.MultiWriter(w.logs, t.Output()), &slog.HandlerOptions{Level: slog.LevelDebug}))
	v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		AuthorityHost: w.tenant.AuthorityHost(), HTTPClient: w.tenant.HTTPClient(), Now: w.clock.now, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	w.verifier = v
	w.opts = &authproxy.Options{
		Name: "Contoso files", AuthorityHost: w.tenant.AuthorityHost(), HTTPClient: w.tenant.HTTPClient(), Now: w.clock.now, Logger: log,
		Clients: []authproxy.Client{{ID: clientID, Name: "Desk", Redirects: []string{clientBack, loopback}}},
	}
	if !s.detached {
		w.opts.Resources, w.opts.Scopes, w.opts.Verifier = []string{resource}, []string{w.api.Scope("access_as_user"), w.api.Scope("Files.Read")}, v
	}
	if s.options != nil {
		s.options(w, w.opts)
	}
	if s.keys == nil {
		s.keys = [][]byte{testKey}
	}
	w.proxy, err = authproxy.New(issuer, w.tenant.ID(), w.app.ClientID, clientauth.Secret(w.secret), s.keys, w.opts)
	if err != nil {
		t.Fatal(err)
	}
	w.handler = w.proxy
	return w
}

// request returns the parameters of an authorization request. Each change is "name=value"; an
// empty value removes the parameter.
func request(changes ...string) url.Values {
	challenge := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {clientBack}, "state": {"st/at e"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	for _, change := range changes {
		name, value, _ := strings.Cut(change, "=")
		if value == "" {
			q.Del(name)
		} else {
			q.Set(name, value)
		}
	}
	return q
}

// A browser is a user's at the proxy and at Entra.
type browser struct {
	*world
	client *http.Client
	entra  *entratest.Browser
	header http.Header // of each request
}

func (w *world) browser(user *entratest.User) *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	client := *w.server.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{w, &client, w.tenant.Browser(user), http.Header{}}
}

// A page is an answer.
type page struct {
	status   int
	header   http.Header
	body     string
	location *url.URL // nil if none
}

func (b *browser) do(method, address string, form url.Values) *page {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(r.Header, b.header)
	answer, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &page{status: answer.StatusCode, header: answer.Header, body: string(text)}
	if to := answer.Header.Get("Location"); to != "" {
		if p.location, err = url.Parse(to); err != nil {
			b.t.Fatal(err)
		}
	}
	return p
}

func (b *browser) get(address string) *page { b.t.Helper(); return b.do(http.MethodGet, address, nil) }

// authorize opens an authorization request.
func (b *browser) authorize(q url.Values) *page {
	b.t.Helper()
	return b.get(b.proxy.AuthorizationEndpoint() + "?" + q.Encode())
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
	formHidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
	metaURL    = regexp.MustCompile(`<meta http-equiv="refresh" content="0; ?url=([^"]*)"`)
)

// form returns the action and the hidden fields of a page's form.
func (p *page) form() (action string, fields url.Values) {
	fields = url.Values{}
	for _, found := range formHidden.FindAllStringSubmatch(p.body, -1) {
		fields.Set(found[1], html.UnescapeString(found[2]))
	}
	if found := formAction.FindStringSubmatch(p.body); found != nil {
		action = html.UnescapeString(found[1])
	}
	return action, fields
}

// next is where a page leads by itself, or "".
func (p *page) next() string {
	if found := metaURL.FindStringSubmatch(p.body); found != nil {
		return strings.Trim(html.UnescapeString(found[1]), "'")
	}
	return ""
}

// decide sends the form of a consent page: "approve" or "deny".
func (b *browser) decide(p *page, decision string) *page {
	b.t.Helper()
	action, fields := p.form()
	if action == "" {
		b.t.Fatalf("status %d: the page has no form:\n%s", p.status, p.body)
	}
	fields.Set("decision", decision)
	return b.do(http.MethodPost, action, fields)
}

// signInAtEntra goes through Entra's pages, and opens our callback. It returns the answer there.
func (b *browser) signInAtEntra(entraURL string) *page {
	b.t.Helper()
	back, err := b.entra.Open(b.t.Context(), entraURL)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.get(back.String())
}

// signIn is a whole sign-in. It returns the client's redirect with the answer.
func (b *browser) signIn(q url.Values) *url.URL {
	b.t.Helper()
	p := b.authorize(q)
	var to string
	if p.location != nil {
		to = p.location.String()
	} else {
		to = b.decide(p, "approve").next()
	}
	if !strings.HasPrefix(to, b.tenant.AuthorityHost()) {
		b.t.Fatalf("the browser is sent to %q, want Entra", to)
	}
	p = b.signInAtEntra(to)
	if p.location == nil {
		b.t.Fatalf("the callback answers %d, want a redirect:\n%s", p.status, p.body)
	}
	return p.location
}

// A clock is set by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// logs keeps what is logged.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
