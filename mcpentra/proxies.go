package mcpentra

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// WithTrustedProxies names the networks of the gateways and load balancers
// before the server. What they say in X-Forwarded-For becomes the client's
// address in the logs, and what they say in X-Forwarded-Host is checked in place
// of the Host header. From everybody else, and without this option, both headers
// are ignored.
//
// A proxy that is named here must write X-Forwarded-Host itself or remove it:
// one that passes a client's on lets the client choose. The header Forwarded
// (RFC 7239) is never read, for a proxy that writes the one passes on the other.
func WithTrustedProxies(networks ...netip.Prefix) Option {
	return func(c *config) error {
		var faults []error
		for _, n := range networks {
			if n.Addr().Is4In6() && n.Bits() >= 96 { // addresses are compared as IPv4
				n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
			}
			if err := checkNetwork(n); err != nil {
				faults = append(faults, fmt.Errorf("WithTrustedProxies: %q is not the network of a proxy, such as 10.0.0.0/24: %w", n, err))
			}
			c.proxies = append(c.proxies, n.Masked())
		}
		return errors.Join(faults...)
	}
}

// checkNetwork returns an error for networks that no operator owns.
func checkNetwork(n netip.Prefix) error {
	switch {
	case !n.IsValid():
		return errors.New("use netip.ParsePrefix")
	case n.Addr().Is4() && n.Bits() < 8, n.Addr().Is6() && n.Bits() < 7:
		return errors.New("any host in it could claim any client address; name only the proxies")
	case n.Addr().IsMulticast() || n.Addr().Is4In6():
		return errors.New("no connection comes from there")
	}
	return nil
}

// proxies are the networks that are believed about where a request comes from.
type proxies []netip.Prefix

func (p proxies) trust(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// origin returns the address of the client and the host or hosts that it asked
// for. The address is invalid if the connection has none, such as that of a Unix
// socket, whose other end is therefore never trusted.
func (p proxies) origin(r *http.Request) (client netip.Addr, host string) {
	peer := address(r.RemoteAddr)
	if !p.trust(peer) {
		return peer, r.Host
	}
	host = r.Host
	if forwarded := r.Header.Values("X-Forwarded-Host"); len(forwarded) > 0 {
		host = strings.Join(forwarded, ",")
	}
	return p.client(peer, r.Header.Values("X-Forwarded-For")), host
}

// client goes through X-Forwarded-For from its end, to which each proxy adds the
// address that it was reached from, and returns the first that is not a proxy's:
// what stands before that, the client may have written itself.
func (p proxies) client(peer netip.Addr, forwarded []string) netip.Addr {
	for _, line := range slices.Backward(forwarded) {
		for line != "" {
			before, last := "", line
			if i := strings.LastIndexByte(line, ','); i >= 0 {
				before, last = line[:i], line[i+1:]
			}
			a := address(strings.TrimSpace(last))
			if !a.IsValid() {
				return peer
			}
			if peer = a; !p.trust(a) {
				return a
			}
			line = before
		}
	}
	return peer
}

// address reads an IP address with or without port and brackets. The result is
// invalid if there is none.
func address(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
