package mcpentra_test

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// Over HTTP: the tests' client is the proxy, and then it is not.
func TestForwardedHost(t *testing.T) {
	t.Parallel()
	loopback := mcpentra.WithTrustedProxies(netip.MustParsePrefix("127.0.0.0/8"))
	elsewhere := mcpentra.WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/24"))
	w := newWorld(t)
	for _, row := range []struct {
		name   string
		option mcpentra.Option
		header map[string]string
		status int
		client string // in the log of a refusal
	}{
		{"the public host", loopback, map[string]string{"Host": "pod-7", "X-Forwarded-Host": "mcp.example.com"}, 200, ""},
		{"a foreign host", loopback, map[string]string{"Host": "mcp.example.com", "X-Forwarded-Host": "evil.example"}, 403, "198.51.100.7"},
		{"both", loopback, map[string]string{"Host": "pod-7", "X-Forwarded-Host": "evil.example, mcp.example.com"}, 403, "198.51.100.7"},
		{"an empty one", loopback, map[string]string{"Host": "mcp.example.com", "X-Forwarded-Host": ""}, 403, "198.51.100.7"},
		{"not forwarded", loopback, map[string]string{"Host": "mcp.example.com"}, 200, ""},
		{"from a stranger", elsewhere, map[string]string{"Host": "pod-7", "X-Forwarded-Host": "mcp.example.com"}, 403, "127.0.0.1"},
		{"a stranger's is ignored", elsewhere, map[string]string{"Host": "mcp.example.com", "X-Forwarded-Host": "evil.example"}, 200, ""},
		{"without proxies", mcpentra.WithTrustedProxies(), map[string]string{"Host": "pod-7", "X-Forwarded-Host": "mcp.example.com"}, 403, "127.0.0.1"},
		{"an allowed host", mcpentra.WithAllowedHosts("pod-7"), map[string]string{"Host": "POD-7:8000"}, 200, ""},
		{"an allowed IPv6 host", mcpentra.WithAllowedHosts("[fd00::7]"), map[string]string{"Host": "[fd00::7]:8000"}, 200, ""},
		{"beside the public one", mcpentra.WithAllowedHosts("pod-7"), map[string]string{"Host": "mcp.example.com"}, 200, ""},
		{"another", mcpentra.WithAllowedHosts("pod-7"), map[string]string{"Host": "pod-8"}, 403, "127.0.0.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var log lines
			srv, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), row.option)
			must(t, err)
			row.header["Authorization"] = "Bearer " + w.token(w.alice)
			row.header["X-Forwarded-For"] = "198.51.100.7"
			status, header, body := do(t, http.MethodPost, serve(t, srv)+"/mcp", listTools, row.header)
			if status != row.status {
				t.Errorf("got %d %s, want %d", status, body, row.status)
			}
			if status == http.StatusForbidden { // the refusal can be found in the log, with the client behind the proxy
				line := "request_id=" + header.Get("X-Request-Id") + " client=" + row.client
				if !strings.Contains(log.String(), line) {
					t.Errorf("no line with %q in:\n%s", line, &log)
				}
			}
		})
	}
}
