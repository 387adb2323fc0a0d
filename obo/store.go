package obo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

// maxStored bounds a value from a store, in bytes.
const maxStored = entrawire.MaxToken + 1<<10

// A TokenStore is a second-level cache, such as Redis, that the [Exchanger]s of a
// server's replicas share, so that each token is exchanged once. It must be safe for
// concurrent use.
//
// A store sees neither tokens nor users: names are hashes in hexadecimal (64
// characters), and values are sealed (AES-256-GCM) with Options.StoreKeys. Without a
// key nobody can make up a value, change it or move it to another name. Whoever can
// write to the store can delete values.
//
// A store never fails an exchange. If a call fails, or takes longer than 250
// milliseconds, which delays the exchange that long, the store is not used for 10
// seconds, nor while any of its calls hangs. Then one exchange tries it, and if that
// works, all use it again. At most 256 calls run at once; further exchanges skip
// the store.
type TokenStore interface {
	// Get returns the value of a name, or nil if there is none.
	Get(ctx context.Context, name string) ([]byte, error)
	// Set stores the value. It must not keep it for longer than ttl.
	Set(ctx context.Context, name string, value []byte, ttl time.Duration) error
}

// StoreStats counts the uses of an exchanger's store.
type StoreStats struct {
	// Hits counts tokens found in the store, Misses those that weren't there.
	Hits, Misses uint64
	// Failures counts calls that failed or took too long, and values that could not
	// be opened: sealed with another key, damaged or forged.
	Failures uint64
}

// storage is the store as an exchange uses it: it has a token, or it doesn't.
type storage struct {
	store  TokenStore
	sealer *seal.Sealer
	now    func() time.Time
	logger *slog.Logger
	health *storeHealth

	hits, misses atomic.Uint64
}

func newStorage(store TokenStore, sealer *seal.Sealer, now func() time.Time, logger *slog.Logger) *storage {
	return &storage{store: store, sealer: sealer, now: now, logger: logger, health: &storeHealth{now: now, logger: logger}}
}

