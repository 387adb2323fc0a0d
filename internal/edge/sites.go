package edge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// ParseResource parses a resource URL as given to clients (RFC 9728).
func ParseResource(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return nil, fmt.Errorf("%q is not a URL such as https://mcp.example.com/mcp", s)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(Hostname(u.Host))):
		return nil, fmt.Errorf("%q must be https; http is for loopback hosts", s)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		return nil, fmt.Errorf("%q must have no query or fragment (RFC 9728 section 1.2)", s)
	case strings.HasSuffix(u.Path, "/"):
		return nil, fmt.Errorf("%q must have no trailing slash: clients compare it exactly", s)
	case strings.ContainsAny(u.Path, "{} ") || u.EscapedPath() != u.Path || (u.Path != "" && path.Clean(u.Path) != u.Path):
		return nil, fmt.Errorf("the path %q must be a clean one, of characters that need no escape, without spaces and braces", u.Path)
	}
	if err := checkSite(u); err != nil {
		return nil, fmt.Errorf("%q: %w", s, err)
	}
	return u, nil
}

// ParseHost returns the host in the form used for comparisons. It accepts names and addresses
// without a port.
func ParseHost(s string) (string, error) {
	_, _, err := net.SplitHostPort(s)
	hasPort := err == nil
	host := Hostname(s)
	err = checkHost(host)
	if scheme, _, isURL := strings.Cut(s, "://"); isURL {
		err = fmt.Errorf("leave out %s://", scheme)
	} else if hasPort {
		err = errors.New("leave out the port")
	}
	if err != nil {
		return "", fmt.Errorf("%q is not a host name such as mcp-server.internal.example: %w", s, err)
	}
	return host, nil
}

// ParseOrigin returns the origin as browsers write it in the Origin header (RFC 6454 section 6.2):
// in lower case, without a path or the default port.
func ParseOrigin(s string) (string, error) {
	fault := func(why string) (string, error) {
		return "", fmt.Errorf("%q is not an origin such as https://app.example.com: %s", s, why)
	}
	if s == "null" {
		return fault("pages without an origin can't be told apart")
	}
	u, err := url.Parse(strings.TrimSuffix(s, "/"))
	switch {
	case err != nil || u.Scheme == "" || u.Host == "":
		return fault("write scheme and host")
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		return fault("leave out what is not scheme, host and port")
	case strings.HasSuffix(u.Hostname(), "."):
		return fault("leave out the dot at the end")
	}
	if err := checkSite(u); err != nil {
		return fault(err.Error())
	}
	return OriginOf(u), nil
}

// OriginOf returns the origin of a URL from ParseResource.
func OriginOf(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), Hostname(u.Host)
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != defaultPorts[scheme] {
		host += ":" + port
	}
	return scheme + "://" + host
}

// Browsers leave defaultPorts out of origins.
var defaultPorts = map[string]string{"https": "443", "http": "80"}

// Hostname returns the host of a Host header or URL in the form used for comparisons: in lower
// case, without port, brackets, and final dot, and addresses as netip writes them.
func Hostname(hostport string) string {
	host := hostport
	if strings.Contains(hostport, ":") { // otherwise it fails, and the error allocates
		if h, _, err := net.SplitHostPort(hostport); err == nil {
			host = h
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		host = strings.TrimSuffix(inner, "]")
	}
	if mayBeAddress(host) {
		if a, err := netip.ParseAddr(host); err == nil {
			var buffer [64]byte
			if canonical := a.AppendTo(buffer[:0]); string(canonical) != host {
				return string(canonical)
			}
			return host
		}
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// mayBeAddress reports whether netip might parse the host. It avoids parse errors, which allocate.
func mayBeAddress(host string) bool {
	return strings.Contains(host, ":") || host != "" && '0' <= host[len(host)-1] && host[len(host)-1] <= '9'
}

// isLoopback reports whether a host from Hostname is this machine.
func isLoopback(host string) bool {
	if host == "localhost" || !mayBeAddress(host) {
		return host == "localhost"
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// checkSite checks the host and port of a URL.
func checkSite(u *url.URL) error {
	if err := checkHost(Hostname(u.Host)); err != nil {
		return err
	}
	if u.Port() == "" && !strings.HasSuffix(u.Host, ":") {
		return nil
	}
	if n, err := strconv.Atoi(u.Port()); err != nil || n < 1 || n > 65535 || u.Port() != strconv.Itoa(n) {
		return fmt.Errorf("the port %q is not a number from 1 to 65535", u.Port())
	}
	return nil
}

// checkHost checks that a host from Hostname is a single host in the form that clients send.
func checkHost(host string) error {
	address, err := netip.ParseAddr(host)
	switch {
	case host == "":
		return errors.New("the host is missing")
	case err == nil && address.Zone() == "":
		if a := address.Unmap(); a.IsUnspecified() || a.IsMulticast() {
			return fmt.Errorf("%s is not an address that clients can call; name the host that clients connect to", host)
		}
		return nil
	case strings.Contains(host, ":"):
		return fmt.Errorf("the host %q is not an IPv6 address", host)
	case endsInNumber(host):
		return fmt.Errorf("the host %q is not an IPv4 address", host)
	case strings.Contains(host, "*"):
		return errors.New("there are no wildcards: name each host")
	case strings.ContainsFunc(host, func(r rune) bool { return r > 126 }):
		return fmt.Errorf("the host %q must be in the form that clients send, xn--…", host)
	case len(host) > 253:
		return errors.New("the host is longer than 253 characters")
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return fmt.Errorf("%q is not a host name", host)
		}
	}
	return nil
}

// endsInNumber reports whether the last label is a number. Browsers parse such a host as an
// address (WHATWG URL, section 3.5).
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
