package doctor_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/doctor"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const (
	proxyIssuer = "https://mcp.example.com"
	foreignApp  = "99999999-8888-4777-8666-555555555555"
)

// newProxyWorld is a world whose clients sign in through the server, by the API's own app. The
// server's URL is not an App ID URI.
func newProxyWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	own := []string{"api://" + w.api.ClientID}
	w.patch(t, w.api, `{"identifierUris":["`+own[0]+`"]}`)
	w.api.AddRedirectURI(entratest.PlatformWeb, proxyIssuer+"/oauth/callback")
	w.facts.AppIDURIs, w.facts.Issuer, w.facts.ProxyClientID = own, proxyIssuer, w.api.ClientID
	w.serverConfig = func(o *entraauth.Options) { o.AppIDURIs = own }
	proxy, err := authproxy.New(proxyIssuer, w.tenant.ID(), w.api.ClientID, clientauth.Secret(w.secret), [][]byte{bytes.Repeat([]byte("k"), 32)},
		&authproxy.Options{HTTPClient: w.tenant.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	w.serverOpts = []mcpentra.Option{mcpentra.WithAuthProxy(proxy)}
	return w
}

// A server whose clients sign in through it has nothing to fix, and every client works that can
// reach it.
func TestHealthyAuthProxy(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	report := w.examine(t)
	all := text(t, report)
	for _, c := range report.Checks {
		if c.Status != doctor.OK && !slices.Contains([]string{"agents", "federated-credential", "loopback"}, c.ID) {
			t.Errorf("%s: %s, want ok: %+v", c.ID, c.Status, c)
		}
	}
	for _, want := range []string{"ok       auth-proxy", "Claude Code: works", "provided that AUTH_PROXY_PRIVATE_SCHEMES"} {
		if !strings.Contains(all, want) {
			t.Errorf("the report does not say %q:\n%s", want, all)
		}
	}
}

func TestAuthProxyFaults(t *testing.T) {
	t.Parallel()
	without := func(paths ...string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if slices.Contains(paths, r.URL.Path) {
					http.NotFound(w, r)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
	for name, c := range map[string]struct {
		breaks func(t *testing.T, w *world)
		check  string
		says   []string
	}{
		"the gateway hides the metadata": {func(_ *testing.T, w *world) { w.proxy = without("/.well-known/oauth-authorization-server") }, "auth-proxy", []string{"RFC 8414", "/.well-known/openid-configuration"}},
		"no redirect":                    {func(t *testing.T, w *world) { w.patch(t, w.api, `{"web":{"redirectUris":[]}}`) }, "auth-proxy", []string{"AADSTS50011", proxyIssuer + "/oauth/callback on the platform Web"}},
		"on another platform": {func(t *testing.T, w *world) {
			w.patch(t, w.api, `{"web":{"redirectUris":[]},"publicClient":{"redirectUris":["`+proxyIssuer+`/oauth/callback"]}}`)
		}, "auth-proxy", []string{"another platform than Web"}},
		"no redirect, and no registration to read": {func(t *testing.T, w *world) {
			w.patch(t, w.api, `{"web":{"redirectUris":[]}}`)
			w.signedIn = false
		}, "auth-proxy", []string{"AADSTS50011", proxyIssuer + "/oauth/callback on the platform Web", "Add a platform, Web"}},
		"an app of another tenant, and no registration to read": {func(_ *testing.T, w *world) {
			w.signedIn, w.facts.ProxyClientID, w.facts.ProxyMethod = false, foreignApp, clientauth.Secret(strings.Repeat("f", 40))
		}, "auth-proxy", []string{"AADSTS700016", "the tenant has no application " + foreignApp, "AUTH_PROXY_CLIENT_ID"}},
		"an app of its own with another secret": {func(_ *testing.T, w *world) {
			app := w.tenant.AddApp("Sign-in")
			app.AddRedirectURI(entratest.PlatformWeb, proxyIssuer+"/oauth/callback")
			w.facts.ProxyClientID, w.facts.ProxyMethod = app.ClientID, clientauth.Secret(w.secret)
		}, "auth-proxy", []string{"AADSTS7000215", "rejects the client secret", "AUTH_PROXY_CLIENT_SECRET"}},
		"the running server has none": {func(_ *testing.T, w *world) { w.serverOpts = nil }, "resource-metadata", []string{"elsewhere than to the server's own proxy"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newProxyWorld(t)
			c.breaks(t, w)
			report := w.examine(t)
			if got := failures(report); !slices.Contains(got, c.check) {
				t.Errorf("got failures of %v, want %s", got, c.check)
			}
			all := text(t, report)
			for _, want := range c.says {
				if !strings.Contains(all, want) {
					t.Errorf("the report does not say %q:\n%s", want, all)
				}
			}
			noSecrets(t, w, all)
		})
	}
}
