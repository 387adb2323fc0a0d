package clientdoc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

const (
	maxHeader = 16 << 10 // bytes of an answer's header
	// maxDials bounds how many addresses of a host are tried, so that a stranger's DNS can't
	// make this server connect to hundreds.
	maxDials = 4
)

// errAddress says that a host has an address that is not public.
var errAddress = errors.New("the host has an address that is not public")

// A guard connects to public addresses alone. A host's name is resolved once: the addresses
// that were judged are those that are dialed, so that a second answer of its DNS changes
// nothing.
type guard struct {
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	public  func(netip.Addr) bool
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// client returns an HTTP client that connects by the guard. It uses no proxy, keeps no cookies
// and no connections, and follows no redirects. TLS verifies the host's name.
func (g *guard) client(config *tls.Config) *http.Client {
	return withoutRedirects(&http.Client{Transport: &http.Transport{
		DialContext:            g.dialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    fetchTimeout,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
	}})
}

// withoutRedirects returns a copy of the client that follows no redirects and keeps no cookies.
func withoutRedirects(c *http.Client) *http.Client {
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil
	return &own
}

// dialContext connects to the first address of the host that answers, if all are public. The dial
// ends with the fetch, and the connection at its deadline, which is set anew.
func (g *guard) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	deadline := time.Now().Add(fetchTimeout)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if fetch, ok := ctx.Value(fetchKey{}).(context.Context); ok {
		defer context.AfterFunc(fetch, cancel)() //nolint:contextcheck // the dial ends with its fetch, too
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if !g.public(a) {
			return nil, fmt.Errorf("%w: %s", errAddress, a)
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	addrs = addrs[:min(len(addrs), maxDials)]
	err = errors.New("the host has no address")
	for i, a := range addrs {
		share := time.Until(deadline) / time.Duration(len(addrs)-i)
		var conn net.Conn
		if conn, err = g.dialOne(ctx, network, netip.AddrPortFrom(a, uint16(n)), share); err == nil {
			return conn, conn.SetDeadline(deadline)
		}
	}
	return nil, err
}

func (g *guard) dialOne(ctx context.Context, network string, to netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return g.dial(ctx, network, to.String())
}

// lookup resolves a host by the system's resolver. IPv4 addresses come as such, also those in
// an AAAA record (IPv4-mapped): package net doesn't tell them apart.
func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	found, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, ip := range found {
		if a, ok := netip.AddrFromSlice(ip.IP); ok {
			addrs = append(addrs, a.Unmap().WithZone(ip.Zone))
		}
	}
	return addrs, nil
}
