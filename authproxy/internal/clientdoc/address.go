package clientdoc

import "net/netip"

// unicast6 is the part of IPv6 that is assigned to networks. It excludes, among others, the
// unspecified and loopback addresses, IPv4-mapped ones (::ffff:0:0/96), NAT64 (64:ff9b::/96 and
// 64:ff9b:1::/48), discard-only (100::/64), segment routing (5f00::/16), unique local
// (fc00::/7), link-local (fe80::/10), site-local (fec0::/10) and multicast (ff00::/8).
var unicast6 = netip.MustParsePrefix("2000::/3")

// special are the ranges that don't belong to hosts on the Internet: IANA's special-purpose
// registries (RFC 6890) and multicast, whether or not a router would forward them, and
// addresses of translators, behind which there may be anything.
var special = prefixes(
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared by carriers (RFC 6598); some clouds' own
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // Azure's own: DNS, DHCP and the virtual machine's agent
	"169.254.0.0/16",   // link-local, with the metadata services of clouds
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // IETF protocol assignments
	"192.0.2.0/24",     // documentation
	"192.31.196.0/24",  // AS112
	"192.52.193.0/24",  // automatic multicast tunneling
	"192.88.99.0/24",   // 6to4 relays
	"192.168.0.0/16",   // private
	"192.175.48.0/24",  // AS112
	"198.18.0.0/15",    // benchmarks
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, and broadcast

	"2001::/23",         // IETF protocol assignments: Teredo, benchmarks, ORCHID
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4
	"2620:4f:8000::/48", // AS112
	"3ffe::/16",         // 6bone, returned
	"3fff::/20",         // documentation
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// isPublic reports whether the address belongs to a host on the Internet.
func isPublic(a netip.Addr) bool {
	if !a.Is4() && (a.Zone() != "" || !unicast6.Contains(a)) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
