package obo_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// memoryStore is a store in memory that can be broken.
type memoryStore struct {
	mu     sync.Mutex
	values map[string][]byte
	ttls   map[string]time.Duration
	calls  int
	fault  func(context.Context) error // before each call
}

func newMemoryStore() *memoryStore {
	return &memoryStore{values: map[string][]byte{}, ttls: map[string]time.Duration{}}
}

func (s *memoryStore) begin(ctx context.Context) error {
	s.mu.Lock()
	s.calls++
	fault := s.fault
	s.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(ctx)
}

func (s *memoryStore) Get(ctx context.Context, name string) ([]byte, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[name], nil
}

func (s *memoryStore) Set(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[name], s.ttls[name] = bytes.Clone(value), ttl
	return nil
}

// change replaces every value by what f makes of it.
func (s *memoryStore) change(f func(name string, value []byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, v := range maps.Clone(s.values) {
		s.values[name] = f(name, v)
	}
}

func storeKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// replica is an exchanger with the shared store, and nothing of its own yet.
func (w *world) replica(s obo.TokenStore, keys ...byte) *obo.Exchanger {
	w.t.Helper()
	return w.exchanger(func(o *obo.Options) {
		o.Store = s
		for _, k := range keys {
			o.StoreKeys = append(o.StoreKeys, storeKey(k))
		}
	})
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := newMemoryStore()
	a := w.assertion(w.alice)
	for range 4 {
		claims := w.mustGet(w.replica(store, 1).Credential(a))
		if claims["oid"] != w.alice.ObjectID {
			t.Errorf("got a token of %v, want %s", claims["oid"], w.alice.ObjectID)
		}
	}
	if w.exchanges() != 1 {
		t.Errorf("%d exchanges for four replicas one after another, want 1", w.exchanges())
	}
	b := w.assertion(w.bob)
	var wg sync.WaitGroup
	for range 4 {
		x := w.replica(store, 1)
		for range 10 {
			wg.Go(func() {
				if claims, err := w.get(t.Context(), x.Credential(b)); err != nil || claims["oid"] != w.bob.ObjectID {
					t.Errorf("got %v, %v; want %s, nil", claims["oid"], err, w.bob.ObjectID)
				}
			})
		}
	}
	wg.Wait()
	if n := w.exchanges() - 1; n < 1 || n > 4 {
		t.Errorf("%d exchanges for four replicas at once, want at most 4", n)
	}
}

// TestStoreSeesNothing: neither tokens nor users, and it keeps nothing for
// longer than the token, or the user's own, is good for.
func TestStoreSeesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := newMemoryStore()
	expires := w.clock.Now().Add(10 * time.Minute)
	token := w.tenant.Mint(w.api, 1, func(_, claims map[string]any) { claims["exp"] = expires.Unix() })
	got, err := w.replica(store, 1).Credential(obo.NewAssertion(token)).GetToken(t.Context(), storageOptions)
	if err != nil {
		t.Fatal(err)
	}
	w.hide(got.Token)
	for name, v := range store.values {
		if bytes.Contains(v, []byte(got.Token[10:30])) || len(name) != 64 || strings.Contains(name, w.tenant.ID()) {
			t.Errorf("the store sees %q under %q, want no token, and a hash", v, name)
		}
		if store.ttls[name] > 10*time.Minute || store.ttls[name] < 9*time.Minute {
			t.Errorf("kept for %v, want the 10 minutes of the user's token", store.ttls[name])
		}
	}
	w.clock.Advance(10 * time.Minute) // a store that forgets to forget
	if _, err := w.get(t.Context(), w.replica(store, 1).Credential(obo.NewAssertion(token))); !errors.Is(err, obo.ErrAssertionExpired) {
		t.Errorf("got %v, want ErrAssertionExpired", err)
	}
}

