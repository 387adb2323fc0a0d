package obo

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

// refusal is an answer of Entra's, with the code that says most.
type refusal struct {
	*entrawire.RefusalError
	code    int
	isEntra bool // else it is another server's, and nothing in it counts
}

func newRefusal(r *entrawire.RefusalError) refusal {
	f := refusal{RefusalError: r, code: r.Code(func(code int) bool { _, ok := lookup(code); return ok })}
	_, known := lookup(f.code)
	_, refined := bySuberror[r.Suberror]
	// A text that is no OAuth error is another server's; another type is Entra's slip.
	f.isEntra = r.OAuthError != "" || known || refined || f.code != 0 && !r.OtherError
	if !f.isEntra {
		return refusal{RefusalError: &entrawire.RefusalError{Status: r.Status, RetryAfter: r.RetryAfter, RequestID: r.RequestID}}
	}
	return f
}

// judge decides what a refusal means. Consent comes first: a client that signs
// its user in again for the claims beside it gets no further, and never asks.
// Then claims, for only they say how the user can get through; then the code,
// which says more than the OAuth error; then suberror and error.
func (f refusal) judge() verdict {
	known, ok := lookup(f.code)
	switch {
	case f.Status == http.StatusTooManyRequests && f.Claims == "":
		if errors.Is(known.kind, ErrThrottled) {
			return known
		}
		return verdict{ErrThrottled, "Entra ID receives too many requests", "wait, then try again"}
	case known.asksConsent():
		return known
	case f.saysConsent() && (!ok || errors.Is(known.kind, ErrInteractionRequired)):
		return bySuberror[consentRequired]
	case f.Claims != "":
		if !errors.Is(known.kind, ErrInteractionRequired) {
			known = verdict{ErrInteractionRequired, "a policy of the organization wants the user to sign in again", signInAgain}
		}
		return known
	case ok:
		return known
	case f.Status >= http.StatusInternalServerError || f.Status == http.StatusRequestTimeout:
		return verdict{ErrUnavailable, fmt.Sprintf("Entra ID has a problem (HTTP status %d)", f.Status), "try again in a moment"}
	case !f.isEntra:
		return verdict{ErrMisconfigured, fmt.Sprintf("the authority's answer (HTTP status %d) is not Entra ID's", f.Status),
			askOperator + "check the authority host and any proxy in between"}
	}
	if v, ok := bySuberror[f.Suberror]; ok {
		return v
	}
	if v, ok := byError[f.OAuthError]; ok {
		return v
	}
	// invalid_grant and what is newer than this list: only the user can get past it.
	return verdict{ErrInteractionRequired, "Entra ID doesn't accept the user's token for this", signInAgain}
}

func (f refusal) saysConsent() bool {
	return f.Suberror == consentRequired || f.OAuthError == consentRequired
}

// explain turns the failure of a token request into the error that the caller gets.
func (a *app) explain(t *tenant, err error, resource, scope string) *Error {
	answer, ok := errors.AsType[*entrawire.RefusalError](err)
	if !ok {
		return explainTransport(err, resource)
	}
	f := newRefusal(answer)
	v := f.judge()
	e := &Error{
		Kind:          v.kind,
		AADSTS:        f.code,
		OAuthError:    f.OAuthError,
		Suberror:      f.Suberror,
		Resource:      resource,
		CorrelationID: cmp.Or(f.CorrelationID, f.RequestID),
		TraceID:       f.TraceID,
		Problem:       v.problem,
		Remedy:        v.remedy,
		RetryAfter:    f.RetryAfter,
		cause:         answer,
	}
	e.answered, e.proof, e.passing = true, blamesProof(f.code), e.outage()
	e.service = f.Status >= http.StatusInternalServerError || f.Status == http.StatusRequestTimeout
	switch {
	case errors.Is(v.kind, ErrInteractionRequired):
		e.Claims = f.Claims
	case v.asksConsent():
		e.ConsentURL = a.consentURL(t, scope)
		e.AdminConsentURL = a.adminConsentURL(t, resource)
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
	if known, ok := errors.AsType[*clientcred.Error](err); ok {
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
	_, unsent := errors.AsType[*entrawire.NotSentError](err)
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
	e.passing = !unsent && !distrusted && !errors.Is(err, context.Canceled)
	broken, isBroken := errors.AsType[*entrawire.AnswerError](err)
	switch {
	case isBroken:
		e.Problem = "Entra ID's answer can't be read"
		e.passing = broken.Transient
		e.answered, e.service = !broken.Transient, broken.Transient // it is there; others may get a better one
	case errors.Is(err, context.DeadlineExceeded):
		e.Problem = fmt.Sprintf("Entra ID did not answer within %v", attemptTimeout)
	}
	return e
}
