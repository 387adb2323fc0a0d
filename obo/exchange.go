package obo

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

const (
	// exchangeTimeout bounds one exchange, the proof of the app included.
	exchangeTimeout = 30 * time.Second
	// refreshAhead is how long before its expiry a token is renewed.
	refreshAhead = 5 * time.Minute

	// noRegion keeps MSAL from reading MSAL_FORCE_REGION, which would send
	// requests elsewhere.
	noRegion = "DisableMsalForceRegion"
)

// request is what tells one exchange of an assertion from another.
type request struct {
	resource string
	scope    string // one or more, separated by spaces
	usual    uint32 // its number, if it is a usual one
	claims   string
	cae      bool // the caller passes claims challenges on (EnableCAE)
	cp1      bool // and so does the user's client: declare it to Entra
}

// exchange asks Entra for a token. It is the loader of the cache: it runs once
// for all who wait, and ctx is no caller's.
func (x *Exchanger) exchange(ctx context.Context, s subject, r request) (cache.Item[azcore.AccessToken], error) {
	token := secret.Reveal(s.token)
	key := x.key(&s, r)
	who, err := x.inspect(token)
	if err != nil {
		return x.failed(ctx, who, r, err)
	}
	r.cp1 = r.cae && (who.cp1 || x.declareCP1)
	started := x.now()
	if !started.Before(who.expires) {
		return x.failed(ctx, who, r, refuse(ErrAssertionExpired, "the user's token is expired", newToken))
	}
	plain := r
	plain.claims = ""
	if r.claims == "" { // a challenge says that what was there is of no use
		if item, ok := x.storage.get(ctx, x.name(&s, plain), who.expires); ok {
			return item, nil
		}
	}
	caller := who.caller(s)
	giveBack, e := x.turns.take(ctx, caller)
	if e != nil {
		return x.failed(ctx, who, r, e)
	}
	defer giveBack()
	begun, refused := x.refusals.admit(caller, key)
	if refused != nil {
		return cache.Item[azcore.AccessToken]{}, refused // logged when it was new
	}
	got, e := x.sender.redeem(ctx, who, caller, token, r)
	x.refusals.settle(caller, key, begun, e)
	if e != nil {
		return x.failed(ctx, who, r, e)
	}
	x.log.fixed(who.tenant, r.resource, who.user)
	item := plan(got, started, who.expires)
	if !x.now().Before(item.ExpiresAt) {
		return x.failed(ctx, who, r, refuse(ErrAssertionExpired, "the user's token expired during the exchange", newToken))
	}
	x.log.exchanged(ctx, who.user, r.resource, item.ExpiresAt)
	x.storage.set(ctx, x.name(&s, plain), item)
	return item, nil
}

// sender asks the tenants' authorities for tokens.
type sender struct {
	app     *app
	wire    *entrawire.Client
	proofs  *clientcred.Proofs
	retries int
}

// redeem proves the app and asks for the token. A proof that Entra doesn't
// accept is made anew once if that may help, then the next one is shown.
func (s *sender) redeem(ctx context.Context, who claims, caller, assertion string, r request) (*entrawire.Success, *Error) {
	search := s.proofs.Begin()
	var refused *Error
	for {
		proof, err := search.Next(ctx)
		switch {
		case err != nil && refused != nil:
			return nil, refused // says more than why there was no other proof
		case err != nil:
			return nil, explainProof(err, r.resource)
		}
		got, e := s.insist(ctx, attempt{who.tenant, caller, proof, assertion, r})
		switch {
		case e == nil:
			search.Accepted()
			return got, nil
		case !blamesProof(e.AADSTS):
			if e.AADSTS != 0 && !e.outage() {
				search.Accepted()
			}
			return nil, e
		case !search.Refused(ctx, outdated(e.AADSTS), e):
			return nil, e
		}
		refused = e
	}
}

// attempt is what goes into a token request.
type attempt struct {
	tenant    *tenant
	caller    string // whose request it is, for the circuit
	proof     clientcred.Proof
	assertion string
	request   request
}

// send lets MSAL make the request: a fresh client each time, so that it has
// nothing of another user, or of this one's past, to hand out.
func (s *sender) send(ctx context.Context, a attempt) (*entrawire.Success, *Error) {
	t, proof, r := a.tenant, a.proof, a.request
	w := &wire{sender: s, tenant: t}
	options := []confidential.Option{
		confidential.WithHTTPClient(w),
		confidential.WithInstanceDiscovery(false), // the host is configured, there is nothing to find out
		confidential.WithAzureRegion(noRegion),
	}
	if r.cp1 {
		options = append(options, confidential.WithClientCapabilities([]string{cp1}))
	}
	credential, err := proof.MSAL()
	if err != nil {
		return nil, explainProof(err, r.resource)
	}
	client, err := confidential.New(t.base, s.app.clientID, credential, options...)
	if err != nil {
		return nil, explainProof(err, r.resource)
	}
	var opts []confidential.AcquireOnBehalfOfOption
	if r.claims != "" {
		opts = append(opts, confidential.WithClaims(r.claims))
	}
	// MSAL's own result and error are not used: wire has both, without what
	// must not be kept. An error without either comes from before the request.
	_, err = client.AcquireTokenOnBehalfOf(ctx, a.assertion, strings.Fields(r.scope), opts...)
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
	return nil, s.app.explain(t, err, r.resource, r.scope)
}

// plan decides how long a token is served and when it is renewed. It is never
// served after the user's own token has expired: then the user must show up
// again. If that comes first, a renewal would gain nothing.
func plan(s *entrawire.Success, started, assertionExpires time.Time) cache.Item[azcore.AccessToken] {
	expires := started.Add(s.Lifetime)
	var refresh time.Time
	if assertionExpires.Before(expires) {
		expires = assertionExpires
	} else {
		refresh = started.Add(max(s.Lifetime-refreshAhead, s.Lifetime/2))
		if s.RefreshIn > 0 && s.RefreshIn < s.Lifetime {
			refresh = started.Add(s.RefreshIn)
		}
	}
	return cache.Item[azcore.AccessToken]{
		Value:     azcore.AccessToken{Token: s.AccessToken, ExpiresOn: expires, RefreshOn: refresh},
		ExpiresAt: expires,
		RefreshAt: refresh,
		Size:      len(s.AccessToken),
	}
}

// failed logs why there is no token and returns it.
func (x *Exchanger) failed(ctx context.Context, who claims, r request, err error) (cache.Item[azcore.AccessToken], error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Kind: ErrUnavailable, Problem: "the exchange failed", cause: err}
	}
	if e.Resource == "" {
		e.Resource = r.resource
	}
	x.log.failed(ctx, who.tenant, who.user, e)
	return cache.Item[azcore.AccessToken]{}, e
}
