package entraauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// DefaultScope is the delegated permission that a caller needs where the policy
// names none.
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
	// AuthorityHost is the https URL of another cloud's authority, such as
	// "https://login.microsoftonline.us". Defaults to the public cloud.
	AuthorityHost string
	// AppIDURIs are the API's App ID URIs, as registered ("Expose an API"): v1
	// tokens may have one as audience. The first is the prefix of the scopes in
	// challenges. Defaults to "api://{client id}".
	AppIDURIs []string
	// Policy is what each caller needs. Its Scopes default to [DefaultScope].
	Policy Policy
	// ClockSkew is the difference tolerated between Entra's clock and ours.
	// Defaults to 1 minute; at most 5.
	ClockSkew time.Duration
}

// A Verifier verifies the access tokens that one Entra tenant issues for one
// API. It is safe for concurrent use.
type Verifier struct {
	tenantID, clientID string
	host               authority.Host
	appIDURIs          []string
	policy             Policy
	skew               time.Duration
	now                func() time.Time
	log                *slog.Logger
	keys               *keySource
}

// NewVerifier returns a verifier for tokens of the tenant with the API as
// audience. tenantID and clientID are the GUIDs of the directory and of the
// API's app registration. All faults of the configuration are reported at once.
//
// The signing keys begin to load in the background; until they are there,
// [Verifier.Verify] waits for them and fails with [ErrKeysUnavailable] if they
// can't be had.
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
	fault("tenant id", authority.CheckGUID(tenantID))
	fault("client id", authority.CheckGUID(clientID))
	host, err := authority.Parse(o.AuthorityHost)
	fault("AuthorityHost", err)
	policy, err := o.Policy.normalized("Policy")
	if err != nil {
		faults = append(faults, err)
	}
	if len(policy.Scopes) == 0 {
		policy.Scopes = []string{DefaultScope}
	}
	clientID = strings.ToLower(clientID)
	uris := slices.Clone(o.AppIDURIs)
	if len(uris) == 0 {
		uris = []string{"api://" + clientID}
	}
	for _, uri := range uris {
		fault("AppIDURIs", checkAppIDURI(uri))
	}
	skew := o.ClockSkew
	switch {
	case skew == 0:
		skew = defaultSkew
	case skew < 0 || skew > maxSkew:
		fault("ClockSkew", fmt.Errorf("%s is not between 0 and %s", skew, maxSkew))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("entraauth: %w", errors.Join(faults...))
	}
	v := &Verifier{
		tenantID: strings.ToLower(tenantID), clientID: clientID, host: host, appIDURIs: uris,
		policy: policy, skew: skew, now: o.Now, log: o.Logger,
	}
	if v.now == nil {
		v.now = time.Now
	}
	if v.log == nil {
		v.log = slog.Default()
	}
	v.keys = newKeySource(host, v.tenantID, o.HTTPClient, v.now, v.log)
	v.keys.start()
	return v, nil
}

func checkAppIDURI(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || u.Host == "" || strings.ContainsAny(uri, " \"\\") {
		return fmt.Errorf("%q is not an App ID URI such as api://12345678-1234-1234-1234-123456789abc", uri)
	}
	return nil
}

// Close ends a key fetch that is under way and waits for it. A closed verifier
// judges tokens by the keys it has and fetches none.
func (v *Verifier) Close() error {
	v.keys.close()
	return nil
}

// Ready returns nil once the tenant's signing keys are there, and while the
// last good ones are usable. It waits for a first fetch until ctx ends.
func (v *Verifier) Ready(ctx context.Context) error {
	_, err := v.keys.current(ctx)
	return err
}

// Verify judges an access token (without "Bearer ") and returns whom it speaks
// for. The error is an *[Error].
func (v *Verifier) Verify(ctx context.Context, token string) (*Identity, error) {
	id, err := v.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	return id, nil
}

