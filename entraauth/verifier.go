package entraauth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/cache"
)

// DefaultScope is the delegated permission that a user needs if the policy names none.
const DefaultScope = "access_as_user"

const (
	defaultSkew = time.Minute
	maxSkew     = 5 * time.Minute
)

// Options are the optional settings of a [Verifier]. The zero value is a
// complete configuration for the public cloud.
type Options struct {
	// HTTPClient fetches metadata and keys. TLS trust is its transport's.
	// Defaults to [http.DefaultClient]; each fetch is bounded to 10 seconds, and
	// redirects to another host are refused whatever the client allows.
	HTTPClient *http.Client
	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
	// Logger receives refusals and trouble with keys. Defaults to [slog.Default].
	Logger *slog.Logger
	// TracerProvider gets a span for each fetch of metadata and keys, below it one for each
	// request, and one for each caller that waits for a fetch of another. A verification without
	// a fetch has no span. A fetch is in the trace of the caller that waits for it; in the
	// background it has a trace of its own, with a link to the caller's. Requests carry no trace
	// context. Defaults to none.
	TracerProvider trace.TracerProvider
	// MeterProvider gets the age of the keys, their fetches by outcome, failures since the last
	// success, and lookups in the token cache and its size. If several verifiers share the
	// provider, counts and sizes add up, and the rest is that of one of them. Defaults to none.
	MeterProvider metric.MeterProvider
	// AuthorityHost is the https URL of another cloud's authority, such as
	// "https://login.microsoftonline.us". Defaults to the public cloud.
	AuthorityHost string
	// AppIDURIs are the API's App ID URIs, as registered ("Expose an API"): v1
	// tokens may have one as audience. If the resource's URL is among them, it is the
	// prefix of the scopes in metadata and challenges, as clients that send it need
	// ([Verifier.ScopesFor]); otherwise the first that begins with api:// is, or the first.
	// Defaults to "api://{client ID}". One that ends in a slash or in a scope
	// ("/access_as_user") is an error.
	AppIDURIs []string
	// OtherTenants are the ids of further tenants whose users are accepted.
	OtherTenants []string
	// AcceptAnyOrganization accepts the tokens of every Entra tenant in the world,
	// except personal accounts. Anybody can create a tenant and be its
	// administrator: decide by Policy, or by tenant and user id, who may do what.
	AcceptAnyOrganization bool
	// Policy is what each caller needs. If it has neither Scopes nor AnyScope nor
	// AppRoles, users need [DefaultScope].
	Policy Policy
	// ImpliedScopes are the scopes of this API that a broader one implies, as short names:
	// {"Files.ReadWrite": {"Files.Read"}}. What is implied may imply further scopes. A
	// cycle is an error. Entra has no such hierarchy, but an MCP server must account for it (2026-07-28, authorization, "Step-Up Authorization Flow"): wherever a scope is
	// needed, a token with a broader one passes, and challenges ask for the narrowest scopes
	// that suffice. Defaults to none.
	ImpliedScopes map[string][]string
	// ClockSkew is the difference tolerated between Entra's clock and ours.
	// Defaults to 1 minute; at most 5.
	ClockSkew time.Duration
	// TokenCache is how many verified tokens are cached, at 4 KiB each
	// (larger ones count as several). A token is dropped when it expires and
	// when its key leaves the tenant's set. Defaults to 10,000; a negative number
	// turns the cache off.
	TokenCache int
	// KeyRefetchInterval is the least time between two fetches of keys because of kids
	// that the tenant's set lacks. Defaults to 1 minute; at least 1 second.
	KeyRefetchInterval time.Duration
}

// A Verifier verifies the access tokens that Entra issues for one API. It is
// safe for concurrent use.
type Verifier struct {
	api     application
	host    authority.Host
	tenancy tenancy
	policy  Policy
	implied hierarchy
	skew    time.Duration
	now     func() time.Time
	log     *slog.Logger
	tokens  *tokenCache // nil if there is none
	known   atomic.Pointer[knownHeader]
	agents  agentWatch
	tell    verifierTelemetry
}

