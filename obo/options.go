package obo

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const defaultCacheBytes = 64 << 20

// Options configures an [Exchanger]. The zero value is ready to use.
type Options struct {
	// HTTPClient sends the requests to the authority and to the managed identity
	// endpoint, and decides about TLS trust and proxies. It is copied; the copy follows
	// no redirects and keeps no cookies. Defaults to a client with
	// http.DefaultTransport.
	HTTPClient *http.Client
	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
	// Logger gets an error for what only the operator can fix (once for each cause,
	// and again if it recurs after a success), outages of Entra and of Store, and
	// warnings about the configuration. It also gets a warning for each failed exchange
	// (a debug record if the server logs its requests, as mcpentra's does) and a debug
	// record for each exchange. Each has exchanges, the client-request-id of each request that
	// was sent to Entra for it: the correlation ID of Entra's sign-in log. Nothing of a token
	// is logged. Without a Logger, what only the operator can fix goes to the log of the server
	// that handles the request, or else to slog.Default(); outages and warnings about the
	// configuration go to slog.Default(), and the rest is not logged.
	Logger *slog.Logger
	// TracerProvider gets a span for each exchange, below it one for each request to Entra, and
	// one for each caller that waits for an exchange of another caller. A cached token has none.
	// An exchange is in the trace of the caller that waits for it; one that renews a token
	// which is still served has a trace of its own, with a link to the caller's. Requests carry
	// no trace context. Defaults to none.
	TracerProvider trace.TracerProvider
	// MeterProvider gets exchanges by outcome and kind of error, their duration, the use of
	// the cache and of Store, whether requests to Entra or Store are paused, and the end of
	// the certificate that signs the app's assertions. It keeps the exchanger in memory. If
	// several exchangers share the provider, counts and sizes add up, and the rest is that of
	// one of them. Defaults to none.
	MeterProvider metric.MeterProvider
	// AuthorityHost is the cloud, such as https://login.microsoftonline.us.
	// Defaults to https://login.microsoftonline.com.
	AuthorityHost string
	// Resources are the APIs that the exchanger may get tokens for, each as an App ID
	// URI (https:// or api://) or an application ID, without scope. If Entra requires a
	// double slash before .default, the resource ends with a slash. Defaults to
	// https://storage.azure.com.
	Resources []string
	// CacheBytes bounds the memory of cached tokens, in bytes. The least recently used
	// are evicted first. Defaults to 64 MiB: about 35,000 users with a token each.
	CacheBytes int64
	// OtherTenants are the ids of further tenants whose users' tokens are exchanged,
	// each at its own tenant's authority. The app must be multitenant and have a service
	// principal in each. List the tenants that the verifier of the users' tokens accepts.
	// Defaults to none.
	OtherTenants []string
	// Agents are the application IDs of the agent identities, children of the app, that
	// the exchanger acts as: with [Exchanger.AgentCredential], and then never as the app itself.
	// The app must be their blueprint (Microsoft Entra Agent ID). Agent identities belong
	// to one tenant, so OtherTenants must be empty. A list that is empty but not nil is an error.
	// Defaults to none.
	Agents []string
	// MaxRetries is how often a request is retried after a transient failure:
	// HTTP 429 and 5xx, Entra's transient codes, a lost connection. The pauses
	// are about 250 ms and 1 s, or what Entra asks for, up to 5 seconds. Defaults to 2;
	// negative means never.
	MaxRetries int
	// Store is a second-level cache that replicas share. Defaults to none.
	Store TokenStore
	// StoreKeys encrypt what Store gets; each is 32 random bytes. The first encrypts, all
	// of them decrypt. To rotate, add the new key as the second on all replicas, then
	// make it the first, then remove the old one. Required with Store; keep them with
	// your secrets, not in the store.
	StoreKeys [][]byte
	// DeclareCP1 says that all clients handle claims challenges, even those whose
	// tokens don't say so in the optional claim xms_cc. Entra then issues tokens
	// that live for up to 28 hours and that resources revoke with a challenge
	// (continuous access evaluation). A challenge locks out a client that doesn't handle
	// it until its own token expires. Defaults to what each token says.
	DeclareCP1 bool
	// RedirectURL is the redirect_uri of the consent URLs in an [Error]. It must be
	// registered for the app (else AADSTS50011), and its page should discard the code
	// that it gets. Without it, Entra chooses one of the registered URLs for a user, and
	// may reject an administrator (AADSTS500113).
	RedirectURL string
}

