package mcpentra

import "strings"

// maxURI bounds what is judged, in bytes: a blob's name may take 12 KiB.
const maxURI = 16 << 10

// canonical returns the one spelling of a URI by which rules, tool sets and
// handlers know it (RFC 3986, section 6.2.2): scheme and host in lower case,
// escapes in upper case, none of an unreserved character, and no dot segments.
// What can't stand in a URI is escaped, a percent sign of no escape too. Escapes of
// other characters stay: %2F is not a slash, and %252F not %2F.
func canonical(uri string) string { return foldHost(spelling(uri)) }

// spelling is canonical but for the case of the host, which may be a variable of a
// template and mean something to its handler: greeting://Alice.
func spelling(uri string) string {
	u := splitURI(escape(uri, isURIByte))
	u.path = withoutDots(brackets.Replace(u.path))
	if !u.hasAuthority && strings.HasPrefix(u.path, "//") {
		u.path = "/." + u.path // it would else be an authority (RFC 3986, section 5.3)
	}
	return u.String()
}

// brackets may stand in a host alone.
var brackets = strings.NewReplacer("[", "%5B", "]", "%5D")

func foldHost(uri string) string {
	u := splitURI(uri)
	if u.authority == strings.ToLower(u.authority) && !strings.Contains(u.authority, "%") {
		return u.String()
	}
	user, host, found := cutLast(u.authority, "@")
	if !found {
		user, host = "", u.authority
	}
	if u.authority = upperEscapes(strings.ToLower(host)); found {
		u.authority = user + "@" + u.authority
	}
	return u.String()
}

// canonicalPrefix is canonical for what URIs begin with: of an unfinished segment
// nobody knows whether it is one of dots.
func canonicalPrefix(prefix string) string {
	if !strings.Contains(prefix, ":") {
		return strings.ToLower(prefix) // not even the scheme is finished
	}
	if strings.ContainsAny(prefix, "?#") {
		return canonical(prefix)
	}
	i := strings.LastIndexByte(prefix, '/') + 1
	// What follows the slash is a segment that is none of dots.
	const mark = "x"
	return foldHost(strings.TrimSuffix(canonical(prefix[:i]+mark), mark) + escape(prefix[i:], isURIByte))
}

// canonicalTemplate is canonical for the literal parts of a URI template.
func canonicalTemplate(template string) string {
	fixed, rest, found := strings.Cut(template, "{")
	if !found {
		return canonical(template)
	}
	return canonicalPrefix(fixed) + "{" + escape(rest, func(c byte) bool { return isURIByte(c) || c == '{' || c == '}' })
}

// decodedOnce decodes all escapes once, and escapes again what can't stand in a URI.
func decodedOnce(uri string) string {
	if !strings.Contains(uri, "%") {
		return uri
	}
	out := make([]byte, 0, len(uri))
	for i := 0; i < len(uri); i++ {
		if c, ok := escapedByte(uri[i:]); ok {
			out = append(out, c)
			i += 2
			continue
		}
		out = append(out, uri[i])
	}
	return escape(string(out), isURIByte)
}

// uriParts are those of RFC 3986, section 3; rest is query and fragment, with what
// they begin with.
type uriParts struct {
	scheme       string
	hasAuthority bool
	authority    string
	path, rest   string
}

// splitURI takes a URI apart. The scheme is in lower case.
func splitURI(uri string) (u uriParts) {
	if i := strings.IndexByte(uri, ':'); i > 0 && isScheme(uri[:i]) {
		u.scheme, uri = strings.ToLower(uri[:i]), uri[i+1:]
	}
	if i := strings.IndexAny(uri, "?#"); i >= 0 {
		uri, u.rest = uri[:i], uri[i:]
	}
	if after, ok := strings.CutPrefix(uri, "//"); ok {
		u.hasAuthority = true
		end := strings.IndexByte(after, '/')
		if end < 0 {
			end = len(after)
		}
		u.authority, uri = after[:end], after[end:]
	}
	u.path = uri
	return u
}

// String puts the parts together again.
func (u uriParts) String() string {
	text := u.path + u.rest
	if u.hasAuthority {
		text = "//" + u.authority + text
	}
	if u.scheme != "" {
		text = u.scheme + ":" + text
	}
	return text
}

func isScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		later := c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'
		if !letter && (i == 0 || !later) {
			return false
		}
	}
	return s != ""
}

// withoutDots removes the segments . and .. from an absolute path (RFC 3986,
// section 5.2.4).
func withoutDots(path string) string {
	if !strings.HasPrefix(path, "/") || !strings.Contains(path, "/.") {
		return path
	}
	segments := strings.Split(path[1:], "/")
	out := segments[:0]
	for i, s := range segments {
		if s != "." && s != ".." {
			out = append(out, s)
			continue
		}
		last := i == len(segments)-1
		if s == ".." && len(out) > 0 {
			out = out[:len(out)-1]
		}
		if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

const upperHex = "0123456789ABCDEF"

// escape writes each escape in its one form and escapes what may not stand for
// itself.
func escape(s string, may func(byte) bool) string {
	out := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); i++ {
		c := s[i]
		decoded, escaped := escapedByte(s[i:])
		switch {
		case escaped && isUnreserved(decoded):
			out = append(out, decoded)
			i += 2
		case escaped:
			out = append(out, '%', upperHex[decoded>>4], upperHex[decoded&15])
			i += 2
		case may(c):
			out = append(out, c)
		default:
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(out)
}

// upperEscapes undoes strings.ToLower for escapes.
func upperEscapes(s string) string { return escape(s, func(byte) bool { return true }) }

// escapedByte returns the byte that an escape at the beginning of s stands for.
func escapedByte(s string) (c byte, ok bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	high, low := hexValue(s[1]), hexValue(s[2])
	return high<<4 | low&15, high < 16 && low < 16
}

func hexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xFF
}

func isUnreserved(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// isURIByte reports whether the byte may stand in a URI for itself.
func isURIByte(c byte) bool {
	return isUnreserved(c) || strings.IndexByte(":/?#[]@!$&'()*+,;=", c) >= 0
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
