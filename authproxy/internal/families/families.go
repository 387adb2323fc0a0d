// Package families remembers what must be single-use: codes, and the refresh tokens of each family
// (RFC 9700, section 4.14.2).
//
// A family begins with a code. Each refresh returns a successor of the token, one generation
// further. Because responses get lost, the predecessor stays valid for a while: it gets the same
// answer again for Kept after the answer was stored, and other successors, siblings, for Grace. The
// first successor that is used successfully becomes the line. If another sibling or an older token
// is used after that, it was stolen or its owner was robbed. Nobody can tell which, so the family
// ends.
//
// All state is in a [Store] that replicas share. There are no locks, only compare-and-swap.
package families

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

const (
	// Kept is how long a refresh token gets the same answer again.
	Kept = 2 * time.Second
	// Grace is how long after its first use a refresh token is valid unless a successor was used.
	Grace = time.Minute

	// leaseTime is how long a refresh may take, longer than any request to Entra.
	leaseTime = 20 * time.Second
	// storeTimeout bounds each request to the store.
	storeTimeout = time.Second
	// maxSwaps bounds how often a change is retried because another one came first.
	maxSwaps = 16
)

// The reasons why a code or a refresh token can't be used.
var (
	ErrBegun   = errors.New("the code was used before; its refresh tokens are revoked")
	ErrEnded   = errors.New("the refresh token was revoked")
	ErrReused  = errors.New("the refresh token was used before; it and its successors are revoked")
	ErrDiffers = errors.New("another request with this refresh token has just been answered")
	ErrBusy    = errors.New("another request with this refresh token is still running")
	// ErrStore wraps the errors of the store.
	ErrStore = errors.New("the store failed")
)

// A Store is an authproxy.Store.
type Store interface {
	Get(ctx context.Context, name string) ([]byte, error)
	Swap(ctx context.Context, name string, old, value []byte, ttl time.Duration) (bool, error)
}

// A Book records which codes and refresh tokens were used. It is safe for concurrent use, also by
// several processes that share a store.
type Book struct {
	store  Store
	sealer *seal.Sealer // of answers
	scope  string       // whose answers they are
	now    func() time.Time
}

// NewBook returns a book in the store. Kept answers are sealed under the name scope.
func NewBook(store Store, sealer *seal.Sealer, scope string, now func() time.Time) *Book {
	return &Book{store, sealer, scope, now}
}

// Begin claims the code with which the family begins. If it was claimed before, Begin ends the
// family and returns ErrBegun. Call release, which is never nil, if the code was not spent: it can be
// claimed again, unless somebody has tried to meanwhile.
func (b *Book) Begin(ctx context.Context, family grants.ID) (release func(context.Context), err error) {
	name, claim := nameOf("code", family), grants.NewID()
	release = func(ctx context.Context) {
		ctx = context.WithoutCancel(ctx)
		if b.Check(ctx, family) != nil {
			return // refresh tokens that came of it would be revoked from the start
		}
		_, _ = b.swap(ctx, name, claim[:], nil, 0) // after an error, the claim ends by itself
	}
	first, err := b.swap(ctx, name, nil, claim[:], grants.CodeLifetime)
	if err != nil {
		return release, err // the claim may have arrived
	}
	if !first {
		return release, errors.Join(ErrBegun, b.End(ctx, family))
	}
	return release, nil
}

// Check returns ErrEnded if the family has ended.
func (b *Book) Check(ctx context.Context, family grants.ID) error {
	_, l, err := b.line(ctx, family)
	if err == nil && l != nil && l.ended {
		return ErrEnded
	}
	return err
}

// End ends the family: none of its refresh tokens is valid any more.
func (b *Book) End(ctx context.Context, family grants.ID) error {
	ctx = context.WithoutCancel(ctx) // a thief must not stop it by hanging up
	for range maxSwaps {
		raw, l, err := b.line(ctx, family)
		if err != nil && !errors.Is(err, errForeign) {
			return err
		}
		if l != nil && l.ended {
			return nil
		}
		if done, err := b.swap(ctx, nameOf("family", family), raw, (&line{ended: true}).marshal(), grants.RefreshLifetime); done || err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: a change was tried %d times, and another one always came first", ErrStore, maxSwaps)
}

// admit returns why the token can't be used by a request that came at the time asked. If it was reused, admit ends its family.
func (b *Book) admit(ctx context.Context, t Token, asked time.Time) error {
	_, l, err := b.line(ctx, t.Family)
	if err != nil {
		return err
	}
	return b.judge(ctx, l, t, asked)
}

func (b *Book) judge(ctx context.Context, l *line, t Token, asked time.Time) error {
	err := l.permits(t, asked)
	if errors.Is(err, ErrReused) {
		return errors.Join(err, b.End(ctx, t.Family))
	}
	return err
}

// advance makes the token, which was used successfully, the line of its family. It judges the token
// again, because another one may have been used in the meantime.
func (b *Book) advance(ctx context.Context, t Token, asked time.Time) error {
	for range maxSwaps {
		raw, l, err := b.line(ctx, t.Family)
		if err != nil {
			return err
		}
		if err := b.judge(ctx, l, t, asked); err != nil {
			return err
		}
		if l.holds(t) {
			return nil // since counts from its first use
		}
		next := &line{generation: t.Generation, id: t.ID, since: b.now()}
		if done, err := b.swap(ctx, nameOf("family", t.Family), raw, next.marshal(), grants.RefreshLifetime); done || err != nil {
			return err
		}
	}
	return ErrBusy
}

// line returns a family's line, and its bytes in the store.
func (b *Book) line(ctx context.Context, family grants.ID) ([]byte, *line, error) {
	raw, err := b.get(ctx, nameOf("family", family))
	if err != nil {
		return nil, nil, err
	}
	l, err := unmarshalLine(raw)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrStore, err)
	}
	return raw, l, err
}

// nameOf returns a name in the store, a hash.
func nameOf(kind string, id grants.ID) string {
	sum := sha256.Sum256(append([]byte(kind+"\n"), id[:]...))
	return hex.EncodeToString(sum[:16])
}

func (b *Book) get(ctx context.Context, name string) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	value, err := b.store.Get(limited, name)
	return value, storeError(ctx, err)
}

func (b *Book) swap(ctx context.Context, name string, old, value []byte, ttl time.Duration) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	done, err := b.store.Swap(limited, name, old, value, ttl)
	return done && err == nil, storeError(ctx, err)
}

// storeError returns the error of a request to the store, or that of ctx if it is done.
func storeError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrStore, err)
}
