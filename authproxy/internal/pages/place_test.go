package pages_test

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
)

// targets are addresses with which templates and browsers have trouble.
var targets = []string{
	"https://client.example/cb?code=c&state=s&iss=https%3A%2F%2Fmcp.example.com",
	`https://client.example/cb?q='single'&state=s`,
	`https://client.example/cb?q="double"&state=s`,
	`https://client.example/cb?a=1;b=2;url=x&state=s`,
	`https://client.example/cb?q=<b>&amp;&copy=1&state=%27%22%3B%26`,
	`https://client.example/'path';(x)/cb?x=1`,
	"http://localhost:6274/oauth/callback?code=c&state=s",
	"http://127.0.0.1:33418/?code=c&state=a'b",
	"http://[::1]:1/cb?state=s",
	"cursor://anysphere.cursor-mcp/oauth/callback?code=c&state='s'",
	"com.example.app:/callback?code=c",
}

// equal reports whether two addresses mean the same: templates escape a few characters that
// need not be escaped.
func equal(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := url.Parse(a)
	if err != nil {
		t.Fatalf("%q: %v", a, err)
	}
	y, err := url.Parse(b)
	if err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	decode := func(query string) string {
		decoded, err := url.QueryUnescape(query)
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		return decoded
	}
	return x.Scheme == y.Scheme && x.Opaque == y.Opaque && x.Host == y.Host && x.Path == y.Path && decode(x.RawQuery) == decode(y.RawQuery)
}

var (
	refresh = regexp.MustCompile(`<meta http-equiv="refresh" content="([^"]*)">`)
	href    = regexp.MustCompile(`<a [^>]*href="([^"]*)"`)
)

// readRefresh reads the attribute as browsers do (HTML, section 4.2.5.3).
func readRefresh(content string) (string, bool) {
	_, rest, ok := strings.Cut(content, ";")
	rest, isURL := strings.CutPrefix(strings.TrimLeft(rest, " "), "url=")
	if !ok || !isURL || rest == "" || strings.ContainsRune(`'"`, rune(rest[0])) {
		return "", false
	}
	return rest, true
}

func TestContinueReadsBack(t *testing.T) {
	t.Parallel()
	for _, target := range targets {
		a := get("en", showContinue(target))
		meta, link := refresh.FindStringSubmatch(a.body), href.FindStringSubmatch(a.body)
		if a.status != 200 || meta == nil || link == nil {
			t.Errorf("%s: status %d, no refresh or no link:\n%s", target, a.status, a.body)
			continue
		}
		got, ok := readRefresh(html.UnescapeString(meta[1]))
		if !ok || !equal(t, got, target) {
			t.Errorf("the refresh leads to %q, want %q", got, target)
		}
		if got := html.UnescapeString(link[1]); !equal(t, got, target) {
			t.Errorf("the link leads to %q, want %q", got, target)
		}
	}
}

func TestContinueSaysWhere(t *testing.T) {
	t.Parallel()
	for target, want := range map[string][2]string{
		"https://login.microsoftonline.com/t/oauth2/v2.0/authorize?state=s": {"Going to login.microsoftonline.com", "login.microsoftonline.com に移動"},
		"http://127.0.0.1:33418/?code=c":                                    {"the app on this computer", "このコンピューターのアプリ"},
		"cursor://anysphere.cursor-mcp/oauth/callback":                      {"Opening the app", "アプリを開いています"},
	} {
		for i, lang := range []string{"en", "ja"} {
			if got := text(get(lang, showContinue(target)).body); !strings.Contains(got, want[i]) {
				t.Errorf("%s, %s: the page says %q, want %q", target, lang, got, want[i])
			}
		}
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	seen := map[string]pages.Problem{}
	for _, problem := range problems {
		for _, lang := range []string{"en", "ja"} {
			a := get(lang, showError(&pages.ErrorPage{Problem: problem}))
			if other, ok := seen[a.body]; ok || a.status != 400 || strings.Contains(a.body, `class="technical"`) || strings.Contains(a.body, "<a ") {
				t.Errorf("%s, %s: status %d, the same as %q, or with details or a link that it was not given:\n%s", problem, lang, a.status, other, a.body)
			}
			seen[a.body] = problem
		}
	}
	unknown, ours := get("en", showError(&pages.ErrorPage{Problem: "nonsense"})), get("en", showError(&pages.ErrorPage{Problem: pages.ServerProblem}))
	if unknown.body != ours.body {
		t.Errorf("a problem without a page: got\n%s\nwant\n%s", unknown.body, ours.body)
	}
}

func TestProblemDetails(t *testing.T) {
	t.Parallel()
	e := &pages.ErrorPage{Problem: pages.BadRequest, Code: "invalid_request", Detail: "<b>\u202e" + strings.Repeat("y", 10_000)}
	for _, target := range targets {
		e.Back = templateURL(target)
		for _, lang := range []string{"en", "ja"} {
			body := get(lang, showError(e)).body
			link := href.FindStringSubmatch(body)
			if link == nil || !equal(t, html.UnescapeString(link[1]), target) {
				t.Errorf("%s: the link leads to %q, want %q", lang, link, target)
			}
			if !strings.Contains(body, `<dd lang="en">&lt;b&gt;yyy`) || !strings.Contains(body, "<code>invalid_request</code>") ||
				strings.Contains(body, "\u202e") || strings.Contains(body, strings.Repeat("y", 500)) {
				t.Errorf("%s: the details are not there, not bounded or not clean:\n%s", lang, body)
			}
		}
	}
}

// The answer's id helps operators to find the request in the log.
func TestProblemRequestID(t *testing.T) {
	t.Parallel()
	const id = "5f0e2c7a9b1d4e60"
	show := showError(&pages.ErrorPage{Problem: pages.ServerProblem})
	if body := get("en", withRequestID(id, show)).body; !strings.Contains(body, "<code>"+id+"</code>") {
		t.Errorf("the page does not show the id %s:\n%s", id, body)
	}
}
