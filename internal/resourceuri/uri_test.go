package resourceuri_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri/uritest"
)

// One spelling stands for all that RFC 3986 (section 6.2.2) calls equivalent, and
// for nothing else.
func TestCanonicalURI(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"note://team/plan":                 "note://team/plan",
		"NOTE://Team/Plan":                 "note://team/Plan",
		"note://te%61m/%70lan":             "note://team/plan",
		"note://team/caf%c3%a9":            "note://team/caf%C3%A9",
		"note://team/café":                 "note://team/caf%C3%A9",
		"note://team/a b":                  "note://team/a%20b",
		"note://team/a%2fb":                "note://team/a%2Fb",
		"note://team/a%252Fb":              "note://team/a%252Fb",
		"note://team/x/../plan":            "note://team/plan",
		"note://team/x/%2E%2e/./plan":      "note://team/plan",
		"note://team/../../plan":           "note://team/plan",
		"note://team//plan/":               "note://team//plan/",
		"note://team/..%2Fplan":            "note://team/..%2Fplan",
		"note://team/100%":                 "note://team/100%25",
		"note://team/%zz":                  "note://team/%25zz",
		"note://team/%2%35":                "note://team/%2525",
		"note://team/a+b":                  "note://team/a+b",
		"note://team/a?q=../x#f":           "note://team/a?q=../x#f",
		"note://team/[x]":                  "note://team/%5Bx%5D",
		`note://team/a\b`:                  "note://team/a%5Cb",
		"note://User@Team:80/x":            "note://User@team:80/x",
		"blob://%24root/a":                 "blob://%24root/a",
		"blob://%64ocs/a":                  "blob://docs/a",
		"urn:isbn:../x":                    "urn:isbn:../x",
		"note:/..//x":                      "note:/.//x",
		"file:///etc/../x":                 "file:///x",
		"..":                               "..",
		"":                                 "",
		"greeting://Alice":                 "greeting://alice",
		"note://team/a%2F..%2Fb":           "note://team/a%2F..%2Fb",
		"note://team/.gitignore":           "note://team/.gitignore",
		"note://team/...":                  "note://team/...",
		"note://team/%e6%97%a5/%7Euser%2D": "note://team/%E6%97%A5/~user-",
	} {
		got := resourceuri.Canonical(uri)
		if got != want {
			t.Errorf("canonical(%q) = %q, want %q", uri, got, want)
		}
		if again := resourceuri.Canonical(got); again != got {
			t.Errorf("canonical(%q) = %q, want the same again", got, again)
		}
	}
}

// FuzzURI: the canonical form is one; and whatever a handler makes of a URI that
// the rule lets through, it is not what the rule closes.
func FuzzURI(f *testing.F) {
	for _, uri := range append(uritest.Spellings("note", "team", "hr", "plan"), "note://open/x", "a:b", "%", "note:///", "note:/..//x", "//x/%2e", "note://%2525252525/") {
		f.Add(uri)
	}
	closes := matches(f, "note://team/*")
	f.Fuzz(func(t *testing.T, uri string) {
		one := resourceuri.Canonical(uri)
		if again := resourceuri.Canonical(one); again != one {
			t.Fatalf("%q is %q, which is %q; want the same again", uri, one, again)
		}
		if closes(uri) || !strings.HasPrefix(one, "note:") {
			return
		}
		if closes(one) {
			t.Fatalf("%q is let through, and %q is not", uri, one)
		}
		for name, handler := range uritest.Readers {
			for _, seen := range []string{uri, one} {
				below, ok := strings.CutPrefix(handler(seen), "team/")
				if ok && below != "" && below[0] != '?' && below[0] != '#' { // which would be the folder itself
					t.Fatalf("%s reads %q as %q below team", name, uri, below)
				}
			}
		}
	})
}

// FuzzNames: whatever a handler makes of a URI that a pattern names, it is what the pattern says.
func FuzzNames(f *testing.F) {
	for _, uri := range append(uritest.Spellings("note", "team", "hr", "plan"), "note://team/..%2F..%2Fopen", "note://team/%252e%252e/x", "note://team:1/x") {
		f.Add(uri)
	}
	p, err := resourceuri.ParseURIPattern("note://team/*")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if !p.Names(uri) {
			return
		}
		one := resourceuri.Canonical(uri)
		for name, handler := range uritest.Readers {
			if seen := handler(one); seen != "" && seen != "team" && !strings.HasPrefix(seen, "team/") {
				t.Fatalf("%s reads %q, which is named, as %q", name, uri, seen)
			}
		}
	})
}
