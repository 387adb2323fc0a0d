package resourceuri_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
)

// A pattern that can't match what it seems to say is an error that says what to write.
func TestPatternErrors(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"blob://docs/secret/**":        `write "blob://docs/secret/*"`,
		"blob://docs/**":               `write "blob://docs/*"`,
		"blob://docs/*/plan.txt":       `write "blob://docs/*"`,
		"*.txt":                        `write "*"`,
		"**":                           `write "*"`,
		"*/plan":                       `write "*"`,
		"blob://docs/{+path}":          `write "blob://docs/*"`,
		"blob://docs/<path>":           `write "blob://docs/*"`,
		"blob://docs/<path>/*":         `write "blob://docs/*" for all that begin with it, or %3C`,
		"blob://docs/a>*":              `write "blob://docs/a*" for all that begin with it, or %3E`,
		"<scheme>://docs/*":            "can't be part of a URI",
		"blob://docs/{a,b}/*":          `write "blob://docs/*"`,
		"blob://docs/secret/* ":        "remove it",
		" blob://docs/secret/*":        "remove it",
		"blob://docs/secret/*\n":       "remove it",
		"blob://docs/secret/*\r":       "remove it",
		"blob://docs/my docs/*":        "%20",
		"blob://docs/secret/\t*":       "remove it",
		"blob://docs/secret\u00a0/*":   "remove it",
		"blob://docs/\u200bsecret/*":   "remove it",
		"\ufeffblob://docs/secret/*":   "remove it",
		"blob://docs/secret/\x00*":     "remove it",
		"blob://docs/\xff*":            "UTF-8",
		"blob://docs/100%/*":           "%25",
		"blob://docs/secret%2*":        "%25",
		"blob://docs/%zz":              "%25",
		`blob://docs\secret\*`:         "write /",
		"blob://docs/[ab]/*":           "%5B",
		"docs/secret/*":                "scheme",
		"/docs/secret/*":               "scheme",
		"//docs/secret/*":              "scheme",
		"secret":                       "scheme",
		"":                             `"*" matches all`,
		`"blob://docs/x"`:              "scheme",
		`"blob://docs/*"`:              "only the last",
		"blob://docs/secret/*,note://": `write "blob://docs/secret/*"`,
	} {
		wantError(t, pattern, want, resourceuri.ParseURIPattern)
	}
	for pattern, want := range map[string]string{
		"read_**": `write "read_*"`, "*_blob": `write "*"`, "re*_blob": `write "re*"`, "{read,list}_blob": `write "*"`, "read_blob ": "remove it", " read_blob": "remove it",
		"read_blob\n": "remove it", "read_*\n": "remove it", "read_* ": "remove it", "read_ *": "remove it", "read_\tblob": "remove it", "read\u200b_blob": "remove it",
		"dr**": `write "dr*"`, "*ft": `write "*"`, "dra\u00a0ft": "remove it", "draft*\r\n": "remove it", "{name}": `write "*"`, "": `"*" matches all`, "a\xff": "UTF-8",
	} {
		wantError(t, pattern, want, resourceuri.ParseNamePattern)
	}
}

func wantError(t *testing.T, pattern, want string, parse func(string) (resourceuri.Pattern, error)) {
	t.Helper()
	if _, err := parse(pattern); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%q: error %v, want one with %q", pattern, err, want)
	}
}

func TestNamePatterns(t *testing.T) {
	t.Parallel()
	for pattern, names := range map[string]struct{ yes, no string }{
		"read_blob":     {"read_blob", "read_blobs read read_blob/"},
		"read_*":        {"read_ read_blob read_blob/x", "read Read_blob"},
		"*":             {"x read_blob", ""},
		"weekly report": {"", "weekly report"},
	} {
		p, err := resourceuri.ParseNamePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(names.yes) {
			if !p.Matches(name) {
				t.Errorf("%q does not match %q, want a match", pattern, name)
			}
		}
		for name := range strings.FieldsSeq(names.no) {
			if p.Matches(name) {
				t.Errorf("%q matches %q, want no match", pattern, name)
			}
		}
	}
	all := resourceuri.Name("x*")
	if all.Matches("xy") || !all.Matches("x*") {
		t.Error("a name with a star is taken for a prefix")
	}
}

