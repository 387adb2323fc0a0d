package doctor_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// change lets a proxy change what the server answers.
func change(edit func(h http.Header, status int) int) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			answer := httptest.NewRecorder()
			next.ServeHTTP(answer, r)
			status := edit(answer.Header(), answer.Code)
			maps.Copy(rw.Header(), answer.Header())
			rw.WriteHeader(status)
			_, _ = io.Copy(rw, answer.Body)
		})
	}
}

// request lets a proxy change requests on the way to the server.
func request(edit func(*http.Request)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			edit(r)
			next.ServeHTTP(rw, r)
		})
	}
}

// at lets a proxy answer some paths by itself.
func at(path string, own http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, path) {
				own.ServeHTTP(rw, r)
				return
			}
			next.ServeHTTP(rw, r)
		})
	}
}

func behind(proxy func(http.Handler) http.Handler) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) { w.proxy = proxy }
}

// published makes a proxy replace the metadata document.
func published(resource, server, scope string) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) {
		server := strings.ReplaceAll(server, "{tenant}", w.tenant.AuthorityHost()+"/"+w.tenant.ID())
		w.proxy = at("/.well-known/", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			rw.Header().Set("Access-Control-Allow-Origin", "*")
			_, _ = fmt.Fprintf(rw, `{"resource":%q,"authorization_servers":[%q],"scopes_supported":[%q]}`, resource, server, scope)
		}))
	}
}

