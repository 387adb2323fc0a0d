package edge

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks whose X-Forwarded headers the server trusts.
type Proxies []netip.Prefix

// ParseProxy returns the network in the form used for comparisons. It rejects networks that no
// operator owns.
func ParseProxy(n netip.Prefix) (netip.Prefix, error) {
	if n.Addr().Is4In6() && n.Bits() >= 96 { // addresses are compared as IPv4
		n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
	}
	switch {
	case !n.IsValid():
		return n, errors.New("use netip.ParsePrefix")
	case n.Addr().Is4() && n.Bits() < 8, n.Addr().Is6() && n.Bits() < 7:
		return n, errors.New("any host in it could claim any client address; name only the proxies")
	case n.Addr().IsMulticast() || n.Addr().Is4In6():
		return n, errors.New("no connection comes from there")
	}
	return n.Masked(), nil
}

// Client returns the client's address and the host that the client requested. If several proxies
// each added a host, it returns all of them, separated by commas. The address is invalid if the
// connection has none, such as a Unix socket; its peer is never trusted.
func (p Proxies) Client(r *http.Request) (client netip.Addr, host string) {
	peer := address(r.RemoteAddr)
	if !p.contain(peer) {
		return peer, r.Host
	}
	host = r.Host
	if forwarded := r.Header["X-Forwarded-Host"]; len(forwarded) > 0 {
		host = strings.Join(forwarded, ",")
	}
	return p.forwardedFor(peer, r.Header["X-Forwarded-For"]), host
}

// Sent reports whether the request comes from a proxy.
func (p Proxies) Sent(r *http.Request) bool { return p.contain(address(r.RemoteAddr)) }

// forwardedFor walks X-Forwarded-For from its end, because each proxy appends the address that
// connected to it, and returns the first address that is not a proxy's. Everything before that may
// be forged by the client.
func (p Proxies) forwardedFor(peer netip.Addr, lines []string) netip.Addr {
	for _, line := range slices.Backward(lines) {
		for line != "" {
			before, last := "", line
			if i := strings.LastIndexByte(line, ','); i >= 0 {
				before, last = line[:i], line[i+1:]
			}
			a := address(strings.TrimSpace(last))
			if !a.IsValid() {
				return peer
			}
			if peer = a; !p.contain(a) {
				return a
			}
			line = before
		}
	}
	return peer
}

func (p Proxies) contain(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// address parses an IP address with or without port and brackets. The result is invalid if parsing
// fails.
func address(s string) netip.Addr {
	if strings.Contains(s, ":") { // otherwise it fails, and the error allocates
		if ap, err := netip.ParseAddrPort(s); err == nil {
			return ap.Addr().Unmap().WithZone("")
		}
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
