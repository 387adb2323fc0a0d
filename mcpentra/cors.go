package mcpentra

import "net/http"

// What pages may send and read (https://fetch.spec.whatwg.org/#http-cors-protocol).
// There are no cookies to share, so no credentials, and the wildcard counts: it
// covers the Mcp-Param headers of 2026-07-28, and never Authorization. The others
// are named for browsers that do not know it.
const (
	corsMethods = "GET, POST, DELETE, OPTIONS"
	corsSent    = "Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name, *"
	corsRead    = "WWW-Authenticate, Mcp-Session-Id, Mcp-Protocol-Version, Retry-After, " + requestIDHeader
	corsMaxAge  = "600" // seconds
)

// share lets the page of an allowed origin read the answer.
func share(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Expose-Headers", corsRead)
}

// shareWithAll lets every page read the answer.
func shareWithAll(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", corsRead)
}

// preflight answers the question that a browser asks before a page's request, and
// reports whether this was one.
func preflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodOptions || r.Header.Get("Origin") == "" || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsSent)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}
