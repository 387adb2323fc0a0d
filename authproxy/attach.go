package authproxy

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// Attach completes the proxy for an MCP server: it fills in what Options leave out, and returns
// an error that lists what differs. mcpentra.WithAuthProxy calls it. The scopes are in full form,
// the default first. Call it before the proxy serves.
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
		faults.add("Options.Resources", fmt.Errorf("they are %s, and the server is %s; add it, or leave them out", strings.Join(o.Resources, ", "), resourceURL))
	}
	switch {
	case len(o.Scopes) == 0:
		o.Scopes = slices.Clone(scopes)
	case !slices.Equal(slices.Sorted(slices.Values(o.Scopes)), slices.Sorted(slices.Values(scopes))):
		faults.add("Options.Scopes", fmt.Errorf("they are %s, and the server's are %s; make them equal, or leave them out", strings.Join(o.Scopes, " "), strings.Join(scopes, " ")))
	}
	switch {
	case v == nil:
		faults.add("verifier", errors.New("missing"))
	case o.Verifier == nil:
		o.Verifier = v
	case o.Verifier != v:
		faults.add("Options.Verifier", errors.New("it is not the server's verifier; pass that one, or leave it out"))
	}
	p.name = cmp.Or(o.Name, name, p.base.Host)
	if o.Logger == nil && log != nil {
		p.setLogger(log)
	}
	if len(faults) == 0 && !p.complete {
		faults = append(p.connect(), p.finish(cmp.Or(p.opts.Logger, log, slog.Default()))...)
	}
	if len(faults) > 0 {
		return fmt.Errorf("authproxy: the proxy does not fit the server: %w", errors.Join(faults...))
	}
	return nil
}

// finish completes the proxy when resources, scopes and verifier are known.
func (p *Proxy) finish(log *slog.Logger) (faults faults) {
	o := &p.opts
	p.verifier = o.Verifier
	api := p.verifier.Registration()
	if !slices.Contains(api.Tenants, p.tenantID) && !api.AnyTenant {
		faults.add("tenantID", fmt.Errorf("users sign in to the tenant %s, and the verifier accepts those of %s; make both with the same tenant ID", p.tenantID, strings.Join(api.Tenants, ", ")))
	}
	cloud := p.host.Cloud().Hosts
	if !slices.Contains(cloud, p.host.String()) { // a host of no known cloud
		cloud = []string{p.host.String()}
	}
	if !slices.Contains(cloud, api.AuthorityHost) {
		faults.add("Options.AuthorityHost", fmt.Errorf("the proxy asks %s, the verifier trusts %s; set both to the same cloud", p.host, api.AuthorityHost))
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
		faults.add("Options", fmt.Errorf("a request to Entra may have a query of %d characters, and an ordinary one would have %d; shorten the issuer's URL, or list fewer scopes in Downstream", maxUpstream, n))
		return faults
	}
	p.metadata = p.newMetadata()
	p.routes = p.newRoutes()
	p.warn(log)
	p.complete = true
	return nil
}

// warn tells the operator what works, but not as they may expect. The log is not the safe one,
// which would cut the URL's query off.
func (p *Proxy) warn(log *slog.Logger) {
	if p.opts.Replicas && p.opts.Store == nil {
		log.Warn("the server seems to have replicas, but authproxy.Options.Store is not set: a refresh token that was stolen, or revoked, may be used at another replica; share a store, such as redisstore.ProxyStore")
	}
	if len(p.opts.Downstream) > 0 && !p.scopes.self && !p.opts.CombinedConsent {
		log.Warn("users can't consent to Options.Downstream as they sign in: an administrator must consent once, "+
			"or list the proxy's app in knownClientApplications of the API and set Options.CombinedConsent",
			slog.String("url", p.adminConsentURL()))
	}
	if n := p.upstreamSize(p.scopes.names); n > maxUpstream {
		log.Warn("clients that ask for all scopes at once are refused: Entra takes no query of that length; offer fewer scopes, or shorter ones",
			slog.Int("characters", n), slog.Int("most", maxUpstream))
	}
}
