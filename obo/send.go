package obo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/internal/trail"
)

const (
	// defaultRetries is how often a request is retried.
	defaultRetries = 2
	// The pause before the first retry; each further one is four times as long.
	retryPause = 250 * time.Millisecond
	// maxRetryAfter is the longest Retry-After to wait for. If it is longer, the caller
	// gets the error.
	maxRetryAfter = 5 * time.Second
	// noRegion keeps MSAL from reading MSAL_FORCE_REGION, which would send requests
	// elsewhere.
	noRegion = "DisableMsalForceRegion"
)

// sender sends token requests to the tenants' authorities.
type sender struct {
	app     *app
	wire    *entrawire.Client
	proofs  *clientcred.Proofs
	retries int
}

// prove sends a request with the app's credential. If Entra rejects the credential, prove
// renews it once if that may help, and then tries the next one.
func (s *sender) prove(ctx context.Context, a attempt) (*entrawire.Success, *Error) {
	search := s.proofs.Begin()
	var refused *Error
	for {
		proof, err := search.Next(ctx)
		switch {
		case err != nil && refused != nil:
			return nil, refused // says more than why there is no other credential
		case err != nil:
			return nil, explainProof(err, a.request.resource)
		}
		a.proof = proof
		got, e := s.insist(ctx, a)
		switch {
		case e == nil:
			search.Accepted()
			return got, nil
		case !clientcred.Blames(e.AADSTS):
			if e.AADSTS != 0 && !e.outage() {
				search.Accepted()
			}
			return nil, e
		case !search.Refused(ctx, clientcred.Outdated(e.AADSTS), e):
			return nil, e
		}
		refused = e
	}
}

// sendFunc sends a request and returns its outcome: one of the two.
type sendFunc func(context.Context, attempt) (*entrawire.Success, *Error)

// attempt is what a token request consists of.
type attempt struct {
	tenant    *tenant
	circuit   *circuit
	caller    string // the user, for the circuit
	proof     clientcred.Proof
	assertion string // the user's token; none in an agent's first step
	request   request
	first     bool   // the first step of an agent's exchange: the app gets the agent's assertion
	sends     func() // called before each request
}

// insist sends a request and retries it after transient failures: HTTP 429 and 5xx,
// Entra's transient codes, lost connections. ctx is the exchange's; callers stop waiting
// when their own contexts end.
func (s *sender) insist(ctx context.Context, a attempt) (*entrawire.Success, *Error) {
	for n := 0; ; n++ {
		got, e := s.guarded(ctx, a)
		if e == nil || !e.passing || n >= s.retries {
			return got, e
		}
		pause := jitter(retryPause << (2 * n))
		if e.RetryAfter > 0 {
			pause = e.RetryAfter + jitter(retryPause)
		}
		if deadline, ok := ctx.Deadline(); e.RetryAfter > maxRetryAfter || ok && time.Until(deadline) < pause {
			return got, e
		}
		if !sleep(ctx, pause) {
			return got, e
		}
	}
}

// guarded sends a request unless its circuit is open.
func (s *sender) guarded(ctx context.Context, a attempt) (got *entrawire.Success, e *Error) {
	probe, open := a.circuit.enter()
	if open != nil {
		return nil, open
	}
	// Deferred, so that a transport's panic also ends the probe.
	e = &Error{Kind: ErrUnavailable, Problem: "the request failed", service: true}
	defer func() { a.circuit.leave(ctx, probe, a.caller, e) }()
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	got, e = s.send(ctx, a)
	return got, e
}

