package blobtool

import (
	"strings"
	"unicode/utf8"
)

// uriScheme begins the URI of a blob as an MCP resource: blob://{container}/{+path}.
const uriScheme = "blob://"

// uriTemplate returns the template (RFC 6570) of the set's resources.
func (s *Set) uriTemplate() string {
	if s.container != "" {
		return uriScheme + percentEncode(s.container) + "/{+path}"
	}
	return uriScheme + "{container}/{+path}"
}

// resourceURI returns the URI of a blob. All but unreserved characters (RFC 3986,
// section 2.3) and slashes are percent-encoded, so that there is nothing which a
// template does not match or a reader of URIs takes for a query or a fragment.
func resourceURI(at location) string {
	return uriScheme + percentEncode(at.container) + "/" + percentEncode(at.blob)
}

// parseResourceURI takes a blob's URI apart. The names are still to be checked, by
// locate.
func parseResourceURI(uri string) (location, error) {
	rest, ok := strings.CutPrefix(uri, uriScheme)
	container, path, slash := strings.Cut(rest, "/")
	if !ok || !slash || container == "" || path == "" || strings.ContainsAny(rest, "?#") {
		return location{}, failuref(ErrInvalidArgument, "%s is not the URI of a blob, which is like blob://container/path/of/blob.txt with other characters than letters, digits and -._~ percent-encoded", quote(uri))
	}
	at := location{percentDecode(container), percentDecode(path)}
	if !utf8.ValidString(at.blob) || strings.Contains(at.container, "/") {
		return location{}, failuref(ErrInvalidArgument, "%s is not the URI of a blob: percent-decoded, it is not UTF-8", quote(uri))
	}
	return at, nil
}

// ToolForResource returns the name of the tool that does the same as reading the
// resource: read_blob for the URI of a blob of this set, and else an empty string.
// What a policy demands for that tool it must demand for the resource.
func (s *Set) ToolForResource(uri string) string {
	at, err := parseResourceURI(uri)
	if err != nil || s.container != "" && at.container != s.container {
		return ""
	}
	return "read_blob"
}

const upperHex = "0123456789ABCDEF"

// percentEncode encodes each byte that is neither unreserved nor a slash.
func percentEncode(s string) string {
	out := make([]byte, 0, len(s)+16)
	for _, c := range []byte(s) {
		if isUnreserved(c) || c == '/' {
			out = append(out, c)
		} else {
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(out)
}

func isUnreserved(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return c == '-' || c == '.' || c == '_' || c == '~'
}
