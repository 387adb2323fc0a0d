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

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const defaultCacheBytes = 64 << 20

// Options configure an [Exchanger]. The zero value is ready for use.
type Options struct {
	// HTTPClient sends the requests to the authority and to the managed identity
	// endpoint, and decides TLS trust and proxies. It is copied: redirects are
	// not followed and cookies not kept. Defaults to one on http.DefaultTransport.
	HTTPClient *http.Client
	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
	// Logger gets what only the operator can fix (an error, once for each cause, and
	// again if it recurs after a success), outages of Entra and of Store, and
	// doubts about the configuration. It also gets a warning for each exchange that
	// fails (a debug line if the request's server writes a line of its own, as
	// mcpentra's does), and a debug line for each that succeeds. No line holds
	// anything of a token. Without a Logger, what only the operator can fix goes to
	// the log of the server whose request met it, or else to slog.Default(); outages
	// and doubts go to slog.Default(), and the rest is not logged.
	Logger *slog.Logger
	// AuthorityHost is the cloud, such as https://login.microsoftonline.us.
	// Defaults to https://login.microsoftonline.com.
	AuthorityHost string
	// Resources are the APIs at which the exchanger may act on behalf of users,
	// each as App ID URI (https:// or api://) or application id, without scope.
	// A double slash that Entra wants before .default comes from a resource
	// that ends with a slash. Defaults to https://storage.azure.com.
	Resources []string
	// CacheBytes bounds the memory that tokens take, in bytes. The least
	// recently used tokens are evicted first. Defaults to 64 MiB: about 35,000 users with a token each.
	CacheBytes int64
	// OtherTenants are the ids of further tenants whose users are acted for, each
	// at the authority of its own tenant. The app must be registered for several
	// tenants and known to each. They should be those that the verifier of the
	// users' tokens accepts. Defaults to none.
	OtherTenants []string
	// MaxRetries is how often a request is retried after a transient failure:
	// HTTP 429 and 5xx, Entra's transient codes, a lost connection. The pauses
	// are about 250 ms and 1 s, or what Entra asks for if that is not more than 5
	// seconds. Defaults to 2; negative means never.
	MaxRetries int
	// Store is a second level of the cache that replicas share. It is asked before
	// an exchange and told after one. Defaults to none.
	Store TokenStore
	// StoreKeys seal what Store gets, each 32 random bytes. The first seals, all
	// of them open: to change the key, put the new one second everywhere, then
	// first, then remove the old one. Required with Store; keep them where
	// secrets are kept, not in the store.
	StoreKeys [][]byte
	// DeclareCP1 says that all clients handle claims challenges, also those whose
	// tokens don't say so in the optional claim xms_cc. Entra then issues tokens
	// that live for up to 28 hours and that resources revoke with a challenge
	// (continuous access evaluation). A client that doesn't handle it is locked
	// out by one until its own token expires. Defaults to what each token says.
	DeclareCP1 bool
	// RedirectURL goes into the consent URLs of an [Error] as redirect_uri. It
	// must be registered for the app (else AADSTS50011), and its page should
	// discard what it gets. Without one, Entra chooses among the registered
	// ones for a user, and may refuse an administrator (AADSTS500113).
	RedirectURL string
}

// NewExchanger returns an exchanger for the app with the given client id, which
// must be the audience of the users' tokens, in the tenant with the given id.
// Both are GUIDs. The method is how the app proves itself to Entra.
//
// All faults are reported at once, each with the name of its argument or field.
// No request is made.
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
			fault(field, fmt.Errorf("%s is the client id; list tenant ids", id))
		}
	}
	if o.Store == nil && len(o.StoreKeys) > 0 {
		fault("Options.StoreKeys", errors.New("are set, but Options.Store is not"))
	}
	if o.Store != nil {
		sealer, err := seal.New("obo token", o.StoreKeys)
		fault("Options.StoreKeys", err)
		x.storage = newStorage(o.Store, sealer, x.now, x.log.operator)
	}
	fault("Options.CacheBytes", checkCacheBytes(o.CacheBytes))
	fault("Options.RedirectURL", checkRedirectURL(o.RedirectURL))
	x.host = host
	env := clientcred.Environment{
		HTTPClient: entrawire.Bounded(o.HTTPClient), Now: x.now, Logger: x.log.operator,
		Authority: host, TenantID: strings.ToLower(tenantID), ClientID: x.clientID,
	}
	sources, err := clientcred.Method(method).Open(env)
	fault("method", err)
	x.sender = &sender{
		app: &x.app, wire: entrawire.New(o.HTTPClient, x.now, entrawire.OnBehalfOf),
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
	x.usual = usualRequests(x.resources)
	x.tokens = cache.New[cacheKey, azcore.AccessToken](cache.Options{
		MaxBytes:    uint64(o.CacheBytes), //nolint:gosec // checked above
		LoadTimeout: exchangeTimeout,
		Now:         x.now,
	})
	return x, nil
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

// errSameIDs is what copying one id twice leads to.
var errSameIDs = errors.New("is the tenant id; copy the Application (client) ID from the overview of the API's app registration")

func checkCacheBytes(n int64) error {
	if n < 0 {
		return fmt.Errorf("%d must not be negative; 0 means %d", n, int64(defaultCacheBytes))
	}
	return nil
}

// checkRedirectURL keeps Entra's rule: https, or http on the loopback interface.
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
