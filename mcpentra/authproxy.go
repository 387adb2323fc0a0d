package mcpentra

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// WithAuthProxy lets clients sign in through the proxy, an authproxy.Proxy: the server
// serves the proxy's paths, and its metadata and challenges name the proxy in place of
// Entra. The issuer's host is allowed besides the resource URL's.
//
// The proxy checks the origins of requests for its paths, in place of WithAllowedOrigins;
// the host check and all time limits remain.
//
// Every token that a client gets through the proxy names the proxy's app as its client, so
// no policy can tell such clients apart. [NewServer] returns an error for a policy that
// names one of them, for a verifier whose policy refuses the proxy's app, and for one that
// wants [entraauth.Policy].ClientAuth of them: it is the proxy that authenticates to Entra,
// whatever its clients do. The proxy knows the scopes of the policies that exist when
// NewServer returns, and no others.
func WithAuthProxy(p AuthProxy) Option {
	return func(c *config) error {
		switch v := reflect.ValueOf(p); {
		case !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil():
			return errors.New("WithAuthProxy: the proxy is nil; pass one from authproxy.New, or leave the option out")
		case c.authProxy != nil:
			return errors.New("WithAuthProxy: there are two proxies, and clients would be told of one; leave the other out")
		}
		c.authProxy = p
		return nil
	}
}

// attach completes the proxy, if there is one, when all policies are known. The log is the
// operator's own: the proxy bounds its lines, except for a URL at start that must be complete.
func (c *config) attach(resource *url.URL, v *entraauth.Verifier, log *slog.Logger) error {
	if c.authProxy == nil || resource == nil || v == nil {
		return nil
	}
	p := c.authProxy
	issuer, err := url.Parse(p.Issuer())
	if err != nil {
		return fmt.Errorf("WithAuthProxy: the issuer: %w", err)
	}
	if host := edge.Hostname(issuer.Host); host != edge.Hostname(resource.Host) {
		c.hosts = append(c.hosts, host)
	}
	faults := c.proxyPolicyFaults(v)
	faults = append(faults, p.Attach(resource.String(), c.title(), c.allScopes(resource.String(), v), v, slog.New(requestHandler{log.Handler()})))
	for _, path := range edge.Rests(resource.Path) { // Serves knows all paths now
		if p.Serves(path) {
			faults = append(faults, fmt.Errorf("the path %q of the resource URL is the proxy's too; use another, such as /mcp", path))
		}
	}
	return named("WithAuthProxy", errors.Join(faults...))
}

// issuers returns the authorization servers that the metadata names: nil for Entra's.
func (c *config) issuers() []string {
	if c.authProxy == nil {
		return nil
	}
	return []string{c.authProxy.Issuer()}
}

// describeProxy returns what the log says about the proxy at the server's start.
func (c *config) describeProxy() []slog.Attr {
	if c.authProxy == nil {
		return nil
	}
	return []slog.Attr{slog.String("auth_proxy", c.authProxy.Issuer()), slog.String("auth_proxy_app", c.authProxy.ClientID())}
}

// A namedPolicy is a policy and what its operator calls it.
type namedPolicy struct {
	name   string
	policy entraauth.Policy
}

// policies returns all policies, the verifier's first.
func (c *config) policies(v *entraauth.Verifier) []namedPolicy {
	all := []namedPolicy{{"the verifier's policy", v.Policy()}}
	for _, list := range []struct {
		option string
		rules  []rule
	}{
		{"WithToolPolicy", c.access.tools}, {"WithResourcePolicy", c.access.resources}, {"WithPromptPolicy", c.access.prompts},
		{"mcpentra.Tool", c.access.broughtNow().tools},
	} {
		for i := range list.rules {
			all = append(all, namedPolicy{fmt.Sprintf("%s(%q)", list.option, &list.rules[i]), list.rules[i].policy})
		}
	}
	return all
}

// allScopes returns all scopes that a policy names, as clients request them: first those that
// the metadata advertises. Those that others imply are among them, since a challenge can name
// each.
func (c *config) allScopes(resourceURL string, v *entraauth.Verifier) []string {
	scopes := v.ScopesFor(resourceURL)
	for _, n := range c.policies(v) {
		for _, name := range slices.Concat(n.policy.Scopes, n.policy.AnyScope) {
			one := v.ScopesFor(resourceURL, entraauth.Policy{Scopes: []string{name}})[0] // this one, or any that implies it
			if scope := one[:strings.LastIndexByte(one, '/')+1] + name; !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes
}

// proxyPolicyFaults returns what the policies want of clients and no client behind the proxy
// can have, or each of them has.
func (c *config) proxyPolicyFaults(v *entraauth.Verifier) (faults []error) {
	app := c.authProxy.ClientID()
	const cannotTell = "every token that a client gets through the proxy names the proxy's app %s as its client"
	for i, n := range c.policies(v) {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("%s: %s", n.name, fmt.Sprintf(format, args...)))
		}
		admits := len(n.policy.Clients) == 0 || slices.ContainsFunc(n.policy.Clients, func(id string) bool { return strings.EqualFold(id, app) })
		for _, id := range n.policy.Clients {
			if !strings.EqualFold(id, app) && (c.authProxy.HasClient(id) || c.authProxy.HasClient(strings.ToLower(id))) {
				fault("Clients has %s, which signs in through the proxy, and "+cannotTell+"; remove it, or let it sign in to Entra itself", id, app)
			}
		}
		switch {
		case !admits && i == 0:
			fault("Clients lacks %s, and "+cannotTell+"; add it, or leave Clients out", app, app)
		case !admits:
			c.log.Warn("no client that signs in through the proxy meets this policy", "policy", n.name, "clients", n.policy.Clients, "app", app)
		case n.policy.ClientAuth > entraauth.ClientAuthNone:
			fault("ClientAuth is about the proxy and not about its clients: "+cannotTell+
				"; remove it, or name in Clients the applications that sign in to Entra themselves", app)
		}
	}
	return faults
}