func TestServerFaults(t *testing.T) {
	t.Parallel()
	const scope = resourceURL + "/access_as_user"
	examineFaults(t, map[string]fault{
		"the server is down": {func(t *testing.T, w *world) {
			w.hosts["mcp.example.com:443"] = closedPort(t)
			w.facts.LocalURL = "http://" + closedPort(t) + "/mcp"
		}, "server",
			[]string{"the connection was refused", "start the server"}},
		"the name does not resolve": {func(_ *testing.T, w *world) { w.facts.ResourceURL = "https://mpc.example.com/mcp" }, "server",
			[]string{"mpc.example.com does not resolve"}},
		"http redirects to https": {func(t *testing.T, w *world) {
			s := httptest.NewServer(http.RedirectHandler(resourceURL, http.StatusMovedPermanently))
			t.Cleanup(s.Close)
			w.facts.ResourceURL = s.URL + "/mcp"
		}, "server", []string{"the URL redirects", "to " + resourceURL}},
		"a page answers":       {behind(func(http.Handler) http.Handler { return html(200) }), "server", []string{"something else than the MCP server answers"}},
		"a gateway without it": {behind(func(http.Handler) http.Handler { return html(502) }), "server", []string{"but not the server behind it"}},
		"a firewall":           {behind(func(http.Handler) http.Handler { return html(403) }), "server", []string{"something in front of the server refuses"}},
		"another path": {func(_ *testing.T, w *world) { w.serverURL = "https://mcp.example.com/api/mcp" }, "resource-metadata",
			[]string{"came      https://mcp.example.com/api/mcp\n"}},
		"no such path": {func(_ *testing.T, w *world) { w.facts.ResourceURL = "https://mcp.example.com/mpc" }, "server",
			[]string{"this server's MCP endpoint is " + resourceURL}},
		"no bearer check": {behind(func(http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(rw, "data: {}\n\n")
			})
		}), "server", []string{"serves requests without a token"}},
		"its certificate is another's": {func(_ *testing.T, w *world) {
			w.facts.ResourceURL, w.hosts["mcp.contoso.test:443"] = "https://mcp.contoso.test/mcp", ""
		}, "server", nil},

		"the platform's own sign-in": {behind(func(http.Handler) http.Handler {
			return http.RedirectHandler("https://login.microsoftonline.com/common/oauth2/authorize", http.StatusFound)
		}), "server", []string{"built-in authentication"}},
		"host rewritten, and not believed": {behind(request(func(r *http.Request) {
			r.Header.Set("X-Forwarded-Host", r.Host)
			r.Host = "10.0.0.7"
		})), "host", []string{"TRUSTED_PROXIES"}},
		"host rewritten":        {behind(request(func(r *http.Request) { r.Host = "mcp-7f9c.internal.example" })), "host", []string{"a proxy in front sends another Host", "ALLOWED_HOSTS"}},
		"foreign origin served": {behind(request(func(r *http.Request) { r.Header.Del("Origin") })), "origin", []string{"foreign web pages"}},
		"origin not allowed": {func(_ *testing.T, w *world) { w.facts.AllowedOrigins = []string{"https://inspector.example.com"} }, "origin",
			[]string{"refuses web pages of https://inspector.example.com"}},
		"CORS headers removed": {behind(change(func(h http.Header, status int) int {
			for name := range h {
				if strings.HasPrefix(name, "Access-Control-") {
					h.Del(name)
				}
			}
			return status
		})), "cors", []string{"Access-Control-Allow-Origin: https://mcp.example.com", "no such header"}},
		"CORS headers doubled": {behind(change(func(h http.Header, status int) int { h.Add("Access-Control-Allow-Origin", "*"); return status })), "cors", []string{" and *"}},
		"preflights refused": {behind(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodOptions {
					http.Error(rw, "no", http.StatusMethodNotAllowed)
					return
				}
				next.ServeHTTP(rw, r)
			})
		}), "cors", []string{"answer to a preflight"}},

		"challenge removed": {behind(change(func(h http.Header, status int) int { h.Del("WWW-Authenticate"); return status })), "challenge", []string{"401 without WWW-Authenticate"}},
		"challenge replaced": {behind(change(func(h http.Header, status int) int {
			if status == http.StatusUnauthorized {
				h.Set("WWW-Authenticate", `Basic realm="staff"`)
			}
			return status
		})), "challenge", []string{"another sign-in"}},
		"challenge without metadata": {behind(change(func(h http.Header, status int) int {
			if status == http.StatusUnauthorized {
				h.Set("WWW-Authenticate", `Bearer realm=""`)
			}
			return status
		})), "challenge", []string{"doesn't say where the metadata is"}},
		"the server has another URL": {func(_ *testing.T, w *world) {
			w.serverURL = "https://internal.example.com/mcp"
			w.serverOpts = []mcpentra.Option{mcpentra.WithAllowedHosts("mcp.example.com"), mcpentra.WithAllowedOrigins("https://mcp.example.com")}
			w.serverConfig = func(o *entraauth.Options) { o.AppIDURIs = []string{"https://internal.example.com/mcp"} }
		}, "resource-metadata", []string{"came      https://internal.example.com/mcp\n"}},

		"metadata not forwarded": {behind(at("/.well-known/", http.NotFoundHandler())), "resource-metadata", []string{"not where clients look for it"}},
		"metadata is called a text": {func(_ *testing.T, w *world) {
			w.proxy = change(func(h http.Header, status int) int {
				if h.Get("Content-Type") == "application/json" && status == http.StatusOK {
					h.Set("Content-Type", "text/plain")
				}
				return status
			})
		}, "resource-metadata", []string{"text/plain"}},
		"metadata is a page":    {behind(at("/.well-known/", html(200))), "resource-metadata", []string{"text/html"}},
		"resource with a slash": {published(resourceURL+"/", "{tenant}/v2.0", scope), "resource-metadata", []string{"expected  " + resourceURL + "\n    came      " + resourceURL + "/\n"}},
		"resource of http":      {published("http://mcp.example.com/mcp", "{tenant}/v2.0", scope), "resource-metadata", []string{"came      http://mcp.example.com/mcp\n"}},
		"authority of all":      {published(resourceURL, "https://login.microsoftonline.com/common/v2.0", scope), "resource-metadata", []string{"all tenants"}},
		"another tenant's":      {published(resourceURL, "https://login.microsoftonline.com/a0000000-0000-4000-8000-000000000001/v2.0", scope), "resource-metadata", []string{"another sign-in"}},
		"scopes of another App ID URI": {func(_ *testing.T, w *world) {
			w.serverConfig = func(o *entraauth.Options) { o.AppIDURIs = []string{"api://" + w.api.ClientID} }
		}, "advertised-scopes", []string{"expected  " + scope + "\n    came      api://"}},
		"bare scope":               {published(resourceURL, "{tenant}/v2.0", "access_as_user"), "advertised-scopes", []string{"AADSTS650053", "came      access_as_user\n"}},
		"scope of the slashed URI": {published(resourceURL, "{tenant}/v2.0", resourceURL+"//access_as_user"), "advertised-scopes", []string{resourceURL + "//access_as_user"}},

		"a proxy's sign-in before everything": {behind(basic), "challenge", []string{"another sign-in"}},
		"the platform's sign-in before everything": {behind(func(http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("WWW-Authenticate", `Bearer realm="mcp.example.com" authorization_uri="https://login.windows.net/x/oauth2/authorize"`)
				http.Error(rw, "You do not have permission to view this page.", http.StatusUnauthorized)
			})
		}), "challenge", []string{"doesn't say where the metadata is"}},
		"a page of its own for 401": {behind(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				answer := httptest.NewRecorder()
				next.ServeHTTP(answer, r)
				if answer.Code == http.StatusUnauthorized {
					html(http.StatusUnauthorized).ServeHTTP(rw, r)
					return
				}
				maps.Copy(rw.Header(), answer.Header())
				rw.WriteHeader(answer.Code)
				_, _ = io.Copy(rw, answer.Body)
			})
		}), "challenge", []string{"401 without WWW-Authenticate"}},
		"401 becomes 403": {behind(change(func(_ http.Header, status int) int {
			if status == http.StatusUnauthorized {
				return http.StatusForbidden
			}
			return status
		})), "server", []string{"replaces the server's status 401 by 403"}},
		"preflights without Authorization": {behind(change(func(h http.Header, status int) int {
			if h.Get("Access-Control-Allow-Headers") != "" {
				h.Set("Access-Control-Allow-Headers", "Content-Type, *")
			}
			return status
		})), "cors", []string{"Access-Control-Allow-Headers: Authorization"}},
		"preflights fail, with headers": {behind(change(func(h http.Header, status int) int {
			if h.Get("Access-Control-Allow-Methods") != "" && status < 300 && h.Get("Content-Type") == "" {
				return http.StatusInternalServerError
			}
			return status
		})), "cors", []string{"browsers refuse the answer to a preflight"}},
		"a limit": {behind(func(http.Handler) http.Handler { return html(429) }), "server", []string{"limits requests"}},

		"authorization removed": {behind(request(func(r *http.Request) { r.Header.Del("Authorization") })), "call", []string{"removes the Authorization header"}},
		"a server that repeats the token": {behind(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if bearer := r.Header.Get("Authorization"); bearer != "" {
					rw.WriteHeader(http.StatusBadRequest)
					_, _ = fmt.Fprintf(rw, `{"error":{"message":"\\u001b[2J%s is bad","data":{"reason":"bad"}}}`, bearer)
					return
				}
				next.ServeHTTP(rw, r)
			})
		}), "call", []string{"[hidden]"}},
		"server with another policy": {func(_ *testing.T, w *world) {
			w.serverConfig = func(o *entraauth.Options) {
				o.Policy = entraauth.Policy{Scopes: []string{"access_as_user"}, UserRoles: []string{"Staff"}}
			}
		}, "call", []string{"the server refuses a token"}},
		"server with another clock": {behind(change(func(h http.Header, status int) int {
			h.Set("Date", time.Now().Add(-5*time.Minute).UTC().Format(http.TimeFormat))
			return status
		})), "health", []string{"the server's clock differs"}},
		"server without keys": {func(_ *testing.T, w *world) {
			w.serverConfig = func(o *entraauth.Options) { o.HTTPClient = &http.Client{} } // which doesn't trust the tenant
		}, "health", []string{"keys_unavailable", "This machine reaches Entra ID and the server does not"}},
	})
}
