package mcpentra_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// What can't be a resource URL, an origin, a host or a proxy's network is a fault of
// NewServer that names the option; what is written otherwise than clients send
// it, works.
func TestSitesThatCannotBe(t *testing.T) {
	w := newWorld(t)
	faulty := func(name, part string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want a fault that names %s", name, err, part)
		}
	}
	for _, u := range []string{
		"https://:8443/mcp", "https://*/mcp", "https://*.example.com/mcp", "https://mcp.example.com:0/mcp", "https://mcp.example.com:65536/mcp",
		"https://mcp.example.com:99999/mcp", "https://mcp.example.com:/mcp", "https://mcp.example.com:port/mcp", "https://mcp.example.com:0443/mcp",
		"https://.example.com/mcp", "https://a..b/mcp", "https://b\u00fccher.example/mcp", "https://exa mple.com/mcp", "https://h,i/mcp", "https:///mcp",
		"https://" + strings.Repeat("a.", 130) + "com/mcp", "https://" + strings.Repeat("a", 64) + ".com/mcp", "https://h/a%2Fb", "https://h/\u00e9", "https://h/mcp#", "//h/mcp", "https:mcp",
		"https://300.1.1.1/mcp", "https://1.2.3/mcp", "https://1/mcp", "https://10.0.0.0x1/mcp", "https://0.0.0.0/mcp", "https://0.0.0.0:8443/mcp", "https://[::]/mcp", "https://[::ffff:0.0.0.0]/mcp",
		"https://224.0.0.1/mcp", "https://[ff02::1]/mcp", "https://-h/mcp", "https://h-/mcp", "https://a.-/mcp", "https://h.1/mcp",
	} {
		_, err := mcpentra.NewServer(u, w.verifier)
		faulty(u, "resource URL", err)
	}
	for _, o := range []string{
		"", "null", "*", "https://*.example.com", "https://*", "app.example.com", "https://", "https:///", "https://u:p@app.example.com", "https://app.example.com/x",
		"https://app.example.com?x", "https://app.example.com#", "https://app.example.com:0", "https://app.example.com:65536", "https://app.example.com:",
		"https://app.example.com.", "https://.example.com", "https://b\u00fccher.example", "https://a b", "https://app.example.com, https://b.example", " https://app.example.com", "https://0.0.0.0", "https://[::]:8443", "https://300.1.1.1", "https://-a.example",
	} {
		_, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithAllowedOrigins("https://good.example", o))
		faulty(o, "WithAllowedOrigins", err)
	}
	for _, h := range []string{
		"", ".example.com", "*.example.com", "*", "example.com:443", "https://example.com", "a..b", "a b", "a,b", "example.com/x", "u@example.com", "b\u00fccher.example", "[::1]:80", "fe80::1%eth0", "[::zz]", "-", "-a", "a-.example", "300.1.1.1", "0.0.0.0", "::", "[::]", "1", "0x7f000001",
	} {
		_, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithAllowedHosts("good.example", h))
		faulty(h, "WithAllowedHosts", err)
	}
	_, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithAllowedHosts("https://example.com"))
	faulty("https://example.com", "leave out https://", err)
	for _, n := range []netip.Prefix{
		{}, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1"),
		netip.MustParsePrefix("8000::/1"), netip.MustParsePrefix("224.0.0.0/8"), netip.MustParsePrefix("::ffff:0.0.0.0/90"), netip.MustParsePrefix("::ffff:0.0.0.0/96"),
	} {
		_, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithTrustedProxies(n))
		faulty(n.String(), "WithTrustedProxies", err)
	}
	// All at once.
	_, err = mcpentra.NewServer("https://*/mcp", w.verifier, mcpentra.WithAllowedOrigins("null", "*"), mcpentra.WithAllowedHosts("*", ".x"), mcpentra.WithTrustedProxies(netip.Prefix{}))
	for _, part := range []string{"resource URL", `"null"`, `"*" is not an origin`, `"*" is not a host`, `".x"`, "WithTrustedProxies"} {
		faulty("all", part, err)
	}
}

