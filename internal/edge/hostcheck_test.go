package edge_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// newCheck returns the check for a resource's server with additional hosts and origins.
func newCheck(t testing.TB, resource string, hosts, origins []string) *edge.HostCheck {
	t.Helper()
	u, err := edge.ParseResource(resource)
	if err != nil {
		t.Fatal(err)
	}
	c := &edge.HostCheck{
		Hosts: []string{edge.Hostname(u.Host)}, Origins: []string{edge.OriginOf(u)},
		CORS:       edge.CORS{AllowMethods: "GET, POST", AllowHeaders: "Authorization, *", ExposeHeaders: "Retry-After", MaxAge: "600"},
		HostRemedy: "allow the host", OriginRemedy: "allow the origin",
	}
	for _, s := range hosts {
		host, err := edge.ParseHost(s)
		if err != nil {
			t.Fatal(err)
		}
		c.Hosts = append(c.Hosts, host)
	}
	for _, s := range origins {
		origin, err := edge.ParseOrigin(s)
		if err != nil {
			t.Fatal(err)
		}
		c.Origins = append(c.Origins, origin)
	}
	return c
}

const resource = "https://mcp.example.com/mcp"

func TestHostCheckHosts(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		resource string
		hosts    []string
		host     string
		allowed  bool
	}{
		{resource, nil, "mcp.example.com", true},
		{resource, nil, "mcp.example.com:8443", true},
		{resource, nil, "MCP.example.com.:443", true},
		{"https://MCP.Example.com/mcp", nil, "mcp.example.com", true},
		{"https://mcp.example.com./mcp", nil, "mcp.example.com.", true},
		{"https://[2001:DB8:0::1]/mcp", nil, "[2001:db8::1]:8443", true},
		{resource, nil, "localhost:8000", true},
		{resource, nil, "127.0.0.1:8000", true},
		{resource, nil, "127.9.9.9", true},
		{resource, nil, "[::1]:8000", true},
		{resource, nil, "[::ffff:127.0.0.1]:8000", true},
		{resource, []string{"Inner.Example."}, "inner.example:8080", true},
		{resource, []string{"[2001:db8::1]", "2001:DB8::2"}, "[2001:db8::2]", true},
		{resource, []string{"my_service", "10.0.0.7"}, "my_service:80", true},
		{resource, []string{"my_service", "10.0.0.7"}, "10.0.0.7", true},
		{resource, []string{"inner.example"}, "mcp.example.com", true},
		{resource, []string{"inner.example"}, "x.inner.example", false},
		{resource, nil, "mcp.example.com, inner.example", false},
		{resource, []string{"inner.example"}, "mcp.example.com, inner.example:80", true},
		{resource, nil, "evil.example", false},
		{resource, nil, "mcp.example.com.evil.example", false},
		{resource, nil, "mcp.example.com@evil.example", false},
		{resource, nil, "mcp.example.com:443:443", false},
		{resource, nil, ":443", false},
		{resource, nil, "", false},
		{resource, nil, ",", false},
		{resource, nil, "mcp.example.com,", false},
		{resource, nil, "localhost.evil.example", false},
		{resource, nil, "10.0.0.7", false},
	} {
		c := newCheck(t, row.resource, row.hosts, nil)
		why := c.Check(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/mcp", nil), row.host, false)
		switch {
		case (why == nil) != row.allowed:
			t.Errorf("%s with hosts %q: Check for host %q = %v, want allowed: %t", row.resource, row.hosts, row.host, why, row.allowed)
		case why != nil && (why.Status != http.StatusForbidden || why.Reason != "host_not_allowed" || why.Attrs[0].Value.String() != row.host || why.Attrs[2].Value.String() != "allow the host"):
			t.Errorf("host %q: got the refusal %+v, want host_not_allowed with the host and the remedy", row.host, *why)
		}
	}
}

