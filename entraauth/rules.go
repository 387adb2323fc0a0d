package entraauth

import (
	"context"
	"fmt"
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
	implied   hierarchy // the verifier's
	identity  *Identity // of the claims, verified or not
}

// caller returns the caller that the claims name.
func (t *candidate) caller() *Identity {
	if t.identity == nil {
		t.identity = newIdentity(t.raw, &t.claims)
		t.identity.implied = t.implied
	}
	return t.identity
}

// local is the moment of the judgement, in the server's zone.
func (t *candidate) local() string { return t.now.Local().Format(time.RFC3339) }

// A rule judges one property of a token.
type rule struct {
	name string
	// needs is the earlier rule without which this one can't be judged: in a report,
	// which goes on after a failure, it is then not reached.
	needs string
	// check returns nil if the token passes. The context is for those that may have to
	// wait, for keys.
	check func(context.Context, *Verifier, *candidate) *Error
	// shows returns what the rule expects and the value that it looks at.
	shows func(*Verifier, *candidate) (expected, actual string)
	// parts stand in a report in place of the rule once it has passed, under the names
	// that people look for.
	parts []rule
}

// rules are all rules, in the order in which they are applied.
//
// Those on the header need nothing and come first: garbage is refused whether
// there are keys or not. Those on what a token says come before its signature:
// they are cheap, and a stranger's token must not cost a key fetch. Nothing is
// believed until the signature holds; the policy is checked after it.
var rules = []rule{
	{"algorithm", "", checkAlgorithm, showAlgorithm, nil},
	{"type", "", checkType, showType, nil},
	{"key id", "", checkKeyID, showKey, nil},
	{"keys", "", checkKeys, showKeys, nil},
	{"version", "", checkVersion, showVersion, nil},
	{"issuer", "keys", checkIssuer, showIssuer, nil},
	{"tenant", "", checkTenant, showTenant, nil},
	{"audience", "", checkAudience, showAudience, nil},
	{"expiry", "", checkExpiry, showExpiry, nil},
	{"not before", "", checkNotBefore, showNotBefore, nil},
	{"issued at", "", checkIssuedAt, showIssuedAt, nil},
	{"proof of possession", "", checkProof, showProof, nil},
	{"agent claims", "", checkAgentClaims, showAgentClaims, nil},
	{"kind of token", "", checkKind, showKind, nil},
	{"signing key", "keys", checkSigningKey, showKey, nil},
	{"key issuer", "signing key", checkKeyIssuer, showKey, nil},
	{"signature", "signing key", checkSignature, showSignature, nil},
	{"object id", "", checkObjectID, showObjectID, nil},
	{"agent", "agent claims", checkAgent, showAgent, nil},
	{"policy", "", checkPolicy, nil, []rule{{name: "scope", shows: showScopes}, {name: "client", shows: showClient}}},
}

// run returns the error of the check, named after the rule unless it has a
// closer name.
func (r *rule) run(ctx context.Context, v *Verifier, t *candidate) *Error {
	err := r.check(ctx, v, t)
	if err != nil && err.Rule == "" {
		err.Rule = r.name
	}
	return err
}

func checkAlgorithm(_ context.Context, _ *Verifier, t *candidate) *Error {
	if t.header.alg == "RS256" {
		return nil
	}
	return invalid(algorithmNotAccepted, "RS256", t.header.alg,
		"Send the access token exactly as Entra issued it")
}

func showAlgorithm(_ *Verifier, t *candidate) (expected, actual string) { return "RS256", t.header.alg }

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

func showType(_ *Verifier, t *candidate) (expected, actual string) { return "JWT", t.header.typ }

func checkKeyID(_ context.Context, _ *Verifier, t *candidate) *Error {
	if t.header.kid != "" && len(t.header.kid) <= maxKeyID {
		return nil
	}
	return invalid(keyIDMissing, "a header with a kid", t.header.kid, "Send the access token exactly as Entra issued it")
}

