package doctor_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/doctor"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// proxyThatSays is a proxy that answers CONNECT with this.
func proxyThatSays(t *testing.T, answer string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, answer)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String()
}

const refusedByProxy = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"corp\"\r\nContent-Length: 0\r\n\r\n"

// allThrough sends all requests through the proxy.
func allThrough(address func(*testing.T) string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.proxyAll = true
		w.throughProxy(t, address(t))
	}
}

// A cause that several checks run into is one fault.
func TestSharedCauses(t *testing.T) {
	t.Parallel()
	examineFaults(t, map[string]fault{
		"the proxy wants a password": {allThrough(func(t *testing.T) string { return "http://" + proxyThatSays(t, refusedByProxy) }), "tls",
			[]string{"HTTP status 407", "HTTPS_PROXY=http://USER:PASSWORD@"}},
		"the proxy refuses the password": {allThrough(func(t *testing.T) string { return "http://svc:hunter2@" + proxyThatSays(t, refusedByProxy) }), "tls",
			[]string{"refuses the user name and password in HTTPS_PROXY"}},
		"the proxy answers with a page": {allThrough(func(t *testing.T) string {
			return "http://" + proxyThatSays(t, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
		}), "tls", nil},
		"the proxy is down":             {allThrough(func(t *testing.T) string { return "http://" + closedPort(t) }), "tls", []string{"the connection was refused"}},
		"the proxy is misspelled":       {allThrough(func(*testing.T) string { return "http://proxy.contoso.invalid:3128" }), "dns", nil},
		"one CA is not trusted for all": {distrusted(), "tls", []string{"issued by Contoso Proxy CA"}},
		"the trust file is missing": {func(t *testing.T, w *world) {
			distrusted()(t, w)
			w.facts.TrustFile = "/nonexistent/ca.pem"
		}, "tls", []string{"to fix    SSL_CERT_FILE names a file that can't be read: correct it."}},
		"metadata of another tenant": {func(t *testing.T, w *world) {
			other := w.tenant.AddTenant(nil)
			w.rewriteEntra(t, "openid-configuration", func(body string) string { return strings.ReplaceAll(body, w.tenant.ID(), other.ID()) })
		}, "metadata-v2", nil},
		"empty metadata": {func(t *testing.T, w *world) {
			w.rewriteEntra(t, "/v2.0/.well-known/openid-configuration", func(string) string { return "{}" })
		}, "metadata-v2", []string{"came      none"}},
		"the client's id as the API's": {func(_ *testing.T, w *world) { w.facts.ClientID = w.client.ClientID }, "registration", []string{"to fix    Set API_APP_ID="}},
		"the client's id as the API's, unsigned": {unsigned(func(_ *testing.T, w *world) { w.facts.ClientID = w.client.ClientID }), "proof",
			[]string{"the user's token is for another application, too", "Set API_APP_ID="}},
		"a wrong id that other variables are compared with": {func(_ *testing.T, w *world) {
			w.facts.ClientID = w.client.ClientID
			w.facts.Faults = []doctor.ConfigFault{{Where: "APP_ID_URIS", Problem: "has the ID of neither API_APP_ID nor TENANT_ID"}}
		}, "registration", nil},
		"a wrong tenant that another variable is compared with": {func(_ *testing.T, w *world) {
			w.facts.TenantID = "a0000000-0000-4000-8000-000000000001"
			w.facts.Faults = []doctor.ConfigFault{{Where: "AZURE_TENANT_ID", Problem: "differs from TENANT_ID"}}
		}, "tenant", nil},
		"another port": {func(t *testing.T, w *world) {
			w.facts.ResourceURL, w.hosts["mcp.example.com:8443"] = "https://mcp.example.com:8443/mcp", closedPort(t)
		}, "server", nil},
		"another port, unsigned": {unsigned(func(t *testing.T, w *world) {
			w.facts.ResourceURL, w.hosts["mcp.example.com:8443"] = "https://mcp.example.com:8443/mcp", closedPort(t)
		}), "server", nil},
		"a grant for another user": {func(_ *testing.T, w *world) {
			w.tenant.RevokeConsent(w.api, w.tenant.Storage())
			w.tenant.ConsentUser(w.tenant.AddUser("bob@contoso.example", "Bob"), w.api, w.tenant.Storage(), "user_impersonation")
		}, "downstream-grant", []string{"grants for single users (1), none for this one"}},
	})
}

// distrusted puts a CA before Entra, Storage and the server that this machine doesn't trust.
func distrusted() func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		for _, address := range []string{w.tenant.AuthorityHost(), w.facts.StorageURL, "https://mcp.example.com:443"} {
			w.intercept(t, address, proxyCA, html(200))
		}
		w.distrust = true
	}
}

