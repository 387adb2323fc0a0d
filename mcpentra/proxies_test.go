package mcpentra_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

func TestOriginOfRequests(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("fd00::/64")}
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
			client, host := mcpentra.Origin(trusted, r)
			if client.String() != row.client || host != row.host {
				t.Errorf("%s, %s; want %s, %s", client, host, row.client, row.host)
			}
		})
	}
}

func FuzzOriginOfRequests(f *testing.F) {
	f.Add("10.0.0.9:80", "1.1.1.1, [::1]:5", "mcp.example.com")
	f.Add("@", ",,", "")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}
	f.Fuzz(func(t *testing.T, peer, forwardedFor, forwardedTo string) {
		r := httptest.NewRequest(http.MethodGet, "http://direct.example/", nil)
		r.RemoteAddr = peer
		direct, host := mcpentra.Origin(nil, r)
		if host != "direct.example" {
			t.Errorf("host %q", host)
		}
		r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Host"] = []string{forwardedFor}, []string{forwardedTo}
		client, host := mcpentra.Origin(trusted, r)
		if !trusted[0].Contains(direct) && (client != direct || host != "direct.example") {
			t.Errorf("a stranger is believed: %s, %s", client, host)
		}
	})
}

// Over HTTP: the tests' client is the proxy, and then it is not.
func TestForwardedHost(t *testing.T) {
	loopback := mcpentra.WithTrustedProxies(netip.MustParsePrefix("127.0.0.0/8"))
	elsewhere := mcpentra.WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/24"))
	for _, row := range []struct {
		name   string
		option mcpentra.Option
		header map[string]string
		status int
	}{
		{"the public host", loopback, map[string]string{"Host": "pod-7", "X-Forwarded-Host": "mcp.example.com"}, 200},
		{"a foreign host", loopback, map[string]string{"Host": "mcp.example.com", "X-Forwarded-Host": "evil.example"}, 403},
		{"both", loopback, map[string]string{"Host": "pod-7", "X-Forwarded-Host": "evil.example, mcp.example.com"}, 403},
		{"an empty one", loopback, map[string]string{"Host": "mcp.example.com", "X-Forwarded-Host": ""}, 403},
		{"not forwarded", loopback, map[string]string{"Host": "mcp.example.com"}, 200},
		{"from a stranger", elsewhere, map[string]string{"Host": "pod-7", "X-Forwarded-Host": "mcp.example.com"}, 403},
		{"a stranger's is ignored", elsewhere, map[string]string{"Host": "mcp.example.com", "X-Forwarded-Host": "evil.example"}, 200},
		{"without proxies", mcpentra.WithTrustedProxies(), map[string]string{"Host": "pod-7", "X-Forwarded-Host": "mcp.example.com"}, 403},
		{"an allowed host", mcpentra.WithAllowedHosts("pod-7"), map[string]string{"Host": "POD-7:8000"}, 200},
		{"an allowed IPv6 host", mcpentra.WithAllowedHosts("[fd00::7]"), map[string]string{"Host": "[fd00::7]:8000"}, 200},
		{"beside the public one", mcpentra.WithAllowedHosts("pod-7"), map[string]string{"Host": "mcp.example.com"}, 200},
		{"another", mcpentra.WithAllowedHosts("pod-7"), map[string]string{"Host": "pod-8"}, 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, row.option)
			row.header["Authorization"] = "Bearer " + w.token(w.alice)
			row.header["X-Forwarded-For"] = "198.51.100.7"
			status, header, body := w.post(t, listTools, row.header)
			if status != row.status {
				t.Errorf("%d %s, want %d", status, body, row.status)
			}
			if status == 403 { // the refusal can be found in the log, with the client behind the proxy
				line := "request_id=" + header.Get("X-Request-Id") + " client="
				if strings.HasPrefix(row.name, "from a stranger") || row.name == "without proxies" || row.name == "another" {
					line += "127.0.0.1"
				} else {
					line += "198.51.100.7"
				}
				if !strings.Contains(w.log.String(), line) {
					t.Errorf("no line with %q in:\n%s", line, w.log)
				}
			}
		})
	}
}

func TestFaultyProxiesAndHosts(t *testing.T) {
	w := newWorld(t)
	for name, option := range map[string]mcpentra.Option{
		"everybody": mcpentra.WithTrustedProxies(netip.MustParsePrefix("0.0.0.0/0")),
		"all IPv6":  mcpentra.WithTrustedProxies(netip.MustParsePrefix("::/0")),
		"nobody":    mcpentra.WithTrustedProxies(netip.Prefix{}),
		"no host":   mcpentra.WithAllowedHosts(""),
		"a port":    mcpentra.WithAllowedHosts("pod-7:8000"),
		"a URL":     mcpentra.WithAllowedHosts("https://pod-7"),
		"a path":    mcpentra.WithAllowedHosts("pod-7/mcp"),
		"wildcard":  mcpentra.WithAllowedHosts("*"),
	} {
		_, err := mcpentra.NewServer(resourceURL, w.verifier, option)
		if err == nil || (!strings.Contains(err.Error(), "WithTrustedProxies") && !strings.Contains(err.Error(), "WithAllowedHosts")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