func showKey(v *Verifier, t *candidate) (expected, actual string) {
	return "a key of " + v.tenancy.String(), "kid " + t.header.kid
}

// checkKeys gets the tenant's key set, which has the issuers too.
func checkKeys(ctx context.Context, _ *Verifier, t *candidate) *Error {
	set, err := t.source.current(ctx)
	if err != nil {
		return unavailable(err)
	}
	t.keys = set
	return nil
}

func showKeys(_ *Verifier, t *candidate) (expected, actual string) {
	expected = "the tenant's key set"
	if t.keys == nil {
		return expected, ""
	}
	return expected, "fetched " + t.keys.fetchedAt.Local().Format(time.RFC3339)
}

func checkVersion(_ context.Context, _ *Verifier, t *candidate) *Error {
	if v := t.claims.version; v == "1.0" || v == "2.0" {
		return nil
	}
	return invalid(versionNotAccepted, "ver 1.0 or 2.0", t.claims.version, "Send an access token issued by Microsoft Entra ID")
}

func showVersion(_ *Verifier, t *candidate) (expected, actual string) {
	return "1.0 or 2.0", t.claims.version
}

// checkIssuer compares exactly with what the tenant's metadata says, for the
// token's own version. A template is filled with a tenant ID that is a GUID: the
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

