package mcpentra

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A gate refuses requests that a browser was tricked into: for a host that is
// not ours (DNS rebinding), or from a web page that is not on the list (the MCP
// specification demands both checks).
type gate struct {
	hosts   []string // names, without port, in lower case
	origins []string // scheme://host[:port], in lower case
	reject  func(http.ResponseWriter, *http.Request, rejection, ...slog.Attr)
}

func (s *Server) newGate(resource *url.URL, c *config) *gate {
	return &gate{
		hosts:   append([]string{hostname(resource.Host)}, c.hosts...),
		origins: append([]string{originOf(resource)}, c.origins...),
		reject:  s.reject,
	}
}

// Refusals say how to allow the request; for the operator, the log names the option.
var (
	hostNotAllowed = rejection{http.StatusForbidden, codeRefused, "host_not_allowed",
		"Host not allowed: the request must name this server's public host or a loopback name. " +
			"Behind a gateway that sends another name, this server's operator can allow that name"}
	originNotAllowed = rejection{http.StatusForbidden, codeRefused, "origin_not_allowed",
		"Origin not allowed: this server's operator can allow the web page's origin"}
)

func (g *gate) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.ours(callOf(r.Context()).host) {
			g.refuse(w, r, hostNotAllowed, "allow the host by WithAllowedHosts; or, if a gateway of yours sends it and names the public one in X-Forwarded-Host, name the gateway's network by WithTrustedProxies")
			return
		}
		origins := r.Header.Values("Origin")
		if strings.HasPrefix(r.URL.Path, wellKnown) { // public: every page may read it
			shareWithAll(w.Header())
			if !preflight(w, r) {
				next.ServeHTTP(w, r)
			}
			return
		}
		if len(origins) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if len(origins) > 1 || !g.allows(origins[0]) {
			g.refuse(w, r, originNotAllowed, "if the web page is to call this server, name its origin by WithAllowedOrigins")
			return
		}
		share(w.Header(), origins[0])
		if !preflight(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// allows reports whether pages of the origin may call.
func (g *gate) allows(origin string) bool {
	if slices.Contains(g.origins, origin) {
		return true
	}
	canonical, err := parseOrigin(origin)
	return err == nil && !strings.HasSuffix(origin, "/") && slices.Contains(g.origins, canonical)
}

// ours reports whether all hosts of a list name this server, whatever the port.
// (There are several where each of several proxies has added what it was asked for.)
func (g *gate) ours(hosts string) bool {
	for hostport := range strings.SplitSeq(hosts, ",") {
		host := hostname(strings.TrimSpace(hostport))
		if !slices.Contains(g.hosts, host) && !loopback(host) {
			return false
		}
	}
	return true
}

func (g *gate) refuse(w http.ResponseWriter, r *http.Request, why rejection, remedy string) {
	g.reject(w, r, why, slog.String("host", callOf(r.Context()).host), slog.String("origin", strings.Join(r.Header.Values("Origin"), ", ")), slog.String("remedy", remedy))
}
