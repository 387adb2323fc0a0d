package redirecturi_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
)

const cursor = "cursor://anysphere.cursor-mcp/oauth/callback"

// accepted may be registered.
var accepted = []string{
	"https://claude.ai/api/mcp/auth_callback",
	"https://example.com",
	"https://example.com?",
	"https://example.com:443/cb",
	"https://example.com:65535/cb?x=1&y=%20",
	"https://Example.COM/Callback",
	"https://xn--bcher-kva.example/cb",
	"https://my_app.example-1.com/a//b/",
	"https://192.0.2.1/cb",
	"https://[2001:db8::1]:8443/cb",
	"https://localhost:8443/cb",
	"https://example.com/a%2Fb/.well-known/..a/a..",
	"https://example.com/cb?next=/a/../b&codes=1&mistake=2",
	`https://example.com/cb?q='";&x=<>`,
	"http://localhost/callback",
	"http://localhost:6274/oauth/callback",
	"http://127.0.0.1:33418/",
	"http://127.0.0.1",
	"http://[::1]:1/cb?x=y",
	"https://example.com/" + strings.Repeat("a", redirecturi.MaxBytes-len("https://example.com/")),
	cursor,
}

// refused may not be registered, for the reason.
var refused = []struct{ uri, reason string }{
	{"", "empty"},
	{"https://example.com/" + strings.Repeat("a", redirecturi.MaxBytes-len("https://example.com/")+1), "513 bytes"},
	{"/callback", "absolute"},
	{"//example.com/callback", "absolute"},
	{"example.com/callback", "absolute"},
	{"localhost:8080/callback", "schemes other than https"},
	{"HTTPS://example.com/cb", "lower case"},
	{"https:/example.com/cb", "must begin with https://"},
	{"https:example.com/cb", "must begin with https://"},
	{"https:///cb", "host"},
	{"https://", "host"},
	{"https://?x", "host"},
	{"https://example.com/cb#", "fragment"},
	{"https://example.com/cb#x", "fragment"},
	{"https://example.com#@evil.example/", "fragment"},
	{"https://user@example.com/cb", "user name"},
	{"https://user:password@example.com/cb", "user name"},
	{"https://@example.com/cb", "user name"},
	{"https://example.com:443@evil.example/cb", "user name"},
	{`https://example.com\cb`, "backslash"},
	{`https:\\example.com\cb`, "backslash"},
	{`https://example.com/cb?a=\`, "backslash"},
	{"https://example.com/cb\n", "control character"},
	{"https://example.com/\x00cb", "control character"},
	{"https://example.com/\tcb", "control character"},
	{"https://example.com/\x7f", "control character"},
	{"https://example.com/%0d%0aSet-Cookie:x", "escaped control character"},
	{"https://example.com/a b", "space"},
	{" https://example.com/", "space"},
	{"https://bücher.example/cb", "outside ASCII"},
	{"https://example.com/\u202ecb", "outside ASCII"},
	{"https://ехample.com/cb", "outside ASCII"}, // Cyrillic
	{"https://example.com/./cb", "dots"},
	{"https://example.com/a/../cb", "dots"},
	{"https://example.com/..", "dots"},
	{"https://example.com/a/%2e%2E/cb", "dots"},
	{"https://example.com/a/%252e%252E/cb", "dots"},
	{"https://example.com/a%25252f..", "dots"},
	{"https://example.com/a/.%2e", "dots"},
	{"https://example.com/a/%2E", "dots"},
	{"https://example.com/a%2f..%2fcb", "dots"},
	{"https://example.com/a%5c..%5Ccb", "dots"},
	{"https://example.com/%", "two hexadecimal"},
	{"https://example.com/%2", "two hexadecimal"},
	{"https://example.com/%zz", "two hexadecimal"},
	{"https://example.com/cb?x=%", "two hexadecimal"},
	{"https://exa%6dple.com/cb", "host"},
	{"https://example.com:/cb", "port"},
	{"https://example.com:0/cb", "port"},
	{"https://example.com:080/cb", "port"},
	{"https://example.com:65536/cb", "port"},
	{"https://example.com:99999999999999999999/cb", "port"},
	{"https://example.com:+1/cb", "port"},
	{"https://example.com:4a/cb", "port"},
	{"https://example.com:1:2/cb", "host"},
	{"http://localhost:/cb", "port"},
	{"https://example..com/cb", "host"},
	{"https://.example.com/cb", "host"},
	{"https://example.com./cb", "host"},
	{"https://exa$mple.com/cb", "host"},
	{"https://*.example.com/cb", "host"},
	{"https://" + strings.Repeat("a", 64) + ".com/cb", "host"},
	{"https://" + strings.Repeat("abc.", 63) + "de/cb", "host"},
	{"https://2130706433/cb", "host"},
	{"https://0x7f.0.0.1/cb", "host"},
	{"https://0x7f000001/cb", "host"},
	{"https://127.1/cb", "host"},
	{"https://127.0.0.01/cb", "host"},
	{"https://example.0x/cb", "host"},
	{"https://[::1/cb", "host"},
	{"https://::1/cb", "host"},
	{"https://[::1%25eth0]/cb", "host"},
	{"https://[127.0.0.1]/cb", "host"},
	{"https://[]/cb", "host"},
	{"http://example.com/cb", "http is only for localhost"},
	{"http://127.0.0.2/cb", "http is only for localhost"},
	{"http://127.1/cb", "http is only for localhost"},
	{"http://[0:0:0:0:0:0:0:1]/cb", "http is only for localhost"},
	{"http://LOCALHOST/cb", "http is only for localhost"},
	{"http://localhost./cb", "http is only for localhost"},
	{"http://localhost.evil.example/cb", "http is only for localhost"},
	{"http://app.localhost/cb", "http is only for localhost"},
	{"http://localhost@evil.example/cb", "user name"},
	{"https://example.com/cb?code=1", "parameter"},
	{"https://example.com/cb?x=1&state=", "parameter"},
	{"https://example.com/cb?iss", "parameter"},
	{"https://example.com/cb?error=x", "parameter"},
	{"https://example.com/cb?error_description=x", "parameter"},
	{"https://example.com/cb?x;Code=1", "parameter"},
	{"https://example.com/cb?%63ode=1", "parameter"},
	{"http://localhost/cb?state=1", "parameter"},
	{"cursor://anysphere.cursor-mcp/oauth/callback2", "schemes other than https"},
	{"cursor://anysphere.cursor-mcp/oauth/callback?x", "schemes other than https"},
	{"vscode://vscode.mcp/cb", "schemes other than https"},
	{"com.example.app:/cb", "schemes other than https"},
	{"urn:ietf:wg:oauth:2.0:oob", "schemes other than https"},
	{"javascript:alert(1)", "never allowed"},
	{"javascript://example.com/%0aalert(1)", "escaped control character"},
	{"data:text/html,x", "never allowed"},
	{"vbscript:x", "never allowed"},
	{"file:///etc/passwd", "never allowed"},
	{"blob:https://example.com/x", "never allowed"},
	{"about:blank", "never allowed"},
	{"ftp://example.com/", "never allowed"},
	{"ws://localhost/", "never allowed"},
	{"wss://example.com/", "never allowed"},
	{"view-source:https://example.com/", "never allowed"},
	{"JavaScript:alert(1)", "lower case"},
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, uri := range accepted {
		if err := redirecturi.Check(uri, []string{cursor}); err != nil {
			t.Errorf("Check(%q) = %q, want nil", uri, err)
		}
	}
	quotable := regexp.MustCompile(`^[ !#-\[\]-~]+$`) // RFC 6749, section 5.2
	for _, c := range refused {
		err := redirecturi.Check(c.uri, []string{cursor})
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("Check(%q) = %v, want %q in it", c.uri, err, c.reason)
			continue
		}
		if !quotable.MatchString(err.Error()) {
			t.Errorf("Check(%q) = %q, which an error_description can't have", c.uri, err)
		}
	}
	if err := redirecturi.Check(cursor, nil); err == nil {
		t.Errorf("Check(%q) without private schemes = nil, want an error", cursor)
	}
}

func TestCheckPrivate(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		cursor:                                   "",
		"com.example.app:/oauth":                 "",
		"app+x-1:callback":                       "",
		"com.example.app:":                       "nothing else",
		"cursor://user@host/cb":                  "user name",
		"cursor://host/cb#x":                     "fragment",
		"cursor://host/../cb":                    "dots",
		"cursor://host/cb?code=1":                "parameter",
		"1app://host/cb":                         "scheme",
		"App://host/cb":                          "lower case",
		"cursor":                                 "absolute",
		"https://example.com/cb":                 "never allowed",
		"http://localhost/cb":                    "never allowed",
		"javascript:alert(1)":                    "never allowed",
		"view-source:https://example.com/cb?x=y": "never allowed",
	} {
		err := redirecturi.CheckPrivate(uri)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("CheckPrivate(%q) = %v, want %q", uri, err, want)
		}
	}
}

