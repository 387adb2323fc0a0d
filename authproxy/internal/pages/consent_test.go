package pages_test

import (
	"html"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
)

// text returns what a page says, without its markup.
func text(body string) string {
	_, body, _ = strings.Cut(body, "<main>")
	return html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, ""))
}

func TestConsentShows(t *testing.T) {
	t.Parallel()
	const (
		unverified = "Nobody has checked this app."
		document   = "Nobody has checked what this app calls itself."
		local      = "Any program on this computer"
		scheme     = "Any app on this device"
		another    = "to another site"
	)
	for name, want := range map[string]struct{ has, not []string }{
		"registered":   {[]string{"“Acme Notes”", "notes.example.com", "registered itself", unverified, "for 30 days"}, []string{local, scheme, another}},
		"local":        {[]string{"“MCP Inspector”", "This computer", "registered itself", unverified, local, "asked again"}, []string{"localhost", scheme}},
		"document":     {[]string{"“Acme Code”", "Described by acme.example", "app.acme.example", document}, []string{local, another, "registered itself"}},
		"elsewhere":    {[]string{"Described by acme.example", document, "to another site, notacme.example", "for one day"}, []string{local}},
		"preset":       {[]string{"“Claude”", "claude.ai", "its addresses are those of Claude"}, []string{"What it says", "Nobody", local}},
		"preset-local": {[]string{"“Visual Studio Code”", "This computer", local}, []string{"Nobody"}},
		"configured":   {[]string{"“Acme Desk”", "desk.example.com", "Set up by those who run Contoso Files"}, []string{"Nobody", local}},
		"app":          {[]string{"The app that opens cursor: links", scheme, unverified}, []string{"ZgotmplZ", local}},
		"nameless":     {[]string{"an app without a name"}, []string{"“”"}},
	} {
		a := get("en", showConsent(consents()[name]))
		got := text(a.body)
		for _, part := range append(want.has, scope, "https://mcp.example.com/mcp/files.read", "on your behalf", "Every app that signs in here gets all of these permissions", "Contoso Files") {
			if !strings.Contains(got, part) {
				t.Errorf("%s: the page does not say %q:\n%s", name, part, got)
			}
		}
		for _, part := range want.not {
			if strings.Contains(got, part) {
				t.Errorf("%s: the page says %q", name, part)
			}
		}
	}
}

// Both languages say the same: each warning, for the same clients.
func TestConsentWarnsInBothLanguages(t *testing.T) {
	t.Parallel()
	for name, c := range consents() {
		english, japanese := get("en", showConsent(c)).body, get("ja", showConsent(c)).body
		for _, part := range []string{`class="warning"`, "<p>", "<dt>", "<li>", "<button", "<input"} {
			if e, j := strings.Count(english, part), strings.Count(japanese, part); e != j {
				t.Errorf("%s: %s is there %d times in English, %d times in Japanese", name, part, e, j)
			}
		}
		if hasJapanese := regexp.MustCompile(`\p{Hiragana}`); hasJapanese.MatchString(english) || !hasJapanese.MatchString(japanese) {
			t.Errorf("%s: the languages are mixed", name)
		}
	}
}

func TestConsentForm(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "ja"} {
		body := get(lang, showConsent(consents()["hostile"])).body
		for _, part := range []string{
			`<form method="post" action="https://mcp.example.com/consent" autocomplete="off">`,
			`<input type="hidden" name="form" value="sealed">`,
			`<input type="hidden" name="csrf" value="&#34;&gt;&lt;script&gt;">`,
			`<button name="decision" value="approve"`,
			`<button name="decision" value="deny"`,
		} {
			if strings.Count(body, part) != 1 {
				t.Errorf("%s: %s is not there once:\n%s", lang, part, body)
			}
		}
		if strings.Contains(body, "autofocus") {
			t.Errorf("%s: an answer has the focus from the start", lang)
		}
	}
}

// A stranger's name is text in its own direction, and a host is ASCII.
func TestConsentHostileName(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "ja"} {
		body := get(lang, showConsent(consents()["hostile"])).body
		for _, part := range []string{"\u202e", "\u2066", "<script", "evil<", strings.Repeat("x", 100)} {
			if strings.Contains(body, part) {
				t.Errorf("%s: the page has %q", lang, part)
			}
		}
		for _, part := range []string{`<bdi class="name">evil&lt;/bdi&gt;&lt;script&gt;`, "xn--pple-43d.com", `\u202e\u201cx\u201d.example`} {
			if !strings.Contains(body, part) {
				t.Errorf("%s: the page has no %q:\n%s", lang, part, body)
			}
		}
	}
}

func BenchmarkShowConsent(b *testing.B) {
	c := consents()["document"]
	r := httptest.NewRequest("GET", "/authorize", nil)
	r.Header.Set("Accept-Language", "ja,en-US;q=0.9,en;q=0.8")
	p := pages.New()
	b.ReportAllocs()
	for b.Loop() {
		p.ShowConsent(httptest.NewRecorder(), r, c)
	}
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
