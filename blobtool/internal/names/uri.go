package names

import (
	"strings"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// Scheme begins the URI of a blob as an MCP resource: blob://{container}/{+path}.
const Scheme = "blob://"

// A Location is a blob or, if Blob is empty, a container.
type Location struct{ Container, Blob string }

// String returns the location in the format of blobtool.Options.Allow.
func (at Location) String() string {
	if at.Blob == "" {
		return at.Container
	}
	return at.Container + "/" + at.Blob
}

// URI returns the URI of a blob. It percent-encodes everything except unreserved characters (RFC
// 3986, section 2.3) and slashes, so that nothing in it looks like a query or fragment, and
// templates match it.
func (at Location) URI() string { return Scheme + Encode(at.Container) + "/" + Encode(at.Blob) }

// ParseURI returns the names in a blob's URI, unchecked.
func ParseURI(uri string) (Location, error) {
	rest, ok := strings.CutPrefix(uri, Scheme)
	container, blob, slash := strings.Cut(rest, "/")
	if !ok || !slash || container == "" || blob == "" || strings.ContainsAny(rest, "?#") {
		return Location{}, fault.New(fault.ErrInvalidArgument, "%s is not the URI of a blob; use blob://container/path/of/blob.txt, percent-encoding all characters except letters, digits and -._~", fault.Quote(uri))
	}
	at := Location{decode(container), decode(blob)}
	if !utf8.ValidString(at.Blob) || strings.Contains(at.Container, "/") {
		return Location{}, fault.New(fault.ErrInvalidArgument, "%s is not the URI of a blob: percent-decoded, it is not UTF-8", fault.Quote(uri))
	}
	return at, nil
}

const upperHex = "0123456789ABCDEF"

// Encode percent-encodes every byte that is neither unreserved nor a slash.
func Encode(s string) string {
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

// decode decodes each valid %XX once and leaves everything else unchanged: a blob's name may
// contain a literal percent sign.
func decode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, ok1 := hexDigit(s[i+1])
			lo, ok2 := hexDigit(s[i+2])
			if ok1 && ok2 {
				out = append(out, hi<<4|lo)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
