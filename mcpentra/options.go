package mcpentra

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// An Option adds to what [NewServer] assembles.
type Option func(*config) error

type config struct {
	implementation *mcp.Implementation
	exchanger      *obo.Exchanger
	tools          []ToolSet
	agentFor       func(*entraauth.Identity) string // nil without WithAgent
	serverCred     *serverCredential                // nil without WithDangerous…
	serverOptions  []func(*mcp.ServerOptions)
	sessions       bool
	origins        []string
	hosts          []string
	proxies        edge.Proxies
	limits         Limits
	rateStore      RateStore // nil without one
	access         access
	authProxy      AuthProxy    // nil without one
	states         *seal.Sealer // nil without keys
	cursors        *seal.Sealer
	tracers        trace.TracerProvider // nil without one
	meters         metric.MeterProvider // nil without one
	log            *slog.Logger

	traceFromHeader, traceFromMeta bool
	names                          inventory // of tools and prompts, when the server is made
}

// An AuthProxy is an authorization server in front of Entra, for MCP clients that Entra
// itself refuses: a Proxy of package authproxy.
type AuthProxy interface {
	// Handler serves the paths for which Serves is true.
	http.Handler
	// Serves reports whether the path is one of the proxy's. It may have lost leading
	// segments of the issuer's path.
	Serves(path string) bool
	// Issuer returns the proxy's issuer URL.
	Issuer() string
	// AuthorizationEndpoint returns the URL at which users sign in.
	AuthorizationEndpoint() string
	// ClientID returns the application ID of the proxy's app at Entra.
	ClientID() string
	// HasClient reports whether the proxy's operator has configured a client with the ID.
	HasClient(id string) bool
	// Attach completes the proxy for the server, or returns what does not fit. The scopes
	// are in full form; the first is the default.
	Attach(resourceURL, name string, scopes []string, v *entraauth.Verifier, log *slog.Logger) error
}

// title returns the server's name for people.
func (c *config) title() string { return cmp.Or(c.implementation.Title, c.implementation.Name) }

// WithImplementation sets the name, title and version by which the server introduces
// itself to clients; the title, or the name without one, is also the resource_name of the
// metadata, which clients show to users who sign in. The name defaults to the host of the
// resource URL, and an empty version is that of the program's main module.
func WithImplementation(i *mcp.Implementation) Option {
	return func(c *config) error {
		if i == nil || i.Name == "" {
			return errors.New("WithImplementation: the name is missing")
		}
		c.implementation = i
		return nil
	}
}

// WithExchanger lets tools act on behalf of their caller: [Credential] then
// returns the caller's credential. The exchanger must have the verifier's app and
// cloud, and act for the tenants that the verifier accepts; with
// AcceptAnyOrganization, it acts for the tenants in its own OtherTenants. Its Resources must
// include what the tool sets need: Azure Storage for blobtool's.
func WithExchanger(x *obo.Exchanger) Option {
	return func(c *config) error {
		if x == nil {
			return errors.New("WithExchanger: the exchanger is nil")
		}
		c.exchanger = x
		return nil
	}
}

// WithTools adds tool sets, in order.
func WithTools(sets ...ToolSet) Option {
	return func(c *config) error {
		var faults []error
		for i, set := range sets {
			if isNil(set) {
				faults = append(faults, fmt.Errorf("WithTools: tool set %d (%T) is nil; pass a set, or leave it out", i, set))
				continue
			}
			c.tools = append(c.tools, set)
		}
		return errors.Join(faults...)
	}
}

// isNil reports whether the value is nil, or holds a nil pointer or function.
func isNil(value any) bool {
	v := reflect.ValueOf(value)
	return !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil()
}

// WithServerOptions changes the options of the SDK's server before it is made,
// for settings without an option here. Cacheable results stay private to their caller
// whatever SetCacheable does.
func WithServerOptions(change func(*mcp.ServerOptions)) Option {
	return func(c *config) error {
		if change == nil {
			return errors.New("WithServerOptions: the function is nil; pass one, or leave the option out")
		}
		c.serverOptions = append(c.serverOptions, change)
		return nil
	}
}

// WithSessions makes the server stateful, for tools that call the client back
// under protocol versions before 2026-07-28. Sessions live in this process and are
// bound to their user and client application. They end after 30 idle minutes, or as
// the oldest of more than [Limits].Sessions or AllSessions.
//
// A client whose stream broke can resume it with a token that may make the call, even
// while the call runs. The answers kept for that are bounded to 10 MiB and 1,024 answers
// for each user; the oldest are dropped first.
//
// Without this option, any replica can answer each request, and resources/subscribe is
// refused, because notifications could not be sent. (Clients of 2026-07-28 have
// subscriptions/listen, which needs no session.)
func WithSessions() Option {
	return func(c *config) error {
		c.sessions = true
		return nil
	}
}

