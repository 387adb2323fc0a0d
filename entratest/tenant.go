package entratest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options configures a [Tenant]. The zero value of each field is useful.
type Options struct {
	// TenantID is the tenant's ID, a GUID. Defaults to a random one.
	TenantID string

	// Now is the tenant's clock for dating tokens and checking assertions. Several goroutines call
	// it. Defaults to time.Now. (TLS uses the real clock.)
	Now func() time.Time

	// Addr is where the tenant listens: host and port of a loopback address.
	// Defaults to 127.0.0.1:0, a free port.
	Addr string

	// PlainHTTP serves the tenant without TLS, at http://localhost:PORT, for clients that can't be
	// given a CA. Entra never does that, and some libraries, MSAL among them, refuse it. Requests
	// whose Host is not this machine's are refused (421).
	PlainHTTP bool

	// CA signs the tenant's TLS certificate, so that clients that trust the CA also trust the next
	// tenant. Defaults to none: the certificate signs itself.
	CA *CA

	// TokenLifetime is the lifetime of access tokens. Defaults to a random whole number of seconds
	// between 60 and 90 minutes for each token, as in Entra.
	TokenLifetime time.Duration

	// KeepRequests is how many requests [Tenant.Requests] returns at most; older ones are dropped.
	// Defaults to 2000.
	KeepRequests int

	// Logger logs a line for each response and each rejection, without tokens and secrets. In a
	// test, slog.New(slog.NewTextHandler(t.Output(), nil)) shows them if the test fails. Defaults
	// to none.
	Logger *slog.Logger

	// DeviceInterval is how long devices must wait between polls, in whole
	// seconds. Defaults to 5 seconds, as at Entra.
	DeviceInterval time.Duration

	// SigningKey is the tenant's first signing key, RSA with at least 2048 bits, for reproducible
	// runs. Defaults to a random one.
	SigningKey *rsa.PrivateKey
}

// clockSkew is how far a token may be ahead of the tenant's clock. Entra backdates its own tokens
// by as much, so that resources with a slow clock accept them.
const clockSkew = 5 * time.Minute

// A Tenant is an Entra tenant, served over HTTPS on loopback. All methods are safe for concurrent
// use.
type Tenant struct {
	*host
	id       string
	options  Options
	pairwise []byte // makes the tenant's sub claims unique

	recorder  recorder
	faults    faults
	directory *Directory

	mu              sync.Mutex // guards the fields below, and everything that belongs to apps
	users           []*User
	apps            []*App
	storage         *App
	graph           *App
	identities      []*UserAssignedIdentity
	identity        *identityEndpoint
	identityClosed  bool
	minted          *User // of Mint's tokens
	mintedClient    *App
	consents        map[grantKey]map[string]bool
	userConsents    map[userGrantKey]map[string]bool
	consentPolicy   ConsentPolicy
	policies        map[*App]policySet
	groups          []*Group
	roleAssignments map[roleKey]map[string]bool
	requirements    map[grantKey]requirement
	issuers         map[string]*trustedIssuer
	clusters        map[string]*Issuer // by the id in their URL
}

// A grantKey is a client and the resource that it requests.
type grantKey struct{ client, resource *App }

// NewTenant starts a tenant that has only Azure Storage and Microsoft Graph. Like
// net/http/httptest, it panics if it can't listen. It also panics if the options are invalid, such
// as a tenant ID that is not a GUID or an address that is not loopback. Close it when done; in
// tests, [New] does that.
func NewTenant(opts *Options) *Tenant {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.fill()
	h := newHost(&o)
	t := newTenant(h, o)
	h.start(o.Addr, t)
	return t
}

// TB is the part of *testing.T, *testing.B and *testing.F that [New] uses. It keeps package
// testing out of programs that link this package.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// New starts a tenant for a test and closes it when the test ends. Invalid options fail the test.
func New(t TB, opts *Options) *Tenant {
	t.Helper()
	defer failOnPanic(t)
	tenant := NewTenant(opts)
	t.Cleanup(tenant.Close)
	return tenant
}

