package mcpentra_test

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// One spelling stands for all that RFC 3986 (section 6.2.2) calls equivalent, and
// for nothing else.
func TestCanonicalURI(t *testing.T) {
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
		got := mcpentra.CanonicalURI(uri)
		if got != want {
			t.Errorf("canonical(%q) = %q, want %q", uri, got, want)
		}
		if again := mcpentra.CanonicalURI(got); again != got {
			t.Errorf("canonical(%q) = %q: not the same again", got, again)
		}
	}
}

// FuzzURI: the canonical form is one; and whatever a handler makes of a URI that
// the rule lets through, it is not what the rule closes.
func FuzzURI(f *testing.F) {
	for _, uri := range append(closedSpellings("note", "team", "hr", "plan"), "note://open/x", "a:b", "%", "note:///", "note:/..//x", "//x/%2e", "note://%2525252525/") {
		f.Add(uri)
	}
	closes := mcpentra.Closes("note://team/*")
	f.Fuzz(func(t *testing.T, uri string) {
		one := mcpentra.CanonicalURI(uri)
		if again := mcpentra.CanonicalURI(one); again != one {
			t.Fatalf("%q is %q, which is %q", uri, one, again)
		}
		if closes(uri) || !strings.HasPrefix(one, "note:") {
			return
		}
		if closes(one) {
			t.Fatalf("%q is let through, and %q is not", uri, one)
		}
		for name, handler := range handlers {
			for _, seen := range []string{uri, one} {
				below, ok := strings.CutPrefix(handler(seen), "team/")
				if ok && below != "" && below[0] != '?' && below[0] != '#' { // which would be the folder itself
					t.Fatalf("%s reads %q as %q below team", name, uri, below)
				}
			}
		}
	})
}