func showIssuer(_ *Verifier, t *candidate) (expected, actual string) {
	return t.claims.issuer, t.claims.issuer
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

func showTenant(v *Verifier, t *candidate) (expected, actual string) {
	return v.tenancy.String(), t.claims.tenantID
}

func checkAudience(_ context.Context, v *Verifier, t *candidate) *Error {
	if v.api.isAudience(t.claims.version, t.claims.audience) {
		return nil
	}
	return invalid(audienceMismatch, v.api.audiences(t.claims.version), t.claims.audience,
		fmt.Sprintf("Ask for the scope %s. If you already do, this server has a wrong application ID", v.wantedScope("")))
}

func showAudience(v *Verifier, t *candidate) (expected, actual string) {
	return v.api.audiences(t.claims.version), t.claims.audience
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

func showExpiry(_ *Verifier, t *candidate) (expected, actual string) {
	return "later than " + t.local(), t.claims.expires.local()
}

func checkNotBefore(_ context.Context, v *Verifier, t *candidate) *Error {
	return v.checkStarted(t.now, t.claims.notBefore, notYetValid)
}

func showNotBefore(_ *Verifier, t *candidate) (expected, actual string) {
	return "not later than " + t.local(), t.claims.notBefore.local()
}

func checkIssuedAt(_ context.Context, v *Verifier, t *candidate) *Error {
	return v.checkStarted(t.now, t.claims.issuedAt, issuedInFuture)
}

func showIssuedAt(_ *Verifier, t *candidate) (expected, actual string) {
	return "not later than " + t.local(), t.claims.issuedAt.local()
}

func (v *Verifier) checkStarted(now time.Time, m moment, reason string) *Error {
	start := time.Unix(m.seconds, 0)
	if !m.present || !start.After(now.Add(v.skew)) {
		return nil
	}
	return invalid(reason, "a token that is already valid", start.UTC().Format(time.RFC3339),
		fmt.Sprintf("Check this server's clock: it may differ from Entra's by %s at most", v.skew))
}

func checkProof(_ context.Context, _ *Verifier, t *candidate) *Error {
	if !t.claims.hasProof {
		return nil
	}
	return invalid(boundToKey, "a bearer token", "cnf", "Sign in with another account, or in the browser rather than through the "+
		"device's account broker, or ask an administrator about the policy that binds tokens to devices")
}

func showProof(*Verifier, *candidate) (expected, actual string) {
	return "a bearer token", "a bearer token"
}

// checkAgentClaims refuses claims about agents that are malformed or contradict each other.
func checkAgentClaims(_ context.Context, _ *Verifier, t *candidate) *Error {
	if err := t.claims.agentFault; err != nil {
		return invalid(agentClaimsMalformed, "xms_sub_fct and xms_act_fct to be decimal numbers between spaces, and xms_par_app_azp a GUID",
			err.Error(), "Send the access token exactly as Entra issued it")
	}
	for i := range contradictions {
		if contradictions[i].holds(&t.claims) {
			return invalid(claimsContradict, contradictions[i].expected, t.claims.describeKind(), "Send the access token exactly as Entra issued it")
		}
	}
	return nil
}

func showAgentClaims(_ *Verifier, t *candidate) (expected, actual string) {
	return "claims that don't contradict each other", t.claims.describeKind()
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
		fmt.Sprintf("Send the access token for the scope %s; the ID token is for the client itself", v.wantedScope("")))
}

func showKind(_ *Verifier, t *candidate) (expected, actual string) {
	if t.caller().kind == KindApp {
		return "an access token", "an access token, of an application"
	}
	return "an access token", "an access token, of a user"
}

// checkSigningKey finds the key that the token names, if need be in a newer key set.
func checkSigningKey(ctx context.Context, v *Verifier, t *candidate) *Error {
	key, set, err := t.source.find(ctx, t.keys, t.header.kid)
	if err != nil {
		return unavailable(err)
	}
	if key == nil {
		return unknownKey(v, t)
	}
	t.keys, t.key = set, key
	return nil
}

// checkKeyIssuer checks whose key it is: the tenant's set may hold keys of other
// tenants, which may sign only their own tokens.
func checkKeyIssuer(_ context.Context, v *Verifier, t *candidate) *Error {
	if t.keys.maySign(t.key, &t.claims) {
		return nil
	}
	return unknownKey(v, t)
}

func unknownKey(v *Verifier, t *candidate) *Error {
	return invalid(keyNotFound, "a key of "+v.tenancy.String(), "kid "+t.header.kid, "Get a new token from there")
}

func checkSignature(_ context.Context, v *Verifier, t *candidate) *Error {
	err := t.key.signed(t.signed, t.signature)
	if err == nil {
		return nil
	}
	e := invalid(signatureInvalid, "a signature by a key of "+v.tenancy.String(), "kid "+t.header.kid,
		"Send the access token exactly as Entra issued it")
	e.cause = err
	return e
}

func showSignature(*Verifier, *candidate) (expected, actual string) {
	return "made by that key", "made by that key"
}

// checkObjectID wants an object ID of users. An application has one only if it has a
// service principal in the tenant.
func checkObjectID(_ context.Context, _ *Verifier, t *candidate) *Error {
	if authority.IsGUID(t.claims.objectID) || (t.claims.objectID == "" && t.claims.isApp()) {
		return nil
	}
	return invalid(objectIDMissing, "a token with oid", t.claims.objectID, "Send an access token of a user of the tenant")
}

func showObjectID(_ *Verifier, t *candidate) (expected, actual string) {
	return "a GUID", t.claims.objectID
}

// checkAgent refuses agents that the policy does not name, and all but people if it is for
// people only. A person may otherwise act through any agent.
func checkAgent(_ context.Context, v *Verifier, t *candidate) *Error {
	id := t.caller()
	if t.claims.isUnclear() {
		return id.agent.unclear() // and no caller: nobody knows who it is
	}
	err := v.policy.checkAgent(id)
	if err == nil {
		err = v.policy.checkNamed(id)
	}
	if err != nil {
		err.caller = id
	}
	return err
}

func showAgent(_ *Verifier, t *candidate) (expected, actual string) {
	return "none that the policy refuses", t.caller().agent.describe(t.claims.objectID)
}

func checkPolicy(_ context.Context, v *Verifier, t *candidate) *Error {
	id := t.caller()
	err := v.policy.checkRest(id)
	if err != nil {
		err.caller = id
	}
	return err
}

func showScopes(v *Verifier, t *candidate) (expected, actual string) {
	return strings.Join(v.policy.Scopes, " "), t.claims.scopes
}

func showClient(v *Verifier, t *candidate) (expected, actual string) {
	return strings.Join(v.policy.Clients, " "), t.claims.clientID()
}
