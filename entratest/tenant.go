package entratest

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options changes what [NewTenant] makes. The zero value of each field is useful.
type Options struct {
	// TenantID is the tenant's id, a GUID. Defaults to a random one.
	TenantID string

	// Now is the tenant's clock: it dates tokens and judges assertions.
	// It is called from several goroutines. Defaults to time.Now. (TLS goes by
	// the real clock.)
	Now func() time.Time

	// Addr is where the tenant listens: host and port of a loopback address.
	// Defaults to 127.0.0.1:0, a free port.
	Addr string

	// TokenLifetime is how long access tokens are valid. Defaults to a random
	// whole number of seconds from 60 to 90 minutes, anew for each token, as
	// Entra does.
	TokenLifetime time.Duration

	// KeepRequests is how many requests [Tenant.Requests] remembers; older ones
	// are dropped. Defaults to 2000.
	KeepRequests int
}

// clockSkew is how far a token may be ahead of the tenant's clock. Entra
// dates its own tokens as far back, so that resources with a slow clock take them.
const clockSkew = 5 * time.Minute

// A Tenant is one Entra tenant, served over https on loopback. All methods
// are safe for concurrent use.
type Tenant struct {
	id            string
	options       Options
	authorityHost string
	pairwise      []byte // makes the sub claims of this tenant its own

	certificate serverCertificate
	https       *server
	client      *http.Transport

	keys     keyring
	recorder recorder
	faults   faults

	mu              sync.Mutex // guards what follows, and all that belongs to apps
	users           []*User
	apps            []*App
	storage         *App
	identities      []*UserAssignedIdentity
	identity        *identityEndpoint
	identityClosed  bool
	minted          *User // whom Mint's tokens are for
	mintedClient    *App
	consents        map[grantKey]map[string]bool
	roleAssignments map[grantKey]map[string]bool
	requirements    map[grantKey]requirement
	issuers         map[string]*trustedIssuer
}

// grantKey names a client and the resource that it wants.
type grantKey struct{ client, resource *App }

// NewTenant starts a tenant, with Azure Storage in it and nothing else.
// It panics, as net/http/httptest does, if it cannot listen, and if the options
// make no sense: a tenant id that is no GUID, an address that is not loopback.
// Close it when done.
func NewTenant(opts *Options) *Tenant {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.fill()
	t := &Tenant{
		id:              o.TenantID,
		options:         o,
		pairwise:        []byte(rand.Text()),
		certificate:     newServerCertificate(),
		consents:        map[grantKey]map[string]bool{},
		roleAssignments: map[grantKey]map[string]bool{},
		requirements:    map[grantKey]requirement{},
		issuers:         map[string]*trustedIssuer{},
	}
	t.recorder.keep = o.KeepRequests
	t.addFirstParty()
	t.https = serve(o.Addr, &t.certificate, http.HandlerFunc(t.serveAuthority))
	t.authorityHost = "https://localhost:" + t.https.port()
	t.client = t.newTransport()
	return t
}

func (o *Options) fill() {
	if o.TenantID == "" {
		o.TenantID = newGUID()
	}
	o.TenantID = strings.ToLower(o.TenantID)
	if !isGUID(o.TenantID) {
		panic(fmt.Sprintf("entratest: Options.TenantID %q is not a GUID", o.TenantID))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.TokenLifetime < 0 {
		panic(fmt.Sprintf("entratest: Options.TokenLifetime %v is negative", o.TokenLifetime))
	}
	if o.KeepRequests <= 0 {
		o.KeepRequests = 2000
	}
}

// Close stops the tenant and waits until all of its goroutines are gone.
// Requests under way are cut off. Minting goes on working.
func (t *Tenant) Close() {
	t.mu.Lock()
	identity := t.identity
	t.identityClosed = true
	t.mu.Unlock()
	if identity != nil {
		identity.server.close()
	}
	t.https.close()
	t.client.CloseIdleConnections()
}

// ID returns the tenant's id, a GUID in lower case.
func (t *Tenant) ID() string { return t.id }

// AuthorityHost returns the URL that stands in for
// https://login.microsoftonline.com, without trailing slash:
// https://localhost:PORT.
func (t *Tenant) AuthorityHost() string { return t.authorityHost }

// V1Issuer returns the issuer of v1 tokens, https://sts.windows.net/{tid}/. It
// is that of the real Entra, because services such as Azurite know it by
// heart; the keys, of course, are not.
func (t *Tenant) V1Issuer() string { return "https://sts.windows.net/" + t.id + "/" }

// V2Issuer returns the issuer of v2 tokens, {AuthorityHost}/{tid}/v2.0.
func (t *Tenant) V2Issuer() string { return t.authorityHost + "/" + t.id + "/v2.0" }

// HTTPClient returns a client that trusts the tenant's certificate and no
// other, and finds the tenant however the machine resolves localhost. It also
// reaches plain http endpoints, such as the managed identity's.
func (t *Tenant) HTTPClient() *http.Client { return &http.Client{Transport: t.client} }

// CertificatePEM returns the certificate that the tenant serves with, which is
// its own root: write it to a file and name that in SSL_CERT_FILE, or add it to
// a pool.
func (t *Tenant) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: t.certificate.der})
}

func (t *Tenant) newTransport() *http.Transport {
	own := strings.TrimPrefix(t.authorityHost, "https://")
	address := t.https.address()
	var dialer net.Dialer
	return &http.Transport{
		TLSClientConfig:     t.certificate.clientConfig(),
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

func (t *Tenant) now() time.Time { return t.options.Now() }
