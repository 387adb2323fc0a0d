package entraauth

import (
	"errors"
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
	// ErrInvalidToken: the token is not one of this API's (401 invalid_token).
	ErrInvalidToken = errors.New("invalid token")
	// ErrExpired: the token was good and is no longer (401 invalid_token).
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
	// ErrKeysUnavailable: the tenant's signing keys can't be had at the moment, so
	// nothing can be said of the token (503 with Retry-After, never 401: a client
	// that is told 401 throws a good token away).
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
	// Actual is what the token has, cut to 256 bytes, and nothing that may itself be
	// a token. Never sent to the caller.
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

// Caller returns whose good token was refused by a policy, and nil for every
// other refusal: who sent a bad token is not known.
func (e *Error) Caller() *Identity { return e.caller }

// Error returns the text for the caller. It never holds anything of the token.
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

// answers are how each kind is answered: the HTTP status, and the error code of
// the challenge (RFC 6750 section 3.1), empty where none may be sent.
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

// invalid is the error of a token that is none of this API's.
func invalid(reason, expected, got, remedy string) *Error {
	return &Error{Kind: ErrInvalidToken, Reason: reason, Expected: expected, Actual: actual(got), Remedy: remedy}
}

// refusal returns the *Error in err, or nil.
func refusal(err error) *Error {
	e, _ := errors.AsType[*Error](err)
	return e
}
