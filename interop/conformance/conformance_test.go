//go:build unix

package conformance_test

import (
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The suite on this module's server and on the SDK's own, for each revision
// that it has requirements of.
func TestSuite(t *testing.T) {
	for _, c := range []struct {
		revision string
		options  []mcpentra.Option // of ours
		flags    []string          // of theirs
		passed   int               // checks, on theirs, when the lists of this test were written
	}{
		{"2026-07-28", nil, []string{"-stateless=true"}, 165},
		{"2025-11-25", []mcpentra.Option{mcpentra.WithSessions()}, []string{"-stateless=false"}, 82},
	} {
		t.Run(c.revision, func(t *testing.T) {
			theirs := runSuite(t, "the SDK", startTheirs(t, c.flags), c.revision)
			ours := runSuite(t, "ours", startOurs(t, c.options), c.revision)
			t.Logf("%s: ours %s; the SDK %s", c.revision, ours, theirs)
			if theirs.passed != c.passed {
				t.Errorf("the SDK passes %d checks, it was %d", theirs.passed, c.passed)
			}
			compare(t, ours, theirs)
		})
	}
}

func compare(t *testing.T, ours, theirs report) {
	t.Helper()
	for check, outcome := range theirs.outcome {
		if outcome == "SUCCESS" && ours.outcome[check] != "SUCCESS" {
			t.Errorf("%s passes on the SDK's server; on ours: %q %s", check, ours.outcome[check], ours.why[check])
		}
	}
	known, failed := expected(t), ours.failures()
	for _, check := range failed {
		if !slices.ContainsFunc(known, func(entry string) bool { return covers(entry, check) }) {
			t.Errorf("%s fails, and is not in %s: %s", check, expectedFailures, ours.why[check])
		}
	}
	for _, entry := range known {
		covered := func(check string) bool { return covers(entry, check) }
		if ran := hasKey(ours.outcome, covered); ran && !slices.ContainsFunc(failed, covered) {
			t.Errorf("%s is in %s, and passes", entry, expectedFailures)
		}
	}
}

func hasKey(m map[string]string, is func(string) bool) bool {
	for key := range m {
		if is(key) {
			return true
		}
	}
	return false
}

// startOurs serves the fixtures by mcpentra, to a caller whose token a proxy
// adds, and returns the proxy's URL: the one that the server is known by.
func startOurs(t *testing.T, options []mcpentra.Option) string {
	t.Helper()
	tenant := entratest.NewTenant(nil)
	t.Cleanup(tenant.Close)
	api := tenant.AddApp("Conformance", "access_as_user")
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		HTTPClient: tenant.HTTPClient(), AuthorityHost: tenant.AuthorityHost(), Logger: logger,
	})
	must(t, err)
	t.Cleanup(func() { _ = verifier.Close() })

	front := httptest.NewUnstartedServer(nil) // has its address already
	public := "http://" + front.Listener.Addr().String() + "/mcp"
	server, err := mcpentra.NewServer(public, verifier,
		append([]mcpentra.Option{mcpentra.WithTools(fixtures{}), mcpentra.WithLogger(logger)}, options...)...)
	must(t, err)
	back := httptest.NewServer(server)
	t.Cleanup(back.Close)

	token := tenant.Token(tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("Suite"), api)
	front.Config.Handler = addingToken(t, back.URL, token)
	front.Start()
	t.Cleanup(front.Close)
	t.Cleanup(func() { // the suite does not end those that it opens
		for session := range server.MCP().Sessions() {
			_ = session.Close()
		}
	})
	return public
}

// addingToken is a proxy that changes nothing but the Authorization header: the
// suite sends hosts and origins of its own.
func addingToken(t *testing.T, backend, token string) http.Handler {
	t.Helper()
	target, err := url.Parse(backend)
	must(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.Out.Header.Set("Authorization", "Bearer "+token)
		},
		FlushInterval: -1,                         // events go through at once
		ErrorLog:      log.New(io.Discard, "", 0), // the suite hangs up on streams
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Else this server may close the request's body when the answer begins, while
		// the transport still looks for its end, and so breaks off the answer.
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/1 can
		proxy.ServeHTTP(w, r)
	})
}

// startTheirs builds and starts the SDK's server for the suite.
func startTheirs(t *testing.T, flags []string) string {
	t.Helper()
	const program = "github.com/modelcontextprotocol/go-sdk/conformance/everything-server"
	path := filepath.Join(t.TempDir(), "everything-server")
	// In this folder: the module's own versions apply.
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, program).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", program, err, text)
	}
	address := freeAddress(t)
	var written strings.Builder
	cmd := command(t.Context(), t, path, append(flags, "-http", address))
	cmd.Stderr = &written
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the SDK's server wrote:\n%s", &written)
		}
	})
	waitFor(t, address)
	return "http://" + address + "/"
}

// freeAddress returns one that nobody listens on: the SDK's server does not say
// which it has chosen.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}

func waitFor(t *testing.T, address string) {
	t.Helper()
	for range 1200 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("nobody listens on %s", address)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
