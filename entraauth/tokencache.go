package entraauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"
	"unsafe"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
)

const (
	defaultTokenCache = 10_000
	// tokenCost is what a token of usual size takes in the cache, in bytes:
	// itself, its claims, the entry. Larger ones count more.
	tokenCost = 4 << 10
	// entryCost is about what the cache adds to each entry.
	entryCost = 320
	// judgeTimeout bounds one verification; a key fetch is the only long part.
	judgeTimeout = fetchTimeout + 5*time.Second
)

// A tokenCache keeps the tokens that one verifier accepted, by their SHA-256.
// What it says is worth nothing to a verifier with another policy, so they
// share none.
type tokenCache = cache.Cache[[sha256.Size]byte, *Identity]

func newTokenCache(tokens int, now func() time.Time) *tokenCache {
	return cache.New[[sha256.Size]byte, *Identity](cache.Options{
		MaxBytes:    uint64(tokens) * tokenCost, //nolint:gosec // positive
		LoadTimeout: judgeTimeout, Now: now,
	})
}

// verifyCached returns the caller of a token that it has seen, and judges any other.
func (v *Verifier) verifyCached(ctx context.Context, token string) (*Identity, error) {
	key := hash(token)
	for range 2 { // the second time after a forgotten one
		id, hit := v.tokens.Hit(key)
		if !hit {
			var err error
			if id, err = v.verifyOnce(ctx, key, token); err != nil {
				return nil, v.judgement(ctx, err)
			}
		}
		set, err := id.origin.source.current(ctx)
		if err != nil {
			return nil, err
		}
		if id.origin.isIn(set) {
			return id, nil
		}
		v.tokens.Forget(key) // its key left the tenant's set
	}
	return nil, v.judgement(ctx, errors.New("the tenant's signing keys keep changing"))
}

// verifyOnce judges a token, once however many ask at the same time.
func (v *Verifier) verifyOnce(ctx context.Context, key [sha256.Size]byte, token string) (*Identity, error) {
	return v.tokens.Get(ctx, key, func(ctx context.Context) (cache.Item[*Identity], error) { return v.load(ctx, token) })
}

func (v *Verifier) load(ctx context.Context, token string) (cache.Item[*Identity], error) {
	// A copy: a header's value is a piece of the text of all headers, which would
	// stay in memory with it.
	t, err := v.verify(ctx, strings.Clone(token))
	if err != nil {
		return cache.Item[*Identity]{}, err
	}
	return cache.Item[*Identity]{
		Value:     t.caller(),
		ExpiresAt: time.Unix(t.claims.expires.seconds, 0).Add(v.skew),
		Size:      max(tokenCost-entryCost, 2*len(token)),
	}, nil
}

// hash reads the token where it lies: a copy would be the only allocation of a
// cached verification.
func hash(token string) [sha256.Size]byte {
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(token), len(token))) //nolint:gosec // read only
}

// judgement returns err as an *Error. One that is none comes from the cache: the
// caller or the time-out ended the wait, and nothing was said of the token.
func (v *Verifier) judgement(ctx context.Context, err error) error {
	if e := refusal(err); e != nil {
		return e
	}
	if p, ok := errors.AsType[*cache.PanicError](err); ok {
		v.log.ErrorContext(ctx, "panic in the verification of a token", "error", p, "stack", string(p.Stack))
	}
	return unavailable(firstBackoff, err)
}
