// Package uritest has many ways to spell a URI and to read one, for tests of policies
// and tool sets.
package uritest

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// Readers are what handlers make of a note:// URI, soundly or not.
var Readers = map[string]func(string) string{
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

// Spellings returns URIs that some handler takes for scheme://host/folder/file.
func Spellings(scheme, host, folder, file string) []string {
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
