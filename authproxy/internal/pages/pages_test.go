package pages_test

import (
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
)

func TestHeaders(t *testing.T) {
	t.Parallel()
	eachPage(t, func(t *testing.T, _, lang string, a answer) {
		_, style, _ := strings.Cut(a.body, "<style>")
		style, _, _ = strings.Cut(style, "</style>")
		hash := sha256.Sum256([]byte(style))
		for name, want := range map[string]string{
			"Cache-Control": "no-store",
			"Content-Security-Policy": "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
				"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Frame-Options":            "DENY",
			"X-Content-Type-Options":     "nosniff",
			"Referrer-Policy":            "same-origin",
			"Vary":                       "Accept-Language",
			"Content-Type":               "text/html; charset=utf-8",
			"Content-Language":           lang,
			"Cross-Origin-Opener-Policy": "", // would cut pop-ups from their opener
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}

var (
	active   = regexp.MustCompile(`(?i)<(script|img|link|iframe|object|embed|base|video|audio)\b|<[^>]*\s(on[a-z]+|style|src)\s*=|@import|url\(`)
	internal = regexp.MustCompile(`ZgotmplZ|ZgotmplT|<no value>|%!`)
)

// The policy would stop them, and people would see half a page.
func TestNothingButTextAndForm(t *testing.T) {
	t.Parallel()
	eachPage(t, func(t *testing.T, name, _ string, a answer) {
		if found := active.FindString(a.body); found != "" {
			t.Errorf("the page has %q", found)
		}
		if found := internal.FindString(a.body); found != "" {
			t.Errorf("the page has %q of the template machinery", found)
		}
		if links := strings.Count(a.body, "<a "); strings.HasPrefix(name, "consent") && links != 0 {
			t.Errorf("the consent page has %d links, want none: names and hosts are text", links)
		}
	})
}

// What screen readers go by.
func TestStructure(t *testing.T) {
	t.Parallel()
	eachPage(t, func(t *testing.T, _, lang string, a answer) {
		for _, once := range []string{`<html lang="` + lang + `">`, "<main>", "<h1>", "<title>", `name="viewport" content="width=device-width, initial-scale=1"`} {
			if n := strings.Count(a.body, once); n != 1 {
				t.Errorf("%q is there %d times, want once", once, n)
			}
		}
		if strings.Contains(a.body, "<title></title>") || strings.Contains(a.body, "<h1></h1>") {
			t.Error("the title or the heading is empty")
		}
		ids := map[string]bool{}
		for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(a.body, -1) {
			if ids[m[1]] {
				t.Errorf("two elements have the id %q", m[1])
			}
			ids[m[1]] = true
		}
		for _, m := range regexp.MustCompile(` aria-(?:labelledby|describedby)="([^"]*)"`).FindAllStringSubmatch(a.body, -1) {
			if !ids[m[1]] {
				t.Errorf("no element has the id %q that another refers to", m[1])
			}
		}
	})
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	show := everyPage()["consent-registered"]
	for header, want := range map[string]string{
		"":                                    "en",
		"en":                                  "en",
		"en-GB,en;q=0.9":                      "en",
		"ja":                                  "ja",
		"ja-JP":                               "ja",
		"JA-jp":                               "ja",
		"ja,en-US;q=0.9,en;q=0.8":             "ja",
		"en-US,en;q=0.9,ja;q=0.8":             "en",
		"en;q=0.5,ja;q=0.8":                   "ja",
		"fr-FR,fr;q=0.9,ja;q=0.5,en;q=0.3":    "ja",
		"fr-FR, de;q=0.5":                     "en",
		"*":                                   "en",
		"ja;q=0, en":                          "en",
		"ja;q=0":                              "en",
		"ja;q=nonsense":                       "en",
		"\x00;;;,,q==":                        "en",
		"ja," + strings.Repeat("x", 1000):     "en", // no browser's
		strings.Repeat("a-", 10_000) + ";q=1": "en",
	} {
		a := get(header, show)
		if got := a.header.Get("Content-Language"); got != want || !strings.Contains(a.body, `<html lang="`+want+`">`) {
			t.Errorf("Accept-Language %.60q: language %q, want %q", header, got, want)
		}
	}
}

// Templates are escaped as they are first shown, which may be at the same time.
func TestFirstPagesAtOnce(t *testing.T) {
	t.Parallel()
	fresh := pages.New()
	var all sync.WaitGroup
	for _, problem := range problems {
		for _, lang := range []string{"en", "ja"} {
			all.Go(func() {
				e := &pages.ErrorPage{Problem: problem}
				got := get(lang, func(w http.ResponseWriter, r *http.Request) { fresh.ShowError(w, r, 400, e) })
				if want := get(lang, showError(e)); got.body != want.body {
					t.Errorf("%s, %s: got\n%s\nwant\n%s", problem, lang, got.body, want.body)
				}
			})
		}
	}
	all.Wait()
}

var update = flag.Bool("update", false, "write the golden files of testdata")

// The style is in one file of its own: it is the same on each page.
func TestGolden(t *testing.T) {
	t.Parallel()
	style := regexp.MustCompile(`(?s)<style>.*</style>`)
	eachPage(t, func(t *testing.T, name, lang string, a answer) {
		got := style.ReplaceAllString(a.body, "<style></style>")
		path := filepath.Join("testdata", name+"."+lang+".html")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("the page differs from %s; look at it and run with -update:\n%s", path, got)
		}
	})
}
