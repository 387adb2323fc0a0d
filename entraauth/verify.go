package entraauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
	"unsafe"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
)

// Verify judges an access token (without "Bearer ") and returns the caller that it
// names. The error is an *[Error].
func (v *Verifier) Verify(ctx context.Context, token string) (*Identity, error) {
	if v.tokens != nil && len(token) <= maxToken {
		return v.verifyCached(ctx, token)
	}
	t, err := v.judge(ctx, token)
	if err != nil {
		return nil, err
	}
	return t.caller(), nil
}

// verifyCached returns the caller of a token that was verified before, and judges any
// other.
func (v *Verifier) verifyCached(ctx context.Context, token string) (*Identity, error) {
	key := hash(token)
	for range 2 { // the second time after a token that was dropped
		id, hit := v.tokens.Hit(key)
		v.tell.lookup(hit)
		if !hit {
			var err error
			if id, err = v.judgeOnce(ctx, key, token); err != nil {
				return nil, v.refusal(ctx, err)
			}
		}
		set, err := id.origin.source.current(ctx)
		if err != nil {
			return nil, unavailable(err)
		}
		if id.origin.isIn(set) {
			return id, nil
		}
		v.tokens.Forget(key) // its key left the tenant's set
	}
	return nil, v.refusal(ctx, errors.New("the tenant's signing keys keep changing"))
}

// judgeOnce judges a token once, however many callers send it at the same time.
func (v *Verifier) judgeOnce(ctx context.Context, key [sha256.Size]byte, token string) (*Identity, error) {
	return v.tokens.Get(ctx, key, func(ctx context.Context) (cache.Item[*Identity], error) {
		// A copy: a header's value is a part of the text of all headers, which would
		// stay in memory with it.
		t, err := v.judge(ctx, strings.Clone(token))
		if err != nil {
			return cache.Item[*Identity]{}, err
		}
		return cache.Item[*Identity]{
			Value:     t.caller(),
			ExpiresAt: time.Unix(t.claims.expires.seconds, 0).Add(v.skew),
			Size:      max(tokenCost-entryCost, 2*len(token)),
		}, nil
	})
}

// judge applies all rules and stops at the first that fails.
func (v *Verifier) judge(ctx context.Context, token string) (*candidate, error) {
	t, err := v.decode(token)
	if err != nil {
		return nil, err
	}
	for i := range rules {
		if err := rules[i].run(ctx, v, t); err != nil {
			if err.caller != nil { // the token is good
				v.agents.warnUnproven(ctx, &t.claims)
			}
			return nil, err
		}
	}
	v.agents.warnUnproven(ctx, &t.claims)
	t.caller().origin = provenance{t.source, t.header.kid, t.key, &v.agents}
	encoded, _, _ := strings.Cut(token, ".")
	if known := v.known.Load(); known == nil || known.encoded != encoded {
		v.known.Store(&knownHeader{strings.Clone(encoded), t.header})
	}
	v.agents.accepted(&t.claims)
	return t, nil
}

// decode decodes a token. It judges only the form.
func (v *Verifier) decode(token string) (*candidate, error) {
	if len(token) > maxToken {
		return nil, malformed(fmt.Errorf("%d bytes; at most %d are read", len(token), maxToken))
	}
	parts, err := split(token)
	if err != nil {
		return nil, malformed(err)
	}
	t := &candidate{now: v.now(), raw: token, signed: token[:len(parts[0])+1+len(parts[1])], implied: v.implied}
	if known := v.known.Load(); known != nil && known.encoded == parts[0] {
		t.header = known.header
	} else if err := decodeObject(parts[0], headerMembers, &t.header); err != nil {
		return nil, malformed(fmt.Errorf("header: %w", err))
	}
	if err := decodeObject(parts[1], claimMembers, &t.claims); err != nil {
		return nil, malformed(fmt.Errorf("claims: %w", err))
	}
	if t.signature, err = decodePart(parts[2]); err != nil {
		return nil, malformed(fmt.Errorf("signature: %w", err))
	}
	t.source = v.tenancy.source(t.claims.tenantID)
	return t, nil
}

// hash reads the token where it lies: a copy would be the only allocation of a
// cached verification.
func hash(token string) [sha256.Size]byte {
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(token), len(token))) //nolint:gosec // read only
}

// refusal returns err as an *Error. Any other error comes from the cache: the wait was
// canceled or timed out, and the token was not judged.
func (v *Verifier) refusal(ctx context.Context, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if p, ok := errors.AsType[*cache.PanicError](err); ok {
		v.log.ErrorContext(ctx, "panic in the verification of a token", "error", p, "stack", string(p.Stack))
	}
	return unavailable(err)
}

// Recheck returns nil as long as the token behind id, which [Verifier.Verify]
// accepted, is still good: it has not expired, and the key that signed it is still
// in the tenant's set. It is for what outlives a request, such as a stream. The
// error is an *[Error]: [ErrExpired], [ErrInvalidToken] for a key that is gone, or
// [ErrKeysUnavailable].
//
// It never waits. A key set that is due is fetched in the background, as for a
// request, so a server that only streams learns of withdrawn keys too.
func (v *Verifier) Recheck(id *Identity) error {
	if id == nil || id.origin.source == nil {
		return invalid(keyNotFound, "an identity that Verify returned", "", "Send an access token")
	}
	now := v.now()
	if !now.Before(id.expires.Add(v.skew)) {
		return &Error{Kind: ErrExpired, Rule: "expiry", Reason: tokenExpired, Actual: id.expires.Format(time.RFC3339),
			Remedy: "Refresh the access token or sign in again", caller: id}
	}
	s := id.origin.source
	set := s.usable(now)
	if set == nil || !now.Before(set.refreshAt) {
		s.start(context.Background(), false)
	}
	switch {
	case set == nil:
		return unavailable(s.unavailable(nil))
	case !id.origin.isIn(set):
		e := invalid(keyNotFound, "a token signed with a key that the tenant still has", "", "Get a new token and try again")
		e.Rule, e.caller = "signature", id
		return e
	}
	return nil
}
