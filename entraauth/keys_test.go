package entraauth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

func (f *fixture) verify(t *testing.T, token string) error {
	t.Helper()
	_, err := f.verifier.Verify(t.Context(), token)
	return err
}

func TestKeysDownAtStart(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Status: http.StatusServiceUnavailable, Body: "down"})
	f.start(t, nil)
	token := f.token()

	err := f.verify(t, token)
	var e *entraauth.Error
	if !errors.Is(err, entraauth.ErrKeysUnavailable) || !errors.As(err, &e) || e.Status() != http.StatusServiceUnavailable || e.RetryAfter < time.Second {
		t.Fatalf("no keys yet: got %v, %+v; want %v with 503 and a RetryAfter", err, e, entraauth.ErrKeysUnavailable)
	}
	if err := f.verifier.Ready(t.Context()); !errors.Is(err, entraauth.ErrKeysUnavailable) {
		t.Errorf("Ready: got %v, want %v", err, entraauth.ErrKeysUnavailable)
	}
	// Until the pause is over nothing more is sent, however many ask.
	before := f.tenant.Count(entratest.EndpointKeys)
	for range 50 {
		_ = f.verify(t, token)
	}
	if n := f.tenant.Count(entratest.EndpointKeys) - before; n != 0 {
		t.Errorf("%d fetches during the pause, want 0", n)
	}
	f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{})
	f.clock.Add(time.Second)
	if err := f.verify(t, token); err != nil {
		t.Errorf("the keys are back and still: got %v, want nil", err)
	}
	if err := f.verifier.Ready(t.Context()); err != nil {
		t.Errorf("Ready: got %v, want nil", err)
	}
}

// While nothing is known of the keys, a bad token is still not worth a 503.
func TestGarbageWithoutKeys(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	f.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Status: 500})
	f.start(t, nil)
	if err := f.verify(t, "garbage"); !errors.Is(err, entraauth.ErrInvalidToken) {
		t.Errorf("got %v, want %v", err, entraauth.ErrInvalidToken)
	}
}

func TestKeyRotatedRightAfterTheStart(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if err := f.verifier.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.clock.Add(2 * time.Second)
	f.tenant.RotateKeys()
	if err := f.verify(t, f.token()); err != nil {
		t.Errorf("the first token of a new key: got %v, want nil", err)
	}
}

func TestUnknownKeyIDsCostOneFetchAMinute(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if err := f.verifier.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := f.tenant.Count(entratest.EndpointKeys)
	for i := range 200 {
		token := f.tenant.Mint(f.api, 1, func(h, _ map[string]any) { h["kid"] = strings.Repeat("k", i+1) })
		if err := f.verify(t, token); !errors.Is(err, entraauth.ErrInvalidToken) {
			t.Fatalf("unknown kid: got %v, want %v", err, entraauth.ErrInvalidToken)
		}
	}
	if n := f.tenant.Count(entratest.EndpointKeys) - before; n != 1 {
		t.Errorf("%d fetches for 200 invented kids, want 1", n)
	}
	// A rotation now waits for the interval, and not longer.
	f.tenant.RotateKeys()
	token := f.token()
	if err := f.verify(t, token); !errors.Is(err, entraauth.ErrInvalidToken) {
		t.Errorf("within the interval: got %v, want %v", err, entraauth.ErrInvalidToken)
	}
	f.clock.Add(time.Minute)
	if err := f.verify(t, token); err != nil {
		t.Errorf("after the interval: got %v, want nil", err)
	}
}

func TestRotationUnderLoadCostsOneFetch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if err := f.verifier.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.tenant.RotateKeys()
	token := f.token()
	before := f.tenant.Count(entratest.EndpointKeys)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if err := f.verify(t, token); err != nil {
				t.Errorf("refused: got %v, want nil", err)
			}
		})
	}
	wg.Wait()
	if n := f.tenant.Count(entratest.EndpointKeys) - before; n != 1 {
		t.Errorf("%d fetches for 64 callers, want 1", n)
	}
}

// Nobody with a known key waits while an unknown one is being looked for.
func TestUnknownKeyIDHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	good := f.token()
	requests := make(chan struct{}, 16)
	f.startBehind(t, func(*http.Request) *http.Response {
		requests <- struct{}{}
		return nil
	})
	if err := f.verify(t, good); err != nil {
		t.Fatal(err)
	}
	for len(requests) > 0 {
		<-requests
	}
	f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Delay: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	stuck := make(chan error)
	go func() {
		token := f.tenant.Mint(f.api, 1, func(h, _ map[string]any) { h["kid"] = "new" })
		_, err := f.verifier.Verify(ctx, token)
		stuck <- err
	}()
	<-requests // the fetch is under way
	for range 10 {
		if err := f.verify(t, good); err != nil {
			t.Errorf("a known key: got %v, want nil", err)
		}
	}
	cancel() // the waiter obeys its own context, and is not told 401
	if err := <-stuck; !errors.Is(err, entraauth.ErrKeysUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("the waiter: got %v, want %v, %v", err, entraauth.ErrKeysUnavailable, context.Canceled)
	}
}

