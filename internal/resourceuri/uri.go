// Package resourceuri handles the spellings of resource URIs: the canonical spelling, every
// reading that a handler may use, and the patterns in policies.
package resourceuri

import "strings"

// MaxBytes limits the length of a URI. A blob's name takes up to 12 KiB.
const MaxBytes = 16 << 10

// Canonical returns the canonical spelling of a URI (RFC 3986, section 6.2.2): scheme and host in
// lower case, escapes in upper case, no escaped unreserved characters, and no dot segments. It
// escapes bytes that are invalid in a URI, including a percent sign that begins no escape. All
// other escapes stay: %2F is not a slash, and %252F is not %2F.
func Canonical(uri string) string { return FoldHost(Spell(uri)) }

// Spell is Canonical but keeps the case of the host: it may be a template variable whose case
// matters to the handler, as in greeting://Alice.
func Spell(uri string) string {
	uri = escape(uri, unreserved|reserved)
	u := split(uri)
	path := withoutDots(brackets.Replace(u.path))
	if !u.hasAuthority && strings.HasPrefix(path, "//") {
		path = "/." + path // otherwise it would become an authority (RFC 3986, section 5.3)
	}
	if path == u.path && strings.HasPrefix(uri, u.scheme) {
		return uri
	}
	u.path = path
	return u.String()
}

// brackets are reserved, but only valid in a host.
var brackets = strings.NewReplacer("[", "%5B", "]", "%5D")

// FoldHost returns the URI with scheme and host in lower case.
func FoldHost(uri string) string {
	u := split(uri)
	at := strings.LastIndexByte(u.authority, '@') + 1
	host := u.authority[at:]
	folded := escape(strings.ToLower(host), everyByte) // escapes are in upper case
	if folded == host && strings.HasPrefix(uri, u.scheme) {
		return uri
	}
	u.authority = u.authority[:at] + folded
	return u.String()
}

// CanonicalTemplate is Canonical for the literal parts of a URI template.
func CanonicalTemplate(template string) string {
	fixed, rest, found := strings.Cut(template, "{")
	if !found {
		return Canonical(template)
	}
	return canonicalPrefix(fixed) + "{" + escape(rest, unreserved|reserved|brace)
}

// canonicalPrefix is Canonical for a prefix of URIs. It leaves an unfinished segment alone,
// because it may or may not become a dot segment.
func canonicalPrefix(prefix string) string {
	if !strings.Contains(prefix, ":") {
		return strings.ToLower(prefix) // not even the scheme is complete
	}
	if strings.ContainsAny(prefix, "?#") {
		return Canonical(prefix)
	}
	i := strings.LastIndexByte(prefix, '/') + 1
	const mark = "x" // stands in for the unfinished segment
	return FoldHost(strings.TrimSuffix(Canonical(prefix[:i]+mark), mark) + escape(prefix[i:], unreserved|reserved))
}

// Expand replaces a template's variables by their values, up to the first variable without a
// value. It reports whether it replaced the argument.
func Expand(template string, values map[string]string, argument string) (begin string, replaced bool) {
	if !strings.Contains(template, "{") {
		return "", false // without a variable, the argument may belong to any URI
	}
	for {
		literal, rest, found := strings.Cut(template, "{")
		begin += literal
		if !found {
			return begin, replaced
		}
		expression, after, _ := strings.Cut(rest, "}")
		name := strings.TrimSuffix(strings.TrimLeft(expression, operators), "*")
		value, known := values[name]
		if !known { // or an expression of several variables
			return begin, replaced
		}
		operator, _, _ := strings.Cut(expression, name)
		if operator != "+" {
			begin += operator
		}
		may := byte(unreserved)
		if operator == "+" || operator == "#" {
			may |= slash
		}
		begin += escape(strings.ReplaceAll(value, "%", "%25"), may)
		replaced = replaced || name == argument
		template = after
	}
}

// operators can begin a template expression (RFC 6570, section 2.2).
const operators = "+#/.;?&"

// parts are the components of a URI (RFC 3986, section 3). The rest is the query and fragment with
// their delimiters.
type parts struct {
	scheme       string // in lower case
	hasAuthority bool
	authority    string
	path, rest   string
}

func split(uri string) (u parts) {
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

// String returns the URI.
func (u parts) String() string {
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

// withoutDots removes dot segments from an absolute path (RFC 3986, section 5.2.4).
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
