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

// challengeLife is how long the same challenge gets the same token: when a token is
// revoked, all calls in flight are challenged at once. It is short, because the new token
// can be revoked, too.
const challengeLife = 5 * time.Minute

// A Credential gets tokens on behalf of one user. It is an azcore.TokenCredential, so
// any client of the Azure SDK takes it. It is safe for concurrent use and cheap: make
// one per request. All credentials for the same assertion share the exchanger's tokens.
//
// A client of the Azure SDK keeps its credential's token, so never share a client
// between users.
type Credential struct {
	x *Exchanger
	subject
	agent   *agent // nil if the exchanger has none, or not this one
	agentID string // as the caller named it
	named   bool   // an agent is named
}

var _ azcore.TokenCredential = (*Credential)(nil)

// Credential returns the credential of the user whose access token a is. It can't
// fail: GetToken reports what is wrong with the assertion. An exchanger with Options.Agents
// acts only as them: use [Exchanger.AgentCredential] (else [ErrAgentNotAllowed]).
func (x *Exchanger) Credential(a Assertion) *Credential {
	return &Credential{x: x, subject: subjectOf(a)}
}

// AgentCredential returns the credential of the user whose access token a is, for the agent
// identity with that application ID: its tokens have what both the user and the agent may do.
// GetToken reports what is wrong with the assertion, and an agent that is not one of
// Options.Agents ([ErrAgentNotAllowed]). Choose the agent by what the server knows of the
// user, never by what a client or a model says.
func (x *Exchanger) AgentCredential(a Assertion, agentID string) *Credential {
	return &Credential{x: x, subject: subjectOf(a), agent: x.agentOf(agentID), agentID: agentID, named: true}
}

// GetToken returns a token for the scopes, from the cache or by an exchange. The
// scopes must belong to one of Options.Resources. The token is returned only for
// this user, and never outlives the user's own token, which ExpiresOn respects: a job
// that runs longer gets [ErrAssertionExpired].
//
// Claims are a resource's claims challenge, a JSON object; the Azure SDK passes them by
// itself. GetToken sends them to Entra, and later calls for this user without claims
// get the new token, too. The same claims again, within five minutes, get the same token.
//
// EnableCAE, which the Azure SDK always sets, tells Entra that challenges are handled
// (cp1), provided that the user's client also handles them: its token has cp1 in
// xms_cc, or Options.DeclareCP1 is set. Tokens with and without are cached separately.
//
// Errors are [*Error], or wrap ctx's error if ctx ended first. The exchange then
// continues for the next caller.
func (c *Credential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	r, err := c.check(o)
	if err != nil {
		c.x.log.failed(ctx, nil, "", err)
		c.x.tell.refused(ctx, err)
		return azcore.AccessToken{}, err
	}
	key := c.x.cacheKey(&c.subject, r)
	if token, ok := c.x.tokens.Hit(key); ok {
		c.x.tell.hits.Add(1)
		return token, nil
	}
	return c.load(ctx, key, r)
}

// load gets a token that is not cached, or due for renewal.
func (c *Credential) load(ctx context.Context, key cacheKey, r request) (azcore.AccessToken, error) {
	caller, began := ctx, time.Now() // the load has a context of its own
	token, wait, err := c.x.tokens.Watch(ctx, key,
		func(ctx context.Context) (cache.Item[azcore.AccessToken], error) {
			if requestline.Follows(caller) {
				ctx = requestline.With(ctx, requestline.Log(caller))
			}
			if r.claims != "" {
				return c.answerChallenge(ctx, r)
			}
			return c.x.exchange(ctx, c.subject, r)
		})
	c.x.tell.lookedUp(wait)
	c.x.tell.waited(ctx, anExchange, began, wait)
	if err != nil {
		return azcore.AccessToken{}, c.callerError(ctx, err)
	}
	return token, nil
}

// answerChallenge gets a token for a resource's claims challenge. It replaces the
// challenged token, even if an exchange without claims is in flight, which may return
// another token like the old one.
func (c *Credential) answerChallenge(ctx context.Context, r request) (cache.Item[azcore.AccessToken], error) {
	item, err := c.x.exchange(ctx, c.subject, r)
	if err != nil {
		return item, err
	}
	plain := r
	plain.claims = ""
	c.x.tokens.Put(c.x.cacheKey(&c.subject, plain), item)
	if end := c.x.now().Add(challengeLife); end.Before(item.ExpiresAt) {
		item.ExpiresAt = end
	}
	item.RefreshAt = time.Time{}
	return item, nil
}

// check rejects what can be rejected without a request.
func (c *Credential) check(o policy.TokenRequestOptions) (request, *Error) {
	if c.token.IsZero() {
		return request{}, refuse(ErrNoAssertion, "no user is signed in", "call as a signed-in user")
	}
	if c.agent == nil && (c.named || len(c.x.agents) > 0) {
		return request{}, c.x.notAllowed(c.agentID, c.named)
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
			r.agent = c.agent
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
	r.claims, r.cae, r.agent = o.Claims, o.EnableCAE, c.agent
	return r, nil
}

// checkTenant rejects requests for another tenant than the assertion's, which a
// service's challenge can cause (policy.TokenRequestOptions.TenantID).
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
	return refuse(ErrTenantNotAllowed, "the request is for another tenant than the user's own; this server acts only in "+x.tenantNames(), "")
}

// callerError tells the end of the caller's context from a failure of the exchange.
func (c *Credential) callerError(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if ctxErr := ctx.Err(); ctxErr != nil && errors.Is(err, ctxErr) {
		return fmt.Errorf("obo: stopped waiting for the token: %w", err)
	}
	return c.x.log.unexpected(ctx, err)
}
