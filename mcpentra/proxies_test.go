package mcpentra_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

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
