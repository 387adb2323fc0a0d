package entraauth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// The kinds of refusal. Test for them with [errors.Is]; the details are in [*Error].
var (
	// ErrNoToken: the request has no bearer token (401, RFC 6750 section 3.1:
	// a challenge without error code).
	ErrNoToken = errors.New("no bearer token")
	// ErrInvalidRequest: the token was sent in a way that can't be read, such as
	// twice or in the query string (400 invalid_request).
	ErrInvalidRequest = errors.New("malformed request")
	// ErrInvalidToken: the token is not for this API (401 invalid_token).
	ErrInvalidToken = errors.New("invalid token")
	// ErrExpired: the token was good and has expired (401 invalid_token).
	ErrExpired = errors.New("expired token")
	// ErrInsufficientScope: the token is good and lacks a scope or a user, and a
	// new one for the challenge's scopes helps (403 insufficient_scope).
	ErrInsufficientScope = errors.New("insufficient scope")
	// ErrInsufficientClaims: the token is good, the sign-in was not strong enough,
	// and a new one with the challenge's claims helps (401 insufficient_claims).
	ErrInsufficientClaims = errors.New("insufficient claims")
	// ErrNotPermitted: the token is good, the caller is not allowed, and no other
	// scope helps (403 access_denied).
	ErrNotPermitted = errors.New("not permitted")
	// ErrKeysUnavailable: the tenant's signing keys are unavailable at the moment, so
	// the token was not judged (503 with Retry-After, never 401: on 401, a client
	// discards a good token).
	ErrKeysUnavailable = errors.New("signing keys unavailable")
)

// An Error says why a token was refused. Its text ([Error.Error]) is safe to
// send to the caller: it holds what was expected and the remedy, and nothing
// that came from the token. What came is in Actual, for the log.
type Error struct {
	// Kind is one of this package's sentinels.
	Kind error
	// Rule is the rule's name, as in [Report]: "audience", "issuer", ….
	Rule string
	// Reason is a stable code, such as "audience_mismatch": logs and
	// docs/troubleshooting.md name it alike.
	Reason string
	// Expected is what the rule wants. Empty where it says nothing useful.
	Expected string
	// Actual is what the token has, cut to 256 bytes, without anything that may itself
	// be a token. Never sent to the caller.
	Actual string
	// Remedy says what to do about it.
	Remedy string
	// Claims is the claims challenge, a JSON object for the claims parameter of an
	// authorization request. Empty except for [ErrInsufficientClaims].
	Claims string
	// RetryAfter is how long to wait before the same request may succeed.
	// Zero except for [ErrKeysUnavailable].
	RetryAfter time.Duration

	caller *Identity
	cause  error
}

// Caller returns the caller whose good token a policy refused, and nil for every other
// refusal: who sent a bad token is unknown.
func (e *Error) Caller() *Identity { return e.caller }

// Error returns the text for the caller. It never holds any part of the token.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Summary())
	if e.Expected != "" {
		b.WriteString(": expected ")
		b.WriteString(e.Expected)
	}
	if e.Remedy != "" {
		b.WriteString(". ")
		b.WriteString(e.Remedy)
	}
	return b.String()
}

// Summary names what went wrong, such as "Audience validation failed".
func (e *Error) Summary() string { return summaries[e.Reason] }

// UserText returns the text that the caller may read, the same as [Error.Error].
func (e *Error) UserText() string { return e.Error() }

// Unwrap returns the kind and, where there is one, the cause.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.cause}
}

// LogValue returns all of the error, the actual value and the cause included.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("reason", e.Reason),
		slog.String("summary", e.Summary()),
	}
	for _, a := range []struct{ key, value string }{
		{"expected", e.Expected}, {"actual", e.Actual}, {"remedy", e.Remedy},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	if e.cause != nil {
		attrs = append(attrs, slog.String("cause", e.cause.Error()))
	}
	return slog.GroupValue(attrs...)
}

// answers has the HTTP status for each kind, and the error code of the challenge (RFC
// 6750 section 3.1), empty if none may be sent.
var answers = []struct {
	kind   error
	status int
	code   string
}{
	{ErrNoToken, http.StatusUnauthorized, ""},
	{ErrInvalidRequest, http.StatusBadRequest, "invalid_request"},
	{ErrInvalidToken, http.StatusUnauthorized, "invalid_token"},
	{ErrExpired, http.StatusUnauthorized, "invalid_token"},
	{ErrInsufficientScope, http.StatusForbidden, "insufficient_scope"},
	{ErrInsufficientClaims, http.StatusUnauthorized, "insufficient_claims"},
	{ErrNotPermitted, http.StatusForbidden, "access_denied"},
	{ErrKeysUnavailable, http.StatusServiceUnavailable, ""},
}