// TestStoredValuesThatAreNotTrusted: each is exchanged for again, and counted.
func TestStoredValuesThatAreNotTrusted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.assertion(w.alice), w.assertion(w.bob)
	for _, test := range []struct {
		name  string
		spoil func(s *memoryStore, name string, v []byte) []byte
		keys  []byte
	}{
		{"another key", func(_ *memoryStore, _ string, v []byte) []byte { return v }, []byte{2}},
		{"damaged", func(_ *memoryStore, _ string, v []byte) []byte { v[len(v)-1] ^= 1; return v }, []byte{1}},
		{"another nonce", func(_ *memoryStore, _ string, v []byte) []byte { v[12] ^= 1; return v }, []byte{1}},
		{"another version", func(_ *memoryStore, _ string, v []byte) []byte { v[0] = 2; return v }, []byte{1}},
		{"cut", func(_ *memoryStore, _ string, v []byte) []byte { return v[:20] }, []byte{1}},
		{"one byte", func(*memoryStore, string, []byte) []byte { return []byte{1} }, []byte{1}},
		{"text", func(*memoryStore, string, []byte) []byte { return []byte("eyJ.eyJ.c2ln") }, []byte{1}},
		{"huge", func(*memoryStore, string, []byte) []byte { return make([]byte, 1<<20) }, []byte{1}},
		{"somebody else's", func(s *memoryStore, name string, v []byte) []byte {
			for other, o := range s.values {
				if other != name {
					return o
				}
			}
			return v
		}, []byte{1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := newMemoryStore()
			x := w.replica(store, 1)
			w.mustGet(x.Credential(a))
			w.mustGet(x.Credential(b))
			original := maps.Clone(store.values)
			store.change(func(name string, v []byte) []byte {
				return bytes.Clone(test.spoil(&memoryStore{values: original}, name, bytes.Clone(v)))
			})
			before := w.exchanges()
			y := w.replica(store, test.keys...)
			if claims := w.mustGet(y.Credential(a)); claims["oid"] != w.alice.ObjectID {
				t.Errorf("got a token of %v, want %s", claims["oid"], w.alice.ObjectID)
			}
			if w.exchanges() != before+1 || y.StoreStats() != (obo.StoreStats{Failures: 1}) {
				t.Errorf("%d exchanges, %+v; want 1 and one failure", w.exchanges()-before, y.StoreStats())
			}
			w.mustGet(w.replica(store, test.keys...).Credential(a)) // fixed
			if w.exchanges() != before+1 {
				t.Error("the good token did not take the bad one's place")
			}
		})
	}
}

func TestStoreKeysAreChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := newMemoryStore()
	a := w.assertion(w.alice)
	w.mustGet(w.replica(store, 1).Credential(a))
	x := w.replica(store, 2, 1)
	w.mustGet(x.Credential(a))
	if w.exchanges() != 1 || x.StoreStats() != (obo.StoreStats{Hits: 1}) {
		t.Errorf("%d exchanges, %+v; want 1, one hit: the old key must still open", w.exchanges(), x.StoreStats())
	}
	w.mustGet(x.Credential(w.assertion(w.bob)))
	w.mustGet(w.replica(store, 2).Credential(a))
	if w.exchanges() != 3 {
		t.Errorf("%d exchanges, want 3", w.exchanges())
	}
	for _, keys := range [][][]byte{nil, {storeKey(0)}, {storeKey(1), []byte("short")}, make([][]byte, 17)} {
		_, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{Store: store, StoreKeys: keys})
		if err == nil || !strings.Contains(err.Error(), "Options.StoreKeys") {
			t.Errorf("%d keys: got %v, want an error of Options.StoreKeys", len(keys), err)
		}
	}
	if _, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{StoreKeys: [][]byte{storeKey(1)}}); err == nil {
		t.Error("NewExchanger = nil, want a fault: keys without a store")
	}
}

// TestStoreAndTime: a token that is due for renewal is not taken from the store,
// and a challenge replaces what is there.
func TestStoreAndTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entra, store, a := &memoryEntra{}, newMemoryStore(), obo.NewAssertion(userToken(1))
		get := func(claims string) string { // by another replica
			t.Helper()
			x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{
				HTTPClient: &http.Client{Transport: entra}, Store: store, StoreKeys: [][]byte{storeKey(1)},
			})
			if err != nil {
				t.Fatal(err)
			}
			token, err := x.Credential(a).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}, Claims: claims})
			if err != nil {
				t.Fatal(err)
			}
			return token.Token
		}
		first := get("")
		if got := get(""); got != first {
			t.Errorf("a second replica has another token, want the same from the store")
		}
		second := get(challenge)
		if third := get(""); second == first || third != second {
			t.Errorf("after a challenge: the first token again: %t, another one for the next replica: %t; want neither", second == first, third != second)
		}
		time.Sleep(2 * time.Hour) //nolint:forbidigo // on the clock of testing/synctest
		if last := get(""); last == second || entra.requests.Load() != 3 {
			t.Errorf("when the stored token has expired: the same again: %t, %d exchanges; want a new one, 3", last == second, entra.requests.Load())
		}
	})
}
