package clientdoc_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
)

// Each range: its edges are refused, and their neighbors are not, unless they are another
// range's.
var specialRanges = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20",
	// Everything outside 2000::/3.
	"::/3", "4000::/2", "8000::/1",
}

// Ranges that others contain.
var namedRanges = []string{
	"::/128", "::1/128", "::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "5f00::/16", "fc00::/7",
	"fe80::/10", "fec0::/10", "ff00::/8", "2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28", "255.255.255.255/32",
	"169.254.169.254/32", "100.100.100.200/32", "fd00:ec2::254/128",
}

func TestAddressRanges(t *testing.T) {
	t.Parallel()
	parse := func(list []string) (out []netip.Prefix) {
		for _, s := range list {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	all := parse(specialRanges)
	refused := func(a netip.Addr) bool {
		return slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	for _, p := range append(parse(namedRanges), all...) {
		first, last := p.Masked().Addr(), lastOf(p)
		for _, a := range []netip.Addr{first, last} {
			if clientdoc.IsPublic(a) {
				t.Errorf("%v, an edge of %v, is taken for public", a, p)
			}
		}
		for _, a := range []netip.Addr{first.Prev(), last.Next()} {
			if a.IsValid() && clientdoc.IsPublic(a) == refused(a) {
				t.Errorf("%v, beside %v: got public %v, want %v", a, p, !refused(a), refused(a))
			}
		}
	}
}

// lastOf returns the last address of a range.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for list, public := range map[string]bool{
		publicIP:                         true,
		"8.8.8.8":                        true,
		"2606:4700:4700::1111":           true,
		"2606:4700:4700::1111 8.8.8.8":   true,
		"168.63.129.15":                  true,
		"168.63.129.16":                  false,
		"127.0.0.1":                      false,
		"169.254.169.254":                false,
		"::1":                            false,
		"::":                             false,
		"::ffff:127.0.0.1":               false,
		"::ffff:8.8.8.8":                 false,
		"64:ff9b::808:808":               false,
		"64:ff9b:1::7f00:1":              false,
		"2002:7f00:1::":                  false,
		"2002:808:808::":                 false,
		"2001:0:4136:e378:8000:63bf::":   false,
		"fe80::1":                        false,
		"fe80::1%eth0":                   false,
		"2606:4700:4700::1111%eth0":      false,
		"fec0::1":                        false,
		"8.8.8.8 10.0.0.1":               false, // one is enough
		"10.0.0.1 8.8.8.8":               false,
		"2606:4700:4700::1111 127.0.0.1": false,
		"8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 10.0.0.1": false, // beyond those that are dialed
		"": false,
	} {
		n := newInternet(t, serveOwn)
		n.set("client.example", strings.Fields(list)...)
		_, err := n.Document(t.Context(), clientURL)
		if public {
			if err != nil || len(n.dials()) != 1 {
				t.Errorf("a host with the addresses %q: got %v and dials %q, want the document", list, err, n.dials())
			}
			continue
		}
		if fault := unavailable.fault(err); fault != "" || len(n.dials()) != 0 {
			t.Errorf("a host with the addresses %q: %s, dialed %q; want none dialed", list, fault, n.dials())
		}
		for a := range strings.FieldsSeq(list) {
			if e := err.Error(); strings.Contains(e, a) {
				t.Errorf("the error tells an address: %s", e)
			}
		}
	}
}

// The addresses that were judged are those that are dialed: DNS is asked once.
func TestRebinding(t *testing.T) {
	t.Parallel()
	n := newInternet(t, serveOwn)
	n.set("client.example", "8.8.8.8")
	if _, err := n.Document(t.Context(), clientURL); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(n.dials(), n.resolved.Load()), "[8.8.8.8:443] 1"; got != want {
		t.Errorf("dialed, and asked DNS: got %s, want %s", got, want)
	}
	n.set("client.example", "169.254.169.254")
	if _, err := n.Document(t.Context(), clientURL+"?other"); unavailable.fault(err) != "" {
		t.Errorf("after its address became private: %s", unavailable.fault(err))
	}
	if got := n.dials(); len(got) != 1 {
		t.Errorf("dialed %q, want no private address", got)
	}
}

// FuzzAddress compares the rule with a second reading of it.
func FuzzAddress(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add(netip.MustParseAddr("64:ff9b::1").AsSlice())
	f.Add(netip.MustParseAddr("2606:4700::1").AsSlice())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok || !clientdoc.IsPublic(a) {
			return
		}
		if a.Is4In6() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
			t.Errorf("%v is taken for public", a)
		}
		if a.Is6() && b[0]&0xe0 != 0x20 {
			t.Errorf("%v, outside 2000::/3, is taken for public", a)
		}
	})
}
