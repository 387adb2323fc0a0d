package obo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
)

const (
	// storeTimeout is how long an exchange waits for the store, each time.
	storeTimeout = 250 * time.Millisecond
	// storePause is how long a store that failed is not asked.
	storePause = 10 * time.Second
	// maxStored bounds what a store hands back.
	maxStored = maxToken + 1<<10
)

// A TokenStore is a second level behind the cache of an [Exchanger], shared by
// the replicas of a server, such as Redis: what one has exchanged, the others
// need not. It must be safe for concurrent use.
//
// A store gets no token to see, and no name of a user: names are hashes in
// hexadecimal (64 characters), and values are sealed (AES-256-GCM) with
// Options.StoreKeys. A value can't be moved to another name, changed or made up
// without the key. Whoever can write to the store can make it forget.
//
// A store that fails, or takes longer than 250 milliseconds, costs an exchange
// that time, and is then left alone for 10 seconds. It never fails a caller.
type TokenStore interface {
	// Get returns the value of a name, or nil if there is none.
	Get(ctx context.Context, name string) ([]byte, error)
	// Set keeps the value for the given time at most. It must not keep it longer.
	Set(ctx context.Context, name string, value []byte, ttl time.Duration) error
}

// StoreStats count what an exchanger's store was good for.
type StoreStats struct {
	// Hits are the tokens that were in the store, Misses those that weren't.
	Hits, Misses uint64
	// Failures are calls that failed or took too long, and values that could not
	// be opened: of another key, damaged, or forged.
	Failures uint64
}

// storage is the store as an exchange sees it: it has a token, or it doesn't.
type storage struct {
	store  TokenStore
	seal   *sealer
	now    func() time.Time
	logger *slog.Logger

	hits, misses, failures atomic.Uint64
	failing                atomic.Bool
	pausedUntil            atomic.Int64 // Unix nanoseconds
}

// StoreStats returns the counts of Options.Store since the exchanger was made.
func (x *Exchanger) StoreStats() StoreStats {
	if x.storage == nil {
		return StoreStats{}
	}
	return StoreStats{x.storage.hits.Load(), x.storage.misses.Load(), x.storage.failures.Load()}
}

// get returns the token of the name that is worth serving: neither expired nor due
// for renewal, and not beyond the end of the user's own token.
func (s *storage) get(ctx context.Context, id [sha256.Size]byte, assertionExpires time.Time) (cache.Item[azcore.AccessToken], bool) {
	if s == nil || s.paused() {
		return cache.Item[azcore.AccessToken]{}, false
	}
	name := hex.EncodeToString(id[:])
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var sealed []byte
	err := bounded(ctx, func() (err error) {
		sealed, err = s.store.Get(ctx, name)
		return err
	})
	if err != nil {
		s.failed(ctx, "get", err)
		return cache.Item[azcore.AccessToken]{}, false
	}
	s.worked(ctx)
	if len(sealed) == 0 {
		s.misses.Add(1)
		return cache.Item[azcore.AccessToken]{}, false
	}
	item, err := s.open(name, sealed)
	if err != nil {
		// Not a reason to leave the store alone: the exchange writes a good one.
		s.failures.Add(1)
		s.logger.LogAttrs(ctx, slog.LevelWarn, "a stored token can't be opened", slog.String("reason", err.Error()))
		return cache.Item[azcore.AccessToken]{}, false
	}
	now := s.now()
	if item.ExpiresAt.After(assertionExpires) {
		item.ExpiresAt = assertionExpires
		item.Value.ExpiresOn = assertionExpires
	}
	if !now.Before(item.ExpiresAt) || !item.RefreshAt.IsZero() && !now.Before(item.RefreshAt) {
		s.misses.Add(1)
		return cache.Item[azcore.AccessToken]{}, false
	}
	s.hits.Add(1)
	return item, true
}

// set keeps a token for the other replicas.
func (s *storage) set(ctx context.Context, id [sha256.Size]byte, item cache.Item[azcore.AccessToken]) {
	if s == nil || s.paused() {
		return
	}
	ttl := item.ExpiresAt.Sub(s.now())
	if ttl <= 0 {
		return
	}
	name := hex.EncodeToString(id[:])
	sealed := s.seal.seal(encodeItem(item), name)
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := bounded(ctx, func() error { return s.store.Set(ctx, name, sealed, ttl) }); err != nil {
		s.failed(ctx, "set", err)
		return
	}
	s.worked(ctx)
}

// bounded returns when ctx ends, also from a store that doesn't look at it. What
// call writes must not be read after an error.
func bounded(ctx context.Context, call func() error) error {
	done := make(chan error, 1)
	go func() {
		err := error(&panickedError{})
		defer func() {
			_ = recover() // not the store's value: it may hold anything
			done <- err
		}()
		err = call()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

type panickedError struct{}

func (*panickedError) Error() string { return "the store panicked" }

func (s *storage) paused() bool { return s.now().UnixNano() < s.pausedUntil.Load() }

// failed counts the failure, and logs the first of several.
func (s *storage) failed(ctx context.Context, what string, err error) {
	s.failures.Add(1)
	s.pausedUntil.Store(s.now().Add(storePause).UnixNano())
	if s.failing.CompareAndSwap(false, true) {
		s.logger.LogAttrs(ctx, slog.LevelError, "the token store fails; tokens are exchanged as if there were none",
			slog.String("call", what), slog.String("reason", err.Error()))
	}
}

func (s *storage) worked(ctx context.Context) {
	if s.failing.CompareAndSwap(true, false) {
		s.logger.LogAttrs(ctx, slog.LevelInfo, "the token store works again")
	}
}

func (s *storage) open(name string, sealed []byte) (cache.Item[azcore.AccessToken], error) {
	if len(sealed) > maxStored {
		return cache.Item[azcore.AccessToken]{}, errors.New("it is too long")
	}
	plain, err := s.seal.open(sealed, name)
	if err != nil {
		return cache.Item[azcore.AccessToken]{}, err
	}
	return decodeItem(plain)
}

// encodeItem is the times, in Unix seconds, and the token.
func encodeItem(item cache.Item[azcore.AccessToken]) []byte {
	var refresh int64
	if !item.RefreshAt.IsZero() {
		refresh = item.RefreshAt.Unix()
	}
	b := make([]byte, 0, 16+len(item.Value.Token))
	b = binary.BigEndian.AppendUint64(b, uint64(item.ExpiresAt.Unix())) //nolint:gosec // times after 1970
	b = binary.BigEndian.AppendUint64(b, uint64(refresh))
	return append(b, item.Value.Token...)
}

func decodeItem(b []byte) (cache.Item[azcore.AccessToken], error) {
	if len(b) <= 16 || len(b) > 16+maxToken {
		return cache.Item[azcore.AccessToken]{}, errors.New("it is no token")
	}
	at := func(b []byte) time.Time {
		seconds := int64(binary.BigEndian.Uint64(b)) //nolint:gosec // what we wrote: the value is sealed
		if seconds == 0 {
			return time.Time{}
		}
		return time.Unix(seconds, 0)
	}
	item := cache.Item[azcore.AccessToken]{ExpiresAt: at(b), RefreshAt: at(b[8:]), Size: len(b) - 16}
	item.Value = azcore.AccessToken{Token: string(b[16:]), ExpiresOn: item.ExpiresAt, RefreshOn: item.RefreshAt}
	return item, nil
}