// NewVerifier returns a verifier for tokens of the tenant with the API as
// audience. tenantID and clientID are the GUIDs of the directory and of the
// API's app registration. All faults of the configuration are reported at once.
//
// The signing keys begin to load in the background; until they are there,
// [Verifier.Verify] waits for them and fails with [ErrKeysUnavailable] if they
// are unavailable.
func NewVerifier(tenantID, clientID string, opts *Options) (*Verifier, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	var faults []error
	fault := func(field string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", field, err))
		}
	}
	v := &Verifier{skew: cmp.Or(o.ClockSkew, defaultSkew), now: o.Now, log: o.Logger}
	v.tenancy = newTenancy(tenantID, o.OtherTenants, fault)
	v.api = newApplication(clientID, o.AppIDURIs, fault)
	v.policy = o.Policy.clone()
	if p := &v.policy; len(p.Scopes)+len(p.AnyScope)+len(p.AppRoles) == 0 { // empty or nil: there is a default
		p.Scopes, p.AnyScope, p.AppRoles = []string{DefaultScope}, nil, nil
	}
	checkIDs(&v.tenancy, &v.api, &v.policy, fault)
	var err error
	v.host, err = authority.Parse(o.AuthorityHost)
	fault("AuthorityHost", err)
	v.implied = newHierarchy(o.ImpliedScopes, fault)
	if err := v.policy.validate("Policy."); err != nil {
		faults = append(faults, err)
	}
	if v.skew < 0 || v.skew > maxSkew {
		fault("ClockSkew", fmt.Errorf("%s is not between 0 and %s", v.skew, maxSkew))
	}
	if i := o.KeyRefetchInterval; i != 0 && i < time.Second {
		fault("KeyRefetchInterval", fmt.Errorf("%s is less than a second", i))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("entraauth: %w", errors.Join(faults...))
	}
	if v.now == nil {
		v.now = time.Now
	}
	if v.log == nil {
		v.log = slog.Default()
	}
	v.agents.log = v.log
	v.agents.mentioned.Store(v.policy.mentionsAgents())
	if size := cmp.Or(o.TokenCache, defaultTokenCache); size > 0 {
		v.tokens = newTokenCache(size, v.now)
	}
	v.startKeys(&o)
	v.tell.observe(v)
	return v, nil
}

// checkIDs finds ids in the wrong field. A GUID does not show what it identifies, and
// the portal shows the ids of tenant and application side by side.
func checkIDs(t *tenancy, a *application, p *Policy, fault func(field string, err error)) {
	is := func(id string) func(string) bool {
		return func(s string) bool { return s != "" && strings.EqualFold(s, id) }
	}
	tenant := t.listed[0]
	if is(a.clientID)(tenant) {
		fault("client ID", errors.New("is the tenant ID; copy the Application (client) ID from the overview of the API's app registration"))
	} else if slices.ContainsFunc(t.listed, is(a.clientID)) {
		fault("OtherTenants", fmt.Errorf("%s is the client ID; list tenant IDs", a.clientID))
	}
	if slices.ContainsFunc(p.Clients, is(tenant)) {
		fault("Policy.Clients", fmt.Errorf("%s is the tenant ID; list ids of client applications", tenant))
	}
	for _, id := range t.listed {
		if slices.ContainsFunc(p.Agents, is(id)) {
			fault("Policy.Agents", fmt.Errorf("%s is a tenant ID; list application IDs of agent identities", id))
		}
	}
	if slices.ContainsFunc(p.Agents, is(a.clientID)) {
		fault("Policy.Agents", fmt.Errorf("%s is the API's client ID, and a blueprint's ID names no agent; list application IDs of agent identities", a.clientID))
	}
	if len(p.Agents) > 0 && len(p.AppRoles) == 0 {
		fault("Policy.Agents", errors.New("agents on their own need an app role, and AppRoles names none; name the role that they are granted"))
	}
	for _, id := range append(slices.Clone(t.listed), a.clientID) {
		if slices.ContainsFunc(p.AgentUsers, is(id)) {
			fault("Policy.AgentUsers", fmt.Errorf("%s is a tenant's or the application's id; list object IDs of agent users", id))
		}
		if slices.ContainsFunc(p.Groups, is(id)) {
			fault("Policy.Groups", fmt.Errorf("%s is a tenant's or the application's id; list object IDs of groups", id))
		}
	}
}

