package doctor_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A fault is a setup with one thing broken, and the one check that must name it.
type fault struct {
	change func(t *testing.T, w *world)
	id     string
	says   []string // in the report
}

// unsigned is without Microsoft Graph.
func unsigned(change func(*testing.T, *world)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) { w.signedIn = false; change(t, w) }
}

// Each broken setup fails the one check that names it. All others are ok, warn, or did not run.
func examineFaults(t *testing.T, faults map[string]fault) {
	t.Helper()
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f.change(t, w)
			report := w.examine(t)
			all := text(t, report)
			if got := failures(report); !slices.Equal(got, []string{f.id}) {
				t.Errorf("failed: %v, want %s alone\n%s", got, f.id, all)
			}
			for _, want := range f.says {
				if !strings.Contains(all, want) {
					t.Errorf("the report does not say %q:\n%s", want, all)
				}
			}
			noSecrets(t, w, all)
		})
	}
}

func html(status int) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		rw.Header().Set("Server", "Zscaler/6.2")
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, "<html>Sign in to the network</html>")
	})
}

func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	examineFaults(t, map[string]fault{
		"clock ahead": {func(_ *testing.T, w *world) { w.options.Now = clockAt(10*time.Minute + time.Second/2) }, "clock",
			[]string{"ahead of Entra's", "chrony"}},
		"clock behind": {func(_ *testing.T, w *world) { w.options.Now = clockAt(-3 * time.Minute) }, "clock", []string{"behind Entra's"}},
		"clock years ahead": {func(_ *testing.T, w *world) { w.options.Now = clockAt(3 * 365 * 24 * time.Hour) }, "clock",
			[]string{"not run  tls", "because clock failed"}},
		"clock years behind, unsigned":            {unsigned(func(_ *testing.T, w *world) { w.options.Now = clockAt(-3 * 365 * 24 * time.Hour) }), "clock", nil},
		"clock behind Entra's tokens":             {func(_ *testing.T, w *world) { w.tenantOffset.Store(int64(10*time.Minute + 30*time.Second)) }, "clock", []string{"clock is 10m", "behind Entra's"}},
		"clock ahead of Entra's tokens, unsigned": {unsigned(func(_ *testing.T, w *world) { w.tenantOffset.Store(int64(-2 * time.Hour)) }), "clock", []string{"ahead of Entra's"}},
		"clock ahead, with a certificate": {unsigned(func(t *testing.T, w *world) {
			file, certificate := certificateFile(t)
			w.api.AddCertificate(certificate)
			w.facts.Method = clientauth.CertificateFile(file, "")
			w.tenantOffset.Store(int64(-2 * time.Hour))
		}), "clock", []string{"AADSTS700024"}},
		"a token from the future": {func(_ *testing.T, w *world) {
			w.facts.OBO, w.signedIn = false, false
			w.token = w.tenant.Mint(w.api, 2, func(_, c map[string]any) { c["iat"] = time.Now().Add(10 * time.Minute).Unix() })
		}, "clock", []string{"behind Entra's"}},
		"authority does not resolve": {func(_ *testing.T, w *world) { w.facts.AuthorityHost = "https://login.contoso.invalid" }, "dns",
			[]string{"login.contoso.invalid does not resolve", "no such host"}},
		"resolver times out": {func(_ *testing.T, w *world) {
			w.options.Lookup = func(context.Context, string) ([]string, error) {
				return nil, &net.DNSError{Err: "i/o timeout", IsTimeout: true}
			}
		}, "dns", []string{"no answer from the resolver in time"}},
		"resolver answers nothing": {func(_ *testing.T, w *world) {
			w.options.Lookup = func(ctx context.Context, host string) ([]string, error) {
				if host == "localhost" {
					return nil, nil
				}
				return w.lookup(ctx, host)
			}
		}, "dns", []string{"an empty answer"}},
		"authority refuses connections": {func(t *testing.T, w *world) { w.hosts[hostport(w.tenant.AuthorityHost())] = closedPort(t) }, "tls",
			[]string{"the connection was refused"}},
		"authority times out": {func(_ *testing.T, w *world) { w.hosts[hostport(w.tenant.AuthorityHost())] = "timeout" }, "tls",
			[]string{"no answer in time"}},
		"private CA not trusted": {func(t *testing.T, w *world) { w.inFrontOfEntra(t, html(200)); w.distrust = true }, "tls",
			[]string{"a certificate that this machine doesn't trust", "issued by Contoso Proxy CA", "SSL_CERT_FILE"}},
		"a trust file that is not there": {func(t *testing.T, w *world) {
			w.inFrontOfEntra(t, html(200))
			w.distrust, w.facts.TrustFile = true, "/nonexistent/ca.pem"
		}, "tls", []string{"SSL_CERT_FILE names a file that can't be read"}},
		"a trust file of nothing": {func(t *testing.T, w *world) {
			w.inFrontOfEntra(t, html(200))
			w.distrust, w.facts.TrustFile = true, "doctor.go"
		}, "tls", []string{"without a certificate in PEM format"}},
		"a proxy that can't be reached": {func(t *testing.T, w *world) { w.throughProxy(t, "http://user:hunter2@"+closedPort(t)) }, "tls",
			[]string{"through the proxy 127.0.0.1", "HTTPS_PROXY"}},
		"a proxy that does not resolve": {func(t *testing.T, w *world) { w.throughProxy(t, "http://proxy.contoso.invalid:3128") }, "dns",
			[]string{"the proxy proxy.contoso.invalid does not resolve"}},
		"plain http at the authority's port": {func(t *testing.T, w *world) {
			s := httptest.NewServer(html(200))
			t.Cleanup(s.Close)
			w.hosts[hostport(w.tenant.AuthorityHost())] = s.Listener.Addr().String()
		}, "tls", []string{"an answer that is not TLS"}},
		"a proxy answers for Entra, with a page": {func(t *testing.T, w *world) { w.inFrontOfEntra(t, html(200)) }, "authority",
			[]string{"something else than Entra ID answers", "text/html", "Zscaler", "with a certificate of Contoso Proxy CA"}},
		"a proxy blocks Entra":   {func(t *testing.T, w *world) { w.inFrontOfEntra(t, html(403)) }, "authority", []string{"HTTP status 403"}},
		"an expired certificate": {func(t *testing.T, w *world) { w.inFrontOfEntraUntil(t, time.Now().Add(-time.Minute)) }, "tls", []string{"is not valid now", "renewed"}},
		"a certificate for another host": {func(_ *testing.T, w *world) { w.hosts[hostport(w.tenant.AuthorityHost())] = "mcp.example.com:443" }, "tls",
			[]string{"another server answers for localhost", "one for example.com"}},
		"connections are cut": {func(t *testing.T, w *world) { w.hosts[hostport(w.tenant.AuthorityHost())] = cut(t) }, "tls", []string{"closed without an answer"}},
		"a network's sign-in page": {func(t *testing.T, w *world) {
			w.inFrontOfEntra(t, http.RedirectHandler("https://portal.hotel.example/login", http.StatusFound))
		}, "authority", []string{"a redirect to portal.hotel.example"}},
		"Entra has an outage": {func(_ *testing.T, w *world) {
			w.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Status: 503, Body: `{"error":"temporarily_unavailable"}`})
		}, "authority", []string{"Entra ID has a problem"}},
	})
}

