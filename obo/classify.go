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

// refusal is an error response, with its most telling code.
type refusal struct {
	*entrawire.RefusalError
	code    int
	isEntra bool // if not, another server sent it, such as a proxy
}

func newRefusal(r *entrawire.RefusalError) refusal {
	f := refusal{RefusalError: r, code: r.Code(func(code int) bool { _, ok := lookup(code); return ok })}
	_, known := lookup(f.code)
	_, refined := bySuberror[r.Suberror]
	// A string that is not an OAuth error comes from another server.
	f.isEntra = r.OAuthError != "" || known || refined || f.code != 0 && !r.OtherError
	if !f.isEntra {
		return refusal{RefusalError: &entrawire.RefusalError{Status: r.Status, RetryAfter: r.RetryAfter, RequestID: r.RequestID}}
	}
	return f
}

// judge decides what a refusal means. Missing consent comes first: signing in again for
// claims beside it doesn't help, because the client would never request consent. Then
// come claims, which alone tell the client how to succeed, then the code, the suberror
// and the OAuth error.
func (f refusal) judge() verdict {
	known, ok := lookup(f.code)
	switch {
	case f.Status == http.StatusTooManyRequests && f.Claims == "":
		if errors.Is(known.kind, ErrThrottled) {
			return known
		}
		return verdict{ErrThrottled, "Entra ID gets too many requests", "wait, then try again"}
	case known.asksConsent():
		return known
	case f.saysConsent() && (!ok || errors.Is(known.kind, ErrInteractionRequired)):
		return bySuberror[consentRequired]
	case f.Claims != "":
		if !errors.Is(known.kind, ErrInteractionRequired) {
			known = verdict{ErrInteractionRequired, "a policy of the organization requires the user to sign in again", signInAgain}
		}
		return known
	case ok:
		return known
	case f.Status >= http.StatusInternalServerError || f.Status == http.StatusRequestTimeout:
		return verdict{ErrUnavailable, fmt.Sprintf("Entra ID has a problem (HTTP status %d)", f.Status), "try again in a moment"}
	case !f.isEntra:
		return verdict{ErrMisconfigured, fmt.Sprintf("something else than Entra ID answered (HTTP status %d)", f.Status),
			askOperator + "check the authority host and any proxy on the way to it"}
	}
	if v, ok := bySuberror[f.Suberror]; ok {
		return v
	}
	if v, ok := byError[f.OAuthError]; ok {
		return v
	}
	// invalid_grant, or an error that this package doesn't know: only the user can help.
	return verdict{ErrInteractionRequired, "Entra ID rejects the user's token for this resource", signInAgain}
}

func (f refusal) saysConsent() bool {
	return f.Suberror == consentRequired || f.OAuthError == consentRequired
}

// explain returns the error for the caller when a token request failed.
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
	e.answered, e.proof, e.passing = true, clientcred.Blames(f.code), e.outage()
	e.service = f.Status >= http.StatusInternalServerError || f.Status == http.StatusRequestTimeout
	switch {
	case errors.Is(v.kind, ErrInteractionRequired):
		e.Claims = f.Claims
	case v.asksConsent() && f.code != noConsentPage:
		e.ConsentURL = a.consentURL(t, scope)
		e.AdminConsentURL = a.adminConsentURL(t, resource)
		e.operator = a.consentRemedy(t, resource)
	}
	return e
}

// explainProof returns the error for the caller when there is no credential of the app.
func explainProof(err error, resource string) *Error {
	e := &Error{
		Kind: ErrUnavailable, Resource: resource, cause: err, proof: true,
		Problem: "the server could not get its client credential",
		Remedy:  "try again in a moment; if it persists, " + askOperator + "find out why (" + serverLog + ")",
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

// explainTransport returns the error for the caller when a request got no usable answer.
func explainTransport(err error, resource string) *Error {
	e := &Error{
		Kind: ErrUnavailable, Resource: resource, cause: err, service: true,
		Problem: "Entra ID can't be reached",
		Remedy:  "try again in a moment; if it persists, " + askOperator + "check the network between the server and the authority host (" + serverLog + ")",
	}
	_, unsent := errors.AsType[*entrawire.NotSentError](err)
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
	e.passing = !unsent && !distrusted && !errors.Is(err, context.Canceled)
	broken, isBroken := errors.AsType[*entrawire.AnswerError](err)
	switch {
	case isBroken:
		e.Problem = "Entra ID's answer is unusable"
		e.passing = broken.Transient
		e.answered, e.service = !broken.Transient, broken.Transient // it did answer; another user may get a better answer
	case errors.Is(err, context.DeadlineExceeded):
		e.Problem = fmt.Sprintf("Entra ID did not answer within %v", attemptTimeout)
	}
	return e
}
