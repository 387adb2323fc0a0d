package mcpentra

import (
	"slices"
	"strings"
)

// A URI whose escapes are nested deeper, or whose readings are longer in all, is
// under all rules.
const (
	maxDecodings = 4
	maxReadings  = 64 << 10
)

// readings returns every way in which a handler might read a URI: it may decode the URI
// once more, or not at all, clean its path, take a backslash or %2F for a slash, read
// it as a form, or ignore port and query. A rule that holds for one reading holds for
// the URI. The list is not complete if the URI is too long or its escapes are nested
// too deeply.
func readings(uri string) (all []string, complete bool) {
	if len(uri) > maxURI {
		return nil, false
	}
	form := canonical(uri)
	if form == uri && isPlain(uri) {
		addNew(&all, uri, decodedOnce(uri))
		return all, true
	}
	complete = addReadings(&all, form)
	if form != uri && !addReadings(&all, uri) {
		complete = false
	}
	return all, complete
}

// isPlain reports whether a URI has only two readings, with its escapes decoded or not:
// no escape stands for a delimiter, nothing is cut off, and no segment is empty or
// begins with a dot.
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
	u := splitURI(uri)
	return u.authority != "" && withoutEnd(uri) == uri && !strings.Contains(u.authority, ":") &&
		!strings.HasPrefix(u.authority, ".") && !strings.Contains(u.path, "//") && !strings.Contains(u.path, "/.")
}

// withoutEnd returns a URI as read by handlers that end a name at a NUL, as C does, or
// that trim white space or the final dots that Windows ignores.
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
			return name + rest
		}
		name = trimmed
	}
}

var backslashes = strings.NewReplacer("%5C", "/", `\`, "/")

// addReadings adds the readings of one spelling.
func addReadings(all *[]string, form string) (complete bool) {
	for round := 0; ; round++ {
		addShapes(all, form)
		if slashes := backslashes.Replace(form); slashes != form {
			addShapes(all, slashes)
		}
		if end := withoutEnd(form); end != form {
			addShapes(all, end)
		}
		if spaces := strings.ReplaceAll(form, "+", "%20"); spaces != form {
			addShapes(all, spaces)
		}
		next := decodedOnce(form)
		if next == form {
			return true
		}
		size := 0
		for _, f := range *all {
			size += len(f)
		}
		if round == maxDecodings || size > maxReadings {
			return false
		}
		form = next
	}
}

// addShapes adds a form with and without its query, and without user and port.
func addShapes(all *[]string, form string) {
	whole := splitURI(form)
	path := whole
	path.rest = ""
	for _, u := range []uriParts{whole, path} {
		addShape(all, u)
		bare := u
		if _, host, found := cutLast(bare.authority, "@"); found {
			bare.authority = host
		}
		bare.authority, _, _ = strings.Cut(bare.authority, ":")
		bare.authority = strings.TrimRight(bare.authority, ".") // hr. is hr (RFC 1034 section 3.1)
		if bare.authority != u.authority {
			addShape(all, bare)
		}
	}
}

// addShape adds a form as it is and for those who clean it.
func addShape(all *[]string, u uriParts) {
	addNew(all, foldHost(u.String()), flat(u))
	if path := withoutDots(u.path); path != u.path {
		u.path = path
		addNew(all, foldHost(u.String()))
	}
}

func addNew(all *[]string, forms ...string) {
	for _, f := range forms {
		if !slices.Contains(*all, f) {
			*all = append(*all, f)
		}
	}
}

// prefixForms returns the same for a prefix, as far as its writer may have meant
// it: decoded or not, with and without empty and dot segments.
func prefixForms(prefix string) []string {
	var all []string
	form := canonicalPrefix(prefix)
	for range maxDecodings + 1 {
		addNew(&all, form)
		if colon := strings.IndexByte(form, ':') + 1; colon > 0 {
			i := max(strings.LastIndexByte(form, '/')+1, colon)
			addNew(&all, flat(splitURI(form[:i]))+form[i:])
		}
		form = decodedOnce(form)
	}
	return all
}

// exactForms are those of one URI.
func exactForms(uri string) []string {
	var all []string
	form := canonical(uri)
	for range maxDecodings + 1 {
		addNew(&all, form, flat(splitURI(form)))
		form = decodedOnce(form)
	}
	return all
}

// flat is the URI for those who clean all behind the scheme as a path: without
// empty segments and without dots, whatever its slashes begin with.
func flat(u uriParts) string {
	if u.scheme == "" {
		return u.String()
	}
	u = splitURI(foldHost(u.String()))
	var segments []string
	open := false // ends with a slash
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
