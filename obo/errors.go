package obo

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// The kinds of [Error], by what the caller should do. Test for them with [errors.Is].
var (
	// ErrNoAssertion: there is no user. Nothing was sent.
	ErrNoAssertion = errors.New("no user assertion")
	// ErrAssertionInvalid: the assertion is not a user's access token of an allowed
	// tenant, but, say, an ID token, an app-only token or no token at all.
	ErrAssertionInvalid = errors.New("invalid user assertion")
	// ErrAssertionExpired: the user's token has expired or was revoked. The user's
	// client needs a new one: answer 401 invalid_token.
	ErrAssertionExpired = errors.New("user assertion expired or revoked")
	// ErrScopeNotAllowed: the scope is not one of Options.Resources. Nothing was sent.
	ErrScopeNotAllowed = errors.New("scope not allowed")
	// ErrTenantNotAllowed: the request is for a token of another tenant. Nothing was sent.
	ErrTenantNotAllowed = errors.New("tenant not allowed")
	// ErrAgentNotAllowed: the agent is not one of Options.Agents, or none is named although
	// the exchanger acts only as agents. Nothing was sent.
	ErrAgentNotAllowed = errors.New("agent not allowed")
	// ErrClaimsInvalid: the claims challenge is not a JSON object, too long, or sets
	// client capabilities. Nothing was sent.
	ErrClaimsInvalid = errors.New("invalid claims challenge")
	// ErrConsentRequired: the user or an administrator must consent first, at
	// Error.ConsentURL or Error.AdminConsentURL. For an agent identity only an administrator
	// can, and there is no page: Error.Remedy says what to grant.
	ErrConsentRequired = errors.New("consent required")
	// ErrInteractionRequired: the user must sign in again, with Error.Claims if
	// there are any (a second factor, a compliant device, new terms of use).
	ErrInteractionRequired = errors.New("user interaction required")
	// ErrBlocked: a policy of the tenant forbids it. Don't retry.
	ErrBlocked = errors.New("blocked by policy")
	// ErrMisconfigured: only the operator can fix it. It is logged as an error, once.
	ErrMisconfigured = errors.New("misconfigured")
	// ErrThrottled: too many requests. Wait for Error.RetryAfter.
	ErrThrottled = errors.New("throttled")
	// ErrUnavailable: Entra, or the source of the app's credential, fails or can't be
	// reached. Try again later.
	ErrUnavailable = errors.New("unavailable")
)

// An Error says why there is no token for the user. Test for its Kind with
// [errors.Is], and get the details with [errors.As]. Every field is safe to show to
// the user: none holds anything of the request, or Entra's own description, which can
// contain e-mail addresses.
type Error struct {
	// Kind is one of this package's sentinels, never nil.
	Kind error
	// AADSTS is the number of Entra's AADSTS code, or 0 if there is none.
	AADSTS int
	// OAuthError is the OAuth 2.0 error (RFC 6749, section 5.2), such as
	// "invalid_grant". Suberror is Entra's refinement of it, such as
	// "consent_required" or "bad_token". Either may be empty.
	OAuthError, Suberror string
	// Resource is the resource that the token is for, such as
	// https://storage.azure.com; empty if it is not an allowed one.
	Resource string
	// Claims is the claims challenge, a JSON object, that the user's client must
	// send when it signs the user in again (OpenID Connect Core, section 5.5). Only
	// ErrInteractionRequired has one: missing consent comes first.
	Claims string
	// CorrelationID and TraceID identify the request in Entra's sign-in log.
	CorrelationID, TraceID string
	// ConsentURL and AdminConsentURL are where a user or an administrator
	// consents, with ErrConsentRequired. They contain no personal data. They are empty if the
	// exchange was for an agent. ConsentURL is also empty if the user is an agent user (13 in
	// the claim xms_sub_fct), who signs in on no page.
	ConsentURL, AdminConsentURL string
	// Problem and Remedy say what happened and what to do, as sentences without a
	// period.
	Problem, Remedy string
	// RetryAfter is how long to wait before the next try; 0 if that isn't known.
	RetryAfter time.Duration

	operator string // what the operator can do, if Remedy and the URLs are for users
	cause    error
	passing  bool // temporary: the same request may succeed in a moment
	answered bool // the token endpoint answered this very request
	proof    bool // the app's credential is to blame
	service  bool // the service or the network is to blame, not the user or the app

	agent    string // that the exchange was for, if any
	first    bool   // it failed in its first step
	replaced bool   // Entra rejected the agent's assertion, and there may be a better one
	known    bool   // from an earlier request, which was logged
}

