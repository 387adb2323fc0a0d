package entratest

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A host is what a server's tenants share: the address, the certificate, the signing keys, and the
// key that encrypts codes and the like.
type host struct {
	authorityHost string
	certificate   serverCertificate
	plain         bool // plain HTTP, see Options.PlainHTTP
	https         *server
	client        *http.Transport
	keys          keyring
	sealer        sealer
	codes         codeBook
	devices       deviceBook

	graphMu sync.Mutex // held by each request to a directory

	tenantsMu sync.Mutex
	tenants   []*Tenant // the first is NewTenant's
}

func newHost(o *Options) *host {
	h := &host{certificate: newServerCertificate(o.CA), plain: o.PlainHTTP, sealer: newSealer()}
	if o.SigningKey != nil {
		h.keys.current = certify(o.SigningKey)
	}
	return h
}

// start makes the host listen for its first tenant.
func (h *host) start(addr string, first *Tenant) {
	h.join(first)
	certificate, handler, scheme := &h.certificate, http.Handler(http.HandlerFunc(h.serveAuthority)), "https"
	if h.plain {
		certificate, handler, scheme = nil, localOnly(handler), "http"
	}
	h.https = listenAt(addr)
	h.authorityHost = scheme + "://localhost:" + h.https.port()
	h.client = h.newTransport()
	h.https.serve(certificate, handler) // last: other processes may know the port
}

func (h *host) join(t *Tenant) {
	h.tenantsMu.Lock()
	defer h.tenantsMu.Unlock()
	for _, other := range h.tenants {
		if other.id == t.id {
			panic("entratest: AddTenant: Options.TenantID is that of another tenant of the server")
		}
	}
	h.tenants = append(h.tenants, t)
}

// leave removes a tenant. Removing the first stops the server.
func (h *host) leave(t *Tenant) {
	h.tenantsMu.Lock()
	first := h.tenants[0] == t
	if !first {
		h.tenants = slices.DeleteFunc(h.tenants, func(other *Tenant) bool { return other == t })
	}
	h.tenantsMu.Unlock()
	if first {
		h.https.close()
		h.client.CloseIdleConnections()
		h.keys.giveBack()
	}
}

// all returns the tenants of the host, the first one first.
func (h *host) all() []*Tenant {
	h.tenantsMu.Lock()
	defer h.tenantsMu.Unlock()
	return slices.Clone(h.tenants)
}

// tenant returns the tenant with the ID, or nil.
func (h *host) tenant(id string) *Tenant {
	h.tenantsMu.Lock()
	defer h.tenantsMu.Unlock()
	for _, t := range h.tenants {
		if strings.EqualFold(t.id, id) {
			return t
		}
	}
	return nil
}

// isShared reports whether a path's first segment means all tenants of the cloud. Then the user's
// tenant is unknown until sign-in.
func isShared(segment string) bool {
	return strings.EqualFold(segment, "organizations") || strings.EqualFold(segment, "common")
}

func (h *host) newTransport() *http.Transport {
	_, own, _ := strings.Cut(h.authorityHost, "://")
	address := h.https.address()
	var dialer net.Dialer
	return &http.Transport{
		TLSClientConfig:     h.certificate.clientConfig(),
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     30 * time.Second,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == own {
				addr = address
			}
			return dialer.DialContext(ctx, network, addr)
		},
	}
}