// get returns a token that has neither expired nor is due for renewal, and that doesn't
// outlive the user's own token.
func (s *storage) get(ctx context.Context, id [sha256.Size]byte, assertionExpires time.Time) (cache.Item[azcore.AccessToken], bool) {
	if s == nil {
		return cache.Item[azcore.AccessToken]{}, false
	}
	name := hex.EncodeToString(id[:])
	var sealed []byte
	answered := s.health.call(ctx, "get", func(ctx context.Context) (err error) {
		sealed, err = s.store.Get(ctx, name)
		return err
	})
	if !answered {
		return cache.Item[azcore.AccessToken]{}, false
	}
	if len(sealed) == 0 {
		s.misses.Add(1)
		return cache.Item[azcore.AccessToken]{}, false
	}
	item, err := s.open(name, sealed)
	if err != nil {
		// The store itself works, and this exchange replaces the value.
		s.health.failures.Add(1)
		s.logger.LogAttrs(ctx, slog.LevelWarn, "can't open a stored token", slog.String("reason", err.Error()))
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

// set stores a token for the other replicas.
func (s *storage) set(ctx context.Context, id [sha256.Size]byte, item cache.Item[azcore.AccessToken]) {
	if s == nil {
		return
	}
	ttl := item.ExpiresAt.Sub(s.now())
	if ttl <= 0 {
		return
	}
	name := hex.EncodeToString(id[:])
	s.health.call(ctx, "set", func(ctx context.Context) error {
		return s.store.Set(ctx, name, s.sealer.Seal(encodeItem(item), name), ttl)
	})
}

func (s *storage) open(name string, sealed []byte) (cache.Item[azcore.AccessToken], error) {
	if len(sealed) > maxStored {
		return cache.Item[azcore.AccessToken]{}, errors.New("it is too long")
	}
	plain, err := s.sealer.Open(sealed, name)
	if err != nil {
		return cache.Item[azcore.AccessToken]{}, err
	}
	return decodeItem(plain)
}

// encodeItem encodes the times, in Unix seconds, and the token.
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
	if len(b) <= 16 || len(b) > 16+entrawire.MaxToken {
		return cache.Item[azcore.AccessToken]{}, errors.New("it is not a token")
	}
	at := func(b []byte) time.Time {
		seconds := int64(binary.BigEndian.Uint64(b)) //nolint:gosec // we wrote it: the value was sealed
		if seconds == 0 {
			return time.Time{}
		}
		return time.Unix(seconds, 0)
	}
	item := cache.Item[azcore.AccessToken]{ExpiresAt: at(b), RefreshAt: at(b[8:]), Size: len(b) - 16}
	item.Value = azcore.AccessToken{Token: string(b[16:]), ExpiresOn: item.ExpiresAt, RefreshOn: item.RefreshAt}
	return item, nil
}

const (
	// storeTimeout is how long an exchange waits for one call of the store.
	storeTimeout = 250 * time.Millisecond
	// storePause is how long a store is not used after a failure.
	storePause = 10 * time.Second
	// maxStoreCalls bounds the calls that run at once, and so the goroutines that a
	// hanging store can hold.
	maxStoreCalls = 256
)

// storeHealth calls the store for exchanges, which can do without it. A store that has
// failed gets one call, the probe, when its pause is over and no earlier call hangs any
// more. If the probe succeeds, the store is healthy.
type storeHealth struct {
	now    func() time.Time
	logger *slog.Logger

	mu       sync.Mutex
	running  int // calls that have not returned, even if nobody waits for them
	failing  bool
	failedAt time.Time // the latest failure

	failures atomic.Uint64
}

// storeCall is one call. Its outcome is its result or its timeout, whichever is first.
type storeCall struct {
	what    string
	probe   bool
	settled bool
}

// call calls the store and reports whether it answered; if not, it failed or was not
// called. call returns in time even if the store ignores its context. Then f still runs,
// and what it writes must not be read.
func (h *storeHealth) call(ctx context.Context, what string, f func(context.Context) error) bool {
	c, ok := h.enter(what)
	if !ok {
		return false
	}
	// A full timeout, not the rest of a slow exchange's: that isn't the store's fault.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := errStorePanicked
		defer func() {
			_ = recover() // the value may hold anything, so don't log it
			h.settle(ctx, c, err, true)
			done <- err
		}()
		err = f(ctx)
	}()
	select {
	case err := <-done:
		return err == nil
	case <-ctx.Done():
		h.settle(ctx, c, ctx.Err(), false)
		return false
	}
}

// enter reports whether the store may be called, and returns the call.
func (h *storeHealth) enter(what string) (*storeCall, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.paused() || h.running >= maxStoreCalls {
		return nil, false
	}
	h.running++
	return &storeCall{what: what, probe: h.failing}, true
}

// settle records the outcome of a call, and whether the call has returned. It logs the
// first failure and the recovery. A success counts as recovery only if it is the probe's.
func (h *storeHealth) settle(ctx context.Context, c *storeCall, err error, returned bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if returned {
		h.running--
	}
	if c.settled {
		return
	}
	c.settled = true
	switch {
	case err != nil:
		h.failures.Add(1)
		h.failedAt = h.now()
		if !h.failing {
			h.failing = true
			h.logger.LogAttrs(ctx, slog.LevelError, "the token store fails; exchanging tokens without it",
				slog.String("call", c.what), slog.String("reason", err.Error()))
		}
	case c.probe && h.failing:
		h.failing = false
		h.logger.LogAttrs(ctx, slog.LevelInfo, "the token store works again")
	}
}

// isPaused reports whether the store would not be called now, because it has failed.
func (h *storeHealth) isPaused() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.paused()
}

// paused is isPaused for those who hold the lock.
func (h *storeHealth) paused() bool {
	return h.failing && (h.running > 0 || lasts(h.failedAt, storePause, h.now()))
}

var errStorePanicked = errors.New("the store panicked")
