package mcpentra_test

import (
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// Faults of URLs, hosts and networks name their option, and are reported all at once.
// (The rules are tested in internal/edge.)
func TestSitesThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := mcpentra.NewServer("https://*/mcp", w.verifier, mcpentra.WithAllowedOrigins("null", "*"), mcpentra.WithAllowedHosts("*", ".x"), mcpentra.WithTrustedProxies(netip.Prefix{}))
	if err == nil {
		t.Fatal("NewServer = nil, want every fault")
	}
	for _, part := range []string{
		`resource URL: "https://*/mcp"`, `WithAllowedOrigins: "null"`, `WithAllowedOrigins: "*" is not an origin`,
		`WithAllowedHosts: "*" is not a host`, `WithAllowedHosts: ".x"`, `WithTrustedProxies: "invalid Prefix"`,
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want a fault with %s", err, part)
		}
	}
}

// One form for what is configured and what is sent. (More in internal/edge.)
func TestSitesInOtherSpellings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, row := range []struct {
		resource string
		option   mcpentra.Option
		header   map[string]string
		status   int
	}{
		{"https://MCP.Example.com:8443/mcp", nil, map[string]string{"Host": "mcp.example.com.", "Origin": "https://mcp.example.com:8443"}, 200},
		{resourceURL, mcpentra.WithAllowedOrigins("https://App.Example.com:443/"), map[string]string{"Origin": "https://app.example.com"}, 200},
		{resourceURL, mcpentra.WithAllowedHosts("[2001:db8::1]", "2001:DB8::2"), map[string]string{"Host": "[2001:db8::2]"}, 200},
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
		maps.Copy(header, row.header)
		if status, _, body := do(t, http.MethodPost, serve(t, srv)+"/mcp", pingWithID, header); status != row.status {
			t.Errorf("%s with %v: %d %s, want %d", row.resource, row.header, status, body, row.status)
		}
	}
}
