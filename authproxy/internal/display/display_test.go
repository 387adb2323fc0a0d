package display_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/display"
)

func TestName(t *testing.T) {
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
		if got := display.Name(name); got != want {
			t.Errorf("Name(%.40q) = %q, want %q", name, got, want)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"Claude Code", "\u202eevil", "a\u0301\u0301\u0301\u0301\u0301", strings.Repeat("n ", 99), "\xff\u3164 x", "</bdi>", "﷽﷽"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := display.Name(name)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 100 || got != strings.TrimSpace(got) || strings.Contains(got, "  ") {
			t.Errorf("Name(%q) = %q: not UTF-8, longer than 100 characters, or with room to spare", name, got)
		}
		for _, r := range got {
			if unicode.In(r, unicode.C, unicode.Bidi_Control, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) {
				t.Errorf("Name(%q) = %q has %U", name, got, r)
			}
		}
		if again := display.Name(got); again != got {
			t.Errorf("Name(%q) = %q, and again %q", name, got, again)
		}
	})
}
