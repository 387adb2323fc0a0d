//go:build unix

package interop_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// What an operator can get wrong: the server starts, serves what it can, and
// says what to fix.
func TestServerMisconfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name  string
		spoil func(env map[string]string)
		want  []string // in read_blob_with_token's answer
	}{
		{"wrong secret", func(env map[string]string) { env["ENTRA_APP_CLIENT_SECRET"] = "a-secret-that-is-not-the-apps" },
			[]string{"AADSTS7000215", "secret"}},
		{"missing container", func(env map[string]string) { env["AZURE_STORAGE_CONTAINER"] = "missing" },
			[]string{`"missing"`, "not found", "ContainerNotFound"}},
		{"missing account", func(env map[string]string) { env["AZURE_STORAGE_ACCOUNT_URL"] = w.storage.origin + "/nobodysaccount" },
			[]string{"not found", "ResourceNotFound"}},
		{"storage's certificate is not trusted", func(env map[string]string) {
			env["SSL_CERT_FILE"] = certificates(t, w.tenant.CertificatePEM())
		}, []string{"could not be reached", "operator"}},
		{"On-Behalf-Of is off", func(env map[string]string) { env["USE_OBO_FLOW"] = "false" },
			[]string{"Set USE_OBO_FLOW=true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := w.environment(t)
			c.spoil(env)
			s := w.startServer(t, env)
			token := w.token(w.alice)
			alice := connect(w.ctx, t, s.url(), token, "")
			got := alice.refused(t, "read_blob_with_token", map[string]any{"blob_path": welcomePath}, c.want...)
			for _, inside := range []string{"127.0.0.1", "<?xml", "x509"} {
				if strings.Contains(got, inside) {
					t.Errorf("the caller is told %q: %s", inside, got)
				}
			}
			checkPing(t, alice.call(t, "secure_ping", nil))
			s.stop(t)
			checkLog(t, s.process, append(w.secrets(), token, env["ENTRA_APP_CLIENT_SECRET"]))
		})
	}
}

// The tenant's certificate is not trusted, so there are no keys: that is the
// server's trouble, not the caller's token's.
func TestServerWithoutTrustInTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	env := w.environment(t)
	env["SSL_CERT_FILE"] = w.storage.certificate.certFile
	s := w.startServer(t, env)
	status, body := w.post(t, s, w.token(w.alice))
	if status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503: %s", status, body)
	}
	s.stop(t)
}

// post lists the tools with a bare HTTP request.
func (w *world) post(t *testing.T, s *server, token string) (status int, body string) {
	t.Helper()
	return w.do(t, http.MethodPost, s.url(), token, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
}

func (w *world) do(t *testing.T, method, url, token, content string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, method, url, strings.NewReader(content))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(data)
}

// Azurite goes away and comes back while the server runs.
func TestStorageStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.startServer(t, w.environment(t))
	alice := connect(w.ctx, t, s.url(), w.token(w.alice), "")
	d := w.document(t, welcomePath)
	d.checkRead(t, alice.call(t, "read_blob_with_token", d.arguments()), s.dir, "downloads")

	port := w.storage.port(t)
	w.storage.terminate(t)
	alice.refused(t, "read_blob_with_token", d.arguments(), "could not be reached", "Try again later")
	checkPing(t, alice.call(t, "secure_ping", nil))
	if status, body := w.do(t, http.MethodGet, s.origin+"/health", "", ""); status != http.StatusOK {
		t.Errorf("/health answered status %d: %s", status, body)
	}

	w.storage = startAzurite(w.ctx, t, w.storage.certificate, port)
	w.storage.seed(w.ctx, t, w.documents)
	d.checkRead(t, alice.call(t, "read_blob_with_token", d.arguments()), s.dir, "downloads")
	s.stop(t)
}

// The administrator takes consent back, the tenant is throttled: what Entra says
// reaches the caller as something to do.
func TestTenantRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.startServer(t, w.environment(t))
	read := w.document(t, "readme.txt").arguments()

	w.tenant.RevokeConsent(w.api, w.tenant.Storage())
	alice := connect(w.ctx, t, s.url(), w.token(w.alice), "")
	alice.refused(t, "read_blob_with_token", read, "AADSTS65001", "consent")

	w.tenant.Consent(w.api, w.tenant.Storage(), "user_impersonation")
	alice.call(t, "read_blob_with_token", read)

	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{Status: http.StatusInternalServerError, Body: "<html>internal</html>", ContentType: "text/html"})
	bob := connect(w.ctx, t, s.url(), w.token(w.bob), "")
	if got := bob.refused(t, "read_blob_with_token", read); strings.Contains(got, "html") {
		t.Errorf("the caller is told Entra's page: %s", got)
	}
	alice.call(t, "read_blob_with_token", read) // her token is still good
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{})
	bob.call(t, "read_blob_with_token", read)
	s.stop(t)
	checkLog(t, s.process, w.secrets())
}
