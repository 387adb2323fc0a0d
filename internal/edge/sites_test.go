package edge_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

func TestParseResourceRejects(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "https://h/mcp/", "https://h/mcp?x", "https://h//mcp", "https://h/a/../mcp", "https://h/a b", "https://h/a/{x}", "http://mcp.example.com/mcp",
		"https://:8443/mcp", "https://*/mcp", "https://*.example.com/mcp", "https://mcp.example.com:0/mcp", "https://mcp.example.com:65536/mcp",
		"https://mcp.example.com:99999/mcp", "https://mcp.example.com:/mcp", "https://mcp.example.com:port/mcp", "https://mcp.example.com:0443/mcp",
		"https://.example.com/mcp", "https://a..b/mcp", "https://b\u00fccher.example/mcp", "https://exa mple.com/mcp", "https://h,i/mcp", "https:///mcp",
		"https://" + strings.Repeat("a.", 130) + "com/mcp", "https://" + strings.Repeat("a", 64) + ".com/mcp", "https://h/a%2Fb", "https://h/\u00e9", "https://h/mcp#", "//h/mcp", "https:mcp",
		"https://300.1.1.1/mcp", "https://1.2.3/mcp", "https://1/mcp", "https://10.0.0.0x1/mcp", "https://0.0.0.0/mcp", "https://0.0.0.0:8443/mcp", "https://[::]/mcp", "https://[::ffff:0.0.0.0]/mcp",
		"https://224.0.0.1/mcp", "https://[ff02::1]/mcp", "https://-h/mcp", "https://h-/mcp", "https://a.-/mcp", "https://h.1/mcp",
	} {
		if u, err := edge.ParseResource(s); err == nil {
			t.Errorf("ParseResource(%q) = %s, want an error", s, u)
		}
	}
}

func TestParseResource(t *testing.T) {
	t.Parallel()
	for s, origin := range map[string]string{
		"https://mcp.example.com":                   "https://mcp.example.com",
		"https://MCP.Example.com/mcp":               "https://mcp.example.com",
		"https://mcp.example.com./a/b/mcp":          "https://mcp.example.com",
		"https://mcp.example.com:443/mcp":           "https://mcp.example.com",
		"https://mcp.example.com:8443/mcp":          "https://mcp.example.com:8443",
		"https://[2001:DB8:0::1]/mcp":               "https://[2001:db8::1]",
		"http://localhost:8000/mcp":                 "http://localhost:8000",
		"http://127.0.0.1/mcp":                      "http://127.0.0.1",
		"http://[::1]:80/mcp":                       "http://[::1]",
		"https://xn--bcher-kva.example/mcp/healthy": "https://xn--bcher-kva.example",
	} {
		u, err := edge.ParseResource(s)
		if err != nil {
			t.Errorf("ParseResource(%q): got %v, want nil", s, err)
			continue
		}
		if got := edge.OriginOf(u); got != origin || u.String() != s {
			t.Errorf("ParseResource(%q) = %s of origin %s, want the same URL of origin %s", s, u, got, origin)
		}
	}
}

func TestParseOrigin(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "null", "*", "https://*.example.com", "https://*", "app.example.com", "https://", "https:///", "https://u:p@app.example.com", "https://app.example.com/x",
		"https://app.example.com?x", "https://app.example.com#", "https://app.example.com:0", "https://app.example.com:65536", "https://app.example.com:",
		"https://app.example.com.", "https://.example.com", "https://b\u00fccher.example", "https://a b", "https://app.example.com, https://b.example", " https://app.example.com", "https://0.0.0.0", "https://[::]:8443", "https://300.1.1.1", "https://-a.example",
	} {
		if got, err := edge.ParseOrigin(s); err == nil {
			t.Errorf("ParseOrigin(%q) = %q, want an error", s, got)
		}
	}
	for s, want := range map[string]string{
		"https://App.Example.com:443/": "https://app.example.com", "http://localhost:80": "http://localhost", "http://localhost:443": "http://localhost:443",
		"http://[::1]:6274": "http://[::1]:6274", "vscode-webview://abc-1": "vscode-webview://abc-1", "https://xn--bcher-kva.example": "https://xn--bcher-kva.example",
	} {
		if got, err := edge.ParseOrigin(s); err != nil || got != want {
			t.Errorf("ParseOrigin(%q) = %q, %v, want %q", s, got, err, want)
		}
	}
}

func TestParseHost(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", ".example.com", "*.example.com", "*", "example.com:443", "https://example.com", "a..b", "a b", "a,b", "example.com/x", "u@example.com", "b\u00fccher.example", "[::1]:80", "fe80::1%eth0", "[::zz]", "-", "-a", "a-.example", "300.1.1.1", "0.0.0.0", "::", "[::]", "1", "0x7f000001",
	} {
		if got, err := edge.ParseHost(s); err == nil {
			t.Errorf("ParseHost(%q) = %q, want an error", s, got)
		}
	}
	for s, want := range map[string]string{"https://example.com": "leave out https://", "example.com:443": "leave out the port", "*": "no wildcards"} {
		if _, err := edge.ParseHost(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseHost(%q): %v, want an error with %q", s, err, want)
		}
	}
	for s, want := range map[string]string{
		"Inner.Example.": "inner.example", "[2001:db8::1]": "2001:db8::1", "2001:DB8::2": "2001:db8::2", "my_service": "my_service",
		"10.0.0.7": "10.0.0.7", "a--b.1x": "a--b.1x", "::1": "::1",
	} {
		if got, err := edge.ParseHost(s); err != nil || got != want {
			t.Errorf("ParseHost(%q) = %q, %v, want %q", s, got, err, want)
		}
	}
}

func TestParseProxy(t *testing.T) {
	t.Parallel()
	for _, n := range []netip.Prefix{
		{}, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1"),
		netip.MustParsePrefix("8000::/1"), netip.MustParsePrefix("224.0.0.0/8"), netip.MustParsePrefix("::ffff:0.0.0.0/90"), netip.MustParsePrefix("::ffff:0.0.0.0/96"),
	} {
		if got, err := edge.ParseProxy(n); err == nil {
			t.Errorf("ParseProxy(%s) = %s, want an error", n, got)
		}
	}
	for s, want := range map[string]string{"::ffff:127.0.0.0/104": "127.0.0.0/8", "127.0.0.9/8": "127.0.0.0/8", "fd00::1/64": "fd00::/64", "10.0.0.7/32": "10.0.0.7/32"} {
		if got, err := edge.ParseProxy(netip.MustParsePrefix(s)); err != nil || got.String() != want {
			t.Errorf("ParseProxy(%s) = %s, %v, want %s", s, got, err, want)
		}
	}
}

// However clients and operators write a host, it has one form.
func FuzzHosts(f *testing.F) {
	for _, s := range []string{"mcp.example.com:443", "[::1]:80", "::1", "A.b.", "https://x.example:8443"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if host, err := edge.ParseHost(s); err == nil && edge.Hostname(host) != host {
			t.Errorf("Hostname(%q) = %q, want it unchanged", host, edge.Hostname(host))
		}
		origin, err := edge.ParseOrigin(s)
		if err != nil {
			return
		}
		if again, err := edge.ParseOrigin(origin); err != nil || again != origin {
			t.Errorf("ParseOrigin(%q) = %q, %v, want it unchanged", origin, again, err)
		}
		if u, err := url.Parse(origin); err != nil || u.Host == "" {
			t.Errorf("ParseOrigin(%q) = %q, which is no URL: %v", s, origin, err)
		}
	})
}
