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

// maxStored bounds what a store hands back.
const maxStored = entrawire.MaxToken + 1<<10

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
// that time, and is then left alone for 10 seconds, and for as long as one of its
// calls hangs. Then one exchange asks it, and when that succeeds, all of them. It
// never fails a caller. No more than 256 calls run at once; exchanges beyond do
// without the store.
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
	sealer *seal.Sealer
	now    func() time.Time
	logger *slog.Logger
	health *storeHealth

	hits, misses atomic.Uint64
}

func newStorage(store TokenStore, sealer *seal.Sealer, now func() time.Time, logger *slog.Logger) *storage {
	return &storage{store: store, sealer: sealer, now: now, logger: logger, health: &storeHealth{now: now, logger: logger}}
}

// get returns the token of the name that is worth serving: neither expired nor due
// for renewal, and not beyond the end of the user's own token.
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
		// Not a reason to leave the store alone: the exchange writes a good one.
		s.health.failures.Add(1)
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
	if len(b) <= 16 || len(b) > 16+entrawire.MaxToken {
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

const (
	// storeTimeout is how long an exchange waits for the store, each time.
	storeTimeout = 250 * time.Millisecond
	// storePause is how long a store that failed is not asked.
	storePause = 10 * time.Second
	// maxStoreCalls bounds the calls that run at once, and with them the goroutines
	// that a store can hold forever when it hangs.
	maxStoreCalls = 256
)

// storeHealth calls the store for exchanges that can do without it. A store that
// has failed gets one call at a time, when its pause is over and none of its earlier
// calls hangs any more; if that one succeeds, the store is healthy.
type storeHealth struct {
	now    func() time.Time
	logger *slog.Logger

	mu       sync.Mutex
	running  int // calls that have not returned, whether or not somebody waits
	failing  bool
	failedAt time.Time // the last failure

	failures atomic.Uint64
}

// storeCall is one call. Its outcome is what comes first: its result, or the end of
// the time that it has.
type storeCall struct {
	what    string
	probe   bool // it decides whether the store is healthy again
	settled bool
}

// call calls the store and reports whether it answered; otherwise it failed, or was
// not asked. It returns in time also from a store that ignores its context; then f
// still runs, and what it writes must not be read.
func (h *storeHealth) call(ctx context.Context, what string, f func(context.Context) error) bool {
	c, ok := h.enter(what)
	if !ok {
		return false
	}
	// Its own time, not what is left of a slow exchange's: that is not the store's fault.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := error(&panickedError{})
		defer func() {
			_ = recover() // not the store's value: it may hold anything
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

// enter returns the call to make, if the store may be called.
func (h *storeHealth) enter(what string) (*storeCall, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	paused := h.failing && (h.running > 0 || lasts(h.failedAt, storePause, h.now()))
	if paused || h.running >= maxStoreCalls {
		return nil, false
	}
	h.running++
	return &storeCall{what: what, probe: h.failing}, true
}

// settle notes how a call ended, and whether it has returned. It logs the first
// failure and the recovery. A success of a call that began before the failure says nothing.
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
			h.logger.LogAttrs(ctx, slog.LevelError, "the token store fails; tokens are exchanged as if there were none",
				slog.String("call", c.what), slog.String("reason", err.Error()))
		}
	case c.probe && h.failing:
		h.failing = false
		h.logger.LogAttrs(ctx, slog.LevelInfo, "the token store works again")
	}
}

type panickedError struct{}

func (*panickedError) Error() string { return "the store panicked" }