// verify judges by all rules and stops at the first that fails.
func (v *Verifier) verify(ctx context.Context, token string) (*Identity, error) {
	t, err := v.parse(token)
	if err != nil {
		return nil, err
	}
	if t.keys, err = v.keys.current(ctx); err != nil {
		return nil, err
	}
	if err := v.apply(claimRules, t); err != nil {
		return nil, err
	}
	if err := v.checkSignature(ctx, t); err != nil {
		return nil, err
	}
	if err := v.apply(callerRules, t); err != nil {
		return nil, err
	}
	id := newIdentity(token, t.header, &t.claims)
	if err := v.policy.check(id); err != nil {
		return nil, err
	}
	return id, nil
}

// apply returns the error of the first rule that the token breaks.
func (v *Verifier) apply(rules []rule, t *candidate) error {
	for _, r := range rules {
		if err := r.check(v, t); err != nil {
			err.Rule = r.name
			return err
		}
	}
	return nil
}

// parse decodes the token's header and claims and judges its form.
func (v *Verifier) parse(token string) (*candidate, error) {
	if len(token) > maxToken {
		return nil, malformed(fmt.Errorf("%d bytes; at most %d are read", len(token), maxToken))
	}
	parts, err := split(token)
	if err != nil {
		return nil, malformed(err)
	}
	t := &candidate{signed: token[:len(parts[0])+1+len(parts[1])]}
	if err := t.header.decode(parts[0]); err != nil {
		return nil, malformed(err)
	}
	if err := v.apply(formRules, t); err != nil {
		return nil, err
	}
	if err := t.claims.decode(parts[1]); err != nil {
		return nil, malformed(err)
	}
	if t.signature, err = base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil {
		return nil, malformed(fmt.Errorf("signature: %w", err))
	}
	return t, nil
}

func malformed(cause error) *Error {
	return &Error{Kind: ErrInvalidToken, Rule: "form", Summary: "Token is not a well-formed JWT",
		Expected: "an access token issued by Microsoft Entra ID", Remedy: "Send the token exactly as Entra issued it, once", cause: cause}
}

// checkSignature finds the key that the token names, served by keyfunc from the
// key set, and lets golang-jwt verify the signature.
func (v *Verifier) checkSignature(ctx context.Context, t *candidate) error {
	set, err := v.keys.find(ctx, t.keys, t.header.kid)
	if err != nil {
		return err
	}
	if set == nil || !set.maySign(set.keys[t.header.kid], v.tenantID) {
		return &Error{Kind: ErrInvalidToken, Rule: "signature", Summary: "Signing key not found",
			Expected: "a key of tenant " + v.tenantID, Actual: "kid " + actual(t.header.kid),
			Remedy: "Get a new token from that tenant"}
	}
	// RS256 whatever the header says: checkAlgorithm has judged it.
	key, err := set.keyfunc.KeyfuncCtx(ctx)(&jwt.Token{Header: map[string]any{"alg": "RS256", "kid": t.header.kid}})
	if err == nil {
		err = jwt.SigningMethodRS256.Verify(t.signed, t.signature, key)
	}
	if err != nil {
		return &Error{Kind: ErrInvalidToken, Rule: "signature", Summary: "Signature validation failed",
			Expected: "a signature by a key of tenant " + v.tenantID, Actual: "kid " + actual(t.header.kid),
			Remedy: "Send the access token exactly as Entra issued it", cause: err}
	}
	return nil
}

// fullScope returns the scope as a client must ask for it, with the App ID URI;
// "" stands for the first required one. Entra reads a bare scope as one of
// Microsoft Graph.
func (v *Verifier) fullScope(scope string) string {
	if scope == "" {
		scope = v.policy.Scopes[0]
	}
	return strings.TrimSuffix(v.appIDURIs[0], "/") + "/" + scope
}

// AuthorizationServer returns the URL of the tenant's authorization server, for
// protected resource metadata: https://login.microsoftonline.com/{tenant id}/v2.0.
func (v *Verifier) AuthorizationServer() string {
	return v.host.Tenant(v.tenantID) + "/v2.0"
}