// NewExchanger returns an exchanger for the app with the given client ID, which must
// be the audience of the users' tokens, and its home tenant. Both ids are GUIDs. The
// method is how the app authenticates to Entra.
//
// The error lists all faults, each with the name of its argument or field. No request
// is made.
func NewExchanger(tenantID, clientID string, method clientauth.Method, opts *Options) (*Exchanger, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	x := &Exchanger{
		app:        app{clientID: strings.ToLower(clientID), redirectURL: o.RedirectURL, resources: slices.Clone(o.Resources)},
		declareCP1: o.DeclareCP1,
		now:        o.Now,
		log:        eventLog{logger: o.Logger, operator: o.Logger},
	}
	x.applyDefaults(&o)
	var faults []error
	fault := func(field string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", field, err))
		}
	}
	fault("tenantID", authority.CheckGUID(tenantID))
	fault("clientID", authority.CheckGUID(clientID))
	if authority.IsGUID(clientID) && strings.EqualFold(tenantID, clientID) {
		fault("clientID", errSameIDs)
	}
	host, err := authority.Parse(o.AuthorityHost)
	fault("Options.AuthorityHost", err)
	for i, r := range x.resources {
		field := fmt.Sprintf("Options.Resources[%d]", i)
		fault(field, checkResource(r))
		fault(field, checkDuplicate(x.resources, i))
	}
	for i, id := range o.OtherTenants {
		field := fmt.Sprintf("Options.OtherTenants[%d]", i)
		fault(field, authority.CheckGUID(id))
		if authority.IsGUID(id) && strings.EqualFold(id, clientID) {
			fault(field, fmt.Errorf("%s is the client ID; list tenant IDs", id))
		}
	}
	if o.Agents != nil && len(o.Agents) == 0 { // such as a list from an empty variable
		fault("Options.Agents", errors.New("the list is empty, so the exchanger would act as the app; name an agent, or leave it nil"))
	}
	for i := range o.Agents {
		fault(fmt.Sprintf("Options.Agents[%d]", i), checkAgent(o.Agents, i, tenantID, clientID))
	}
	if len(o.Agents) > 0 && len(o.OtherTenants) > 0 {
		fault("Options.Agents", errors.New("set with Options.OtherTenants; agent identities belong to one tenant, so make an exchanger for each tenant"))
	}
	if o.Store == nil && len(o.StoreKeys) > 0 {
		fault("Options.StoreKeys", errors.New("set without Options.Store; set both or neither"))
	}
	if o.Store != nil {
		sealer, err := seal.New("obo token", o.StoreKeys)
		fault("Options.StoreKeys", err)
		x.storage = newStorage(o.Store, sealer, x.now, x.log.operator)
	}
	fault("Options.CacheBytes", checkCacheBytes(o.CacheBytes))
	fault("Options.RedirectURL", checkRedirectURL(o.RedirectURL))
	x.host = host
	x.tell = newExchangerTelemetry(&o, x.now)
	env := clientcred.Environment{
		HTTPClient: entrawire.Bounded(x.tell.client(o.HTTPClient, telemetry.SpanCredential)), Now: x.now, Logger: x.log.operator,
		Authority: host, TenantID: strings.ToLower(tenantID), ClientID: x.clientID,
	}
	sources, err := clientcred.Method(method).Open(env)
	fault("method", err)
	x.setAgents(o.Agents)
	x.sender = &sender{
		app: &x.app, wire: entrawire.New(x.tell.client(o.HTTPClient, telemetry.SpanEntra), x.now, x.grants()...),
		proofs: clientcred.NewProofs(sources, env), retries: o.MaxRetries,
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("obo: can't make an exchanger: %w", errors.Join(faults...))
	}
	x.home = newTenant(host, tenantID, x.now, x.log.operator)
	x.others = make(map[string]*tenant)
	for _, id := range o.OtherTenants {
		if t := newTenant(host, id, x.now, x.log.operator); t.id != x.home.id {
			x.others[t.id] = t
		}
	}
	x.refusals = newRefusals(x.now)
	x.asAgents = newAgentAssertions(x.sender, x.now, &x.log, x.refusals, x.tell)
	x.usual = usualRequests(x.resources)
	x.tokens = cache.New[cacheKey, azcore.AccessToken](cache.Options{
		MaxBytes:    uint64(o.CacheBytes), //nolint:gosec // checked above
		LoadTimeout: exchangeTimeout,
		Now:         x.now,
	})
	x.tell.observe(x)
	return x, nil
}

// grants are the requests that can leave. With agents, none is the app's own exchange.
func (x *Exchanger) grants() []entrawire.Grant {
	agents := x.agentIDs()
	if len(agents) == 0 {
		return []entrawire.Grant{entrawire.OnBehalfOf}
	}
	return []entrawire.Grant{
		entrawire.AgentOnBehalfOf(agents),
		entrawire.AgentAssertion(x.clientID, x.host.TokenExchangeScope(), agents),
	}
}

func (x *Exchanger) applyDefaults(o *Options) {
	if x.now == nil {
		x.now = time.Now
	}
	if x.log.operator == nil {
		x.log.operator = slog.Default()
	}
	if len(x.resources) == 0 {
		x.resources = []string{storageResource}
	}
	if o.MaxRetries == 0 {
		o.MaxRetries = defaultRetries
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
}

var errSameIDs = errors.New("is the tenant ID; use the Application (client) ID from the overview of the API's app registration")

func checkCacheBytes(n int64) error {
	if n < 0 {
		return fmt.Errorf("%d must not be negative; 0 means %d", n, int64(defaultCacheBytes))
	}
	return nil
}

// checkRedirectURL applies Entra's rule: https, or http on the loopback interface.
func checkRedirectURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("is not a URL")
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%q must be a URL with a host, without user and fragment", s)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname()):
		return nil
	default:
		return fmt.Errorf("%q must begin with https://, or with http:// on localhost", s)
	}
}