func failOnPanic(t TB) {
	t.Helper()
	if problem := recover(); problem != nil {
		t.Fatalf("%v", problem)
	}
}

// AddTenant adds another tenant to the server of t. Like the tenants of a cloud, they share the
// authority host, the certificate, the key set with its rotation, and the browser's cookies, and
// nothing else. Options.Addr, Options.PlainHTTP, Options.CA and Options.SigningKey must be empty;
// Options.Now defaults to the clock of t. Closing the added tenant removes it from the server; closing t stops the server with
// all its tenants.
func (t *Tenant) AddTenant(opts *Options) *Tenant {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Addr != "" || o.PlainHTTP || o.CA != nil || o.SigningKey != nil {
		panic("entratest: AddTenant: Options.Addr, PlainHTTP, CA and SigningKey belong to the server's first tenant")
	}
	if o.Now == nil {
		o.Now = t.options.Now
	}
	o.fill()
	added := newTenant(t.host, o)
	t.join(added)
	return added
}

func newTenant(h *host, o Options) *Tenant {
	t := &Tenant{
		host:            h,
		id:              o.TenantID,
		options:         o,
		pairwise:        []byte(rand.Text()),
		consents:        map[grantKey]map[string]bool{},
		userConsents:    map[userGrantKey]map[string]bool{},
		policies:        map[*App]policySet{},
		roleAssignments: map[roleKey]map[string]bool{},
		requirements:    map[grantKey]requirement{},
		issuers:         map[string]*trustedIssuer{},
		clusters:        map[string]*Issuer{},
	}
	t.directory = newDirectory(t)
	t.recorder.keep, t.recorder.logger = o.KeepRequests, o.Logger
	t.addFirstParty()
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
	if o.SigningKey != nil && o.SigningKey.N.BitLen() < 2048 {
		panic(fmt.Sprintf("entratest: Options.SigningKey has %d bits, want at least 2048", o.SigningKey.N.BitLen()))
	}
	if o.TokenLifetime < 0 {
		panic(fmt.Sprintf("entratest: Options.TokenLifetime %v is negative", o.TokenLifetime))
	}
	if o.KeepRequests <= 0 {
		o.KeepRequests = 2000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Close stops the tenant and waits for its goroutines to end. It aborts requests in progress.
// Minting still works.
func (t *Tenant) Close() {
	t.mu.Lock()
	identity := t.identity
	t.identityClosed = true
	t.mu.Unlock()
	if identity != nil {
		identity.server.close()
	}
	t.leave(t)
}

// ID returns the tenant's ID, a GUID in lower case.
func (t *Tenant) ID() string { return t.id }

// AuthorityHost returns the URL that replaces https://login.microsoftonline.com, without a
// trailing slash: https://localhost:PORT, or http with [Options.PlainHTTP].
func (t *Tenant) AuthorityHost() string { return t.authorityHost }

// V1Issuer returns the issuer of v1 tokens, https://sts.windows.net/{tid}/. It is the same as
// Entra's, because services such as Azurite have it built in; the keys are the tenant's own.
func (t *Tenant) V1Issuer() string { return v1Issuer(t.id) }

// V2Issuer returns the issuer of v2 tokens, {AuthorityHost}/{tid}/v2.0.
func (t *Tenant) V2Issuer() string { return t.v2Issuer(t.id) }

// HTTPClient returns a client that trusts only the tenant's certificate, and finds the tenant
// however the machine resolves localhost. It also reaches plain HTTP endpoints, such as the
// managed identity endpoint. Each call returns a new client that you may change; all share
// connections.
func (t *Tenant) HTTPClient() *http.Client { return &http.Client{Transport: t.client} }

// CertificatePEM returns the certificate that clients must trust: that of [Options.CA], or the
// tenant's self-signed TLS certificate. Write it to a file for SSL_CERT_FILE, or add it to a pool.
func (t *Tenant) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: t.certificate.root().Raw})
}

func (t *Tenant) now() time.Time { return t.options.Now() }

// stampNow returns the time in the precision of Graph's answers.
func (t *Tenant) stampNow() *time.Time {
	now := t.now().UTC().Truncate(time.Second)
	return &now
}
