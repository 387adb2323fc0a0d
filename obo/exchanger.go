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

// refreshAhead is how long before its expiry a token is renewed.
const refreshAhead = 5 * time.Minute

// An Exchanger gets tokens on behalf of users, for one app in its tenants. It is
// safe for concurrent use, holds no goroutine while it is idle, and needs no
// closing. Make one with [NewExchanger], for the whole process.
type Exchanger struct {
	app
	usual      map[string]request // by scope
	declareCP1 bool

	now      func() time.Time
	log      eventLog
	tokens   *cache.Cache[cacheKey, azcore.AccessToken]
	turns    turns
	refusals *refusals
	sender   *sender
	// storage is nil without Options.Store.
	storage *storage
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

// Registration returns what the exchanger was made for.
func (x *Exchanger) Registration() Registration {
	return Registration{
		ClientID: x.clientID, AuthorityHost: x.host.String(),
		Tenants:   append([]string{x.home.id}, slices.Sorted(maps.Keys(x.others))...),
		Resources: slices.Clone(x.resources),
	}
}

// StoreStats returns the counts of Options.Store since the exchanger was made.
func (x *Exchanger) StoreStats() StoreStats {
	if x.storage == nil {
		return StoreStats{}
	}
	return StoreStats{x.storage.hits.Load(), x.storage.misses.Load(), x.storage.health.failures.Load()}
}

// ForgetRefusals makes the exchanger send requests to Entra again that Entra refused
// within the last 2 seconds. Call it when a user comes back from a consent, with the id
// "<tenant id>.<object id>" (entraauth.Identity.UserID), so that the next call succeeds
// at once. If it isn't known whose consent it was, pass "": then all users' refusals for
// lack of consent are forgotten. It is safe to call on anybody's request: it has an
// effect a few times a second at most, and does not affect throttling.
func (x *Exchanger) ForgetRefusals(userID string) { x.refusals.forget(strings.ToLower(userID)) }