// web is a second reading of an https or http URI, which is strict and shares nothing with the
// first: [scheme, host, port, path, query].
var web = regexp.MustCompile(`^(https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([1-9][0-9]{0,4}))?((?:/[!-"$->@-\[\]-~]*)?)((?:\?[!-"$-\[\]-~]*)?)$`)

func read(uri string) []string {
	parts := web.FindStringSubmatch(uri)
	if parts == nil {
		return nil
	}
	return parts[1:]
}

// FuzzCheck: net/url and the strict reading see in an accepted URI what Check saw.
func FuzzCheck(f *testing.F) {
	for _, uri := range accepted {
		f.Add(uri)
	}
	for _, c := range refused {
		f.Add(c.uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if redirecturi.Check(uri, nil) != nil {
			return
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatalf("Check(%q) = nil, but net/url can't read it: %v", uri, err)
		}
		parts := read(uri)
		if parts == nil {
			t.Fatalf("Check(%q) = nil, but it has another form", uri)
		}
		host := u.Hostname()
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		query := u.RawQuery
		if u.ForceQuery || query != "" {
			query = "?" + query
		}
		if got := []string{u.Scheme, host, u.Port(), query}; !slices.Equal(got, []string{parts[0], parts[1], parts[2], parts[4]}) {
			t.Errorf("%q: net/url reads %q, the strict reading %q", uri, got, parts)
		}
		if u.User != nil || u.Opaque != "" || u.Fragment != "" || len(uri) > redirecturi.MaxBytes {
			t.Errorf("Check(%q) = nil; it has a user, a fragment or no authority, or is too long", uri)
		}
		if loopback := slices.Contains([]string{"localhost", "127.0.0.1", "[::1]"}, parts[1]); parts[0] == "http" && !loopback {
			t.Errorf("Check(%q) = nil: http on %s", uri, parts[1])
		}
		for segment := range strings.SplitSeq(u.Path, "/") {
			if segment == "." || segment == ".." {
				t.Errorf("Check(%q) = nil; its path has a segment %q", uri, segment)
			}
		}
		for name := range u.Query() {
			if name == "code" || name == "state" || name == "iss" || strings.HasPrefix(name, "error") {
				t.Errorf("Check(%q) = nil; its query has %q", uri, name)
			}
		}
		if !redirecturi.Match(uri, uri) {
			t.Errorf("Match(%q) = false for itself", uri)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := redirecturi.Check("https://claude.ai/api/mcp/auth_callback?x=1", nil); err != nil {
			b.Fatal(err)
		}
	}
}
