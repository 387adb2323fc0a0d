package pages_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
)

func TestCleanName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 100)
	for name, want := range map[string]string{
		"Claude Code":                            "Claude Code",
		"メモ帳アプリ":                                 "メモ帳アプリ",
		"שלום":                                   "שלום",
		"  two \t words\r\n ":                    "two words",
		"line\u2028separator":                    "line separator",
		"no\u00a0break":                          "no break",
		"\u202eevil\u202c":                       "evil",
		"\u2066a\u2069\u200fb":                   "ab",
		"zero\u200bwidth\ufeff":                  "zerowidth",
		"tag\U000e0041\U000e007f":                "tag",
		"nul\x00bell\x07esc\x1b[0m":              "nulbellesc[0m",
		"bad\xff\xfeutf8":                        "badutf8",
		"private\ue000":                          "private",
		"\u3164\u115f\u2800\u00ad":               "",
		"":                                       "",
		"\u0301\u0301leading marks":              "leading marks",
		"e\u0301":                                "e\u0301",
		"z\u0301\u0302\u0303\u0304\u0305\u0306!": "z\u0301\u0302\u0303!",
		"<b>&amp;":                               "<b>&amp;",
		"emoji 🙂":                                "emoji 🙂",
		long:                                     long,
		long + " ":                               long,
		long + "n":                               long[:99] + "…",
		long + " n":                              long[:99] + "…",
		"語" + long:                               "語" + long[:98] + "…",
		long + "\u202e":                          long,
	} {
		if got := pages.CleanName(name); got != want {
			t.Errorf("CleanName(%.40q) = %q, want %q", name, got, want)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, seed := range []string{"Claude Code", "\u202eevil", "a\u0301\u0301\u0301\u0301\u0301", strings.Repeat("n ", 99), "\xff\u3164 x", "</bdi>", "﷽﷽"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := pages.CleanName(name)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 100 || got != strings.TrimSpace(got) || strings.Contains(got, "  ") {
			t.Errorf("CleanName(%q) = %q: not UTF-8, longer than 100 characters, or with room to spare", name, got)
		}
		for _, r := range got {
			if unicode.In(r, unicode.C, unicode.Bidi_Control, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) {
				t.Errorf("CleanName(%q) = %q has %U", name, got, r)
			}
		}
		if again := pages.CleanName(got); again != got {
			t.Errorf("CleanName(%q) = %q, and again %q", name, got, again)
		}
	})
}

// Whatever a client calls itself, the page's markup is the same.
func FuzzConsent(f *testing.F) {
	f.Add("Claude Code", "claude.ai", "https://claude.ai/cb", "api://x/y")
	f.Add("</bdi><script>", "\u202e", "javascript:alert(1)", "\"><img src=x onerror=y>")
	f.Add("`${x}`", "a'b", "http://[::1", "</code></ul>")
	f.Fuzz(func(t *testing.T, name, host, redirect, scope string) {
		a := get("en", showConsent(&pages.Consent{ClientName: name, ClientHost: host, Redirect: redirect, Server: name, Scopes: []string{scope}, Action: "/consent", Fields: map[string]string{"form": name}}))
		body := a.body[strings.Index(a.body, "<body>"):]
		if a.status != 200 || strings.Count(body, "<form") != 1 || strings.Count(body, "<button") != 2 || strings.Count(body, "<input") != 1 ||
			strings.Count(body, "<li>") != 1 || strings.Contains(body, "<a") || active.MatchString(body) {
			t.Errorf("name %q, host %q, redirect %q, scope %q: status %d\n%s", name, host, redirect, scope, a.status, body)
		}
	})
}