// WithAllowedOrigins lets web pages of these origins call the server, such as
// "https://app.example.com" or "http://localhost:6274". The resource's own
// origin is always allowed; a request with any other Origin header is refused.
func WithAllowedOrigins(origins ...string) Option {
	return func(c *config) error {
		var faults []error
		for _, o := range origins {
			origin, err := edge.ParseOrigin(o)
			if err != nil {
				faults = append(faults, fmt.Errorf("WithAllowedOrigins: %w", err))
			}
			c.origins = append(c.origins, origin)
		}
		return errors.Join(faults...)
	}
}

// WithAllowedHosts accepts requests with one of these hosts in the Host header, on any
// port: the internal name by which a gateway reaches the
// server, such as "mcp-server.internal.example". The resource URL's host and
// loopback names are always allowed, every other Host is refused (DNS rebinding).
func WithAllowedHosts(hosts ...string) Option {
	return func(c *config) error {
		var faults []error
		for _, h := range hosts {
			host, err := edge.ParseHost(h)
			if err != nil {
				faults = append(faults, fmt.Errorf("WithAllowedHosts: %w", err))
			}
			c.hosts = append(c.hosts, host)
		}
		return errors.Join(faults...)
	}
}

// WithTrustedProxies names the networks of the gateways and load balancers in front of
// the server. Their X-Forwarded-For becomes the client's address in the logs, and their
// X-Forwarded-Host is checked in place of the Host header. From all other addresses,
// and without this option, both headers are ignored.
//
// A trusted proxy must set X-Forwarded-Host or remove it: one that forwards the client's
// header lets the client choose the host. The header Forwarded (RFC 7239) is never read,
// because a proxy that sets one of the two may forward the client's value of the other.
func WithTrustedProxies(networks ...netip.Prefix) Option {
	return func(c *config) error {
		var faults []error
		for _, n := range networks {
			network, err := edge.ParseProxy(n)
			if err != nil {
				faults = append(faults, fmt.Errorf("WithTrustedProxies: %q is not the network of a proxy, such as 10.0.0.0/24: %w", network, err))
			}
			c.proxies = append(c.proxies, network)
		}
		return errors.Join(faults...)
	}
}

// WithStateKeys sets the keys, 32 random bytes each. They seal the state that a client
// returns after its user has been asked for consent in a browser (protocol 2026-07-28,
// clients with URL elicitation), and blobtool's cursors for callers who may not read
// everything under [WithResourcePolicy]. All replicas need the same keys: the first key
// seals and every key opens, so keys can be rotated. Without keys, these clients get the
// URL to open as text, as all others do, and these cursors work only on the replica that
// made them.
func WithStateKeys(keys ...[]byte) Option {
	return func(c *config) error {
		if len(keys) == 0 {
			return errors.New("WithStateKeys: there is no key; pass one of 32 random bytes, or leave the option out")
		}
		var err error
		if c.states, err = seal.New(statePurpose, keys); err != nil {
			return fmt.Errorf("WithStateKeys: %w", err)
		}
		c.cursors, err = seal.New(cursorPurpose, keys)
		return err
	}
}

// WithLogger sets the logger, which gets a line for each request and each panic of a
// tool. Defaults to [slog.Default].
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error {
		c.log = l
		return nil
	}
}

// WithLimits changes the limits. A user is identified by tenant and object ID.
// Requests without a valid token are not counted and cost little: refusing one takes
// microseconds, and no more than 64 KiB and 5 seconds of its body are read.
func WithLimits(l Limits) Option {
	return func(c *config) error {
		c.limits = l
		return named("WithLimits", l.check())
	}
}

// WithToolPolicy sets what callers of some tools need beyond the verifier's policy. The
// pattern is the name of a tool, a prefix ("blob_*"), or "*" for all tools. Policies add
// up: the caller must meet every policy that matches, and those of the [Tool] itself.
//
// A caller who lacks a scope gets 403 insufficient_scope with all scopes that the tool
// needs, and can retry with them. A caller who lacks a role, a group or an allowed
// client does not see the tool in tools/list, and gets 403 for calling it. The metadata
// advertises the verifier's scopes alone: clients ask for whatever is advertised.
//
// [NewServer] returns an error for a pattern that is misleading or that matches none of
// the tools of [WithTools], and for a policy that requires nothing, or that names a tenant
// or the API itself as an agent or an agent user. Tools added later, with mcp.AddTool, are
// matched when they are called.
func WithToolPolicy(pattern string, p entraauth.Policy) Option {
	return withPolicy("WithToolPolicy", tool, pattern, p)
}