// One form for what is configured and what is sent.
func TestSitesInOtherSpellings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, row := range []struct {
		resource string
		option   mcpentra.Option
		header   map[string]string
		status   int
	}{
		{"https://MCP.Example.com/mcp", nil, map[string]string{"Host": "mcp.example.com"}, 200},
		{"https://mcp.example.com./mcp", nil, map[string]string{"Host": "mcp.example.com."}, 200},
		{"https://mcp.example.com/mcp", nil, map[string]string{"Host": "mcp.example.com.:443"}, 200},
		{"https://mcp.example.com:443/mcp", nil, map[string]string{"Origin": "https://mcp.example.com"}, 200},
		{"https://mcp.example.com:8443/mcp", nil, map[string]string{"Origin": "https://mcp.example.com:8443"}, 200},
		{"https://mcp.example.com:8443/mcp", nil, map[string]string{"Origin": "https://mcp.example.com"}, 403},
		{"https://[2001:DB8:0::1]/mcp", nil, map[string]string{"Host": "[2001:db8::1]:8443"}, 200},
		{"https://[2001:db8::1]/mcp", nil, map[string]string{"Origin": "https://[2001:db8::1]"}, 200},
		{resourceURL, mcpentra.WithAllowedOrigins("https://App.Example.com:443/"), map[string]string{"Origin": "https://app.example.com"}, 200},
		{resourceURL, mcpentra.WithAllowedOrigins("https://app.example.com"), map[string]string{"Origin": "https://APP.example.com:443"}, 200},
		{resourceURL, mcpentra.WithAllowedOrigins("http://localhost:80"), map[string]string{"Origin": "http://localhost"}, 200},
		{resourceURL, mcpentra.WithAllowedOrigins("http://localhost:443"), map[string]string{"Origin": "http://localhost"}, 403},
		{resourceURL, mcpentra.WithAllowedOrigins("vscode-webview://abc-1"), map[string]string{"Origin": "vscode-webview://abc-1"}, 200},
		{resourceURL, mcpentra.WithAllowedOrigins("https://xn--bcher-kva.example"), map[string]string{"Origin": "https://xn--bcher-kva.example"}, 200},
		{resourceURL, mcpentra.WithAllowedOrigins("https://app.example.com"), map[string]string{"Origin": "https://app.example.com.evil.example"}, 403},
		{resourceURL, mcpentra.WithAllowedOrigins("https://app.example.com"), map[string]string{"Origin": "https://app.example.com."}, 403},
		{resourceURL, mcpentra.WithAllowedOrigins("https://app.example.com"), map[string]string{"Origin": "https://app.example.com/"}, 403},
		{resourceURL, mcpentra.WithAllowedHosts("Inner.Example."), map[string]string{"Host": "inner.example:8080"}, 200},
		{resourceURL, mcpentra.WithAllowedHosts("[2001:db8::1]", "2001:DB8::2"), map[string]string{"Host": "[2001:db8::2]"}, 200},
		{resourceURL, mcpentra.WithAllowedHosts("my_service", "10.0.0.7", "a--b.1x", "127.0.0.1", "::1"), map[string]string{"Host": "my_service:80"}, 200},
		{resourceURL, mcpentra.WithAllowedHosts("inner.example"), map[string]string{"Host": "x.inner.example"}, 403},
		{resourceURL, mcpentra.WithTrustedProxies(netip.MustParsePrefix("::ffff:127.0.0.0/104")), map[string]string{"X-Forwarded-Host": "evil.example"}, 403},
		{resourceURL, mcpentra.WithTrustedProxies(netip.MustParsePrefix("127.0.0.9/8")), map[string]string{"X-Forwarded-Host": "mcp.example.com", "Host": "10.1.1.1"}, 200},
	} {
		options := []mcpentra.Option{mcpentra.WithTools(mcpentra.IdentityTools(w.verifier)), mcpentra.WithLogger(w.logger())}
		if row.option != nil {
			options = append(options, row.option)
		}
		srv, err := mcpentra.NewServer(row.resource, w.verifier, options...)
		must(t, err)
		header := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
		for name, value := range row.header {
			header[name] = value
		}
		if status, _, body := do(t, http.MethodPost, serve(t, srv)+"/mcp", pingWithID, header); status != row.status {
			t.Errorf("%s with %v: %d %s, want %d", row.resource, row.header, status, body, row.status)
		}
	}
}

// An Origin header that is there is judged, also an empty one or a second.
func TestOddOrigins(t *testing.T) {
	w := newWorld(t)
	for _, origins := range [][]string{{""}, {"", "https://evil.example"}, {"https://mcp.example.com", "https://evil.example"}, {"https://mcp.example.com, https://evil.example"}} {
		if status, _, body := w.send(t, http.MethodPost, w.url, pingWithID, http.Header{"Origin": origins, "Content-Type": {"application/json"}}); status != http.StatusForbidden {
			t.Errorf("Origin %q: %d %s", origins, status, body)
		}
	}
}
