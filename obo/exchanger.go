package obo

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// refreshAhead is how long before it expires a token is renewed.
const refreshAhead = 5 * time.Minute

// An Exchanger gets tokens on behalf of users, for one app in its tenants. Make one
// for the whole process with [NewExchanger]. It is safe for concurrent use, has no
// goroutines while idle, and needs no closing.
type Exchanger struct {
	app
	usual      map[string]request // by scope
	declareCP1 bool

	now      func() time.Time
	log      eventLog
	tokens   *cache.Cache[cacheKey, azcore.AccessToken]
	turns    turns
	refusals *refusals
	storage  *storage // nil without Options.Store
	sender   *sender
	asAgents *agentAssertions
	tell     *exchangerTelemetry
}

// Registration describes the app registration that the exchanger uses.
func (x *Exchanger) Registration() Registration {
	return Registration{
		ClientID: x.clientID, AuthorityHost: x.host.String(),
		Tenants:   append([]string{x.home.id}, slices.Sorted(maps.Keys(x.others))...),
		Resources: slices.Clone(x.resources),
		Agents:    x.agentIDs(),
	}
}

// StoreStats returns the counts for Options.Store since the exchanger was made.
func (x *Exchanger) StoreStats() StoreStats {
	if x.storage == nil {
		return StoreStats{}
	}
	return StoreStats{x.storage.hits.Load(), x.storage.misses.Load(), x.storage.health.failures.Load()}
}

// ForgetRefusals drops a user's refusals, which are remembered for 2 seconds. Call it
// when the user comes back from consenting, so that the next call succeeds at once. The
// user's id is "<tenant ID>.<object ID>" (entraauth.Identity.UserID). If you don't know
// who consented, pass "": that drops all users' refusals for lack of consent. An
// unauthenticated visitor may trigger it: it takes effect at most a few times a second,
// and doesn't lift throttling.
func (x *Exchanger) ForgetRefusals(userID string) { x.refusals.forget(strings.ToLower(userID)) }

// exchange gets a token from the store or from Entra. It loads the cache, once for all
// callers that wait; ctx is none of theirs.
func (x *Exchanger) exchange(ctx context.Context, s subject, r request) (cache.Item[azcore.AccessToken], error) {
	ctx, seen := x.tell.begin(ctx, anExchange)
	defer seen.end(ctx)
	item, err := x.obtain(ctx, seen, s, r)
	seen.came(err)
	return item, err
}

func (x *Exchanger) obtain(ctx context.Context, seen *seenExchange, s subject, r request) (cache.Item[azcore.AccessToken], error) {
	token := secret.Reveal(s.token)
	key := x.cacheKey(&s, r)
	who, err := x.inspect(token)
	if err != nil {
		return x.failed(ctx, who, r, err)
	}
	r.cp1 = r.cae && (who.cp1 || x.declareCP1)
	if r.agent != nil {
		if e := x.checkAudience(who); e != nil {
			return x.failed(ctx, who, r, e)
		}
	}
	started := x.now()
	if !started.Before(who.expires) {
		return x.failed(ctx, who, r, refuse(ErrAssertionExpired, "the user's token has expired", newToken))
	}
	plain := r
	plain.claims = ""
	if r.claims == "" { // what the store has was challenged
		item, ok := x.storage.get(ctx, x.tokenName(&s, plain), who.expires)
		if x.storage != nil {
			seen.lookedUp(ok)
		}
		if ok {
			return item, nil
		}
	}
	caller := who.caller(s)
	got, e := x.redeem(ctx, key, attempt{tenant: who.tenant, circuit: who.tenant.circuit, caller: caller, assertion: token, request: r, sends: seen.sends})
	if e != nil {
		return x.failed(ctx, who, r, e)
	}
	x.log.fixed(fault{tenant: who.tenant.id, resource: r.resource, agent: r.agentID()}, who.user)
	item := plan(got, started, who.expires)
	if !x.now().Before(item.ExpiresAt) {
		return x.failed(ctx, who, r, refuse(ErrAssertionExpired, "the user's token expired during the exchange", newToken))
	}
	x.log.exchanged(ctx, who.user, r, item.ExpiresAt)
	x.storage.set(ctx, x.tokenName(&s, plain), item)
	return item, nil
}

// redeem exchanges a user's token as the app, or as the request's agent.
func (x *Exchanger) redeem(ctx context.Context, key cacheKey, a attempt) (*entrawire.Success, *Error) {
	if a.request.agent == nil {
		return x.inTurn(ctx, key, a, x.sender.prove)
	}
	return x.asAgents.redeem(ctx, a, func(ctx context.Context, a attempt, send sendFunc) (*entrawire.Success, *Error) {
		return x.inTurn(ctx, key, a, send)
	})
}

// inTurn sends a user's request in the user's turn, unless Entra has just refused it.
func (x *Exchanger) inTurn(ctx context.Context, key cacheKey, a attempt, send sendFunc) (*entrawire.Success, *Error) {
	giveBack, e := x.turns.take(ctx, a.caller)
	if e != nil {
		return nil, e
	}
	defer giveBack()
	begun, e := x.refusals.admit(a.caller, key)
	if e != nil {
		return nil, e
	}
	got, e := send(ctx, a)
	if e == nil || !e.replaced {
		x.refusals.settle(a.caller, key, begun, e)
	}
	return got, e
}

// failed logs the failure, unless it is known, and returns it.
func (x *Exchanger) failed(ctx context.Context, who claims, r request, err error) (cache.Item[azcore.AccessToken], error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Kind: ErrUnavailable, Problem: "the exchange failed", cause: err}
	}
	e = e.of(r)
	if who.agentUser { // whoever opened the page would consent for themselves
		e.ConsentURL = ""
	}
	if !e.known {
		x.log.failed(ctx, who.tenant, who.user, e)
	}
	return cache.Item[azcore.AccessToken]{}, e
}

// plan decides how long a token is served and when it is renewed. It is never served
// after the user's own token has expired; if that expires first, the token isn't renewed.
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
