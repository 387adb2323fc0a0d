package authproxy

import (
	"bytes"
	"cmp"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A Proxy is an authorization server for MCP clients in front of Entra. It is an http.Handler
// for the paths that [Proxy.Serves]. It is safe for concurrent use.
type Proxy struct {
	issuer             string // byte-identical wherever it stands
	base               *url.URL
	tenantID, clientID string // in lower case
	method             clientauth.Method
	opts               Options // with defaults
	keys               [][]byte
	seals              seals
	cookies            cookieNames
	clients            *clients.Directory
	pages              *pages.Renderer
	store              Store
	families           *families.Book
	log                *slog.Logger
	now                func() time.Time

	// What connect sets.
	host   authority.Host
	wire   *entrawire.Client
	proofs *clientcred.Proofs

	// What complete sets.
	complete  bool
	name      string   // of the MCP server
	resources []string // canonical
	verifier  *entraauth.Verifier
	scopes    *scopeSet
	routes    map[string]route
	metadata  []byte
}

// seals are the sealers, one for each purpose.
type seals struct {
	code, refresh, transaction, form, consent *seal.Sealer
}

// New returns a proxy with the issuer URL, such as "https://mcp.example.com" or
// "https://mcp.example.com/auth": https without trailing slash, query and fragment; http is for
// localhost, 127.0.0.1 and [::1]. The app with the client ID signs users in at the tenant and
// authenticates by the method; {issuer}/oauth/callback must be a redirect URI of it, of the
// platform Web. It may be the API's own app.
//
// Each key is at least 32 random bytes. The first one seals codes, refresh tokens, registrations
// and cookies; all of them open. To rotate keys, add the new key second on all replicas, then
// move it first. Keep an old key for as long as the registrations, refresh tokens (90 days) and
// consents that it sealed shall live.
//
// The error lists all faults, each with the name of its argument or field. No request is made.
func New(issuerURL, tenantID, clientID string, method clientauth.Method, keys [][]byte, opts *Options) (*Proxy, error) {
	p := &Proxy{issuer: issuerURL, tenantID: strings.ToLower(tenantID), clientID: strings.ToLower(clientID), method: method, pages: pages.New()}
	if opts != nil {
		p.opts = opts.clone()
	}
	p.opts.RememberConsent = cmp.Or(p.opts.RememberConsent, defaultRememberConsent)
	p.now, p.store = p.opts.Now, p.opts.Store
	if p.now == nil {
		p.now = time.Now
	}
	p.setLogger(p.opts.Logger)
	var faults faults
	var err error
	p.base, err = parseIssuer(issuerURL)
	p.cookies = newCookieNames(issuerURL)
	faults.add("issuerURL", err)
	faults.add("tenantID", authority.CheckGUID(tenantID))
	faults.add("clientID", authority.CheckGUID(clientID))
	if authority.IsGUID(clientID) && p.tenantID == p.clientID {
		faults.add("clientID", errors.New("is the tenant ID; use the Application (client) ID from the overview of the app registration"))
	}
	p.keys, err = normalKeys(keys)
	if err != nil {
		faults.add("keys", err)
		p.keys = [][]byte{bytes.Repeat([]byte("x"), minKey)} // to find the other faults
	}
	faults.add("keys", errors.Join(p.makeSeals(), p.openStore()))
	p.checkOptions(&faults)
	p.openDirectory(&faults)
	faults = append(faults, p.connect()...)
	if len(faults) == 0 && p.opts.Verifier != nil && len(p.opts.Resources) > 0 && len(p.opts.Scopes) > 0 {
		faults = append(faults, p.finish(cmp.Or(p.opts.Logger, slog.Default()))...)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("authproxy: can't make a proxy: %w", errors.Join(faults...))
	}
	return p, nil
}

// faults collects the faults of a configuration.
type faults []error

func (f *faults) add(field string, err error) {
	if err != nil {
		*f = append(*f, fmt.Errorf("%s: %w", field, err))
	}
}

func (o *Options) clone() Options {
	c := *o
	c.Resources, c.Scopes, c.Clients = slices.Clone(o.Resources), slices.Clone(o.Scopes), slices.Clone(o.Clients)
	c.OnlyRedirects, c.Presets = slices.Clone(o.OnlyRedirects), slices.Clone(o.Presets)
	c.PrivateSchemes, c.Downstream = slices.Clone(o.PrivateSchemes), slices.Clone(o.Downstream)
	return c
}

// checkOptions checks what needs nothing else.
func (p *Proxy) checkOptions(faults *faults) {
	o := &p.opts
	for i, resource := range o.Resources {
		if _, ok := canonicalResource(resource); !ok {
			faults.add(fmt.Sprintf("Options.Resources[%d]", i), fmt.Errorf("%q is not a URL such as https://mcp.example.com/mcp", resource))
		}
	}
	for i, scope := range o.Downstream {
		if prefix, name := cutScope(scope); prefix == "" || name == "" || name == ".default" || strings.ContainsFunc(scope, notScopeChar) {
			faults.add(fmt.Sprintf("Options.Downstream[%d]", i), fmt.Errorf("%q is not a scope in full form, such as https://storage.azure.com/user_impersonation", scope))
		}
	}
	if d := o.RememberConsent; d > 0 && (d < minRememberConsent || d > maxRememberConsent) {
		faults.add("Options.RememberConsent", fmt.Errorf("%s is not between %s and %s; a negative value means never", d, minRememberConsent, maxRememberConsent))
	}
	if o.CombinedConsent && len(o.Downstream) == 0 {
		faults.add("Options.CombinedConsent", errors.New("set without Options.Downstream; list the scopes there, or leave both out"))
	}
}

const (
	// minKey is the least length of a key, in bytes.
	minKey = 32
	// maxKeys is how many keys there may be.
	maxKeys = 16
)

// normalKeys derives keys of one length from the operator's, which may be longer.
func normalKeys(keys [][]byte) ([][]byte, error) {
	if len(keys) == 0 || len(keys) > maxKeys {
		return nil, fmt.Errorf("there are %d; pass between 1 and %d, each of %d random bytes (openssl rand -base64 %d)", len(keys), maxKeys, minKey, minKey)
	}
	var normal [][]byte
	var faults []error
	for i, key := range keys {
		switch {
		case len(key) < minKey:
			faults = append(faults, fmt.Errorf("key %d has %d bytes; it must have at least %d random ones", i, len(key), minKey))
		case bytes.Count(key, []byte{0}) == len(key): // probably a buffer that nothing was read into
			faults = append(faults, fmt.Errorf("key %d is all zero; it must have random bytes", i))
		default:
			derived, err := hkdf.Key(sha256.New, key, nil, "mcp-entra-go authproxy v1", minKey)
			if err != nil {
				faults = append(faults, err)
			}
			normal = append(normal, derived)
		}
	}
	return normal, errors.Join(faults...)
}

func (p *Proxy) makeSeals() error {
	var faults []error
	for purpose, s := range map[string]**seal.Sealer{
		"code": &p.seals.code, "refresh": &p.seals.refresh, "transaction": &p.seals.transaction,
		"form": &p.seals.form, "consent": &p.seals.consent,
	} {
		var err error
		*s, err = seal.New("authproxy "+purpose, p.keys)
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// sealName is the name of sealed values: they are for this issuer, tenant and app.
func (p *Proxy) sealName() string { return p.issuer + "\n" + p.tenantID + "\n" + p.clientID }

func (p *Proxy) setLogger(l *slog.Logger) {
	if l == nil {
		l = slog.Default()
	}
	p.log = slog.New(safelog.NewHandler(l.Handler()))
}

// connect prepares the requests to Entra, at the verifier's cloud if Options name none.
func (p *Proxy) connect() (faults faults) {
	host := p.opts.AuthorityHost
	if host == "" && p.opts.Verifier != nil {
		host = p.opts.Verifier.Registration().AuthorityHost
	}
	var err error
	p.host, err = authority.Parse(host)
	faults.add("Options.AuthorityHost", err)
	env := clientcred.Environment{
		HTTPClient: entrawire.Bounded(p.opts.HTTPClient), Now: p.now, Logger: p.log,
		Authority: p.host, TenantID: p.tenantID, ClientID: p.clientID,
	}
	sources, err := clientcred.Method(p.method).Open(env)
	faults.add("method", err)
	p.proofs = clientcred.NewProofs(sources, env)
	p.wire = entrawire.New(p.opts.HTTPClient, p.now, entrawire.AuthorizationCode, entrawire.RefreshToken)
	return faults
}

// tokenURL is Entra's token endpoint.
func (p *Proxy) tokenURL() string { return p.host.Tenant(p.tenantID) + "/oauth2/v2.0/token" }

// Issuer returns the issuer URL, as it stands in metadata and responses.
func (p *Proxy) Issuer() string { return p.issuer }

// AuthorizationEndpoint returns the URL at which sign-ins start.
func (p *Proxy) AuthorizationEndpoint() string { return p.issuer + pathAuthorize }

// ClientID returns the ID of the proxy's app at Entra, in lower case: each token's authorized party.
func (p *Proxy) ClientID() string { return p.clientID }

// HasClient reports whether the operator configured a client with the ID.
func (p *Proxy) HasClient(id string) bool {
	return slices.ContainsFunc(p.opts.Clients, func(c Client) bool { return c.ID == id })
}

// callbackURL is where Entra sends browsers.
func (p *Proxy) callbackURL() string { return p.issuer + pathCallback }

// resourceOf returns the canonical form of the resource that a request names, or "" if it names
// none (RFC 8707, section 2).
func (p *Proxy) resourceOf(values []string) (string, error) {
	var named string
	for _, value := range values {
		if value == "" {
			continue
		}
		canonical, ok := canonicalResource(value)
		if !ok || !slices.Contains(p.resources, canonical) || named != "" && named != canonical {
			return "", oauth.Errorf(oauth.InvalidTarget, "resource must name one server behind this proxy: %s", strings.Join(p.resources, " or "))
		}
		named = canonical
	}
	return named, nil
}

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.complete {
		p.log.ErrorContext(r.Context(), "the proxy is not complete; set Options.Resources, Options.Scopes and Options.Verifier, or mount it with mcpentra.WithAuthProxy")
		http.Error(w, "the server is not configured", http.StatusInternalServerError)
		return
	}
	found, ok := p.find(r.URL)
	if !ok {
		http.NotFound(w, r)
		return
	}
	p.serve(w, r, found)
}