// WithResourcePolicy is [WithToolPolicy] for resources, by URI: "note://own", or
// "note://team/*". It applies to each URI that a handler could read as one that
// matches: decoded again or not, cleaned, with scheme and host in another case.
// Resources of a tool set also follow the policies of its tools, if the set says which
// tool they stand for ([ToolSet]). The tools of blobtool follow the policies of
// the blobs that they show; a tool of your own must call [MayUseResource].
func WithResourcePolicy(pattern string, p entraauth.Policy) Option {
	return withPolicy("WithResourcePolicy", resource, pattern, p)
}

// WithPromptPolicy is [WithToolPolicy] for prompts.
func WithPromptPolicy(pattern string, p entraauth.Policy) Option {
	return withPolicy("WithPromptPolicy", prompt, pattern, p)
}

func withPolicy(option string, k kind, pattern string, p entraauth.Policy) Option {
	return func(c *config) error {
		name := fmt.Sprintf("%s(%q)", option, pattern)
		parse := resourceuri.ParseNamePattern
		if k == resource {
			parse = resourceuri.ParseURIPattern
		}
		valid, fault := p.Validated()
		of, err := parse(pattern)
		if err == nil {
			rules := c.access.rules(k)
			*rules = append(*rules, rule{of, valid}) // even if the policy is invalid: the pattern may have faults too
		}
		return named(name, errors.Join(err, fault))
	}
}

// An appSettings is what the verifier and all that acts for its callers must agree on:
// [entraauth.Registration] and [obo.Registration] are.
type appSettings interface {
	// App returns the client ID, and the authority host as a URL.
	App() (clientID, authorityHost string)
	// TenantIDs returns the tenants that are listed, the home tenant first.
	TenantIDs() []string
}

// disagreements returns a fault for each setting in which the other, such as "exchanger",
// differs from the verifier. addTenants says how it acts for users of another tenant.
func disagreements(verifier, other appSettings, name, addTenants string) (faults []error) {
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	app, authority := verifier.App()
	otherApp, otherAuthority := other.App()
	if app != otherApp {
		add("the %s is of the app %s, the verifier of %s; make both with the client ID of the API's registration: a user's token can be exchanged only by the app it was issued for",
			name, otherApp, app)
	}
	if cloud(authority) != cloud(otherAuthority) {
		add("the %s asks %s, the verifier trusts %s; set AuthorityHost of both to the same cloud", name, otherAuthority, authority)
	}
	tenants := other.TenantIDs()
	for i, tenant := range verifier.TenantIDs() {
		switch {
		case slices.Contains(tenants, tenant):
		case i == 0:
			add("the %s is of the tenant %s, the verifier of %s; make both with the same tenant ID", name, tenants[0], tenant)
		default:
			add("the verifier accepts users of the tenant %s, for whom the %s does not act; %s, or remove it from entraauth.Options.OtherTenants", tenant, name, addTenants)
		}
	}
	return faults
}

// checkPairing returns why the exchanger can't act for the callers that the verifier
// accepts: Entra would refuse the first of them. Either may be nil.
func checkPairing(verifier *entraauth.Verifier, exchanger *obo.Exchanger) error {
	if verifier == nil || exchanger == nil {
		return nil
	}
	v, x := verifier.Registration(), exchanger.Registration()
	addTenants, listTenants := "add it to obo.Options.OtherTenants", "list the tenants that it may act for in obo.Options.OtherTenants"
	if len(x.Agents) > 0 {
		addTenants = "agent identities belong to one tenant: make a server for it"
		listTenants = "agent identities belong to one tenant: leave AcceptAnyOrganization out"
	}
	faults := disagreements(v, x, "exchanger", addTenants)
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if v.AnyTenant && len(x.Tenants) == 1 {
		add("the verifier accepts users of any organization (AcceptAnyOrganization), but the exchanger acts only for those of %s; %s",
			x.Tenants[0], listTenants)
	}
	own := []string{v.ClientID, "api://" + v.ClientID}
	for _, uri := range v.AppIDURIs {
		own = append(own, canonicalAPI(uri))
	}
	for i, resource := range x.Resources {
		if slices.Contains(own, canonicalAPI(resource)) {
			add("obo.Options.Resources[%d] is this API itself, %s; list the APIs that it calls for its users", i, resource)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("WithExchanger: the exchanger does not fit the verifier: %w", err)
	}
	return nil
}

// canonicalAPI returns the form in which App ID URIs are compared.
func canonicalAPI(uri string) string { return strings.ToLower(strings.TrimRight(uri, "/")) }

// cloud names the cloud of an authority host. A cloud can have several hosts, and an
// external tenant has two.
func cloud(authority string) string {
	u, err := url.Parse(authority)
	if err != nil {
		return authority
	}
	host := strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	switch {
	case host == "login.windows.net", host == "login.microsoft.com", host == "sts.windows.net":
		return "login.microsoftonline.com"
	case host == "login.chinacloudapi.cn":
		return "login.partner.microsoftonline.cn"
	case strings.HasSuffix(host, ".ciamlogin.com"):
		return "ciamlogin.com"
	}
	return host
}
