//go:build unix

package mcpclients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A stage is what a client meets: a tenant, a blob service, a server that is
// registered in the tenant under its own URL, and a desk.
type stage struct {
	tenant   *entratest.Tenant
	alice    *entratest.User
	api      *entratest.App
	client   *entratest.App // the MCP client's registration
	verifier *entraauth.Verifier
	url      string // of the MCP endpoint
	desk     string // URL of the desk
	tools    string // names, in order
	log      *log

	ahead atomic.Int64 // seconds that the tenant's and the server's clock are ahead of the client's
	mu    sync.Mutex   // guards user
	user  *entratest.Browser
}

// newStage starts one. With sessions, the server speaks the protocols that have
// initialize, and can call clients back.
func newStage(t *testing.T, sessions bool) *stage {
	t.Helper()
	s := &stage{log: &log{}}
	s.tenant = entratest.NewTenant(&entratest.Options{Now: s.now})
	t.Cleanup(s.tenant.Close)
	s.alice = s.tenant.AddUser("alice@contoso.example", "Alice")
	s.user = s.tenant.Browser(s.alice)

	h := httptest.NewUnstartedServer(nil) // has its address already
	origin := "http://" + h.Listener.Addr().String()
	s.url = origin + "/mcp"
	s.api = s.tenant.AddApp("Notes", "access_as_user", "notes_write")
	s.api.AppIDURIs = []string{s.url}
	s.api.AddRedirectURI(entratest.PlatformWeb, origin+"/consent/done")
	s.api.RequirePermissions(s.tenant.Storage(), "user_impersonation") // not consented to yet
	s.client = s.tenant.AddClient("MCP client")
	s.client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost/callback")

	server := s.newServer(t, origin, sessions)
	h.Config.Handler = server
	h.Start()
	t.Cleanup(h.Close)
	t.Cleanup(func() { // a client that is killed ends no session
		for session := range server.MCP().Sessions() {
			_ = session.Close()
		}
	})
	desk := httptest.NewServer(s.newDesk())
	t.Cleanup(desk.Close)
	s.desk = desk.URL
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	return s
}

func (s *stage) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load()) * time.Second) }

func (s *stage) newServer(t *testing.T, origin string, sessions bool) *mcpentra.Server {
	t.Helper()
	blobs := blobtest.NewServer(&blobtest.Options{Key: s.tenant.PublicKey, Issuer: s.tenant.V1Issuer()})
	t.Cleanup(blobs.Close)
	blobs.AddContainer("docs")
	blobs.Put("docs", "hello.txt", []byte("Hello, Alice"), "text/plain")
	blobs.Put("docs", "yes.txt", []byte("The user lets it be deleted."), "text/plain")
	blobs.Put("docs", "no.txt", []byte("The user does not."), "text/plain")
	blobs.GrantContributor(s.alice.ObjectID, "docs", "")

	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	entra := s.tenant.HTTPClient()
	verifier, err := entraauth.NewVerifier(s.tenant.ID(), s.api.ClientID, &entraauth.Options{
		HTTPClient: entra, AuthorityHost: s.tenant.AuthorityHost(), Logger: logger, AppIDURIs: []string{s.url}, Now: s.now,
	})
	must(t, err)
	t.Cleanup(func() { _ = verifier.Close() })
	s.verifier = verifier
	exchanger, err := obo.NewExchanger(s.tenant.ID(), s.api.ClientID, clientauth.Secret(s.api.AddSecret()), &obo.Options{
		HTTPClient: entra, AuthorityHost: s.tenant.AuthorityHost(), Logger: logger, RedirectURL: origin + "/consent/done", Now: s.now,
	})
	must(t, err)
	set, err := blobtool.New(blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{
		HTTPClient: blobs.HTTPClient(), Logger: logger, Write: &blobtool.WriteOptions{Allow: []string{"docs"}},
	})
	must(t, err)
	tools := []mcpentra.ToolSet{mcpentra.IdentityTools(verifier), set, countTool(), greetTool(), writeTool()}
	s.tools = names(t, tools)
	options := []mcpentra.Option{
		mcpentra.WithExchanger(exchanger), mcpentra.WithLogger(logger), mcpentra.WithStateKeys(bytes.Repeat([]byte{7}, 32)),
		mcpentra.WithTools(tools...),
		mcpentra.WithToolPolicy("write_note", entraauth.Policy{Scopes: []string{"access_as_user", "notes_write"}}),
	}
	if sessions {
		options = append(options, mcpentra.WithSessions())
	}
	server, err := mcpentra.NewServer(s.url, verifier, options...)
	must(t, err)
	return server
}

// newDesk is where scripts turn to for what is not theirs to do:
//
//	POST /open?url=…    the user opens the page and does what it asks: where it sent the browser
//	POST /later         time passes: tokens expire, for all but the client's clock
func (s *stage) newDesk() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /open", func(w http.ResponseWriter, r *http.Request) {
		back, err := s.open(r.Context(), r.URL.Query().Get("url"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"back": back.String()}) // the script is gone: its lines say so
	})
	mux.HandleFunc("POST /later", func(http.ResponseWriter, *http.Request) { s.later() })
	return mux
}

// grants returns how clients got their tokens, in order.
func (s *stage) grants() string {
	var grants []string
	for _, r := range s.tenant.Requests() {
		if g := r.Form.Get("grant_type"); g == "authorization_code" || g == "refresh_token" {
			grants = append(grants, g)
		}
	}
	return strings.Join(grants, " ")
}

// open opens a page in Alice's browser and returns where it was sent at last.
func (s *stage) open(ctx context.Context, address string) (*url.URL, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user.Open(ctx, address)
}

// visit opens a page for signing in or for consent in Alice's browser, which then goes
// on to where it is sent.
func (s *stage) visit(ctx context.Context, address string) error {
	back, err := s.open(ctx, address)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, back.String(), nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", back.Path, resp.Status)
	}
	return nil
}

// later makes two hours pass: longer than any access token lives.
func (s *stage) later() { s.ahead.Add(int64(2 * time.Hour / time.Second)) }

// certificates returns a file with the tenant's root, for clients to trust.
func (s *stage) certificates(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "roots.pem")
	must(t, os.WriteFile(path, s.tenant.CertificatePEM(), 0o600))
	return path
}

// A log is what the server has written.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