func TestHostCheckOrigins(t *testing.T) {
	t.Parallel()
	app := []string{"https://app.example.com"}
	for _, row := range []struct {
		resource string
		origins  []string
		sent     []string
		allowed  bool
	}{
		{resource, nil, nil, true},
		{resource, nil, []string{"https://mcp.example.com"}, true},
		{"https://mcp.example.com:443/mcp", nil, []string{"https://mcp.example.com"}, true},
		{"https://mcp.example.com:8443/mcp", nil, []string{"https://mcp.example.com:8443"}, true},
		{"https://mcp.example.com:8443/mcp", nil, []string{"https://mcp.example.com"}, false},
		{"https://[2001:db8::1]/mcp", nil, []string{"https://[2001:db8::1]"}, true},
		{resource, []string{"https://App.Example.com:443/"}, []string{"https://app.example.com"}, true},
		{resource, app, []string{"https://APP.example.com:443"}, true},
		{resource, []string{"http://localhost:80"}, []string{"http://localhost"}, true},
		{resource, []string{"http://localhost:443"}, []string{"http://localhost"}, false},
		{resource, []string{"vscode-webview://abc-1"}, []string{"vscode-webview://abc-1"}, true},
		{resource, []string{"https://xn--bcher-kva.example"}, []string{"https://xn--bcher-kva.example"}, true},
		{resource, app, []string{"https://app.example.com.evil.example"}, false},
		{resource, app, []string{"https://app.example.com."}, false},
		{resource, app, []string{"https://app.example.com/"}, false},
		{resource, app, []string{"null"}, false},
		// Any Origin header is checked, even an empty or second one.
		{resource, app, []string{""}, false},
		{resource, app, []string{"", "https://evil.example"}, false},
		{resource, app, []string{"https://app.example.com", "https://evil.example"}, false},
		{resource, app, []string{"https://app.example.com, https://evil.example"}, false},
	} {
		c := newCheck(t, row.resource, nil, row.origins)
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/mcp", nil)
		if row.sent != nil {
			r.Header["Origin"] = row.sent
		}
		why := c.Check(w, r, "localhost", false)
		shared := w.Header().Get("Access-Control-Allow-Origin")
		switch {
		case (why == nil) != row.allowed:
			t.Errorf("%s with origins %q: Check for origin %q = %v, want allowed: %t", row.resource, row.origins, row.sent, why, row.allowed)
		case why == nil && shared != strings.Join(row.sent, ""):
			t.Errorf("origin %q: got the answer shared with %q, want another origin shared with nobody", row.sent, shared)
		case why != nil && (why.Reason != "origin_not_allowed" || shared != "" || why.Attrs[1].Value.String() != strings.Join(row.sent, ", ")):
			t.Errorf("origin %q: got the refusal %+v and the answer shared with %q, want origin_not_allowed and nobody", row.sent, *why, shared)
		}
	}
}

func TestHostCheckCORS(t *testing.T) {
	t.Parallel()
	c := newCheck(t, resource, nil, []string{"https://app.example.com"})
	for _, row := range []struct {
		name      string
		method    string
		header    map[string]string
		public    bool
		preflight bool
		want      string // Access-Control-Allow-Origin
	}{
		{"a page's call", "POST", map[string]string{"Origin": "https://app.example.com"}, false, false, "https://app.example.com"},
		{"its preflight", "OPTIONS", map[string]string{"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}, false, true, "https://app.example.com"},
		{"any page, what is public", "GET", map[string]string{"Origin": "https://evil.example"}, true, false, "*"},
		{"its preflight, what is public", "OPTIONS", map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}, true, true, "*"},
		{"no page", "OPTIONS", map[string]string{"Access-Control-Request-Method": "POST"}, false, false, ""},
		{"no preflight", "OPTIONS", map[string]string{"Origin": "https://app.example.com"}, false, false, "https://app.example.com"},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(row.method, "/mcp", nil)
		for name, value := range row.header {
			r.Header.Set(name, value)
		}
		if why := c.Check(w, r, "localhost", row.public); why != nil {
			t.Errorf("%s: Check = %v, want nil", row.name, why)
		}
		preflight := c.Preflight(w, r)
		h := w.Result().Header
		if got := h.Get("Access-Control-Allow-Origin"); preflight != row.preflight || got != row.want {
			t.Errorf("%s: got Preflight = %t and the answer shared with %q, want %t and %q", row.name, preflight, got, row.preflight, row.want)
		}
		if row.want != "" && h.Get("Access-Control-Expose-Headers") != "Retry-After" || (row.want != "" && row.want != "*") != (h.Get("Vary") == "Origin") {
			t.Errorf("%s: got the headers %v, want those of CORS for %q", row.name, h, row.want)
		}
		if preflight && (w.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Methods") != "GET, POST" || h.Get("Access-Control-Allow-Headers") != "Authorization, *" || h.Get("Access-Control-Max-Age") != "600") {
			t.Errorf("%s: got %d %v, want 204 with methods, headers and age", row.name, w.Code, h)
		}
	}
}

// An ordinary request allocates nothing, except for its body.
func TestAllocations(t *testing.T) {
	c := newCheck(t, resource, []string{"inner.example"}, []string{"https://app.example.com"})
	w, sent := httptest.NewRecorder(), strings.NewReader("{}")
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.ContentLength = sent.Size()
	source := io.NopCloser(sent)
	var b edge.Body
	room := &budget{room: 1 << 30}
	for name, row := range map[string]struct {
		most float64
		f    func()
	}{
		"host":    {0, func() { c.Check(w, r, "mcp.example.com", false) }},
		"port":    {0, func() { c.Check(w, r, "inner.example:8443", false) }},
		"address": {0, func() { c.Check(w, r, "127.0.0.1:8000", false) }},
		"proxy":   {0, func() { edge.Proxies(nil).Client(r) }},
		"body": {1, func() {
			sent.Reset("{}")
			r.Body = source
			b.Receive(w, r, edge.BodyLimits{Bytes: 1 << 20}, room)
		}},
	} {
		if got := testing.AllocsPerRun(100, row.f); got > row.most {
			t.Errorf("%s: %g allocations, want %g", name, got, row.most)
		}
	}
}
