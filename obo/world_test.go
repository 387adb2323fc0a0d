package obo_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const storageScope = "https://storage.azure.com/.default"

var storageOptions = policy.TokenRequestOptions{Scopes: []string{storageScope}}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a tenant with a server's app, which may use storage on behalf of
// users, and two of them. At the end of its test it looks through all logs and
// errors for tokens, secrets and assertions.
type world struct {
	t          *testing.T
	tenant     *entratest.Tenant
	clock      *fakeClock
	api        *entratest.App
	client     *entratest.App
	alice, bob *entratest.User
	secret     string

	mu     sync.Mutex
	shown  bytes.Buffer // logs and texts of errors
	hidden []string     // what must not be in them
}

func newWorld(t *testing.T) *world {
	t.Helper()
	clock := &fakeClock{now: time.Now().Truncate(time.Second)}
	tenant := entratest.NewTenant(&entratest.Options{Now: clock.Now})
	w := &world{t: t, tenant: tenant, clock: clock}
	w.api = tenant.AddApp("My MCP server", "access_as_user")
	w.client = tenant.AddClient("Some client")
	w.alice = tenant.AddUser("alice@contoso.com", "Alice")
	w.bob = tenant.AddUser("bob@contoso.com", "Bob")
	w.secret = w.api.AddSecret()
	tenant.Consent(w.api, tenant.Storage(), "user_impersonation")
	t.Cleanup(func() {
		tenant.HTTPClient().CloseIdleConnections()
		tenant.Close()
		w.lookForSecrets()
	})
	return w
}

func (w *world) options() *obo.Options {
	return &obo.Options{
		HTTPClient:    w.tenant.HTTPClient(),
		Now:           w.clock.Now,
		Logger:        slog.New(slog.NewJSONHandler(writer{w}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		AuthorityHost: w.tenant.AuthorityHost(),
		MaxRetries:    -1, // they have tests of their own, where time costs nothing
	}
}

// exchanger returns one that proves itself with the app's secret.
func (w *world) exchanger(change func(*obo.Options)) *obo.Exchanger {
	w.t.Helper()
	return w.exchangerWith(clientauth.Secret(w.secret), change)
}

func (w *world) exchangerWith(m clientauth.Method, change func(*obo.Options)) *obo.Exchanger {
	w.t.Helper()
	o := w.options()
	if change != nil {
		change(o)
	}
	x, err := obo.NewExchanger(w.tenant.ID(), w.api.ClientID, m, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

// held is a transport that holds the first token request's answer back.
type held struct {
	next             http.RoundTripper
	began            atomic.Bool
	arrived, release chan struct{}
}

// hold returns the change of options that makes an exchanger use a held transport.
func (w *world) hold() (*held, func(*obo.Options)) {
	h := &held{next: w.tenant.HTTPClient().Transport, arrived: make(chan struct{}), release: make(chan struct{})}
	return h, func(o *obo.Options) { o.HTTPClient = &http.Client{Transport: h} }
}

func (h *held) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := h.next.RoundTrip(req)
	if h.began.CompareAndSwap(false, true) {
		close(h.arrived)
		<-h.release
	}
	return resp, err
}

// assertion is what the user's client sent to our server.
func (w *world) assertion(u *entratest.User) obo.Assertion {
	return obo.NewAssertion(w.tenant.Token(u, w.client, w.api))
}

// get asks for a storage token and returns what it says about itself.
func (w *world) get(ctx context.Context, c *obo.Credential) (map[string]any, error) {
	return w.getWith(ctx, c, policy.TokenRequestOptions{Scopes: []string{storageScope}})
}

func (w *world) getWith(ctx context.Context, c *obo.Credential, o policy.TokenRequestOptions) (map[string]any, error) {
	token, err := c.GetToken(ctx, o)
	if err != nil {
		w.show(err)
		return nil, err
	}
	w.hide(token.Token)
	return decode(token.Token)
}

func (w *world) mustGet(c *obo.Credential) map[string]any {
	w.t.Helper()
	claims, err := w.get(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	return claims
}

// exchanges is how many token requests the tenant has received.
func (w *world) exchanges() int { return w.tenant.Count(entratest.EndpointToken) }

func (w *world) hide(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hidden = append(w.hidden, s)
}

// show keeps all that can be read from an error, its causes included.
func (w *world) show(err error) {
	if e, ok := errors.AsType[*obo.Error](err); ok {
		_, _ = fmt.Fprintln(writer{w}, e.UserText())
		_, _ = fmt.Fprintf(writer{w}, "%+v %#v\n", e, e)
	}
	_, _ = fmt.Fprintf(writer{w}, "%v\n", err)
	for _, cause := range unwrapAll(err) {
		_, _ = fmt.Fprintf(writer{w}, "%T %v\n", cause, cause)
	}
}

func unwrapAll(err error) []error {
	var causes []error
	switch e := err.(type) { //nolint:errorlint // it takes the tree apart
	case interface{ Unwrap() error }:
		causes = []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		causes = e.Unwrap()
	}
	for _, c := range causes {
		if c != nil {
			causes = append(causes, unwrapAll(c)...)
		}
	}
	return causes
}

type writer struct{ w *world }

func (w writer) Write(p []byte) (int, error) {
	w.w.mu.Lock()
	defer w.w.mu.Unlock()
	return w.w.shown.Write(p)
}

func (w *world) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shown.String()
}

func (w *world) lookForSecrets() {
	hidden := append(w.hidden, w.secret)
	for _, r := range w.tenant.Requests() {
		for _, name := range []string{"assertion", "client_assertion", "client_secret"} {
			hidden = append(hidden, r.Form[name]...)
		}
	}
	shown := w.text()
	for _, h := range hidden {
		// The signature of a token is enough to know it by.
		part := h[strings.LastIndexByte(h, '.')+1:]
		if len(part) >= 8 && strings.Contains(shown, part) {
			w.t.Errorf("a log line or an error holds a secret or a token:\n%s", shown)
			return
		}
	}
	if strings.Contains(shown, "Made by a fault") || strings.Contains(shown, "contoso.com") {
		w.t.Errorf("a log line or an error holds Entra's description or an address:\n%s", shown)
	}
}

func decode(token string) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	return claims, json.Unmarshal(raw, &claims)
}

func asError(t *testing.T, err error) *obo.Error {
	t.Helper()
	var e *obo.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T (%v), want *obo.Error", err, err)
	}
	return e
}

type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
