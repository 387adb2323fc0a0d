package entraauth

import (
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
	keys      *keySet // the tenant's, for its issuers
}

// A rule judges one property of a token. Its check returns nil where the token
// passes, and else the error, whose Rule the caller fills in.
type rule struct {
	name  string
	check func(*Verifier, *candidate) *Error
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

// callerRules judge who calls, once the signature holds.
var callerRules = []rule{
	{"kind of caller", checkCaller},
	{"object id", checkObjectID},
}

func invalid(summary, expected, got, remedy string) *Error {
	return &Error{Kind: ErrInvalidToken, Summary: summary, Expected: expected, Actual: actual(got), Remedy: remedy}
}

func checkAlgorithm(_ *Verifier, t *candidate) *Error {
	if t.header.alg == "RS256" {
		return nil
	}
	return invalid("Signature algorithm not accepted", "RS256", t.header.alg,
		"Send the access token exactly as Entra issued it")
}

func checkType(_ *Verifier, t *candidate) *Error {
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

func checkKeyID(_ *Verifier, t *candidate) *Error {
	if t.header.kid != "" && len(t.header.kid) <= maxKeyID {
		return nil
	}
	return invalid("Key id missing", "a header with a kid", t.header.kid, "Send the access token exactly as Entra issued it")
}

func checkVersion(_ *Verifier, t *candidate) *Error {
	if v := t.claims.version; v == "1.0" || v == "2.0" {
		return nil
	}
	return invalid("Token version not accepted", "ver 1.0 or 2.0", t.claims.version, "Send an access token issued by Microsoft Entra ID")
}

func checkIssuer(v *Verifier, t *candidate) *Error {
	expected, form := t.keys.issuerV1, "v1"
	if t.claims.version == "2.0" {
		expected, form = t.keys.issuerV2, "v2"
	}
	if expected != "" && t.claims.issuer == expected {
		return nil
	}
	if expected == "" {
		expected, form = t.keys.issuerV2, "v2; this authority issues no v1 tokens"
	}
	return invalid("Issuer validation failed", fmt.Sprintf("%s (%s token)", expected, form), t.claims.issuer,
		fmt.Sprintf("Sign in to tenant %s; its v1 and v2 tokens are both accepted", v.tenantID))
}

func checkTenant(v *Verifier, t *candidate) *Error {
	if t.claims.tenantID == v.tenantID {
		return nil
	}
	return invalid("Tenant validation failed", "tenant "+v.tenantID, t.claims.tenantID, "Sign in to that tenant")
}

// checkAudience: a v1 token has the audience in the form that was asked for,
// the application's id or an App ID URI, with or without trailing slash; a v2
// token always has the id.
func checkAudience(v *Verifier, t *candidate) *Error {
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
		fmt.Sprintf("Ask for the scope %s. If that is so, this server's application id is wrong", v.fullScope("")))
}

func checkExpiry(v *Verifier, t *candidate) *Error {
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

func checkNotBefore(v *Verifier, t *candidate) *Error {
	return v.checkStarted(t.claims.notBefore, t.claims.hasNotBefore)
}

func checkIssuedAt(v *Verifier, t *candidate) *Error {
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

func checkProof(_ *Verifier, t *candidate) *Error {
	if !t.claims.hasProof {
		return nil
	}
	return invalid("Token is bound to a key", "a bearer token", "cnf", "Ask for a bearer token; proof of possession is not supported")
}

// checkKind tells an access token from an ID token: both have this API as
// audience, but only an access token names the application that asked for it
// (appid or azp) or has scopes.
func checkKind(v *Verifier, t *candidate) *Error {
	c := &t.claims
	switch c.kind {
	case "", "user", "app":
	default:
		return invalid("Kind of token not accepted", "idtyp user", c.kind, "Sign in as a user")
	}
	if c.hasScopes || c.clientID() != "" {
		return nil
	}
	return invalid("ID token sent instead of an access token", "an access token", "no scp, appid or azp",
		fmt.Sprintf("Send the access token for the scope %s; the ID token is for the client itself", v.fullScope("")))
}

// checkCaller refuses app-only tokens: they have roles and no scp, and there is
// no user on whose behalf to act.
func checkCaller(v *Verifier, t *candidate) *Error {
	if t.claims.kind != "app" && t.claims.hasScopes {
		return nil
	}
	return &Error{Kind: ErrInsufficientScope, Summary: "App-only token not accepted", Expected: "a user's delegated token",
		Actual: "app " + actual(t.claims.clientID()),
		Remedy: fmt.Sprintf("Sign in as a user and ask for the scope %s; client credentials act for no user", v.fullScope(""))}
}

func checkObjectID(_ *Verifier, t *candidate) *Error {
	if authority.IsGUID(t.claims.objectID) {
		return nil
	}
	return invalid("Object id missing", "a token with oid", t.claims.objectID, "Send an access token of a user of the tenant")
}