func (e *Error) answer() (status int, code string) {
	for _, a := range answers {
		if errors.Is(e.Kind, a.kind) {
			return a.status, a.code
		}
	}
	return http.StatusUnauthorized, "invalid_token"
}

// Status returns the HTTP status for the error.
func (e *Error) Status() int {
	status, _ := e.answer()
	return status
}

// invalid is the error of a token that is not for this API.
func invalid(reason, expected, got, remedy string) *Error {
	return &Error{Kind: ErrInvalidToken, Reason: reason, Expected: expected, Actual: actual(got), Remedy: remedy}
}

// ClaimsRequiredError returns the refusal of a token for which Entra demands more, such
// as a second factor: 401 insufficient_claims with the claims, a JSON object as
// Entra's token endpoint or a protected service states it. If the caller's
// client does not handle claims challenges ([Identity.HandlesClaims]), the error is
// of kind [ErrNotPermitted], because that client would ask for the same token forever. So
// is an agent's on its own, and an agent user's: nobody signs in as those.
func ClaimsRequiredError(id *Identity, claims string) *Error {
	e := &Error{Kind: ErrInsufficientClaims, Rule: "claims", Reason: strongerSignIn, Claims: claims,
		Expected: "the sign-in that the challenge's claims describe", Remedy: "Sign in again with the claims of the challenge", caller: id}
	switch {
	case id.isAgentUser():
		return agentMustAsk("claims", strongerSignIn, "what the tenant's Conditional Access demands", "", id)
	case id == nil || !id.mayStepUp():
		e.Kind, e.Claims = ErrNotPermitted, ""
		e.Remedy = "Sign in with a client that understands claims challenges; this one can't ask for it"
	}
	return e
}

// RevokedError returns the refusal of a token that Entra no longer exchanges, although
// it has not expired: the password was changed, the sessions were ended, or the
// account was disabled (401 invalid_token).
func RevokedError(id *Identity) *Error {
	return &Error{Kind: ErrInvalidToken, Rule: "revocation", Reason: tokenRevoked,
		Expected: "a token that Microsoft Entra ID still exchanges", Remedy: "Sign in again", caller: id}
}

func noToken(got string) *Error {
	return &Error{Kind: ErrNoToken, Rule: "token", Reason: noTokenReason,
		Expected: `"Authorization: Bearer <access token>"`, Actual: actual(got),
		Remedy: "Sign in and send the access token; resource_metadata in the challenge tells where"}
}

func invalidRequest(reason, expected, got string) *Error {
	return &Error{Kind: ErrInvalidRequest, Rule: "token", Reason: reason, Expected: expected, Actual: actual(got),
		Remedy: "Send the access token once, in the Authorization header"}
}

func missingScope(expected string, id *Identity) *Error {
	if id.isAgentUser() {
		return agentMustAsk("scope", scopeMissing, expected, strings.Join(id.scopes, " "), id)
	}
	return &Error{Kind: ErrInsufficientScope, Rule: "scope", Reason: scopeMissing,
		Expected: expected, Actual: actual(strings.Join(id.scopes, " ")),
		Remedy: "Ask for a new token with the scopes that the challenge names"}
}

func notPermitted(rule, reason, expected, got, remedy string) *Error {
	return &Error{Kind: ErrNotPermitted, Rule: rule, Reason: reason, Expected: expected, Actual: actual(got), Remedy: remedy}
}

// agentMustAsk refuses an agent user that lacks something, without a challenge: nobody signs
// in with such an account.
func agentMustAsk(rule, reason, expected, got string, id *Identity) *Error {
	e := notPermitted(rule, reason, expected, got, "The caller is an agent's user account, with which nobody signs in: its agent must ask for a token with what is expected")
	e.caller = id
	return e
}

func malformed(cause error) *Error {
	e := invalid(malformedToken, "an access token issued by Microsoft Entra ID", "", "Send the token exactly as Entra issued it, once")
	e.Rule, e.cause = "form", cause
	return e
}

// unavailable is the error of a token that was not judged because keys are missing.
func unavailable(err error) *Error {
	e := &Error{Kind: ErrKeysUnavailable, Rule: "keys", Reason: keysUnavailable,
		Remedy: "Try again shortly; the token was not judged", RetryAfter: firstBackoff, cause: err}
	keys, ok := errors.AsType[*keysError](err)
	if !ok {
		return e
	}
	e.RetryAfter, e.cause = max(keys.after, firstBackoff), keys.cause
	if missing, ok := errors.AsType[*tenantError](keys.cause); ok {
		e.Reason = tenantNotFound
		e.Expected = fmt.Sprintf("tenant %s, which answers %s", keys.tenant, missing.code)
		e.Remedy = "This server's operator must correct the tenant ID, or the authority host of another cloud; the token was not judged"
	}
	return e
}

