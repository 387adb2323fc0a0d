package entraauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// identities verifies a token n times at once.
func (f *fixture) identities(t *testing.T, token string, n int) map[*entraauth.Identity]int {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := make(map[*entraauth.Identity]int)
	for range n {
		wg.Go(func() {
			id, err := f.verifier.Verify(t.Context(), token)
			if err != nil {
				t.Errorf("refused: got %v, want nil", err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[id]++
		})
	}
	wg.Wait()
	return seen
}

func TestATokenIsVerifiedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	token := f.token()
	if seen := f.identities(t, token, 64); len(seen) != 1 {
		t.Errorf("64 callers got %d identities, want 1: verified once", len(seen))
	}
	off := newFixture(t, uncached)
	if seen := off.identities(t, off.token(), 8); len(seen) != 8 {
		t.Errorf("without cache 8 callers got %d identities, want 8", len(seen))
	}
}

func TestCachedTokenDiesWithItself(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	token := f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["exp"] = f.clock.Now().Unix() + 600 })
	for _, row := range []struct {
		after time.Duration
		kind  error
	}{{0, nil}, {10 * time.Minute, nil}, {59 * time.Second, nil}, {time.Second, entraauth.ErrExpired}} {
		f.clock.Add(row.after)
		if err := f.verify(t, token); !errors.Is(err, row.kind) {
			t.Errorf("%s later: %v, want %v", row.after, err, row.kind)
		}
	}
}

func TestCachedTokenDiesWithItsKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	token := f.token()
	if err := f.verify(t, token); err != nil {
		t.Fatal(err)
	}
	f.tenant.RotateKeys()
	if err := f.verify(t, f.token()); err != nil { // fetches the new set, where the old key is not
		t.Fatal(err)
	}
	if err := f.verify(t, token); !errors.Is(err, entraauth.ErrInvalidToken) {
		t.Errorf("got %v, want %v", err, entraauth.ErrInvalidToken)
	}
}

// A refresh that brings the same keys again keeps what was verified with them.
func TestCachedTokenSurvivesARefresh(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	token := f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["exp"] = f.clock.Now().Unix() + 24*3600 })
	before, err := f.verifier.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	fetches := f.tenant.Count(entratest.EndpointKeys)
	f.clock.Add(90 * time.Minute)
	for f.tenant.Count(entratest.EndpointKeys) == fetches {
		if err := f.verify(t, token); err != nil { // sets off the refresh
			t.Fatal(err)
		}
	}
	unknown := f.tenant.Mint(f.api, 1, func(h, _ map[string]any) { h["kid"] = "x" })
	_ = f.verify(t, unknown) // waits for it
	after, err := f.verifier.Verify(t.Context(), token)
	if err != nil || before != after {
		t.Errorf("got %v, verified again: %t; want nil, false", err, before != after)
	}
}

// Verifiers share nothing: another policy judges for itself.
func TestCacheIsOneVerifiers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	token := f.token()
	if err := f.verify(t, token); err != nil {
		t.Fatal(err)
	}
	f.start(t, func(o *entraauth.Options) { o.Policy.Scopes = []string{"admin"} })
	if err := f.verify(t, token); !errors.Is(err, entraauth.ErrInsufficientScope) {
		t.Errorf("got %v, want %v", err, entraauth.ErrInsufficientScope)
	}
}

func TestRefusalsAreNotRemembered(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	token := f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["nbf"] = f.clock.Now().Unix() + 120 })
	if err := f.verify(t, token); !errors.Is(err, entraauth.ErrInvalidToken) {
		t.Fatalf("too early: got %v, want %v", err, entraauth.ErrInvalidToken)
	}
	for i := range 100 {
		_ = f.verify(t, fmt.Sprint("garbage", i))
	}
	if n := f.verifier.CachedTokens(); n != 0 {
		t.Errorf("%d refusals remembered, want 0", n)
	}
	f.clock.Add(time.Minute)
	if err := f.verify(t, token); err != nil {
		t.Errorf("in time: got %v, want nil", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *entraauth.Options) { o.TokenCache = 10 })
	for range 200 {
		if err := f.verify(t, f.token()); err != nil {
			t.Fatal(err)
		}
	}
	// Eviction runs behind the callers' backs.
	for deadline := time.Now().Add(time.Minute); f.verifier.CachedTokens() > 12; {
		if time.Now().After(deadline) {
			t.Fatalf("%d tokens remembered, want about 10", f.verifier.CachedTokens())
		}
		runtime.Gosched()
	}
}

// A caller that gives up is told so, and the others get their answer.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	given := make(chan struct{})
	f.startBehind(t, func(*http.Request) *http.Response {
		<-given
		return nil
	})
	token := f.token()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.verifier.Verify(ctx, token)
	if !errors.Is(err, entraauth.ErrKeysUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("the one that gave up: %v, want %v", err, context.Canceled)
	}
	close(given)
	if err := f.verify(t, token); err != nil {
		t.Errorf("the other: got %v, want nil", err)
	}
}

// A token is a piece of the text of all headers of its request. What is kept is the
// token, and not what it was a piece of.
func TestCacheKeepsTheTokenAlone(t *testing.T) { // not parallel: it measures the process
	fix := newFixture(t, nil)
	inUse := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := inUse()
	for range 20 {
		headers := strings.Repeat("x", 1<<20) + fix.token()
		if _, err := fix.verifier.Verify(t.Context(), headers[1<<20:]); err != nil {
			t.Fatal(err)
		}
	}
	if after := inUse(); after > before+10<<20 {
		t.Errorf("20 tokens keep %d KiB, want at most %v", (after-before)>>10, before+10<<20)
	}
	runtime.KeepAlive(fix)
}
