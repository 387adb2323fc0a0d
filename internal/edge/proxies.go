package edge

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks whose X-Forwarded headers are believed.
type Proxies []netip.Prefix

// ParseProxy returns the network in the form in which addresses are compared. It
// returns an error for networks that no operator owns.
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

// Client returns the address of the client, and the host that it asked for: several,
// with commas between, where each of several proxies has added one. The address is
// invalid if the connection has none, as that of a Unix socket, whose other end is
// never believed.
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

// forwardedFor goes through X-Forwarded-For from its end, to which each proxy adds the
// address that it was reached from, and returns the first that is not a proxy's: the
// client may have written what comes before.
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

// address parses an IP address with or without port and brackets. The result is
// invalid if there is none.
func address(s string) netip.Addr {
	if strings.Contains(s, ":") { // else the error is known, and costs memory
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