// refuse returns the error of a request that is not sent.
func refuse(kind error, problem, remedy string) *Error {
	return &Error{Kind: kind, Problem: problem, Remedy: remedy}
}

// Error returns [Error.UserText] after the package's name.
func (e *Error) Error() string { return "obo: " + e.UserText() }

// Unwrap returns Kind and the cause, if there is one. The cause is for the log:
// it holds nothing of the request or of the response body.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.cause}
}

// UserText says what happened and what to do, for the end user or a model.
func (e *Error) UserText() string {
	var b strings.Builder
	if l := e.label(); l != "" {
		b.WriteString(l + ": ")
	}
	b.WriteString(e.Problem)
	if e.Remedy != "" {
		b.WriteString(". To fix this: " + e.Remedy)
	}
	if e.ConsentURL != "" {
		b.WriteString(". To fix this: open " + e.ConsentURL + " and accept, then try again")
	}
	if e.AdminConsentURL != "" {
		b.WriteString(". An administrator can consent for everybody at " + e.AdminConsentURL)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, ". Wait %s first", e.RetryAfter.Round(time.Second))
	}
	if e.Resource != "" {
		b.WriteString(" (resource " + e.Resource + ")")
	}
	if e.CorrelationID != "" {
		b.WriteString(" (correlation id " + e.CorrelationID + ")")
	}
	return b.String()
}

// label is what people search for: "AADSTS65001 consent_required", "AADSTS50076
// interaction_required".
func (e *Error) label() string {
	reason := e.OAuthError
	if e.Suberror == consentRequired {
		reason = e.Suberror
	}
	if e.AADSTS == 0 {
		return reason
	}
	return strings.TrimSpace(fmt.Sprintf("AADSTS%d %s", e.AADSTS, reason))
}

// consentRequired is Entra's suberror, and OpenID Connect's error, for missing consent.
const consentRequired = "consent_required"

// NonRetriable keeps azcore's retry policy from retrying: this package already has.
func (e *Error) NonRetriable() {}

// Temporary reports whether Entra or the way to it is to blame, so that the same request may
// succeed later although nobody does anything.
func (e *Error) Temporary() bool { return e.outage() }

// LogValue returns the error's fields and its cause.
func (e *Error) LogValue() slog.Value { return slog.GroupValue(e.attrs()...) }

// attrs are the attributes of a log record about e.
func (e *Error) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("kind", e.Kind.Error())}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	if e.AADSTS != 0 {
		add("code", fmt.Sprintf("AADSTS%d", e.AADSTS))
	}
	add("error", e.OAuthError)
	add("suberror", e.Suberror)
	add("resource", e.Resource)
	add("agent", e.agent)
	add("problem", e.Problem)
	add("remedy", cmp.Or(e.operator, e.Remedy))
	add("correlation_id", e.CorrelationID)
	add("trace_id", e.TraceID)
	if e.RetryAfter > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.RetryAfter))
	}
	if e.cause != nil {
		add("cause", e.cause.Error())
	}
	return attrs
}

// outage reports whether e may be a failure of the whole authority or of the network,
// rather than of one user's or app's request.
func (e *Error) outage() bool {
	return (errors.Is(e.Kind, ErrUnavailable) || errors.Is(e.Kind, ErrThrottled)) && e.AADSTS != looping
}

// looping is the code for a client that repeats one request in a loop.
const looping = 50196

// needsToken reports whether only a new token of the user can help.
func (e *Error) needsToken() bool {
	return errors.Is(e.Kind, ErrInteractionRequired) || errors.Is(e.Kind, ErrAssertionExpired) || errors.Is(e.Kind, ErrAssertionInvalid)
}