func TestTenantFaults(t *testing.T) {
	t.Parallel()
	examineFaults(t, map[string]fault{
		"another GUID": {func(_ *testing.T, w *world) { w.facts.TenantID = "a0000000-0000-4000-8000-000000000001" }, "tenant",
			[]string{"AADSTS90002", "Copy the Directory (tenant) ID"}},
		"another tenant of the same cloud": {unsigned(func(_ *testing.T, w *world) { w.facts.TenantID = w.tenant.AddTenant(nil).ID() }), "app",
			[]string{"AADSTS700016", "Compare API_APP_ID and TENANT_ID"}},
		"another tenant of the same cloud, signed in": {func(_ *testing.T, w *world) {
			other := w.tenant.AddTenant(nil)
			w.facts.TenantID, w.facts.ClientID = other.ID(), other.AddApp("x").ClientID
		}, "registration", nil},
		"a tenant of another cloud": {func(t *testing.T, w *world) {
			w.rewriteEntra(t, "/v2.0/.well-known/openid-configuration", func(body string) string {
				return strings.ReplaceAll(strings.ReplaceAll(body, w.tenant.AuthorityHost(), "https://login.microsoftonline.us"), "microsoftonline.com", "microsoftonline.us")
			})
		}, "tenant", []string{"in another cloud", "AZURE_AUTHORITY_HOST=https://login.microsoftonline.us"}},
		"v2 metadata of another issuer": {func(t *testing.T, w *world) {
			w.rewriteEntra(t, "/v2.0/.well-known/openid-configuration", func(body string) string {
				return strings.Replace(body, `"issuer":"`+w.tenant.V2Issuer(), `"issuer":"`+w.tenant.AuthorityHost()+"/common/v2.0", 1)
			})
		}, "metadata-v2", []string{"/common/v2.0"}},
		"v1 metadata is a page": {func(t *testing.T, w *world) {
			w.rewriteEntra(t, w.tenant.ID()+"/.well-known/openid-configuration", func(string) string { return "<html>" })
		}, "metadata-v1", []string{"the v1 metadata can't be read"}},
		"keys fail": {func(_ *testing.T, w *world) { w.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Status: 503}) }, "keys", []string{"HTTP status 503"}},
		"keys are old": {unsigned(func(t *testing.T, w *world) {
			old := probeKeys(t, w)
			w.tenant.RotateKeys()
			w.token = w.tenant.Token(w.alice, w.client, w.api, "access_as_user")
			w.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Body: old})
		}), "keys", []string{"the key set is an old one"}},
		"keys are empty": {func(_ *testing.T, w *world) {
			w.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Body: `{"keys":[]}`})
		}, "keys", []string{"a set without keys"}},
		"keys are others'": {func(_ *testing.T, w *world) {
			w.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Body: `{"keys":[{"kty":"EC","kid":"x","use":"sig"}]}`})
		}, "keys", []string{`kty "EC"`}},
		"application unknown, unsigned": {unsigned(func(_ *testing.T, w *world) { w.facts.ClientID = "a0000000-0000-4000-8000-000000000002" }), "app", []string{"AADSTS700016"}},
		"application unknown": {func(_ *testing.T, w *world) { w.facts.ClientID = "a0000000-0000-4000-8000-000000000002" }, "registration",
			[]string{"there is no registration"}},
		"token of another tenant": {func(_ *testing.T, w *world) {
			other := w.tenant.AddTenant(nil)
			api := other.AddApp("Other", "access_as_user")
			w.token = other.Token(other.AddUser("eve@other.example", "Eve"), other.AddClient("c"), api, "access_as_user")
		}, "user-token", []string{"the token fails the rule"}},
		"expired token": {func(_ *testing.T, w *world) {
			w.token = w.tenant.Mint(w.api, 2, func(_, c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() })
		}, "user-token", []string{"expired"}},
	})
}

// probeKeys returns the tenant's key set.
func probeKeys(t *testing.T, w *world) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.tenant.AuthorityHost()+"/"+w.tenant.ID()+"/discovery/v2.0/keys", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.tenant.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func hostport(address string) string {
	_, after, _ := strings.Cut(address, "://")
	return after
}

// closedPort is an address where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
