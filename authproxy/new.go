package authproxy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientassertion"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// New returns a proxy with the issuer URL, such as "https://mcp.example.com" or
// "https://mcp.example.com/auth": https without trailing slash, query or fragment; http is only
// for localhost, 127.0.0.1 and [::1]. The app with the client ID signs users in at the tenant and
// authenticates by the method. {issuer}/oauth/callback must be one of its redirect URIs, of the
// platform Web. It may be the API's own app.
//
// Each key is at least 32 random bytes. The first key seals codes, refresh tokens, registrations
// and cookies; every key opens them. To rotate keys, add the new key second on all replicas, then
// move it first. Keep the old key until the registrations, refresh tokens (90 days) and consents
// that it sealed are no longer needed.
//
// The error lists all faults, each with the name of its argument or field. New sends no request.
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
	p.tell = newProxyTelemetry(&p.opts)
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
	derived, err := deriveKeys(keys)
	if err != nil {
		faults.add("keys", err)
		derived = [][]byte{bytes.Repeat([]byte("x"), minKey)} // to find the other faults
	}
	p.seals, err = newSeals(derived)
	faults.add("keys", err)
	if p.store == nil {
		p.store = families.NewMemory(p.now)
	}
	p.families = families.NewBook(p.store, p.seals.answer, p.sealName(), p.now)
	p.checkOptions(&faults)
	p.openDirectory(derived, &faults)
	faults = append(faults, p.connect()...)
	if len(faults) == 0 && p.opts.Verifier != nil && len(p.opts.Resources) > 0 && len(p.opts.Scopes) > 0 {
		faults = append(faults, p.finish(cmp.Or(p.opts.Logger, slog.Default()))...)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("authproxy: can't make a proxy: %w", errors.Join(faults...))
	}
	p.tell.observe(p)
	return p, nil
}

// parseIssuer checks an issuer URL (RFC 8414, section 2): https, or http on a loopback literal;
// without trailing slash, query or fragment.
func parseIssuer(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL such as https://mcp.example.com")
	case u.User != nil: // don't quote it: it may be a password
		return nil, errors.New("must have no user")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopbackLiteral(u.Hostname())):
		return nil, fmt.Errorf("%q must be https; http is only for localhost, 127.0.0.1 and [::1]", s)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return nil, fmt.Errorf("%q must have no query or fragment (RFC 8414 section 2)", s)
	case strings.HasSuffix(s, "/"):
		return nil, fmt.Errorf("%q must have no trailing slash: clients compare it exactly", s)
	case u.EscapedPath() != u.Path || strings.ContainsAny(u.Path, "{} ;") || u.Path != "" && path.Clean(u.Path) != u.Path:
		return nil, fmt.Errorf("the path %q must be clean, without characters that need an escape", u.Path)
	}
	if _, err := edge.ParseOrigin(u.Scheme + "://" + u.Host); err != nil {
		return nil, err
	}
	if canonical := edge.OriginOf(u) + u.Path; canonical != s {
		return nil, fmt.Errorf("write %q as %q: clients compare it exactly", s, canonical)
	}
	return u, nil
}

// isLoopbackLiteral reports whether the host is one for which http is allowed, because requests
// to it never leave the machine.
func isLoopbackLiteral(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// checkOptions checks the options that depend on no others.
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
		faults.add("Options.CombinedConsent", errors.New("is set without Options.Downstream; list the scopes there, or leave both out"))
	}
}

// openDirectory makes the directory of clients from the options.
func (p *Proxy) openDirectory(keys [][]byte, faults *faults) {
	o := &p.opts
	if o.Presets == nil {
		o.Presets = KnownClients()
	}
	if o.OnlyRedirects != nil && len(o.OnlyRedirects) == 0 {
		faults.add("Options.OnlyRedirects", errors.New("is empty; leave it out if redirects are not restricted"))
	}
	for i, uri := range o.PrivateSchemes {
		if err := redirecturi.CheckPrivate(uri); err != nil {
			faults.add(fmt.Sprintf("Options.PrivateSchemes[%d]", i), err)
		}
	}
	for i, one := range o.Presets {
		if one.Name == "" {
			faults.add(fmt.Sprintf("Options.Presets[%d]", i), errors.New("has no name, by which the consent page shows the client"))
		}
	}
	registry, err := clients.NewRegistry(keys, p.sealName())
	if err != nil {
		faults.add("keys", err)
		return
	}
	config := clients.Config{
		Registry: registry, Private: o.PrivateSchemes, Now: p.now,
		Only: presets("OnlyRedirects", o.OnlyRedirects, faults), Presets: presets("Presets", o.Presets, faults),
	}
	if !o.NoDocuments {
		fetcher := clientdoc.New(&clientdoc.Options{UnsafeClient: o.UnsafeDocumentClient, UnsafeLoopback: o.UnsafeLoopbackDocuments, Now: p.now})
		config.Documents = fetcher
		config.Assertions = &clientassertion.Verifier{Issuer: p.issuer, TokenEndpoint: p.issuer + pathToken, Keys: fetcher, Store: p.store, Now: p.now}
	}
	for _, c := range o.Clients {
		config.Entries = append(config.Entries, clients.Entry(c))
	}
	p.clients, err = clients.NewDirectory(config)
	faults.add("Options.Clients", err)
}

// presets returns the checked lists of the field.
func presets(field string, list []Preset, faults *faults) []redirecturi.Preset {
	var all []redirecturi.Preset
	for i, one := range list {
		preset := redirecturi.Preset(one)
		faults.add(fmt.Sprintf("Options.%s[%d]", field, i), preset.Check())
		all = append(all, preset)
	}
	return all
}
