package mcpentra

import (
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
)

// A gate refuses requests that a browser was tricked into: for a host that is
// not ours (DNS rebinding), or from a web page that is not on the list (the MCP
// specification demands both checks).
type gate struct {
	hosts   []string // names, without port, in lower case
	origins []string // scheme://host[:port], in lower case
	log     *slog.Logger
}

func newGate(resource *url.URL, c *config) *gate {
	own := strings.ToLower(resource.Scheme + "://" + resource.Host)
	return &gate{
		hosts:   append([]string{strings.ToLower(resource.Hostname())}, c.hosts...),
		origins: append([]string{own}, c.origins...),
		log:     c.log,
	}
}

// The JSON-RPC error codes of refusals are mcpauth's: for 403, and for 503.
const (
	codeRefused     = -32003
	codeUnavailable = -32004
)

func (g *gate) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.ours(arrivalOf(r.Context()).host) {
			g.refuse(w, r, "Host not allowed: the request must name this server's public host or a loopback name. "+
				"Behind a gateway that sends another name, this server's operator can allow that name")
			return
		}
		origin := r.Header.Get("Origin")
		if strings.HasPrefix(r.URL.Path, wellKnown) { // public: every page may read it
			shareWithAll(w.Header())
			if !preflight(w, r) {
				next.ServeHTTP(w, r)
			}
			return
		}
		if origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		if len(r.Header.Values("Origin")) > 1 || !slices.Contains(g.origins, strings.ToLower(origin)) {
			g.refuse(w, r, "Origin not allowed: this server's operator can allow the web page's origin")
			return
		}
		share(w.Header(), origin)
		if !preflight(w, r) {
			next.ServeHTTP(w, r)
		}
	})
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

func hostname(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (g *gate) refuse(w http.ResponseWriter, r *http.Request, message string) {
	attrs := append(requestAttrs(r.Context()),
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", http.StatusForbidden),
		slog.String("host", arrivalOf(r.Context()).host), slog.String("origin", r.Header.Get("Origin")), slog.String("reason", message))
	g.log.LogAttrs(r.Context(), slog.LevelWarn, "request refused", attrs...)
	mcpauth.WriteError(w, r, http.StatusForbidden, codeRefused, message)
}
