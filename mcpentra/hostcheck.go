package mcpentra

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// parseResource checks the URL that clients are given.
func parseResource(s string) (*url.URL, error) {
	u, err := edge.ParseResource(s)
	if err != nil {
		return nil, fmt.Errorf("resource URL: %w", err)
	}
	if path.Base(u.Path) == "health" || path.Base(u.Path) == "ready" || strings.HasSuffix(u.Path, consentPath) || strings.Contains(u.Path, "/.well-known/") {
		return nil, fmt.Errorf("resource URL: the path %q is taken", u.Path)
	}
	return u, nil
}

// newHostCheck is the check of hosts and origins that the MCP specification demands.
// There are no cookies to share with pages, so no credentials, and the wildcard counts:
// it covers the Mcp-Param headers of 2026-07-28, and never Authorization. The others
// are named for browsers that do not know it.
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
		HostRemedy:   "allow the host by WithAllowedHosts; or, if a gateway of yours sends it and names the public one in X-Forwarded-Host, name the gateway's network by WithTrustedProxies",
		OriginRemedy: "if the web page is to call this server, name its origin by WithAllowedOrigins",
	}
}

// checkHost refuses foreign hosts and pages; every page may read the metadata.
func (s *Server) checkHost(check *edge.HostCheck, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		public := strings.HasPrefix(r.URL.Path, wellKnown)
		if why := check.Check(w, r, callOf(r.Context()).host, public); why != nil {
			s.reject(w, r, rejectionOf(why), why.Attrs...)
			return
		}
		if !check.Preflight(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}
