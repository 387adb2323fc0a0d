package redirecturi_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
)

var matches = []struct {
	registered, requested string
	want                  bool
}{
	{"https://a.example/cb", "https://a.example/cb", true},
	{"https://a.example/cb", "https://a.example/cb/", false},
	{"https://a.example/cb", "https://a.example/CB", false},
	{"https://a.example/cb", "https://A.example/cb", false},
	{"https://a.example/cb", "https://a.example:443/cb", false},
	{"https://a.example/cb", "http://a.example/cb", false},
	{"https://a.example/cb", "https://a.example/cb?x", false},
	{"https://a.example/cb", "https://a.example/cb?", false},
	{"https://a.example/cb", "https://a.example/cb#", false},
	{"https://a.example/cb", "https://a.example/%63b", false},
	{"https://a.example/cb", "https://a.example/x/../cb", false},
	{"https://a.example/cb", "https://a.example\\@evil.example/cb", false},
	{"https://a.example/cb", "https://user@a.example/cb", false},
	{"https://a.example/cb", "https://a.example.evil.example/cb", false},
	{"https://a.example/cb", "https://a.example./cb", false},
	{"https://a.example/cb", " https://a.example/cb", false},
	{"https://a.example/cb", "https://a.example/cb\n", false},
	{"https://a.example/cb?x=1", "https://a.example/cb?x=1", true},
	{"https://a.example/cb?x=1", "https://a.example/cb?x=1&y", false},
	{"https://a.example", "https://a.example/", false},
	{"http://localhost/cb", "http://localhost:1234/cb", true},
	{"http://localhost:1/cb", "http://localhost:65535/cb", true},
	{"http://localhost:1/cb", "http://localhost/cb", true},
	{"http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", true},
	{"http://[::1]:1/cb", "http://[::1]:2/cb", true},
	{"http://[::1]/cb", "http://[::1]:2/cb", true},
	{"http://localhost:1/cb?a=b", "http://localhost:2/cb?a=b", true},
	{"http://127.0.0.1:33418", "http://127.0.0.1:5", true},
	{"http://localhost:1/cb", "http://127.0.0.1:1/cb", false},
	{"http://127.0.0.1:1/cb", "http://[::1]:1/cb", false},
	{"http://localhost:1/cb", "http://localhost:2/cb/", false},
	{"http://localhost:1/cb", "http://localhost:2/cb?a=b", false},
	{"http://localhost:1/cb?a=b", "http://localhost:2/cb", false},
	{"http://localhost:1", "http://localhost:2/", false},
	{"http://localhost:1/cb", "http://localhost:/cb", false},
	{"http://localhost:1/cb", "http://localhost:0/cb", false},
	{"http://localhost:1/cb", "http://localhost:01/cb", false},
	{"http://localhost:1/cb", "http://localhost:65536/cb", false},
	{"http://localhost:1/cb", "http://localhost:1@evil.example/cb", false},
	{"http://localhost:1/cb", "http://x@localhost:2/cb", false},
	{"http://localhost:1/cb", "http://LOCALHOST:2/cb", false},
	{"http://localhost:1/cb", "HTTP://localhost:2/cb", false},
	{"http://localhost:1/cb", "https://localhost:1/cb", false},
	{"http://localhost:1/cb", "http://localhost.evil.example:2/cb", false},
	{"http://localhost:1/cb", "http://localhost:2/cb#", false},
	{"http://127.0.0.1:1/cb", "http://127.1:1/cb", false},
	{"http://[::1]:1/cb", "http://[0:0:0:0:0:0:0:1]:1/cb", false},
	{"https://localhost:1/cb", "https://localhost:2/cb", false},
	{"https://127.0.0.1/cb", "https://127.0.0.1:2/cb", false},
	{"cursor://a/cb", "cursor://a/cb", true},
	{"cursor://localhost/cb", "cursor://localhost:1/cb", false},
	{"", "", false},
	{"https://a.example/cb", "", false},
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range matches {
		if got := redirecturi.Match(c.registered, c.requested); got != c.want {
			t.Errorf("Match(%q, %q) = %v, want %v", c.registered, c.requested, got, c.want)
		}
	}
}

// FuzzMatch: with a registered redirect, what matches may be registered itself, and both
// net/url's reading and the strict reading say that nothing differs but a loopback port.
func FuzzMatch(f *testing.F) {
	for _, c := range matches {
		f.Add(c.registered, c.requested)
	}
	f.Fuzz(func(t *testing.T, registered, requested string) {
		if redirecturi.Check(registered, nil) != nil {
			return
		}
		got := redirecturi.Match(registered, requested)
		if want := strictMatch(registered, requested); got != want {
			t.Errorf("Match(%q, %q) = %v, strictly %v", registered, requested, got, want)
		}
		if want := urlMatch(registered, requested) && redirecturi.Check(requested, nil) == nil; got != want {
			t.Errorf("Match(%q, %q) = %v, by net/url %v", registered, requested, got, want)
		}
	})
}

