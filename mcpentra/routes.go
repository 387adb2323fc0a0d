package mcpentra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// routes returns the outermost handler, which serves each path.
func routes(resource *url.URL, s *stages, endpoint http.Handler, metadata *entraauth.ResourceMetadata, proxy AuthProxy) http.Handler {
	behind := func(h http.Handler) http.Handler { return through(s.ofAllPaths(), h) }
	probes := &probes{s.verifier, s.drain}
	others := behind(s.refuser.notFound(resource))
	if proxy != nil {
		others = orProxy(proxy, through(s.ofAuthProxy(), proxy), others)
	}
	site := edge.NewPaths(others)
	site.Page("/health", probes.health) // probes use IP addresses as host: no host check
	site.Page("/ready", probes.ready)
	site.Page(consentPath, behind(s.consent).ServeHTTP)
	for _, path := range edge.Rests(resource.Path) {
		site.Handle(path, behind(endpoint))
	}
	site.Handle(wellKnown, behind(metadata))
	site.Handle(metadata.Path(), behind(metadata))
	return s.arrive(site)
}

// orProxy returns a handler that passes requests for the proxy's paths to it, and others on.
func orProxy(p AuthProxy, proxy, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Serves(r.URL.Path) {
			proxy.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// notFound answers 404, with the URL of the endpoint.
func (f *refuser) notFound(resource *url.URL) http.Handler {
	why := rejection{http.StatusNotFound, codeBadRequest, "path_not_found", "There is nothing at this path: this server's MCP endpoint is " + resource.String()}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.reject(w, r, why) })
}

// parseResource checks the URL that clients are given.
func parseResource(s string) (*url.URL, error) {
	u, err := edge.ParseResource(s)
	if err != nil {
		return nil, fmt.Errorf("resource URL: %w", err)
	}
	if path.Base(u.Path) == "health" || path.Base(u.Path) == "ready" || strings.HasSuffix(u.Path, consentPath) || strings.Contains(u.Path, "/.well-known/") {
		return nil, fmt.Errorf("resource URL: the server itself needs the path %q; use another, such as /mcp", u.Path)
	}
	return u, nil
}

// newHostCheck is the check of hosts and origins that the MCP specification demands.
// The server uses no cookies, so CORS allows no credentials, and the wildcard works: it
// covers the Mcp-Param headers of 2026-07-28, but never Authorization. The other headers
// are listed for browsers without the wildcard.
func newHostCheck(resource *url.URL, c *config) *edge.HostCheck {
	return &edge.HostCheck{
		Hosts:   append([]string{edge.Hostname(resource.Host)}, c.hosts...),
		Origins: append([]string{edge.OriginOf(resource)}, c.origins...),
		CORS: edge.CORS{
			AllowMethods:  "GET, POST, DELETE, OPTIONS",
			AllowHeaders:  "Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name, *",
			ExposeHeaders: "WWW-Authenticate, Mcp-Session-Id, Mcp-Protocol-Version, Retry-After, " + requestIDHeader,
			MaxAge:        "600",
		},
		HostRemedy:   "allow the host with WithAllowedHosts; or, if your gateway sends it with the public host in X-Forwarded-Host, add the gateway's network with WithTrustedProxies",
		OriginRemedy: "if the web page may call this server, add its origin with WithAllowedOrigins",
	}
}

// maxHealthWait bounds how long a probe waits for a first key fetch.
const maxHealthWait = 2 * time.Second

// A probe is the body of a probe's answer.
type probe struct {
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"` // as in docs/troubleshooting.md
	Message string `json:"message,omitempty"`
}

// probes tell a platform about the server.
type probes struct {
	verifier *entraauth.Verifier
	drain    *edge.Drainer
}

// health reports whether tokens can be verified. It does not check On-Behalf-Of or
// Azure: those fail for some callers and some tools only, and another replica would do
// no better.
func (p *probes) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), maxHealthWait)
	defer cancel()
	if err := p.verifier.Ready(ctx); err != nil {
		answer := probe{Status: "unavailable", Reason: "keys_unavailable", Message: "The tenant's signing keys can't be fetched; see the log"}
		if e, ok := errors.AsType[*entraauth.Error](err); ok {
			answer.Reason, answer.Message = e.Reason, e.UserText()
		}
		probed(w, http.StatusServiceUnavailable, answer)
		return
	}
	probed(w, http.StatusOK, probe{Status: "ok"})
}

// ready reports whether the server accepts new requests.
func (p *probes) ready(w http.ResponseWriter, r *http.Request) {
	if p.drain.Begun() {
		probed(w, http.StatusServiceUnavailable, probe{Status: "draining"})
		return
	}
	p.health(w, r)
}

func probed(w http.ResponseWriter, status int, p probe) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(p) // fails only if the client is gone
}

// consentPath is where Entra sends the browser after a consent. Register it as a redirect
// URI of the app, and set it as the exchanger's Options.RedirectURL.
const consentPath = "/consent/done"

// The page is deliberately generic: its visitor is unauthenticated. The next call learns
// the outcome.
const (
	donePage = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%title%</title>
<style>
body { font: 18px/1.5 system-ui, sans-serif; margin: 15vh auto 0; max-width: 26em; padding: 0 1.5em; color: #1b1b1b; background: #fff }
h1 { font-size: 1.5em; font-weight: 600; margin: 0 0 .4em }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #1b1b1b } }
</style>
</head>
<body>
<h1>%title%</h1>
<p>%text%</p>
</body>
</html>
`
	doneTitle    = "Done"
	doneText     = "You can close this window and go back. If the assistant does not continue by itself, ask it to try again."
	refusedTitle = "Nothing was changed"
	refusedText  = "Consent was not given. You can close this window. If your organization requires an administrator to decide, ask yours, then try again."
)

// ServeHTTP serves the page that ends a consent. The authorization code in the query is
// useless without the app's credential and is dropped: a redirect to the page without it
// keeps it out of the browser's history.
func (c *consent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	if q := r.URL.Query(); q.Has("code") || q.Has("state") || q.Has("error") || q.Has("admin_consent") {
		if !q.Has("error") {
			c.given("")
		}
		if session := c.waiting.take(q.Get("state")); session != nil && !q.Has("error") {
			c.tell(r.Context(), session, q.Get("state"))
		}
		// Relative, because a gateway or http.StripPrefix may have removed a prefix.
		to := path.Base(consentPath)
		if q.Has("error") {
			to += "?refused"
		}
		h.Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	title, text := doneTitle, doneText
	if r.URL.Query().Has("refused") {
		title, text = refusedTitle, refusedText
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = strings.NewReplacer("%title%", title, "%text%", text).WriteString(w, donePage)
}

// tell notifies the session's client that its user is back from the page.
func (c *consent) tell(ctx context.Context, session *mcp.ServerSession, elicitation string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := session.NotifyElicitationComplete(ctx, &mcp.ElicitationCompleteParams{ElicitationID: elicitation}); err != nil {
		c.log.InfoContext(ctx, "could not notify a client of a consent", "cause", safelog.Cut(err.Error(), safelog.MaxText))
	}
}
