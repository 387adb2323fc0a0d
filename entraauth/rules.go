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
	header    header
	claims    claims
	signed    string // what the signature is over
	signature []byte
	source    *keySource // the tenant's
	keys      *keySet    // what the source had, for the issuers
	key       *signingKey
	identity  *Identity // once the signature holds
}

// A rule judges one property of a token. Its check returns nil where the token
// passes. The context is for the one rule that may have to wait, for a key.
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

// formRules judge the header. They need neither keys nor claims.
var formRules = []rule{
	{"algorithm", checkAlgorithm},
	{"type", checkType},
	{"key id", checkKeyID},
}

// claimRules judge what a token says, before its signature: they are cheap, and
// a stranger's token must not cost a key fetch. Nothing is believed until the
// signature holds.
var claimRules = []rule{
	{"version", checkVersion},
	{"issuer", checkIssuer},
	{"tenant", checkTenant},
	{"audience", checkAudience},
	{"expiry", checkExpiry},
	{"not before", checkNotBefore},
	{"issued at", checkIssuedAt},
	{"proof of possession", checkProof},
	{"kind of token", checkKind},
}

// signatureRules judge who signed.
var signatureRules = []rule{
	{"signing key", checkSigningKey},
	{"key issuer", checkKeyIssuer},
	{"signature", checkSignature},
}

// callerRules judge who calls, once the signature holds. The policy comes last.
var callerRules = []rule{
	{"object id", checkObjectID},
	{"policy", checkPolicy},
}

func invalid(summary, expected, got, remedy string) *Error {
	return &Error{Kind: ErrInvalidToken, Summary: summary, Expected: expected, Actual: actual(got), Remedy: remedy}
}

func checkAlgorithm(_ context.Context, _ *Verifier, t *candidate) *Error {
	if t.header.alg == "RS256" {
		return nil
	}
	return invalid("Signature algorithm not accepted", "RS256", t.header.alg,
		"Send the access token exactly as Entra issued it")
}

func checkType(_ context.Context, _ *Verifier, t *candidate) *Error {
	switch {
	case t.header.crit:
		return invalid("Header extension not understood", "a header without crit", "crit", "Send the access token exactly as Entra issued it")
	case t.header.nonce:
		return invalid("Token is for another API", "a token for this API", "header nonce",
			"A token with a nonce in its header is for Microsoft Graph; ask for a scope of this API instead")
	case t.header.typ != "" && !strings.EqualFold(t.header.typ, "JWT") && !strings.EqualFold(t.header.typ, "at+jwt"):
		return invalid("Token type not accepted", "typ JWT", t.header.typ, "Send the access token exactly as Entra issued it")
	}
	return nil
}

func checkKeyID(_ context.Context, _ *Verifier, t *candidate) *Error {
	if t.header.kid != "" && len(t.header.kid) <= maxKeyID {
		return nil
	}
	return invalid("Key id missing", "a header with a kid", t.header.kid, "Send the access token exactly as Entra issued it")
}

func checkVersion(_ context.Context, _ *Verifier, t *candidate) *Error {
	if v := t.claims.version; v == "1.0" || v == "2.0" {
		return nil
	}
	return invalid("Token version not accepted", "ver 1.0 or 2.0", t.claims.version, "Send an access token issued by Microsoft Entra ID")
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
	return invalid("Issuer validation failed", fmt.Sprintf("%s (%s)", fill(template, tenantID), form), t.claims.issuer,
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
	return invalid("Tenant validation failed", v.tenancy.String(), t.claims.tenantID, remedy)
}

// checkAudience: a v1 token has the audience in the form that was asked for,
// the application's id or an App ID URI, with or without trailing slash; a v2
// token always has the id.
func checkAudience(_ context.Context, v *Verifier, t *candidate) *Error {
	aud := t.claims.audience
	if aud == v.clientID {
		return nil
	}
	if t.claims.version == "1.0" && slices.ContainsFunc(v.appIDURIs, func(uri string) bool {
		return strings.TrimSuffix(aud, "/") == strings.TrimSuffix(uri, "/")
	}) {
		return nil
	}
	expected := v.clientID + " (a v2 token)"
	if t.claims.version == "1.0" {
		expected = strings.Join(append(slices.Clone(v.appIDURIs), v.clientID), " or ")
	}
	return invalid("Audience validation failed", expected, aud,
		fmt.Sprintf("Ask for the scope %s. If that is so, this server's application id is wrong", v.wantedScope()))
}

func checkExpiry(_ context.Context, v *Verifier, t *candidate) *Error {
	if !t.claims.hasExpires {
		return invalid("Expiry missing", "a token with exp", "", "Send an access token issued by Microsoft Entra ID")
	}
	exp := time.Unix(t.claims.expires, 0)
	if v.now().Before(exp.Add(v.skew)) {
		return nil
	}
	return &Error{Kind: ErrExpired, Summary: "Token expired", Actual: exp.UTC().Format(time.RFC3339),
		Remedy: "Refresh the access token or sign in again"}
}

func checkNotBefore(_ context.Context, v *Verifier, t *candidate) *Error {
	return v.checkStarted(t.claims.notBefore, t.claims.hasNotBefore)
}

func checkIssuedAt(_ context.Context, v *Verifier, t *candidate) *Error {
	return v.checkStarted(t.claims.issuedAt, t.claims.hasIssuedAt)
}

func (v *Verifier) checkStarted(seconds int64, present bool) *Error {
	start := time.Unix(seconds, 0)
	if !present || !start.After(v.now().Add(v.skew)) {
		return nil
	}
	return invalid("Token not yet valid", "a token valid by now", start.UTC().Format(time.RFC3339),
		fmt.Sprintf("Check this server's clock: a difference of more than %s is too much", v.skew))
}

func checkProof(_ context.Context, _ *Verifier, t *candidate) *Error {
	if !t.claims.hasProof {
		return nil
	}
	return invalid("Token is bound to a key", "a bearer token", "cnf", "Ask for a bearer token; proof of possession is not supported")
}

// checkKind tells an access token from an ID token: both have this API as audience.
func checkKind(_ context.Context, v *Verifier, t *candidate) *Error {
	c := &t.claims
	switch c.kind {
	case "", "user", "app":
	default:
		return invalid("Kind of token not accepted", "idtyp user", c.kind, "Sign in as a user")
	}
	if c.hasScopes || c.isApp() {
		return nil
	}
	return invalid("ID token sent instead of an access token", "an access token", "no scp, and not an application's token",
		fmt.Sprintf("Send the access token for the scope %s; the ID token is for the client itself", v.wantedScope()))
}

// checkObjectID: a user has an object id, and an application has one if it has
// a service principal in the tenant.
func checkObjectID(_ context.Context, _ *Verifier, t *candidate) *Error {
	if authority.IsGUID(t.claims.objectID) || (t.claims.objectID == "" && t.claims.isApp()) {
		return nil
	}
	return invalid("Object id missing", "a token with oid", t.claims.objectID, "Send an access token of a user of the tenant")
}

func checkPolicy(_ context.Context, v *Verifier, t *candidate) *Error {
	return v.policy.check(t.identity)
}