// Of a template a pattern matches all URIs, some, or none.
func TestPatternsOfTemplates(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ pattern, all, some, none string }{
		{"note://team/*", "note://team/{name} note://team/{+path} note://team/x{y}", "note://{+rest} note:{+rest} note://{team}/x", "note://other/{name} greeting://{name} blob://docs/{+path}"},
		{"note://team/plan", "", "note://team/{name} note://{+rest}", "note://team/{name}/x note://team/x{name}"},
		{"note://*", "note://{+rest} note:{+rest} note://team/{name}", "", "blob://{+rest}"},
		{"*", "note://{+rest} x:{y}", "", ""},
		{"note://team/a%2F*", "note://team/a%2F{name} note://team/a/{name}", "note://team/{name}", "note://team/b{name}"},
	} {
		p, err := resourceuri.ParseURIPattern(row.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for want, templates := range map[string]string{"all": row.all, "some": row.some, "none": row.none} {
			for template := range strings.FieldsSeq(templates) {
				got := "none"
				if p.MatchesSome(template) {
					got = "some"
				}
				if p.MatchesAll(template) {
					got = "all"
				}
				if got != want {
					t.Errorf("%q matches %s URIs of %q, want %s", row.pattern, got, template, want)
				}
			}
		}
	}
}

// What a pattern allows is named by every reading of the URI, and never by a reading of the pattern.
func TestNames(t *testing.T) {
	t.Parallel()
	for pattern, uris := range map[string]struct{ yes, no string }{
		"note://own":         {"note://own NOTE://ow%6E note://OWN", "note://own/ note://own/x note://own?x note://x/../own note://x@own note://own%2F"},
		"note://team/*":      {"note://team/ note://team/plan note://team/a%20b note://team/x/../plan note://team/a%2Fb note://team/a//b", "note://team note://team/../own note://team/..%2F..%2Fown note://team/%252e%252e%252Fown note://teams/x note://team:80/x note://x/..%2F../team/plan note://team/x%5C..%5C..%5Cy"},
		"note://caf%C3%A9/é": {"note://caf%c3%a9/%c3%a9 note://café/é", "note://cafe/é"},
		"note://a%2Fb":       {"note://a%2Fb note://a%2fb", "note://a/b note://a%252Fb"},
		"note://a/b%2F*":     {"note://a/b%2Fc", "note://a/b/c note://a/b%2F..%2Fc"},
		"urn:isbn:1*":        {"urn:isbn:123 URN:isbn:1", "urn:isbn:2 urn:isbn:1/../2"},
		"file:///etc/x/*":    {"file:///etc/x/y FILE:///%65tc/x/y file:///etc/z/../x/y", "file:///etc/y file://etc/x/y file:///etc/x/..%2Fy"},
		"*":                  {"note://own urn:isbn:1 note://team/..%2Fown", "note://%252525252525252541"},
	} {
		p, err := resourceuri.ParseURIPattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for uri := range strings.FieldsSeq(uris.yes) {
			if !p.Names(uri) {
				t.Errorf("%q does not name %q, want that it does", pattern, uri)
			}
		}
		for uri := range strings.FieldsSeq(uris.no) {
			if p.Names(uri) {
				t.Errorf("%q names %q, want that it does not", pattern, uri)
			}
		}
	}
}

// What a completion has filled in decides what it may lead to.
func TestExpand(t *testing.T) {
	t.Parallel()
	values := map[string]string{"name": "a b/c%", "path": "x/y z", "empty": ""}
	for _, row := range []struct {
		template, argument, begin string
		replaced                  bool
	}{
		{"note://team/{name}", "name", "note://team/a%20b%2Fc%25", true},
		{"note://{+path}/{unknown}/{name}", "path", "note://x/y%20z/", true},
		{"note://{+path}/{unknown}/{name}", "name", "note://x/y%20z/", false},
		{"note://{#path}", "path", "note://#x/y%20z", true},
		{"note://{a,b}", "a", "note://", false},
		{"note://x{empty}y", "empty", "note://xy", true},
		{"note://x", "name", "", false},
	} {
		begin, replaced := resourceuri.Expand(row.template, values, row.argument)
		if begin != row.begin || replaced != row.replaced {
			t.Errorf("Expand(%q, %q) = %q, %v, want %q, %v", row.template, row.argument, begin, replaced, row.begin, row.replaced)
		}
	}
}

// A URI that nobody can read in two ways costs no memory.
func TestPlainURIsAreFree(t *testing.T) {
	p, err := resourceuri.ParseURIPattern("blob://docs/secret/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{"blob://docs/reports/2026/q3/summary.txt", "note://own", "note://team/a%20b"} {
		if n := testing.AllocsPerRun(100, func() { _ = resourceuri.Canonical(uri) }); n != 0 {
			t.Errorf("Canonical(%q) allocates %v times, want 0", uri, n)
		}
		if n := testing.AllocsPerRun(100, func() { p.MatchesURI(uri) }); n != 0 && !strings.Contains(uri, "%") {
			t.Errorf("MatchesURI(%q) allocates %v times, want 0", uri, n)
		}
	}
}
