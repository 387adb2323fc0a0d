package entraauth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// A candidate is a token that is being judged.
type candidate struct {
	now       time.Time // one moment for all rules
	header    header
	claims    claims
	signed    string // what the signature is over
	signature []byte
	source    *keySource // the tenant's
	keys      *keySet    // what the source had, for the issuers
	key       *signingKey
	raw       string
	identity  *Identity // of the claims, verified or not
}

// who returns whom the claims speak for.
func (t *candidate) who() *Identity {
	if t.identity == nil {
		t.identity = newIdentity(t.raw, &t.claims)
	}
	return t.identity
}

// A rule judges one property of a token. Its check returns nil where the token
// passes. The context is for those that may have to wait, for keys.
type rule struct {
	name  string
	check func(context.Context, *Verifier, *candidate) *Error
}

// run returns the error of the check, named after the rule unless it has a
// closer name.
func (r rule) run(ctx context.Context, v *Verifier, t *candidate) *Error {
	err := r.check(ctx, v, t)
	if err != nil && err.Rule == "" {
		err.Rule = r.name
	}
	return err
}

// rules are all rules, in the order in which they are applied.
//
// Those on the header need nothing and come first: garbage is refused whether
// there are keys or not. Those on what a token says come before its signature:
// they are cheap, and a stranger's token must not cost a key fetch. Nothing is
// believed until the signature holds; who may call is judged after it.
var rules = []rule{
	{"algorithm", checkAlgorithm},
	{"type", checkType},
	{"key id", checkKeyID},
	{"keys", checkKeys},
	{"version", checkVersion},
	{"issuer", checkIssuer},
	{"tenant", checkTenant},
	{"audience", checkAudience},
	{"expiry", checkExpiry},
	{"not before", checkNotBefore},
	{"issued at", checkIssuedAt},
	{"proof of possession", checkProof},
	{"kind of token", checkKind},
	{"signing key", checkSigningKey},
	{"key issuer", checkKeyIssuer},
	{"signature", checkSignature},
	{"object id", checkObjectID},
	{"policy", checkPolicy},
}

func checkAlgorithm(_ context.Context, _ *Verifier, t *candidate) *Error {
	if t.header.alg == "RS256" {
		return nil
	}
	return invalid(algorithmNotAccepted, "RS256", t.header.alg,
		"Send the access token exactly as Entra issued it")
}

func checkType(_ context.Context, _ *Verifier, t *candidate) *Error {
	switch {
	case t.header.crit:
		return invalid(criticalHeader, "a header without crit", "crit", "Send the access token exactly as Entra issued it")
	case t.header.nonce:
		return invalid(otherAPI, "a token for this API", "header nonce",
			"A token with a nonce in its header is for Microsoft Graph; ask for a scope of this API instead")
	case t.header.typ != "" && !strings.EqualFold(t.header.typ, "JWT") && !strings.EqualFold(t.header.typ, "at+jwt"):
		return invalid(typeNotAccepted, "typ JWT", t.header.typ, "Send the access token exactly as Entra issued it")
	}
	return nil
}

func checkKeyID(_ context.Context, _ *Verifier, t *candidate) *Error {
	if t.header.kid != "" && len(t.header.kid) <= maxKeyID {
		return nil
	}
	return invalid(keyIDMissing, "a header with a kid", t.header.kid, "Send the access token exactly as Entra issued it")
}

// checkKeys gets the tenant's key set, with the issuers.
func checkKeys(ctx context.Context, _ *Verifier, t *candidate) *Error {
	set, err := t.source.current(ctx)
	t.keys = set
	return refusal(err)
}

func checkVersion(_ context.Context, _ *Verifier, t *candidate) *Error {
	if v := t.claims.version; v == "1.0" || v == "2.0" {
		return nil
	}
	return invalid(versionNotAccepted, "ver 1.0 or 2.0", t.claims.version, "Send an access token issued by Microsoft Entra ID")
}

// checkIssuer compares exactly with what the tenant's metadata says, for the
// token's own version. A template is filled with a tenant id that is a GUID: the
// tenancy has seen to that.
func checkIssuer(_ context.Context, v *Verifier, t *candidate) *Error {
	template, form := t.keys.issuerV1, "v1 token"
	if t.claims.version == "2.0" {
		template, form = t.keys.issuerV2, "v2 token"
	}
	tenantID := t.claims.tenantID
	if !v.tenancy.accepts(tenantID) {
		tenantID = v.tenancy.listed[0]
	}
	if template != "" && t.claims.issuer == fill(template, tenantID) {
		return nil
	}
	if template == "" {
		template, form = t.keys.issuerV2, "v2 token; this authority issues no v1 tokens"
	}
	return invalid(issuerMismatch, fmt.Sprintf("%s (%s)", fill(template, tenantID), form), t.claims.issuer,
		fmt.Sprintf("Sign in to %s; its v1 and v2 tokens are both accepted", &v.tenancy))
}

