package authproxy

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

// Attach completes the proxy for an MCP server: it fills in the options that are zero, and returns
// an error that lists those that differ. The scopes are in full form, the default first.
// mcpentra.WithAuthProxy calls Attach; without mcpentra, call it before the proxy serves, or set
// Options.Resources, Scopes and Verifier.
func (p *Proxy) Attach(resourceURL, name string, scopes []string, v *entraauth.Verifier, log *slog.Logger) error {
	o := &p.opts
	var faults faults
	resource, ok := canonicalResource(resourceURL)
	if !ok {
		faults.add("resource", fmt.Errorf("%q is not a URL such as https://mcp.example.com/mcp", resourceURL))
	}
	switch {
	case len(o.Resources) == 0:
		o.Resources = []string{resourceURL}
	case !slices.ContainsFunc(o.Resources, func(s string) bool { c, _ := canonicalResource(s); return c == resource }):
		faults.add("Options.Resources", fmt.Errorf("has %s, and the server is %s; add it, or leave the option out", strings.Join(o.Resources, ", "), resourceURL))
	}
	switch {
	case len(o.Scopes) == 0:
		o.Scopes = slices.Clone(scopes)
	case len(scopes) == 0 || o.Scopes[0] != scopes[0] || !slices.Equal(slices.Sorted(slices.Values(o.Scopes)), slices.Sorted(slices.Values(scopes))):
		faults.add("Options.Scopes", fmt.Errorf("has %s, and the server has %s; make them equal, with the same scope first, or leave the option out", strings.Join(o.Scopes, " "), strings.Join(scopes, " ")))
	}
	switch {
	case v == nil:
		faults.add("verifier", errors.New("is nil"))
	case o.Verifier == nil:
		o.Verifier = v
	case o.Verifier != v:
		faults.add("Options.Verifier", errors.New("is not the server's verifier; set it to that one, or leave it out"))
	}
	if len(faults) == 0 && !p.attached { // requests read these from now on
		p.attached, p.name = true, cmp.Or(o.Name, name, p.base.Host)
		if o.Logger == nil && log != nil {
			p.setLogger(log)
		}
	}
	if len(faults) == 0 && !p.complete {
		faults = append(p.connect(), p.finish(cmp.Or(p.opts.Logger, log, slog.Default()))...)
	}
	if len(faults) > 0 {
		return fmt.Errorf("authproxy: the proxy does not fit the server: %w", errors.Join(faults...))
	}
	return nil
}

func (p *Proxy) setLogger(l *slog.Logger) {
	if l == nil {
		l = slog.Default()
	}
	p.log = slog.New(safelog.NewHandler(l.Handler()))
}

// connect prepares requests to Entra, in the verifier's cloud unless the options name another.
func (p *Proxy) connect() (faults faults) {
	host := p.opts.AuthorityHost
	if host == "" && p.opts.Verifier != nil {
		host = p.opts.Verifier.Registration().AuthorityHost
	}
	var err error
	p.host, err = authority.Parse(host)
	faults.add("Options.AuthorityHost", err)
	env := clientcred.Environment{
		HTTPClient: entrawire.Bounded(p.tell.client(p.opts.HTTPClient, telemetry.SpanCredential)), Now: p.now, Logger: p.log,
		Authority: p.host, TenantID: p.tenantID, ClientID: p.clientID,
	}
	sources, err := clientcred.Method(p.method).Open(env)
	faults.add("method", err)
	p.proofs = clientcred.NewProofs(sources, env)
	p.wire = entrawire.New(p.tell.client(p.opts.HTTPClient, telemetry.SpanEntra), p.now, entrawire.AuthorizationCode, entrawire.RefreshToken)
	return faults
}

// finish completes the proxy once resources, scopes and verifier are known.
func (p *Proxy) finish(log *slog.Logger) (faults faults) {
	o := &p.opts
	p.verifier = o.Verifier
	api := p.verifier.Registration()
	if !slices.Contains(api.Tenants, p.tenantID) && !api.AnyTenant {
		faults.add("tenantID", fmt.Errorf("users sign in to tenant %s, and the verifier accepts tenant %s; use the same tenant ID for both", p.tenantID, strings.Join(api.Tenants, ", ")))
	}
	cloud := p.host.Cloud().Hosts
	if !slices.Contains(cloud, p.host.String()) { // a host of no known cloud
		cloud = []string{p.host.String()}
	}
	if !slices.Contains(cloud, api.AuthorityHost) {
		faults.add("Options.AuthorityHost", fmt.Errorf("the proxy uses %s, and the verifier trusts %s; use the same cloud for both", p.host, api.AuthorityHost))
	}
	var err error
	p.scopes, err = newScopeSet(o.Scopes, api.ClientID, api.AppIDURIs, api.ClientID == p.clientID)
	faults.add("Options.Scopes", err)
	p.resources = nil
	for _, resource := range o.Resources {
		canonical, _ := canonicalResource(resource)
		p.resources = append(p.resources, canonical)
	}
	p.name = cmp.Or(p.name, o.Name, p.base.Host)
	if len(faults) > 0 {
		return faults
	}
	if n := p.upstreamSize(p.scopes.names[:1]); n > maxUpstream {
		faults.add("Options", fmt.Errorf("an ordinary request to Entra would have a query of %d characters, and Entra takes %d; shorten the issuer URL, or list fewer scopes in Downstream", n, maxUpstream))
		return faults
	}
	p.metadata = p.newMetadata()
	p.routes = p.newRoutes()
	p.warn(log)
	p.complete = true
	return nil
}

// warn logs what works, but not as the operator may expect. The log is not p.log, which would cut
// off the URL's query.
func (p *Proxy) warn(log *slog.Logger) {
	if p.opts.Replicas && p.opts.Store == nil {
		log.Warn("the server seems to have replicas, but authproxy.Options.Store is not set: a stolen or revoked refresh token still works at another replica; share a store, such as redisstore.ProxyStore")
	}
	if len(p.opts.Downstream) > 0 && !p.scopes.self && !p.opts.CombinedConsent {
		log.Warn("users can't consent to Options.Downstream when they sign in: an administrator must consent once, "+
			"or add the proxy's app to the API's knownClientApplications and set Options.CombinedConsent",
			slog.String("url", p.adminConsentURL()))
	}
	if n := p.upstreamSize(p.scopes.names); n > maxUpstream {
		log.Warn("clients that ask for all scopes at once are refused: Entra takes no query of that length; offer fewer scopes, or shorter ones",
			slog.Int("characters", n), slog.Int("most", maxUpstream))
	}
}
