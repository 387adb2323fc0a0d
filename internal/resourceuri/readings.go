package resourceuri

import (
	"slices"
	"strings"
)

// Limits on readings. Deeper escapes or longer readings make the list incomplete.
const (
	maxDecodings = 4
	maxReadings  = 64 << 10
)

// Readings returns every way in which a handler may read a URI. A handler may decode it once more
// or not at all, clean its path, treat a backslash or %2F as a slash, decode it as a form, or
// ignore the port and query. A policy for any reading applies to the URI.
//
// The list is incomplete if the URI is too long or its escapes are nested too deeply. Then any
// policy may apply.
func Readings(uri string) (all []string, complete bool) {
	// Inlined, so that the usual one or two readings stay on the caller's stack.
	return appendReadings(make([]string, 0, 2), uri)
}

func appendReadings(none []string, uri string) (all []string, complete bool) {
	if len(uri) > MaxBytes {
		return nil, false
	}
	canonical := Canonical(uri)
	if canonical == uri && isPlain(uri) {
		all = append(none, uri)
		if decoded := decodeOnce(uri); decoded != uri {
			all = append(all, decoded)
		}
		return all, true
	}
	all, complete = readingsOf(nil, canonical)
	if canonical != uri {
		var ok bool
		all, ok = readingsOf(all, uri)
		complete = complete && ok
	}
	return all, complete
}

// isPlain reports whether a canonical URI has only two readings: itself, and itself decoded. No
// escape stands for a delimiter, nothing can be trimmed, and no segment is empty or begins with a
// dot.
func isPlain(uri string) bool {
	for i := 0; i < len(uri); i++ {
		switch uri[i] {
		case '\\', '+', '?', '#', '@':
			return false
		case '%':
			if c, ok := escapedByte(uri[i:]); !ok || c < ' ' || strings.IndexByte(`%\/?#[]@:+`, c) >= 0 {
				return false
			}
		}
	}
	u := split(uri)
	return u.authority != "" && withoutEnd(uri) == uri && !strings.Contains(u.authority, ":") &&
		!strings.HasPrefix(u.authority, ".") && !strings.Contains(u.path, "//") && !strings.Contains(u.path, "/.")
}

// withoutEnd returns the URI as read by handlers that end a name at a NUL, as C does, or that trim
// white space or, like Windows, final dots.
func withoutEnd(uri string) string {
	end := len(uri)
	if i := strings.IndexAny(uri, "?#"); i >= 0 {
		end = i
	}
	name, rest := uri[:end], uri[end:]
	name, _, _ = strings.Cut(name, "%00")
	for {
		trimmed := strings.TrimSuffix(name, ".")
		if c, ok := escapedByte(name[max(0, len(name)-3):]); ok && c <= ' ' {
			trimmed = name[:len(name)-3]
		}
		if trimmed == name {
			if len(name) == end {
				return uri
			}
			return name + rest
		}
		name = trimmed
	}
}

var backslashes = strings.NewReplacer("%5C", "/", `\`, "/")

// readingsOf appends the readings of one spelling.
func readingsOf(all []string, form string) (_ []string, complete bool) {
	for round := 0; ; round++ {
		all = appendShapes(all, form)
		if slashes := backslashes.Replace(form); slashes != form {
			all = appendShapes(all, slashes)
		}
		if end := withoutEnd(form); end != form {
			all = appendShapes(all, end)
		}
		if spaces := strings.ReplaceAll(form, "+", "%20"); spaces != form {
			all = appendShapes(all, spaces)
		}
		next := decodeOnce(form)
		if next == form {
			return all, true
		}
		size := 0
		for _, f := range all {
			size += len(f)
		}
		if round == maxDecodings || size > maxReadings {
			return all, false
		}
		form = next
	}
}

// appendShapes appends a form with and without its query, and without user and port.
func appendShapes(all []string, form string) []string {
	whole := split(form)
	path := whole
	path.rest = ""
	for _, u := range []parts{whole, path} {
		all = appendCleaned(all, u)
		bare := u
		bare.authority = bare.authority[strings.LastIndexByte(bare.authority, '@')+1:]
		bare.authority, _, _ = strings.Cut(bare.authority, ":")
		bare.authority = strings.TrimRight(bare.authority, ".") // hr. is hr (RFC 1034, section 3.1)
		if bare.authority != u.authority {
			all = appendCleaned(all, bare)
		}
	}
	return all
}

// appendCleaned appends a form as it is and as read by handlers that clean paths.
func appendCleaned(all []string, u parts) []string {
	all = appendNew(all, FoldHost(u.String()), flat(u))
	if path := withoutDots(u.path); path != u.path {
		u.path = path
		all = appendNew(all, FoldHost(u.String()))
	}
	return all
}

func appendNew(all []string, forms ...string) []string {
	for _, f := range forms {
		if !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}

// prefixForms returns the readings that the author of a prefix may have meant: decoded or not,
// with or without empty and dot segments.
func prefixForms(prefix string) []string {
	var all []string
	form := canonicalPrefix(prefix)
	for range maxDecodings + 1 {
		all = appendNew(all, form)
		if colon := strings.IndexByte(form, ':') + 1; colon > 0 {
			i := max(strings.LastIndexByte(form, '/')+1, colon)
			all = appendNew(all, flat(split(form[:i]))+form[i:])
		}
		form = decodeOnce(form)
	}
	return all
}

// exactForms is prefixForms for a full URI.
func exactForms(uri string) []string {
	var all []string
	form := Canonical(uri)
	for range maxDecodings + 1 {
		all = appendNew(all, form, flat(split(form)))
		form = decodeOnce(form)
	}
	return all
}

// flat returns the URI as read by handlers that clean everything after the scheme as one path,
// removing empty and dot segments.
func flat(u parts) string {
	if u.scheme == "" {
		return u.String()
	}
	u = split(FoldHost(u.String()))
	var segments []string
	open := false // ends in a slash
	for s := range strings.SplitSeq(u.authority+u.path, "/") {
		open = s == "" || s == "." || s == ".."
		switch {
		case s == ".." && len(segments) > 0:
			segments = segments[:len(segments)-1]
		case !open:
			segments = append(segments, s)
		}
	}
	text := u.scheme + "://" + strings.Join(segments, "/")
	if open && len(segments) > 0 {
		text += "/"
	}
	return text + u.rest
}