// handlers are what handlers may make of a URI, sound or not.
var handlers = map[string]func(string) string{
	"as it is": func(uri string) string { return strings.TrimPrefix(uri, "note://") },
	"decoded":  func(uri string) string { return strings.TrimPrefix(unescaped(uri), "note://") },
	"decoded twice": func(uri string) string {
		return strings.TrimPrefix(unescaped(unescaped(uri)), "note://")
	},
	"cleaned": func(uri string) string {
		return strings.TrimPrefix(path.Clean("/"+strings.TrimPrefix(uri, "note:")), "/")
	},
	"decoded and cleaned": func(uri string) string {
		return strings.TrimPrefix(path.Clean("/"+strings.TrimPrefix(unescaped(uri), "note:")), "/")
	},
	"parsed": func(uri string) string {
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "note" {
			return ""
		}
		return u.Host + u.Path
	},
	"parsed without port and cleaned": func(uri string) string {
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "note" {
			return ""
		}
		return strings.TrimPrefix(path.Clean("/"+strings.ToLower(u.Hostname())+"/"+u.Path), "/")
	},
	"joined": func(uri string) string {
		joined, _ := url.JoinPath(uri)
		return strings.TrimPrefix(joined, "note://")
	},
	"as a form": func(uri string) string {
		decoded, _ := url.QueryUnescape(uri)
		return strings.TrimPrefix(decoded, "note://")
	},
	"of Windows": func(uri string) string {
		return strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(strings.TrimPrefix(unescaped(uri), "note:"), `\`, "/")), "/")
	},
}

func unescaped(s string) string {
	decoded, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return decoded
}

// closedSpellings are ways to write scheme://host/folder/file, or what some handler
// takes for it.
func closedSpellings(scheme, host, folder, file string) []string {
	first := func(s string) string { return fmt.Sprintf("%%%02x", s[0]) + s[1:] } // its first byte escaped
	at := func(s string) string { return scheme + "://" + s }
	h, d, f := host, folder, file
	all := []string{
		at(h + "/" + d + "/" + f), strings.ToUpper(scheme) + "://" + h + "/" + d + "/" + f, at(strings.ToUpper(h) + "/" + d + "/" + f),
		at(h + "/" + first(d) + "/" + f), at(first(h) + "/" + d + "/" + f), at(h + "/" + d + "/" + first(f)), at(first(h) + "/" + first(d) + "/" + first(f)),
		at(h + "/" + d + "%2F" + f), at(h + "/" + d + "%2f" + f), at(h + "%2F" + d + "%2F" + f), at(h + "%2f" + d + "/" + f),
		at(h + "/" + d + "%252F" + f), at(h + "/" + d + "%252f" + f), at(h + "/" + d + "%25252F" + f),
		at(h + "/" + strings.Replace(first(d), "%", "%25", 1) + "/" + f), at(h + "/" + strings.Replace(first(d), "%", "%2525", 1) + "/" + f),
		at(h + "/./" + d + "/" + f), at(h + "/x/../" + d + "/" + f), at(h + "/../" + d + "/" + f), at(h + "/" + d + "/./" + f), at(h + "/" + d + "/x/../" + f),
		at(h + "/%2e/" + d + "/" + f), at(h + "/x/%2e%2e/" + d + "/" + f), at(h + "/x/.%2E/" + d + "/" + f), at(h + "/x/%2e./" + d + "/" + f),
		at(h + "/x%2F..%2F" + d + "/" + f), at(h + "/x%2F%2e%2e%2F" + d + "%2F" + f), at(h + "/x/..%2F" + d + "/" + f), at(h + "/x%2f../" + d + "/" + f),
		at(h + "/x%252F..%252F" + d + "/" + f), at(h + "/x/%252e%252e/" + d + "/" + f), at(h + "/" + d + "/../" + d + "/" + f),
		at(h + "//" + d + "/" + f), at(h + "/" + d + "//" + f), at(h + "///" + d + "///" + f), at(h + "/%2F" + d + "/" + f), at(h + "/x//..//" + d + "/" + f),
		at(h + "/x//..%2F..%2F" + d + "/" + f), at(h + "/" + d + "/" + f + "/"), at(h + "/" + d + "/" + f + "/."), at(h + "/" + d + "/" + f + "%2F"),
		at(h + `/` + d + `\` + f), at(h + "/" + d + "%5C" + f), at(h + "/" + d + "%5c" + f), at(h + `\` + d + `\` + f), at(h + "/x%5C..%5C" + d + "%5C" + f), at(h + "/x/..%255C" + d + "/" + f),
		at(h + "/" + d + "/" + f + "?"), at(h + "/" + d + "/" + f + "?x=1"), at(h + "/" + d + "/" + f + "#x"), at(h + "/" + d + "/" + f + "%3Fx"), at(h + "/" + d + "/" + f + "%23"),
		at("user@" + h + "/" + d + "/" + f), at("user:word@" + h + "/" + d + "/" + f), at(h + ":80/" + d + "/" + f), at(h + ":/" + d + "/" + f), at("a@b@" + h + ":1/" + d + "/" + f),
		scheme + ":///" + h + "/" + d + "/" + f, scheme + ":/" + h + "/" + d + "/" + f, scheme + ":" + h + "/" + d + "/" + f, scheme + ":////" + h + "/" + d + "/" + f,
		at("x/../" + h + "/" + d + "/" + f), at("./" + h + "/" + d + "/" + f), at("x%2F..%2F" + h + "/" + d + "/" + f), scheme + ":%2F%2F" + h + "/" + d + "/" + f,
		scheme + ":/x/..//" + h + "/" + d + "/" + f, at(h + "/" + d + "/%" + fmt.Sprintf("%%%02x", '2') + "e%2e/" + d + "/" + f), at(h + "/" + d + "/%ff"), at(h + "/" + d + "/" + f + "%00"),
		at(h + "/%25%37%33/../" + d + "/" + f), at(h + "/" + d + "/%" + f), at(h + "/" + d + "/" + f + " "), at(h + "/" + d + "/日本"),
	}
	return all
}
