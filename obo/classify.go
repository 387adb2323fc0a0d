package obo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
)

const serverLog = "see the server's log"

// judge decides what a refusal means. Consent comes first: a client that signs
// its user in again for the claims beside it gets no further, and never asks.
// Then claims, for only they say how the user can get through; then the code,
// which says more than the OAuth error; then suberror and error.
func (f refusal) judge() verdict {
	known, ok := lookup(f.code)
	switch {
	case f.status == http.StatusTooManyRequests && f.claims == "":
		if errors.Is(known.kind, ErrThrottled) {
			return known
		}
		return verdict{ErrThrottled, "Entra ID receives too many requests", "wait, then try again"}
	case known.asksConsent():
		return known
	case f.saysConsent() && (!ok || errors.Is(known.kind, ErrInteractionRequired)):
		return bySuberror[consentRequired]
	case f.claims != "":
		if !errors.Is(known.kind, ErrInteractionRequired) {
			known = verdict{ErrInteractionRequired, "a policy of the organization wants the user to sign in again", signInAgain}
		}
		return known
	case ok:
		return known
	case f.status >= http.StatusInternalServerError || f.status == http.StatusRequestTimeout:
		return verdict{ErrUnavailable, fmt.Sprintf("Entra ID has a problem (HTTP status %d)", f.status), "try again in a moment"}
	case !f.isEntra:
		return verdict{ErrMisconfigured, fmt.Sprintf("the authority's answer (HTTP status %d) is not Entra ID's", f.status),
			askOperator + "check the authority host and any proxy in between"}
	}
	if v, ok := bySuberror[f.suberror]; ok {
		return v
	}
	if v, ok := byError[f.oauthError]; ok {
		return v
	}
	// invalid_grant and what is newer than this list: only the user can get past it.
	return verdict{ErrInteractionRequired, "Entra ID doesn't accept the user's token for this", signInAgain}
}

// consentRequired is Entra's suberror, and OpenID Connect's error, for a consent.
const consentRequired = "consent_required"

func (f refusal) saysConsent() bool {
	return f.suberror == consentRequired || f.oauthError == consentRequired
}

// explain turns a refusal into the error that the caller gets.
func (x *Exchanger) explain(t *tenant, f refusal, resource, scope string) *Error {
	v := f.judge()
	e := &Error{
		Kind:          v.kind,
		AADSTS:        f.code,
		OAuthError:    f.oauthError,
		Suberror:      f.suberror,
		Resource:      resource,
		CorrelationID: f.correlation,
		TraceID:       f.traceID,
		Problem:       v.problem,
		Remedy:        v.remedy,
		RetryAfter:    f.retryAfter,
		cause:         fmt.Errorf("the token endpoint answered with HTTP status %d", f.status),
	}
	e.answered, e.proof, e.passing = true, blamesProof(f.code), e.outage()
	e.service = f.status >= http.StatusInternalServerError || f.status == http.StatusRequestTimeout
	switch {
	case errors.Is(v.kind, ErrInteractionRequired):
		e.Claims = f.claims
	case v.asksConsent():
		e.ConsentURL = x.consentURL(t, scope)
		e.AdminConsentURL = x.adminConsentURL(t, resource)
	}
	return e
}

// explainProof turns the failure to prove the app into the error that the caller gets.
func explainProof(err error, resource string) *Error {
	e := &Error{
		Kind: ErrUnavailable, Resource: resource, cause: err, proof: true,
		Problem: "the server could not prove itself to Entra ID",
		Remedy:  "try again in a moment; if it persists, " + askOperator + "look at it (" + serverLog + ")",
	}
	var known *clientcred.Error
	if errors.As(err, &known) {
		e.Problem, e.Remedy = known.Problem, known.Remedy
		if known.Permanent {
			e.Kind = ErrMisconfigured
		}
		e.cause = known.Cause
	}
	return e
}

// explainTransport turns a request that got no usable answer into the error
// that the caller gets.
func explainTransport(err error, resource string) *Error {
	e := &Error{
		Kind: ErrUnavailable, Resource: resource, cause: err, service: true,
		Problem: "Entra ID can't be reached",
		Remedy:  "try again in a moment; if it persists, " + askOperator + "check the way from the server to the authority host (" + serverLog + ")",
	}
	var broken *answerError
	var unsent *notSentError
	var certificate *tls.CertificateVerificationError
	e.passing = !errors.As(err, &unsent) && !errors.As(err, &certificate) && !errors.Is(err, context.Canceled)
	switch {
	case errors.As(err, &broken):
		e.Problem = "Entra ID's answer can't be read"
		e.passing = broken.passing
		e.answered, e.service = !broken.passing, broken.passing // it is there; others may get a better one
	case errors.Is(err, context.DeadlineExceeded):
		e.Problem = fmt.Sprintf("Entra ID did not answer within %v", attemptTimeout)
	}
	return e
}