// The reason codes of refusals. They are stable: logs, reports, JSON-RPC errors
// and docs/troubleshooting.md name them alike.
const (
	noTokenReason        = "no_token"
	tokenInQuery         = "token_in_query"
	severalHeaders       = "several_headers"
	severalValues        = "several_values"
	malformedToken       = "malformed"
	algorithmNotAccepted = "algorithm_not_accepted"
	criticalHeader       = "critical_header"
	otherAPI             = "other_api"
	typeNotAccepted      = "type_not_accepted"
	keyIDMissing         = "kid_missing"
	keysUnavailable      = "keys_unavailable"
	versionNotAccepted   = "version_not_accepted"
	issuerMismatch       = "issuer_mismatch"
	tenantMismatch       = "tenant_mismatch"
	audienceMismatch     = "audience_mismatch"
	expiryMissing        = "exp_missing"
	tokenExpired         = "expired"
	notYetValid          = "not_yet_valid"
	issuedInFuture       = "issued_in_future"
	boundToKey           = "bound_to_key"
	idTokenSent          = "id_token"
	kindNotAccepted      = "idtyp_not_accepted"
	keyNotFound          = "key_not_found"
	signatureInvalid     = "signature_invalid"
	objectIDMissing      = "oid_missing"
	agentClaimsMalformed = "agent_claims_malformed"
	claimsContradict     = "claims_contradict"
	agentUnclear         = "agent_unclear"
	agentNotAccepted     = "agent_not_accepted"
	agentUserNotAccepted = "agent_user_not_accepted"
	peopleOnly           = "people_only"
	scopeMissing         = "scope_missing"
	appOnlyToken         = "app_only"
	userNotAccepted      = "user_not_accepted"
	userRoleMissing      = "user_role_missing"
	groupMissing         = "group_missing"
	groupOverage         = "group_overage"
	appRoleMissing       = "app_role_missing"
	clientNotAllowed     = "client_not_allowed"
	clientAuthWeak       = "client_auth_weak"
	strongerSignIn       = "stronger_sign_in"
	tokenRevoked         = "revoked"
)

// summaries say what each code means, in the words that people search for.
var summaries = map[string]string{ //nolint:gosec // texts about tokens, no token
	noTokenReason:        "No Bearer token found in Authorization header",
	tokenInQuery:         "Access token in the query string",
	severalHeaders:       "More than one Authorization header",
	severalValues:        "More than one value in the Authorization header",
	malformedToken:       "Token is not a well-formed JWT",
	algorithmNotAccepted: "Signature algorithm not accepted",
	criticalHeader:       "Header extension not understood",
	otherAPI:             "Token is for another API",
	typeNotAccepted:      "Token type not accepted",
	keyIDMissing:         "Key id missing",
	keysUnavailable:      "The tenant's signing keys are not available at the moment",
	tenantNotFound:       "Tenant not found",
	versionNotAccepted:   "Token version not accepted",
	issuerMismatch:       "Issuer validation failed",
	tenantMismatch:       "Tenant validation failed",
	audienceMismatch:     "Audience validation failed",
	expiryMissing:        "Expiry missing",
	tokenExpired:         "Token expired",
	notYetValid:          "Token not yet valid",
	issuedInFuture:       "Token issued in the future",
	boundToKey:           "Token is bound to a device or key",
	idTokenSent:          "ID token sent instead of an access token",
	kindNotAccepted:      "Kind of token not accepted",
	keyNotFound:          "Signing key not found",
	signatureInvalid:     "Signature validation failed",
	objectIDMissing:      "Object id missing",
	agentClaimsMalformed: "Claims about agents are malformed",
	claimsContradict:     "Claims contradict each other",
	agentUnclear:         "Caller may be a person or an agent user",
	agentNotAccepted:     "Agent not accepted",
	agentUserNotAccepted: "Agent user not accepted",
	peopleOnly:           "Only people without an agent are accepted",
	scopeMissing:         "Required scope is missing",
	appOnlyToken:         "App-only token not accepted",
	userNotAccepted:      "User not accepted",
	userRoleMissing:      "Required app role is missing",
	groupMissing:         "Required group is missing",
	groupOverage:         "The token does not list the groups",
	appRoleMissing:       "Required application permission is missing",
	clientNotAllowed:     "Client application not allowed",
	clientAuthWeak:       "Client application not trusted enough",
	strongerSignIn:       "Stronger sign-in needed",
	tokenRevoked:         "Token no longer accepted by Microsoft Entra ID",
}
