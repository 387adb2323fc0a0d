package obo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/requestline"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// challengeLife is how long the same challenge gets the same token: the calls
// that ran when a token was revoked are all challenged at once. When the
// token that came of it is revoked in its turn, it must not be the answer.
const challengeLife = 5 * time.Minute

// A Credential gets tokens on behalf of one user. It is an
// azcore.TokenCredential: any client of the Azure SDK takes it. It is safe for
// concurrent use, costs little, and shares the exchanger's tokens with every
// other credential for the same assertion, so make one per request.
//
// A client of the Azure SDK keeps the token of its credential. Make a client
// for each user, never one for several.
type Credential struct {
	x *Exchanger
	subject
}

var _ azcore.TokenCredential = (*Credential)(nil)

// Credential returns the credential of the user whose access token a is. It
// can't fail; what is wrong with the assertion is the error of GetToken.
func (x *Exchanger) Credential(a Assertion) *Credential {
	return &Credential{x, subjectOf(a)}
}

// GetToken returns a token for the scopes, from the cache or by an exchange. The
// scopes must belong to one of Options.Resources. The token serves nobody but
// the credential's user, and neither it nor the time in ExpiresOn outlives the
// user's own token: a job that goes on longer gets [ErrAssertionExpired] then.
//
// Claims are a resource's challenge, as a JSON object; the Azure SDK passes them
// on by itself. They are sent to Entra, and the token that comes of it is also the
// one that calls without claims get from then on, whoever makes them for this
// user. The same claims again, within five minutes, get the same token.
//
// EnableCAE, which the Azure SDK always sets, declares to Entra that challenges
// are handled (cp1), if the user's client handles them too: its token has cp1 in
// xms_cc, or Options.DeclareCP1 is set. Tokens with and without are kept apart.
//
// Errors are [*Error], or wrap ctx's error if that ended first; the exchange
// then goes on for the next caller.
func (c *Credential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	r, err := c.check(o)
	if err != nil {
		c.x.log.failed(ctx, nil, "", err)
		return azcore.AccessToken{}, err
	}
	key := c.x.key(&c.subject, r)
	if token, ok := c.x.tokens.Hit(key); ok {
		return token, nil
	}
	return c.load(ctx, key, r)
}

// load gets a token that isn't there, or is due for renewal.
func (c *Credential) load(ctx context.Context, key cacheKey, r request) (azcore.AccessToken, error) {
	caller := ctx // the load has a context of its own
	token, err := c.x.tokens.Get(ctx, key,
		func(ctx context.Context) (cache.Item[azcore.AccessToken], error) {
			ctx = requestline.WithLog(ctx, requestline.Log(caller))
			if requestline.Follows(caller) {
				ctx = requestline.With(ctx)
			}
			if r.claims != "" {
				return c.answerChallenge(ctx, r)
			}
			return c.x.exchange(ctx, c.subject, r)
		})
	if err != nil {
		return azcore.AccessToken{}, c.explain(ctx, err)
	}
	return token, nil
}

// answerChallenge gets the token that a resource's claims challenge wants. The
// one that was challenged is of no use any more: the new one takes its place, also
// where a plain exchange is under way that may bring another like the old.
func (c *Credential) answerChallenge(ctx context.Context, r request) (cache.Item[azcore.AccessToken], error) {
	item, err := c.x.exchange(ctx, c.subject, r)
	if err != nil {
		return item, err
	}
	plain := r
	plain.claims = ""
	c.x.tokens.Put(c.x.key(&c.subject, plain), item)
	if end := c.x.now().Add(challengeLife); end.Before(item.ExpiresAt) {
		item.ExpiresAt = end
	}
	item.RefreshAt = time.Time{}
	return item, nil
}

// check refuses what needs no request to be refused.
func (c *Credential) check(o policy.TokenRequestOptions) (request, *Error) {
	if c.token.IsZero() {
		return request{}, refuse(ErrNoAssertion, "there is no user to act on behalf of", "call as a signed-in user")
	}
	if err := c.checkTenant(o.TenantID); err != nil {
		return request{}, err
	}
	if o.Claims != "" {
		if err := checkClaims(o.Claims); err != nil {
			return request{}, err
		}
	}
	if len(o.Scopes) == 1 {
		if r, ok := c.x.usual[o.Scopes[0]]; ok {
			r.claims = o.Claims
			r.cae = o.EnableCAE
			return r, nil
		}
	}
	resource, err := resourceOf(o.Scopes, c.x.resources)
	if err != nil {
		return request{}, err
	}
	r := request{resource: resource, scope: spell(o.Scopes, resource)}
	if usual, ok := c.x.usual[r.scope]; ok {
		r = usual
	}
	r.claims, r.cae = o.Claims, o.EnableCAE
	return r, nil
}

// checkTenant refuses a token of another tenant than the assertion's, which a
// service's challenge can ask for (policy.TokenRequestOptions.TenantID).
func (c *Credential) checkTenant(id string) *Error {
	x := c.x
	if id == "" || len(x.others) == 0 && strings.EqualFold(id, x.home.id) {
		return nil
	}
	if len(x.others) > 0 {
		if who, err := x.inspect(secret.Reveal(c.token)); err == nil && strings.EqualFold(id, who.tenant.id) {
			return nil
		}
	}
	return refuse(ErrTenantNotAllowed, "a token of another tenant was asked for; this server acts only in the user's own, of "+x.tenantNames(), "")
}

// explain tells the caller's own deadline from the failure of the exchange.
func (c *Credential) explain(ctx context.Context, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if ctxErr := ctx.Err(); ctxErr != nil && errors.Is(err, ctxErr) {
		return fmt.Errorf("obo: stopped waiting for the token: %w", err)
	}
	e = explainTransport(err, "")
	if p, ok := errors.AsType[*cache.PanicError](err); ok {
		e.Problem = "the exchange failed inside the server"
		e.Remedy = askOperator + "look at it (" + serverLog + ")"
		c.x.log.operator.ErrorContext(ctx, "panic in an exchange", "reason", p.Error(), "stack", string(p.Stack))
	}
	return e
}