func TestLastGoodKeysSurvive(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]entratest.Fault{
		"outage":        {Status: http.StatusInternalServerError, Body: "x"},
		"dropped":       {Drop: true},
		"no keys":       {Status: 200, Body: `{"keys":[]}`},
		"garbage":       {Status: 200, Body: `<html>`, ContentType: "text/html"},
		"truncated":     {Status: 200, Body: `{"keys":[{"kty":"RSA","use":"sig","kid":"x","n":"`},
		"one odd key":   {Status: 200, Body: `{"keys":[{"kty":"oct","use":"sig","kid":"x","k":"AAAA"}]}`},
		"endless":       {Status: 200, Body: `{"keys":[` + strings.Repeat(" ", 1<<20) + `]}`},
		"empty":         {Status: 200, Body: ""},
		"another shape": {Status: 200, Body: `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			if err := f.verify(t, f.token()); err != nil {
				t.Fatal(err)
			}
			f.tenant.Fail(entratest.EndpointKeys, fault)
			before := f.tenant.Count(entratest.EndpointKeys)
			f.clock.Add(90 * time.Minute)
			if err := f.verify(t, f.token()); err != nil { // sets off the refresh behind its back
				t.Fatalf("while the keys are refreshed: got %v, want nil", err)
			}
			unknown := f.tenant.Mint(f.api, 1, func(h, _ map[string]any) { h["kid"] = "new" })
			if err := f.verify(t, unknown); !errors.Is(err, entraauth.ErrKeysUnavailable) { // joins it
				t.Errorf("a kid that could not be looked for: got %v, want %v", err, entraauth.ErrKeysUnavailable)
			}
			if f.tenant.Count(entratest.EndpointKeys) == before {
				t.Fatal("no refresh was tried, want one")
			}
			f.clock.Add(22 * time.Hour)
			if err := f.verify(t, f.token()); err != nil {
				t.Errorf("within 24 hours: got %v, want nil", err)
			}
			f.clock.Add(time.Hour)
			if err := f.verify(t, f.token()); !errors.Is(err, entraauth.ErrKeysUnavailable) {
				t.Errorf("after 24 hours: got %v, want %v", err, entraauth.ErrKeysUnavailable)
			}
			f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{})
			f.clock.Add(time.Minute)
			if err := f.verify(t, f.token()); err != nil {
				t.Errorf("when the outage is over: got %v, want nil", err)
			}
		})
	}
}

func TestKeyThatLeftIsGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	old := f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["exp"] = f.clock.Now().Add(24 * time.Hour).Unix() })
	if err := f.verify(t, old); err != nil {
		t.Fatal(err)
	}
	f.tenant.RotateKeys()
	if err := f.verify(t, f.token()); err != nil { // fetches
		t.Fatal(err)
	}
	if err := f.verify(t, old); !errors.Is(err, entraauth.ErrInvalidToken) {
		t.Errorf("a token of the key that left: got %v, want %v", err, entraauth.ErrInvalidToken)
	}
}

func TestClosedVerifierFetchesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if err := f.verify(t, f.token()); err != nil {
		t.Fatal(err)
	}
	if err := f.verifier.Close(); err != nil {
		t.Fatal(err)
	}
	before := f.tenant.Count(entratest.EndpointKeys)
	f.clock.Add(2 * time.Hour)
	if err := f.verify(t, f.token()); err != nil {
		t.Errorf("with the keys it has: got %v, want nil", err)
	}
	if n := f.tenant.Count(entratest.EndpointKeys) - before; n != 0 {
		t.Errorf("%d fetches after Close, want 0", n)
	}
}

func TestMetadataOfAnotherTenantIsRefused(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	f.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Status: 200, Body: `{"issuer":"https://sts.windows.net/` + otherTenant + `/","jwks_uri":"https://localhost/keys"}`})
	f.start(t, nil)
	if err := f.verify(t, f.token()); !errors.Is(err, entraauth.ErrKeysUnavailable) {
		t.Errorf("got %v, want %v", err, entraauth.ErrKeysUnavailable)
	}
	if !strings.Contains(f.log.String(), "is not of tenant") {
		t.Errorf("the log does not say why: %s", f.log)
	}
}
