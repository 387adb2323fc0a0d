// Package redirecturi judges where a client may have users sent back to (RFC 9700, section
// 4.1.1). One spelling of a URI is one URI: what browsers, servers and people could read
// differently is refused when a client registers it, and a request must then repeat it byte for
// byte, but for the port on this computer (RFC 8252, section 7.3).
package redirecturi

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// MaxBytes bounds one URI.
const MaxBytes = 512

// Check returns why a client may not register the URI, in words for its developer, or nil. The
// private URIs, which the operator allows, may have schemes of their own.
func Check(uri string, private []string) error {
	if err := checkBytes(uri); err != nil {
		return err
	}
	switch scheme, _, _ := strings.Cut(uri, ":"); scheme {
	case "https", "http":
		return checkWeb(uri)
	default:
		if err := CheckPrivate(uri); err != nil {
			return err
		}
		if !slices.Contains(private, uri) {
			return errors.New("schemes other than https are off; use https, http on loopback, or ask the server's operator to allow this URI")
		}
		return nil
	}
}

// forbidden are schemes that browsers give a meaning of their own.
var forbidden = []string{"javascript", "data", "vbscript", "file", "blob", "about", "http", "https", "ftp", "ws", "wss", "view-source"}

// CheckPrivate returns why the operator can't allow the URI with a scheme of its own, or nil
// (RFC 8252, section 7.1).
func CheckPrivate(uri string) error {
	if err := checkBytes(uri); err != nil {
		return err
	}
	scheme, rest, ok := strings.Cut(uri, ":")
	switch {
	case !ok || !isScheme(scheme):
		return errors.New("it must be absolute and begin with a scheme in lower case, such as https://")
	case slices.Contains(forbidden, scheme):
		return errors.New("this scheme is never allowed; use https, http on loopback, or a scheme of the app's own")
	case rest == "":
		return errors.New("it has a scheme and nothing else")
	}
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		authority, _ := cutAuthority(after)
		if strings.Contains(authority, "@") {
			return errUser
		}
	}
	return checkRest(rest)
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

var errUser = errors.New("it has a user name before @; remove it")

// checkBytes refuses bytes that no URI has, or that programs read differently.
func checkBytes(uri string) error {
	switch {
	case uri == "":
		return errors.New("it is empty")
	case len(uri) > MaxBytes:
		return fmt.Errorf("it has %d bytes; at most %d are taken", len(uri), MaxBytes)
	}
	for i := range len(uri) {
		switch c := uri[i]; {
		case c < ' ' || c == 0x7f:
			return errors.New("it has a control character")
		case c == ' ':
			return errors.New("it has a space; write %20")
		case c > 0x7f:
			return errors.New("it has a character outside ASCII; write a host as xn--... and escape the rest")
		case c == '\\':
			return errors.New("it has a backslash, which browsers take for a slash; write a slash or %5C")
		case c == '#':
			return errors.New("it has a fragment; remove the # and what follows")
		case c == '%':
			if d, err := url.PathUnescape(uri[i:min(i+3, len(uri))]); err != nil {
				return errors.New("it has a % without two hexadecimal digits; write %25 for a percent sign")
			} else if d[0] < ' ' || d[0] == 0x7f {
				return errors.New("it has an escaped control character")
			}
		}
	}
	return nil
}

// cutAuthority cuts what follows // at the end of host and port.
func cutAuthority(s string) (authority, rest string) {
	if i := strings.IndexAny(s, "/?"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// cutPort cuts the port off, with its colon.
func cutPort(authority string) (host, port string) {
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		return authority[:i], authority[i:]
	}
	return authority, ""
}

func checkWeb(uri string) error {
	scheme, after, ok := strings.Cut(uri, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return errors.New("it must begin with https:// (or http:// on loopback)")
	}
	authority, rest := cutAuthority(after)
	host, port := cutPort(authority)
	switch {
	case strings.Contains(authority, "@"):
		return errUser
	case !isPort(port):
		return errors.New("its port must be a number from 1 to 65535 without leading zero, or be left out with its colon")
	case scheme == "http" && !isLoopback(host):
		return errors.New("http is only for localhost, 127.0.0.1 and [::1], in this spelling; use https")
	case !isHost(host):
		return errors.New("its host must be a DNS name without empty labels or an IP address in its usual form")
	}
	return checkRest(rest)
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "[::1]"
}

// isPort accepts no port, or a colon and a port.
func isPort(s string) bool {
	if s == "" {
		return true
	}
	n, err := strconv.ParseUint(s[1:], 10, 16)
	return err == nil && n > 0 && s[1] != '0'
}

// isHost accepts names that browsers don't read as an address, and addresses in the one form
// that they print.
func isHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return ok && err == nil && addr.Is6() && addr.Zone() == ""
	}
	last := host
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) {
			return false
		}
		last = label
	}
	// https://2130706433 and https://0x7f.1 are 127.0.0.1 to browsers.
	if last[0] >= '0' && last[0] <= '9' && isNumber(last) {
		addr, err := netip.ParseAddr(host)
		return err == nil && addr.Is4()
	}
	return len(host) <= 253
}

func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// isNumber reports whether browsers take the last label of a name for a number, which makes the
// whole name an address (WHATWG URL, "ends in a number checker").
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(strings.ToLower(label), "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// checkRest judges path and query.
func checkRest(rest string) error {
	path, query, _ := strings.Cut(rest, "?")
	if hasDotSegment(path) {
		return errors.New("its path has a segment of dots alone, which programs resolve differently; write the path that is meant")
	}
	for part := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return err // checkBytes has refused it
		}
		switch name = strings.ToLower(name); {
		case name == "code", name == "state", name == "iss", strings.HasPrefix(name, "error"):
			return errors.New("its query has a parameter of the authorization response (code, state, iss, error...); use another name")
		}
	}
	return nil
}

// hasDotSegment looks for . and .. between slashes, plain or escaped, however often: a gateway and
// a server may each decode once.
func hasDotSegment(path string) bool {
	for {
		for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
			if segment == "." || segment == ".." {
				return true
			}
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || decoded == path { // decoding shortens it, so this ends
			return false
		}
		path = decoded
	}
}
