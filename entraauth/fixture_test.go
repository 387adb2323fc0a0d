package entraauth_test

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A clock is the time of a test: the tenant's and the verifier's.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A fixture is a tenant with a user, an API and a client, and the API's verifier.
type fixture struct {
	t        testing.TB
	clock    *clock
	tenant   *entratest.Tenant
	other    *entratest.Tenant // a stranger's, once needed
	alice    *entratest.User
	api      *entratest.App
	client   *entratest.App
	log      *lines
	verifier *entraauth.Verifier
}

func newFixture(t testing.TB, change func(*entraauth.Options)) *fixture {
	t.Helper()
	f := newTenant(t)
	f.start(t, change)
	return f
}

// newTenant is a fixture whose verifier is not there yet.
func newTenant(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: newClock(), log: &lines{}}
	f.tenant = entratest.NewTenant(&entratest.Options{Now: f.clock.Now})
	t.Cleanup(f.tenant.Close)
	f.alice = f.tenant.AddUser("alice@contoso.example", "Alice Adams")
	f.api = f.tenant.AddApp("MCP server", "access_as_user", "admin")
	f.client = f.tenant.AddClient("MCP client")
	return f
}

func (f *fixture) start(t testing.TB, change func(*entraauth.Options)) {
	t.Helper()
	opts := &entraauth.Options{
		HTTPClient:    f.tenant.HTTPClient(),
		AuthorityHost: f.tenant.AuthorityHost(),
		Now:           f.clock.Now,
		Logger:        f.logger(),
	}
	if change != nil {
		change(opts)
	}
	v, err := entraauth.NewVerifier(f.tenant.ID(), f.api.ClientID, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	f.verifier = v
}

func (f *fixture) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (f *fixture) token() string {
	return f.tenant.Token(f.alice, f.client, f.api, "access_as_user")
}

// lines is a log that a test can read.
type lines struct {
	mu   sync.Mutex
	text []byte
}

var _ io.Writer = (*lines)(nil)

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// errorOf returns err as what each refusal is.
func errorOf(t *testing.T, err error) *entraauth.Error {
	t.Helper()
	e, ok := errors.AsType[*entraauth.Error](err)
	if !ok {
		t.Fatalf("got %T %v, want an *entraauth.Error", err, err)
	}
	return e
}
