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
	host    string   // of the resource URL, without port
	origins []string // scheme://host[:port], in lower case
	log     *slog.Logger
}

func newGate(resource *url.URL, origins []string, log *slog.Logger) *gate {
	own := strings.ToLower(resource.Scheme + "://" + resource.Host)
	return &gate{host: strings.ToLower(resource.Hostname()), origins: append([]string{own}, origins...), log: log}
}

// codeRefused is the JSON-RPC error code of the gate's refusals, mcpauth's for 403.
const codeRefused = -32003

func (g *gate) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.ours(r.Host) {
			g.refuse(w, r, "Host not allowed: the request must name this server's public host or a loopback name. "+
				"Behind a proxy, keep the Host header or set the resource URL's host")
			return
		}
		origin := r.Header.Get("Origin")
		// Metadata is public, and the SDK's handler lets every page read it.
		if origin == "" || strings.HasPrefix(r.URL.Path, wellKnown) {
			next.ServeHTTP(w, r)
			return
		}
		if len(r.Header.Values("Origin")) > 1 || !slices.Contains(g.origins, strings.ToLower(origin)) {
			g.refuse(w, r, "Origin not allowed: this server's operator can allow the web page's origin")
			return
		}
		if preflight := share(w, r, origin); !preflight {
			next.ServeHTTP(w, r)
		}
	})
}

// share lets the page of an allowed origin read the answer, and answers its
// preflight request. There are no cookies to share, so no credentials.
func share(w http.ResponseWriter, r *http.Request, origin string) (preflight bool) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Mcp-Session-Id, Mcp-Protocol-Version, Retry-After")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, Last-Event-ID, "+
		"Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// ours reports whether a Host header names this server, whatever the port.
func (g *gate) ours(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	return host == g.host || loopback(host)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (g *gate) refuse(w http.ResponseWriter, r *http.Request, message string) {
	g.log.LogAttrs(r.Context(), slog.LevelWarn, "request refused",
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", http.StatusForbidden),
		slog.String("host", r.Host), slog.String("origin", r.Header.Get("Origin")), slog.String("reason", message))
	mcpauth.WriteError(w, r, http.StatusForbidden, codeRefused, message)
}
