package mcpentra_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

const page = "http://localhost:6274"

// list splits a header that is a list, in lower case.
func list(h http.Header, name string) []string {
	var all []string
	for part := range strings.SplitSeq(h.Get(name), ",") {
		all = append(all, strings.ToLower(strings.TrimSpace(part)))
	}
	return all
}

// mayRead reports whether a browser lets a page read the header of an answer
// (https://fetch.spec.whatwg.org/#cors-protocol-and-http-caches, without credentials).
func mayRead(h http.Header, origin, name string) bool {
	allowed := h.Get("Access-Control-Allow-Origin")
	return (allowed == origin || allowed == "*") && slices.Contains(list(h, "Access-Control-Expose-Headers"), strings.ToLower(name))
}

// maySend reports whether a preflight's answer lets a page send the header.
func maySend(h http.Header, name string) bool {
	allowed := list(h, "Access-Control-Allow-Headers")
	return slices.Contains(allowed, strings.ToLower(name)) || (name != "Authorization" && slices.Contains(allowed, "*"))
}

func TestPagesReadWhatTheyNeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithAllowedOrigins(page), mcpentra.WithSessions())
	base := strings.TrimSuffix(w.url, "/mcp")
	good := "Bearer " + w.token(w.alice)
	status, header, _ := w.post(t, initialize, map[string]string{"Authorization": good, "Origin": page})
	session := header.Get("Mcp-Session-Id")
	if status != http.StatusOK || session == "" || !mayRead(header, page, "Mcp-Session-Id") || !mayRead(header, page, "X-Request-Id") {
		t.Errorf("initialize: got %d %v, want 200, and headers that the page may read", status, header)
	}
	t.Cleanup(func() {
		do(t, http.MethodDelete, w.url, "", map[string]string{"Authorization": good, "Mcp-Session-Id": session, "Origin": page})
	})
	status, header, body := w.post(t, listTools, map[string]string{"Origin": page})
	if status != http.StatusUnauthorized || !mayRead(header, page, "WWW-Authenticate") || header.Get("WWW-Authenticate") == "" || decode(t, body)["error"] == nil {
		t.Errorf("the challenge: got %d %v, want 401, and headers that the page may read", status, header)
	}
	status, header, _ = do(t, http.MethodGet, base+"/.well-known/oauth-protected-resource/mcp", "", map[string]string{"Origin": "https://any.example"})
	if status != http.StatusOK || header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("metadata: got %d %v, want 200, *", status, header)
	}
	// What a page may not use, it may not read.
	status, header, _ = w.post(t, listTools, map[string]string{"Origin": "https://evil.example"})
	if status != http.StatusForbidden || header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign page: got %d %v, want 403, no Access-Control-Allow-Origin", status, header)
	}
}

func TestPagesReadRetryAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithAllowedOrigins(page), mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 0.01, Burst: 1}))
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		status, header, _ := w.post(t, listTools, map[string]string{"Authorization": "Bearer " + w.token(w.alice), "Origin": page})
		if status != want || (want == http.StatusTooManyRequests && (!mayRead(header, page, "Retry-After") || header.Get("Retry-After") == "")) {
			t.Errorf("%d %v, want %d", status, header, want)
		}
	}
}

// Every header that a client of 2026-07-28 or before sends, to the endpoint and
// to the metadata.
func TestPagesSendWhatTheyNeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithAllowedOrigins(page))
	base := strings.TrimSuffix(w.url, "/mcp")
	for url, origin := range map[string]string{
		w.url: page, base + "/.well-known/oauth-protected-resource/mcp": "https://any.example", base + "/.well-known/oauth-protected-resource": "https://any.example",
	} {
		for _, method := range []string{"POST", "GET", "DELETE"} {
			status, header, body := do(t, http.MethodOptions, url, "", map[string]string{"Origin": origin, "Access-Control-Request-Method": method,
				"Access-Control-Request-Headers": "authorization,content-type,mcp-method,mcp-param-region,mcp-protocol-version"})
			if status != http.StatusNoContent || body != "" || !slices.Contains(list(header, "Access-Control-Allow-Methods"), strings.ToLower(method)) {
				t.Errorf("%s %s: got %d %v, want 204 with the method", method, url, status, header)
			}
			for _, name := range []string{"Authorization", "Content-Type", "Accept", "Mcp-Protocol-Version", "Mcp-Session-Id", "Last-Event-ID",
				"Mcp-Method", "Mcp-Name", "Mcp-Param-Region", "Traceparent"} {
				if !maySend(header, name) {
					t.Errorf("%s %s: a page may not send %s, want it allowed", method, url, name)
				}
			}
		}
	}
}