// Several faults are each reported once.
func TestSeveralFaults(t *testing.T) {
	t.Parallel()
	wrongSecret := func(_ *testing.T, w *world) { w.facts.Method = clientauth.Secret("wrong~secret-wrong~secret") }
	noURI := func(_ *testing.T, w *world) { w.api.AppIDURIs = w.api.AppIDURIs[1:] }
	down := func(t *testing.T, w *world) { w.hosts["mcp.example.com:443"] = closedPort(t) }
	noGrant := func(_ *testing.T, w *world) { w.tenant.RevokeConsent(w.api, w.tenant.Storage()) }
	noRole := func(_ *testing.T, w *world) { w.blobs.Revoke(w.alice.ObjectID) }
	for name, c := range map[string]struct {
		faults []func(*testing.T, *world)
		want   []string
	}{
		"secret and App ID URI": {[]func(*testing.T, *world){wrongSecret, noURI}, []string{"app-id-uri", "proof"}},
		"down, and App ID URI":  {[]func(*testing.T, *world){down, noURI}, []string{"app-id-uri", "server"}},
		"down, and secret":      {[]func(*testing.T, *world){down, wrongSecret}, []string{"proof", "server"}},
		"grant and secret":      {[]func(*testing.T, *world){noGrant, wrongSecret}, []string{"proof", "downstream-grant"}},
		"grant and metadata":    {[]func(*testing.T, *world){noGrant, behind(at("/.well-known/", http.NotFoundHandler()))}, []string{"downstream-grant", "resource-metadata"}},
		"role and App ID URI":   {[]func(*testing.T, *world){noRole, noURI}, []string{"app-id-uri", "data-role"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, f := range c.faults {
				f(t, w)
			}
			report := w.examine(t)
			if got := failures(report); !slices.Equal(got, c.want) {
				t.Errorf("failed: %v, want %v\n%s", got, c.want, text(t, report))
			}
			noSecrets(t, w, text(t, report))
		})
	}
}

// With -only, the fault that keeps a check from running is shown, too, though the check needs no
// result of it.
func TestOnlyShowsTheCause(t *testing.T) {
	t.Parallel()
	for only, c := range map[string]struct {
		change func(*testing.T, *world)
		cause  string
	}{
		"registration": {func(_ *testing.T, w *world) { w.options.Now = clockAt(10 * time.Minute) }, "clock"},
		"origin":       {behind(basic), "challenge"},
		"data-role":    {func(_ *testing.T, w *world) { w.tenant.BlockAccess(w.tenant.Storage()) }, "exchange"},
		"cors":         {behind(basic), "challenge"},
		"host":         {behind(basic), "challenge"},
	} {
		t.Run(only, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.options.Only = []string{only}
			c.change(t, w)
			report := w.examine(t)
			if got := failures(report); !slices.Equal(got, []string{c.cause}) {
				t.Errorf("-only %s: failed %v, want %s\n%s", only, got, c.cause, text(t, report))
			}
		})
	}
}

// basic is a proxy's own sign-in, for all paths.
func basic(http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("WWW-Authenticate", `Basic realm="staff"`)
		rw.WriteHeader(http.StatusUnauthorized)
	})
}

func TestMoreProofFaults(t *testing.T) {
	t.Parallel()
	file := func(t *testing.T, content string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	examineFaults(t, map[string]fault{
		"certificate without its key": {func(t *testing.T, w *world) {
			name, _ := certificateFile(t)
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, certificate, _ := strings.Cut(string(content), "-----END PRIVATE KEY-----\n")
			w.facts.Method = clientauth.CertificateFile(file(t, certificate), "")
		}, "identity", []string{"no private key", "AZURE_CLIENT_CERTIFICATE_PATH"}},
		"certificate is a text": {func(t *testing.T, w *world) { w.facts.Method = clientauth.CertificateFile(file(t, "hello"), "") }, "identity", nil},
		"secret of another app": {func(_ *testing.T, w *world) { w.facts.Method = clientauth.Secret(w.client.AddSecret()) }, "proof", []string{"AADSTS7000215"}},
		"projected token is empty": {func(t *testing.T, w *world) {
			w.facts.TokenFile = file(t, "")
			w.facts.Method = clientauth.WorkloadIdentity(w.facts.TokenFile)
		}, "identity", nil},
		"projected token for Kubernetes itself": {func(t *testing.T, w *world) {
			const subject = "system:serviceaccount:mcp:server"
			cluster := w.tenant.AddCluster()
			name, err := cluster.WriteTokenFile(t.TempDir(), subject, "https://kubernetes.default.svc")
			if err != nil {
				t.Fatal(err)
			}
			w.facts.Method = clientauth.WorkloadIdentity(name)
			w.api.AddFederatedCredential(cluster.URL, subject, "api://AzureADTokenExchange")
		}, "federated-credential", []string{"expected  audience api://AzureADTokenExchange", "The federated credential is right"}},
		"the token endpoint is down": {func(_ *testing.T, w *world) { w.tenant.Fail(entratest.EndpointToken, entratest.Fault{Status: 503}) }, "proof", []string{"has a problem", "Try again"}},
		"a client without a way to sign in": {func(t *testing.T, w *world) {
			w.patch(t, w.client, `{"publicClient":{"redirectUris":[]},"isFallbackPublicClient":false}`)
		}, "redirects", []string{"AADSTS500113"}},
		"an App ID URI that nobody registered": {func(_ *testing.T, w *world) { w.facts.AppIDURIs = append(w.facts.AppIDURIs, "api://files") }, "app-id-uri",
			[]string{"APP_ID_URIS lists", "expected  api://files"}},
		"an ID token":     {func(_ *testing.T, w *world) { w.token = w.tenant.IDToken(w.alice, w.client) }, "user-token", nil},
		"an app's token":  {func(_ *testing.T, w *world) { w.token = w.tenant.AppToken(w.client, w.api) }, "user-token", []string{"app_only"}},
		"a refresh token": {func(_ *testing.T, w *world) { w.token = "1.AXoAabcdefghijklmnopqrstuvwxyz" }, "user-token", []string{"malformed"}},
		"Graph's token": {func(_ *testing.T, w *world) {
			w.token = w.tenant.Token(w.alice, w.client, w.tenant.Graph(), "User.Read")
		}, "user-token", nil},
	})
}
