package pattern_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/pattern"
)

func matches(p *pattern.Name, name string) bool {
	ok, err := p.Match(nil, name)
	return ok && err == nil
}

func TestNamePattern(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, matches, misses string // separated by spaces
		prefix                   string
	}{
		{"a.csv", "a.csv", "a-csv xa.csv a.csvx", "a.csv"},
		{"*.csv", "a.csv .csv", "a/b.csv a.CSV", ""},
		{"**/*.csv", "a.csv a/b.csv a/b/c.csv /a.csv", "a.txt acsv", ""},
		{"reports/**", "reports/a reports/a/b reports/", "reports other/reports/a", "reports/"},
		{"reports/**/a.md", "reports/a.md reports/x/y/a.md", "reports/xa.md reportsa.md", "reports/"},
		{"a/**/**/b", "a/b a/x/b a/x/y/b", "ab a/xb", "a/"},
		{"{**/a,b}/**/c", "a/c x/a/c a/x/c b/c", "xa/c x/b/c ac", ""},
		{"{a/,b/}**/c", "a/c b/c a/x/c", "a/xc c ac", ""},
		{"{a/,{b/,}}**/c", "a/c b/c c x/c", "bc", ""},
		{"{a,b/}**/c", "a/c b/x/c ax/c", "ac bc", ""},
		{"x{**/a,b}", "x/a xy/a xb", "xa", "x"},
		{"a**b", "ab a/x/b axb", "a b", "a"},
		{"x**/b", "x/b xy/z/b", "xb", "x"},
		{"2026-??", "2026-01", "2026-1 2026-/1", "2026-"},
		{"[a-c]*", "a bx c", "d /a", ""},
		{"[!a-c]x", "dx", "ax /x", ""},
		{"[+-9]x", "+x 9x .x", "/x", ""},
		{"[]", "", "", "!"},
		{"[/]", "", "", "!"},
		{"[a", "", "", "!"},
		{"[z-a]", "", "", "!"},
		{"[^a]", "^ a", "b", ""},
		{`[\]`, `\`, "a", ""},
		{"*.{csv,t[sx]v}", "a.csv a.tsv a.txv", "a.tv", ""},
		{"{a,b/{c,d}}/x", "a/x b/c/x b/d/x", "b/x c/x", ""},
		{"{a", "", "", "!"},
		{"a}", "", "", "!"},
		{"a,b", "a,b", "a b", "a,b"},
		{`\*\?\[\{`, `*?[{`, `a`, `*?[{`},
		{`a\`, "", "", "!"},
		{"日本/*.txt", "日本/東京.txt", "日本.txt", "日本/"},
		{"(a|b)+.$^", "(a|b)+.$^", "a", "(a|b)+.$^"},
		{strings.Repeat("a", 1025), "", "", "!"},
		{"\xff", "", "", "!"},
	} {
		p, err := pattern.ParseName(c.pattern, false)
		if c.prefix == "!" {
			if !errors.Is(err, fault.ErrInvalidArgument) {
				t.Errorf("ParseName(%q) = %v, want an invalid argument", c.pattern, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("ParseName(%q) = %v, want nil", c.pattern, err)
			continue
		}
		if got := p.Prefix; got != c.prefix {
			t.Errorf("ParseName(%q).Prefix = %q, want %q", c.pattern, got, c.prefix)
		}
		for name := range strings.FieldsSeq(c.matches) {
			if !matches(p, name) {
				t.Errorf("Match(%q, %q) = false, want true", c.pattern, name)
			}
		}
		for name := range strings.FieldsSeq(c.misses) {
			if matches(p, name) {
				t.Errorf("Match(%q, %q) = true, want false", c.pattern, name)
			}
		}
	}
	p, err := pattern.ParseName("Reports/*.CSV", true)
	if err != nil || !matches(p, "rePORTS/a.csv") || p.Prefix != "" {
		t.Errorf("without regard to case: got %v, prefix %q; want nil, none, and a match", err, p.Prefix)
	}
}

// FuzzNamePattern: a pattern means what a plain matcher says, and its prefix begins
// all names that match.
func FuzzNamePattern(f *testing.F) {
	for _, s := range [][2]string{{"**/*.a", "b/c.a"}, {"a?b*", "axb/c"}, {"**", "/"}, {"a/**/b", "a/b"}, {"[a-", "x"}, {"***/a", "b/a"}, {"a\\*", "a*"}, {"x**/", "x/"}, {"a/**/**/", "a/"}, {"{**/a,b}?", "x/ac"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, given, name string) {
		p, err := pattern.ParseName(given, false)
		if err != nil {
			return
		}
		got := matches(p, name)
		if got && !strings.HasPrefix(name, p.Prefix) {
			t.Fatalf("%q matches %q, which does not begin with %q", given, name, p.Prefix)
		}
		if strings.ContainsAny(given, `[]\`+border) || afterBraces.MatchString(given) || len(given) > 16 || len(name) > 20 || !isASCII(name) {
			return
		}
		matches := func(one string) bool { return plainMatch(one, name, true) }
		if want := slices.ContainsFunc(expand(given), matches); got != want {
			t.Fatalf("Match(%q, %q) = %t, want %t", given, name, got, want)
		}
	})
}

// afterBraces is where a segment may begin after one alternative and not after another.
var afterBraces = regexp.MustCompile(`\}[{},]*\*\*`)

// border stands where a brace or a comma was: the stars on its sides are not one wildcard.
const border = "\x00"

// expand returns the patterns without braces that a pattern stands for.
func expand(pattern string) []string {
	open := strings.IndexByte(pattern, '{')
	if open < 0 {
		return []string{pattern}
	}
	var all []string
	depth, begin := 0, open+1
	for i := open; i < len(pattern); i++ {
		switch pattern[i] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 || depth == 1 && pattern[i] == ',' {
			all = append(all, pattern[begin:i])
			begin = i + 1
		}
		if depth == 0 {
			break
		}
	}
	var expanded []string
	for _, one := range all {
		expanded = append(expanded, expand(pattern[:open]+border+one+border+pattern[begin:])...)
	}
	return expanded
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 })
}

// plainMatch is the meaning of *, ** and ?; start: a segment begins here.
func plainMatch(pattern, name string, start bool) bool {
	pattern = strings.TrimLeft(pattern, border)
	if pattern == "" {
		return name == ""
	}
	stars := len(pattern) - len(strings.TrimLeft(pattern, "*"))
	rest := pattern[stars:]
	switch {
	case stars > 1 && start && strings.HasPrefix(rest, "/"):
		if plainMatch(rest[1:], name, true) {
			return true
		}
		for i := range name {
			if name[i] == '/' && plainMatch(rest[1:], name[i+1:], true) {
				return true
			}
		}
		return false
	case stars > 0:
		for i := 0; i <= len(name); i++ {
			if plainMatch(rest, name[i:], false) {
				return true
			}
			if i < len(name) && stars == 1 && name[i] == '/' {
				break
			}
		}
		return false
	case name == "" || pattern[0] == '?' && name[0] == '/' || pattern[0] != '?' && pattern[0] != name[0]:
		return false
	}
	return plainMatch(pattern[1:], name[1:], pattern[0] == '/')
}