func checkTenant(_ context.Context, v *Verifier, t *candidate) *Error {
	if v.tenancy.accepts(t.claims.tenantID) {
		return nil
	}
	remedy := "Sign in to that tenant"
	if t.claims.tenantID == consumers {
		remedy = "Sign in with a work or school account; personal accounts are not accepted"
	}
	return invalid(tenantMismatch, v.tenancy.String(), t.claims.tenantID, remedy)
}

// checkAudience: a v1 token has the audience in the form that was asked for,
// the application's id or an App ID URI, in whatever case and with or without
// trailing slash; a v2 token always has the id.
func checkAudience(_ context.Context, v *Verifier, t *candidate) *Error {
	aud := t.claims.audience
	if aud == v.clientID || t.claims.version == "1.0" && v.isAudience(aud) {
		return nil
	}
	return invalid(audienceMismatch, v.audiences(t.claims.version), aud,
		fmt.Sprintf("Ask for the scope %s. If that is so, this server's application id is wrong", v.wantedScope()))
}

// audiences names those that a token of the version may have.
func (v *Verifier) audiences(version string) string {
	if version == "1.0" {
		return strings.Join(append(slices.Clone(v.appIDURIs), v.clientID), " or ")
	}
	return v.clientID + " (a v2 token)"
}

func checkExpiry(_ context.Context, v *Verifier, t *candidate) *Error {
	if !t.claims.expires.present {
		return invalid(expiryMissing, "a token with exp", "", "Send an access token issued by Microsoft Entra ID")
	}
	exp := time.Unix(t.claims.expires.seconds, 0)
	if t.now.Before(exp.Add(v.skew)) {
		return nil
	}
	return &Error{Kind: ErrExpired, Reason: tokenExpired, Actual: exp.UTC().Format(time.RFC3339),
		Remedy: "Refresh the access token or sign in again"}
}

func checkNotBefore(_ context.Context, v *Verifier, t *candidate) *Error {
	return v.checkStarted(t.now, t.claims.notBefore, notYetValid)
}

func checkIssuedAt(_ context.Context, v *Verifier, t *candidate) *Error {
	return v.checkStarted(t.now, t.claims.issuedAt, issuedInFuture)
}

func (v *Verifier) checkStarted(now time.Time, m moment, reason string) *Error {
	start := time.Unix(m.seconds, 0)
	if !m.present || !start.After(now.Add(v.skew)) {
		return nil
	}
	return invalid(reason, "a token valid by now", start.UTC().Format(time.RFC3339),
		fmt.Sprintf("Check this server's clock: a difference of more than %s is too much", v.skew))
}

func checkProof(_ context.Context, _ *Verifier, t *candidate) *Error {
	if !t.claims.hasProof {
		return nil
	}
	return invalid(boundToKey, "a bearer token", "cnf", "Sign in with another account, or in the browser rather than through the "+
		"device's account broker, or ask an administrator about the policy that binds tokens to devices")
}

// checkKind tells an access token from an ID token: both have this API as audience.
func checkKind(_ context.Context, v *Verifier, t *candidate) *Error {
	c := &t.claims
	switch c.kind {
	case "", "user", "app":
	default:
		return invalid(kindNotAccepted, "idtyp user", c.kind, "Sign in as a user")
	}
	if c.hasScopes || c.isApp() {
		return nil
	}
	return invalid(idTokenSent, "an access token", "no scp, and not an application's token",
		fmt.Sprintf("Send the access token for the scope %s; the ID token is for the client itself", v.wantedScope()))
}

// checkObjectID: a user has an object id, and an application has one if it has
// a service principal in the tenant.
func checkObjectID(_ context.Context, _ *Verifier, t *candidate) *Error {
	if authority.IsGUID(t.claims.objectID) || (t.claims.objectID == "" && t.claims.isApp()) {
		return nil
	}
	return invalid(objectIDMissing, "a token with oid", t.claims.objectID, "Send an access token of a user of the tenant")
}

func checkPolicy(_ context.Context, v *Verifier, t *candidate) *Error {
	id := t.who()
	err := v.policy.check(id)
	if err != nil {
		err.caller = id
	}
	return err
}