func strictMatch(registered, requested string) bool {
	a, b := read(registered), read(requested)
	if a == nil || b == nil || len(requested) > redirecturi.MaxBytes {
		return false
	}
	if a[0] == "http" && (len(b[2]) < 5 || b[2] <= "65535") {
		a[2], b[2] = "", "" // http is for loopback alone
	}
	return slices.Equal(a, b)
}

func urlMatch(registered, requested string) bool {
	a, errA := url.Parse(registered)
	b, errB := url.Parse(requested)
	if errA != nil || errB != nil {
		return false
	}
	float := a.Scheme == "http" && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, a.Hostname())
	if float && b.Scheme == "http" && a.Hostname() == b.Hostname() {
		a.Host, b.Host = a.Hostname(), a.Hostname()
	}
	// EscapedPath spells some characters in another way, so it must be asked of both.
	same := a.Scheme == b.Scheme && a.Host == b.Host && a.User == nil && b.User == nil && a.EscapedPath() == b.EscapedPath() &&
		a.RawQuery == b.RawQuery && a.ForceQuery == b.ForceQuery && !strings.Contains(requested, "#")
	return same && (float || registered == requested)
}

func TestChoose(t *testing.T) {
	t.Parallel()
	const a, b, loopback, portless = "https://a.example/cb", "https://b.example/cb", "http://localhost:6274/cb", "http://localhost/cb"
	for _, c := range []struct {
		what       string
		registered []string
		requested  string
		want       string // "" for an error
		reason     string
	}{
		{"the second", []string{a, b}, b, b, ""},
		{"another port", []string{a, loopback}, "http://localhost:1/cb", "http://localhost:1/cb", ""},
		{"another one", []string{a}, b, "", "is not one of the client's"},
		{"of no one", nil, a, "", "is not one of the client's"},
		{"omitted, one", []string{a}, "", a, ""},
		{"omitted, one with a private scheme", []string{cursor}, "", cursor, ""},
		{"omitted, one on loopback with a port", []string{loopback}, "", loopback, ""},
		{"omitted, one on loopback without a port", []string{portless}, "", "", "is missing"},
		{"omitted, two", []string{a, b}, "", "", "is missing"},
		{"omitted, two, one without a port", []string{a, portless}, "", "", "is missing"},
		{"omitted, none", nil, "", "", "is missing"},
	} {
		got, err := redirecturi.Choose(c.registered, c.requested)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: Choose(%q, %q) = %q, %v; want %q, %q", c.what, c.registered, c.requested, got, err, c.want, c.reason)
		}
	}
}

func TestWhereARedirectLeads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		uri, host, scheme string
		loopback          bool
	}{
		{"https://Claude.AI:443/cb", "claude.ai", "", false},
		{"https://xn--bcher-kva.example?x", "xn--bcher-kva.example", "", false},
		{"http://localhost:1/cb", "localhost", "", true},
		{"http://127.0.0.1", "127.0.0.1", "", true},
		{"http://[::1]:1/cb", "[::1]", "", true},
		{"https://localhost/cb", "localhost", "", true},
		{"https://app.localhost/cb", "app.localhost", "", true},
		{"https://127.1.2.3/cb", "127.1.2.3", "", true},
		{"https://[::ffff:127.0.0.1]/cb", "[::ffff:127.0.0.1]", "", true},
		{"https://10.0.0.1/cb", "10.0.0.1", "", false},
		{"https://localhost.example/cb", "localhost.example", "", false},
		{cursor, "", "cursor", false},
		{"com.example.app:/cb", "", "com.example.app", false},
	} {
		if host, scheme, loopback := redirecturi.Host(c.uri), redirecturi.Scheme(c.uri), redirecturi.IsLoopback(c.uri); host != c.host || scheme != c.scheme || loopback != c.loopback {
			t.Errorf("%s: Host = %q, Scheme = %q, IsLoopback = %v; want %q, %q, %v", c.uri, host, scheme, loopback, c.host, c.scheme, c.loopback)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for name, uris := range map[string][2]string{
		"equal":    {"https://claude.ai/api/mcp/auth_callback", "https://claude.ai/api/mcp/auth_callback"},
		"loopback": {"http://localhost/oauth/callback", "http://localhost:54321/oauth/callback"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !redirecturi.Match(uris[0], uris[1]) {
					b.Fatal("no match")
				}
			}
		})
	}
}
