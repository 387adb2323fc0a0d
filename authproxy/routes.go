package authproxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.complete {
		p.log.ErrorContext(r.Context(), "the proxy is incomplete; set Options.Resources, Options.Scopes and Options.Verifier, or mount it with mcpentra.WithAuthProxy")
		http.Error(w, "the server is not configured", http.StatusInternalServerError)
		return
	}
	found, ok := p.find(r.URL)
	if !ok {
		http.NotFound(w, r)
		return
	}
	p.tell.count(w, r, found.name, func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, found) })
}

// newRoutes returns the routes by path, also without the leading segments of the issuer's path,
// which a gateway or http.StripPrefix may have removed.
func (p *Proxy) newRoutes() map[string]route {
	routes := map[string]route{}
	get, post := []string{http.MethodGet}, []string{http.MethodPost}
	endpoints := map[string]route{
		pathAuthorize: {"authorize", get, false, p.serveAuthorize},
		pathConsent:   {"consent", post, false, p.serveConsent},
		pathCallback:  {"callback", get, false, p.serveCallback},
		pathToken:     {"token", post, true, p.serveToken},
		pathRevoke:    {"revoke", post, true, p.serveRevoke},
	}
	if !p.opts.NoRegistration {
		endpoints[pathRegister] = route{"register", post, true, p.serveRegister}
	}
	for _, rest := range edge.Rests(p.base.Path) {
		for path, r := range endpoints {
			routes[rest+path] = r
		}
	}
	metadata := route{"metadata", []string{http.MethodGet, http.MethodHead}, true, p.serveMetadata}
	for _, path := range p.metadataPaths() {
		routes[path] = metadata
	}
	return routes
}

// Serves reports whether a request with the path is for the proxy. A gateway or http.StripPrefix
// may have removed leading segments of the issuer's path. The proxy serves nothing before it is
// complete: see [Proxy.Attach].
func (p *Proxy) Serves(path string) bool {
	_, ok := p.routes[strings.TrimSuffix(path, "/")]
	return ok
}

// find returns the route of a URL. An escaped slash is part of a segment, not a separator.
func (p *Proxy) find(u *url.URL) (route, bool) {
	r, ok := p.routes[strings.TrimSuffix(u.Path, "/")]
	return r, ok && !strings.Contains(strings.ToUpper(u.RawPath), "%2F")
}

// serve answers a request at the route, and CORS preflights and wrong methods itself.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, at route) {
	h := w.Header()
	if at.shared {
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
		h.Set("X-Content-Type-Options", "nosniff")
	}
	switch {
	case slices.Contains(at.methods, r.Method):
		at.serve(w, r)
	case at.shared && r.Method == http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, MCP-Protocol-Version")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	case at.shared:
		noteRefusal(r, string(pages.NotFromThisPage))
		h.Set("Allow", strings.Join(append(slices.Clone(at.methods), http.MethodOptions), ", "))
		oauth.Write(w, &oauth.Error{Code: oauth.InvalidRequest, Description: "the method must be " + at.methods[0], Status: http.StatusMethodNotAllowed})
	default:
		noteRefusal(r, string(pages.NotFromThisPage))
		h.Set("Allow", strings.Join(at.methods, ", "))
		p.pages.ShowError(w, r, http.StatusMethodNotAllowed, &pages.ErrorPage{Problem: pages.NotFromThisPage, Detail: "the method must be " + at.methods[0]})
	}
}