// startKeys makes the key sources of all tenants and begins their first fetch.
func (v *Verifier) startKeys(o *Options) {
	v.tell = newVerifierTelemetry(o)
	client, interval := v.tell.client(sameHost(o.HTTPClient)), cmp.Or(o.KeyRefetchInterval, unknownInterval)
	newSource := func(tenant string) *keySource {
		return newKeySource(directory{v.host, tenant, v.api.clientID, client}, interval, v.now, v.log, v.tell.keys)
	}
	for _, id := range v.tenancy.listed {
		v.tenancy.sources[id] = newSource(id)
	}
	if o.AcceptAnyOrganization {
		v.tenancy.any = newSource(organizations)
	}
	v.tenancy.each(func(s *keySource) { s.start(context.Background(), false) })
}

// Close cancels the key fetches that are under way and waits for them. A closed
// verifier judges tokens by the keys it has and fetches none. Its metrics are no longer reported.
func (v *Verifier) Close() error {
	v.tell.stop()
	v.tenancy.each((*keySource).close)
	return nil
}

// Ready returns nil once the home tenant's signing keys are there, and as long as the
// last good ones are usable. It waits for a first fetch until ctx ends. The error is
// an *[Error] of kind [ErrKeysUnavailable]; its Reason tells a tenant that does not
// exist (tenant_not_found) from one that can't be reached.
func (v *Verifier) Ready(ctx context.Context) error {
	if _, err := v.tenancy.source("").current(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}

// Registration describes the app and the tenants that a [Verifier] was made for.
// Package mcpentra compares it with that of an obo.Exchanger, and a server can log it
// when it starts.
type Registration struct {
	// ClientID is the application ID of the API, in lower case.
	ClientID string
	// AuthorityHost is the cloud, as a URL without trailing slash.
	AuthorityHost string
	// Tenants are the ids of the tenants whose users are accepted, the home tenant
	// first, in lower case. AnyTenant means that all others are accepted too.
	Tenants   []string
	AnyTenant bool
	// AppIDURIs are the API's App ID URIs.
	AppIDURIs []string
}

// App returns the app, and the cloud it is in.
func (r Registration) App() (clientID, authorityHost string) { return r.ClientID, r.AuthorityHost }

// TenantIDs returns the tenants that are listed, the home tenant first.
func (r Registration) TenantIDs() []string { return r.Tenants }

// Registration returns the app and the tenants that the verifier was made for.
func (v *Verifier) Registration() Registration {
	return Registration{
		ClientID: v.api.clientID, AuthorityHost: v.host.String(), Tenants: slices.Clone(v.tenancy.listed), AnyTenant: v.tenancy.any != nil,
		AppIDURIs: slices.Clone(v.api.uris),
	}
}

// Policy returns a copy of what the verifier requires of each caller, with its default.
func (v *Verifier) Policy() Policy { return v.policy.clone() }

const (
	defaultTokenCache = 10_000
	// tokenCost is what a token of usual size takes in the cache, in bytes:
	// the token, its claims, the entry. Larger ones count more.
	tokenCost = 4 << 10
	// entryCost is about what the cache adds to each entry.
	entryCost = 320
	// judgeTimeout bounds one verification; a key fetch is the only long part.
	judgeTimeout = fetchTimeout + 5*time.Second
)

// A tokenCache keeps the callers of the tokens that one verifier accepted, by the
// tokens' SHA-256. Entries reflect this verifier's policy, so caches are never shared.
type tokenCache = cache.Cache[[sha256.Size]byte, *Identity]

func newTokenCache(tokens int, now func() time.Time) *tokenCache {
	return cache.New[[sha256.Size]byte, *Identity](cache.Options{
		MaxBytes:    uint64(tokens) * tokenCost, //nolint:gosec // positive
		LoadTimeout: judgeTimeout, Now: now,
	})
}

// knownHeader is the header of the last token that was accepted. Entra writes the
// same one on all tokens that a key signs, so most need not be decoded.
type knownHeader struct {
	encoded string
	header  header
}
