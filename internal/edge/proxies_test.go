package edge_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

func TestProxiesClient(t *testing.T) {
	t.Parallel()
	trusted := edge.Proxies{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("fd00::/64")}
	for _, row := range []struct {
		name, peer   string
		forwardedFor []string
		forwardedTo  []string
		client, host string
	}{
		{"no proxy", "192.0.2.1:4711", nil, nil, "192.0.2.1", "direct.example"},
		{"a stranger's word", "192.0.2.1:4711", []string{"198.51.100.7"}, []string{"mcp.example.com"}, "192.0.2.1", "direct.example"},
		{"a proxy's word", "10.0.0.9:80", []string{"198.51.100.7"}, []string{"mcp.example.com"}, "198.51.100.7", "mcp.example.com"},
		{"a proxy that says nothing", "10.0.0.9:80", nil, nil, "10.0.0.9", "direct.example"},
		{"what the client wrote stands first", "10.0.0.9:80", []string{"1.1.1.1, 198.51.100.7"}, nil, "198.51.100.7", "direct.example"},
		{"in a header of its own", "10.0.0.9:80", []string{"1.1.1.1", "198.51.100.7"}, nil, "198.51.100.7", "direct.example"},
		{"it names a proxy", "10.0.0.9:80", []string{"10.0.0.8, 198.51.100.7"}, nil, "198.51.100.7", "direct.example"},
		{"two proxies", "10.0.0.9:80", []string{"1.1.1.1,198.51.100.7, 10.0.0.8"}, nil, "198.51.100.7", "direct.example"},
		{"proxies alone", "10.0.0.9:80", []string{"10.0.0.8"}, nil, "10.0.0.8", "direct.example"},
		{"with port", "10.0.0.9:80", []string{"198.51.100.7:55000"}, nil, "198.51.100.7", "direct.example"},
		{"IPv6", "[fd00::1]:80", []string{"[2001:db8::7]:55000"}, nil, "2001:db8::7", "direct.example"},
		{"IPv6 without port", "[fd00::1]:80", []string{"2001:db8::7"}, nil, "2001:db8::7", "direct.example"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.9]:80", []string{"::ffff:198.51.100.7"}, nil, "198.51.100.7", "direct.example"},
		{"rubbish", "10.0.0.9:80", []string{"198.51.100.7, unknown"}, nil, "10.0.0.9", "direct.example"},
		{"an empty list", "10.0.0.9:80", []string{""}, nil, "10.0.0.9", "direct.example"},
		{"several hosts", "10.0.0.9:80", []string{"198.51.100.7"}, []string{"evil.example", "mcp.example.com"}, "198.51.100.7", "evil.example,mcp.example.com"},
		{"a Unix socket", "@", []string{"198.51.100.7"}, []string{"mcp.example.com"}, "invalid IP", "direct.example"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "http://direct.example/", nil)
			r.RemoteAddr = row.peer
			for name, values := range map[string][]string{"X-Forwarded-For": row.forwardedFor, "X-Forwarded-Host": row.forwardedTo} {
				for _, v := range values {
					r.Header.Add(name, v)
				}
			}
			r.Header.Set("Forwarded", "for=203.0.113.1;host=forwarded.example")
			client, host := trusted.Client(r)
			if client.String() != row.client || host != row.host {
				t.Errorf("%s, %s; want %s, %s", client, host, row.client, row.host)
			}
		})
	}
}

func FuzzProxiesClient(f *testing.F) {
	f.Add("10.0.0.9:80", "1.1.1.1, [::1]:5", "mcp.example.com")
	f.Add("@", ",,", "")
	trusted := edge.Proxies{netip.MustParsePrefix("10.0.0.0/24")}
	f.Fuzz(func(t *testing.T, peer, forwardedFor, forwardedTo string) {
		r := httptest.NewRequest(http.MethodGet, "http://direct.example/", nil)
		r.RemoteAddr = peer
		direct, host := edge.Proxies(nil).Client(r)
		if host != "direct.example" {
			t.Errorf("host %q, want direct.example", host)
		}
		r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Host"] = []string{forwardedFor}, []string{forwardedTo}
		client, host := trusted.Client(r)
		if !trusted[0].Contains(direct) && (client != direct || host != "direct.example") {
			t.Errorf("a stranger is believed: %s, %s", client, host)
		}
	})
}
