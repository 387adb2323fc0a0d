package clientdoc

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxURL bounds a URL, in bytes.
const maxURL = 512

// IsURL reports whether a client ID has the form of a document's URL (https://…); [Fetcher.Document]
// judges it exactly.
func IsURL(id string) bool { return strings.HasPrefix(id, "https://") }

// localNames are top-level domains of names that only a local network resolves (RFC 6761,
// RFC 6762, and ICANN's reservation of internal).
var localNames = []string{"localhost", "local", "internal"}

// parseURL checks a URL that a stranger has chosen: https, a DNS name with a dot, a path beyond
// "/", at most 512 bytes; without fragment, user or dot segments
// (draft-ietf-oauth-client-id-metadata-document, section 3). With loopback it may also be on
// this machine. The URL stays as it is written, because URLs are compared byte for byte.
func parseURL(s string, loopback bool) (*url.URL, error) {
	if len(s) > maxURL {
		return nil, errors.New("it is longer than 512 bytes")
	}
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		return nil, errors.New("it does not begin with https://")
	}
	authority, path, _ := strings.Cut(rest, "/")
	switch {
	case strings.ContainsFunc(path, func(r rune) bool { return !isURLChar(r) }):
		return nil, errors.New("it has a character that no URL may have unescaped")
	case strings.Contains(s, "#"):
		return nil, errors.New("it has a fragment")
	case strings.Contains(authority, "@"):
		return nil, errors.New("it has a user")
	}
	u, err := url.Parse(s)
	if err != nil || u.String() != s { // another reading of it: not a URL that is safe to use
		return nil, errors.New("it is malformed")
	}
	if _, query, _ := strings.Cut(path, "?"); !validEscapes(query) {
		return nil, errors.New("it has a malformed escape")
	}
	switch host := u.Hostname(); {
	case !isPort(u):
		return nil, errors.New("its port is not a number from 1 to 65535")
	case loopback && isLoopback(host):
	case !isPublicName(host):
		return nil, errors.New("its host is not a public DNS name")
	}
	if u.Path == "" || u.Path == "/" {
		return nil, errors.New("it has no path")
	}
	segments := strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' || r == '\\' })
	if slices.Contains(segments, ".") || slices.Contains(segments, "..") {
		return nil, errors.New("its path has a dot segment")
	}
	return u, nil
}

// isURLChar reports whether a URL may have the character in its path and query (RFC 3986,
// section 3).
func isURLChar(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		r < 0x80 && strings.ContainsRune("-._~:/?#@!$&'()*+,;=%", r)
}

func validEscapes(s string) bool {
	_, err := url.PathUnescape(s)
	return err == nil
}

// isPublicName reports whether the host is a DNS name with a dot below a top-level domain of
// the public DNS, which consists of letters (RFC 1123, section 2.1) or begins with xn--. So it
// is not an IP address in any of the spellings that some resolvers accept.
func isPublicName(host string) bool {
	host = strings.ToLower(host)
	labels := strings.Split(host, ".")
	if len(host) > 253 || len(labels) < 2 || slices.ContainsFunc(labels, func(l string) bool { return !isLabel(l) }) {
		return false
	}
	top := labels[len(labels)-1]
	letters := !strings.ContainsFunc(top, func(r rune) bool { return r < 'a' || r > 'z' })
	return (letters || strings.HasPrefix(top, "xn--")) && !slices.Contains(localNames, top)
}

// isLabel reports whether a label of a DNS name is one of a host (RFC 1123, section 2.1).
func isLabel(l string) bool {
	return l != "" && len(l) <= 63 && l[0] != '-' && l[len(l)-1] != '-' && !strings.ContainsFunc(l, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
}

// isLoopback reports whether the host is this machine.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback() && addr.Zone() == ""
}

func isPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0 && u.Port()[0] != '0'
}

// displayHost is the host of a URL in lower case, with its port unless that is https's own.
func displayHost(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if port := u.Port(); port != "" && port != "443" {
		return net.JoinHostPort(host, port)
	}
	return host
}