// send makes MSAL send the request. Each request has its own MSAL client, whose cache
// then can't hold another user's token, or an old one.
func (s *sender) send(ctx context.Context, a attempt) (*entrawire.Success, *Error) {
	t, proof, r := a.tenant, a.proof, a.request
	w := &wire{sender: s, tenant: t, sends: a.sends}
	options := []confidential.Option{
		confidential.WithHTTPClient(w),
		confidential.WithInstanceDiscovery(false), // the host is configured
		confidential.WithAzureRegion(noRegion),
	}
	if r.cp1 {
		options = append(options, confidential.WithClientCapabilities([]string{cp1}))
	}
	credential, err := proof.MSAL()
	if err != nil {
		return nil, explainProof(err, r.resource)
	}
	client, err := confidential.New(t.base, s.clientOf(a), credential, options...)
	if err != nil {
		return nil, explainProof(err, r.resource)
	}
	// MSAL's own result and error are not used, because they hold too much: wire has
	// both. If it has neither, MSAL failed before the request.
	err = s.acquire(ctx, client, a)
	switch {
	case w.success != nil && err == nil:
		return w.success, nil
	case w.success != nil:
		err = &entrawire.AnswerError{Err: errors.New("MSAL can't use the answer")}
	case w.err != nil:
		err = w.err
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		err = &entrawire.NotSentError{Reason: "MSAL did not send the request"}
	}
	e := s.app.explain(t, err, r.resource, r.scope)
	switch {
	case a.first:
		s.app.explainFirst(e, r.agent)
	case r.agent != nil:
		s.app.explainSecond(e, r.agent)
	}
	return nil, e
}

// clientOf returns the client that makes the request: an agent makes its own second step.
func (s *sender) clientOf(a attempt) string {
	if a.first || a.request.agent == nil {
		return s.app.clientID
	}
	return a.request.agent.id
}

func (s *sender) acquire(ctx context.Context, client confidential.Client, a attempt) error {
	r := a.request
	if a.first {
		_, err := client.AcquireTokenByCredential(ctx, []string{s.app.host.TokenExchangeScope()}, confidential.WithFMIPath(r.agent.id))
		return err
	}
	var opts []confidential.AcquireOnBehalfOfOption
	if r.claims != "" {
		opts = append(opts, confidential.WithClaims(r.claims))
	}
	_, err := client.AcquireTokenOnBehalfOf(ctx, a.assertion, strings.Fields(r.scope), opts...)
	return err
}

// jitter spreads d from half of it to one and a half times, so that callers that
// failed together don't retry together.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d) //nolint:gosec // not a secret
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// wire is MSAL's HTTP client for one exchange. It serves the discovery document from
// memory, sends the token request with entrawire, and keeps the response from MSAL, which
// reads without bound, drops headers, puts whole bodies and requests, with their
// secrets, into its errors, and rejects tokens that live for less than five minutes.
type wire struct {
	sender *sender
	tenant *tenant
	sends  func()
	// The outcome: one of the two.
	success *entrawire.Success
	err     error
}

// Do implements MSAL's interface.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	switch target := bareURL(req.URL); {
	case req.Method == http.MethodGet && target == w.sender.app.host.MetadataV2(w.tenant.id):
		return jsonResponse(req, w.tenant.discovery), nil
	case req.Method == http.MethodPost && target == w.tenant.tokenURL:
		trail.Of(req.Context()).Add(req.Header.Get("client-request-id")) // MSAL's, new for each request
		w.sends()
		w.success, w.err = w.sender.wire.Send(req)
	default:
		w.err = &entrawire.NotSentError{Reason: fmt.Sprintf("a request to %s %s is not part of the exchange", req.Method, target)}
	}
	if w.err != nil {
		return nil, w.err
	}
	return jsonResponse(req, forMSAL(w.success)), nil
}

// CloseIdleConnections does nothing: the connections are shared.
func (w *wire) CloseIdleConnections() {}

// forMSAL is a token response that MSAL accepts. The lifetime that counts is in s.
func forMSAL(s *entrawire.Success) []byte {
	b, _ := json.Marshal(map[string]any{ // strings and a number can't fail
		"token_type":   "Bearer",
		"access_token": s.AccessToken,
		"expires_in":   3600,
	})
	return b
}

func bareURL(u *url.URL) string { return strings.ToLower(u.Scheme+"://"+u.Host) + u.EscapedPath() }

func jsonResponse(req *http.Request, body []byte) *http.Response {
	return &http.Response{
		Status:        http.StatusText(http.StatusOK),
		StatusCode:    http.StatusOK,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       req,
	}
}
