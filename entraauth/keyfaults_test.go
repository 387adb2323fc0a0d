package entraauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// refresh moves the clock to where the keys are due and waits until they came.
func (f *fixture) refresh(t *testing.T) {
	t.Helper()
	f.clock.Add(70 * time.Minute)
	if err := f.verifier.Ready(t.Context()); err != nil { // starts the fetch
		t.Fatal(err)
	}
	_ = f.verify(t, f.tenant.Mint(f.api, 1, func(h, _ map[string]any) { h["kid"] = "x" })) // joins the fetch
}

// Entra publishes a key before it signs with it: then nobody notices.
func TestAnnouncedRotation(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if err := f.verify(t, f.token()); err != nil {
		t.Fatal(err)
	}
	f.tenant.AnnounceKey()
	f.refresh(t)
	fetches := f.tenant.Count(entratest.EndpointKeys)
	f.tenant.RotateKeys()
	var wg sync.WaitGroup
	for range 64 {
		token := f.token()
		wg.Go(func() {
			if err := f.verify(t, token); err != nil {
				t.Errorf("refused: got %v, want nil", err)
			}
		})
	}
	wg.Wait()
	if n := f.tenant.Count(entratest.EndpointKeys) - fetches; n != 0 {
		t.Errorf("%d fetches for a key that was announced, want 0", n)
	}
}

func TestUnannouncedRotationIsRefusedForAnIntervalAtMost(t *testing.T) {
	t.Parallel()
	const interval = 5 * time.Minute
	f := newFixture(t, func(o *entraauth.Options) { o.KeyRefetchInterval = interval })
	if err := f.verify(t, f.token()); err != nil {
		t.Fatal(err)
	}
	// A stranger has just used up the fetch.
	_ = f.verify(t, f.tenant.Mint(f.api, 1, func(h, _ map[string]any) { h["kid"] = "x" }))
	f.tenant.RotateKeys()
	token := f.token()
	f.clock.Add(interval - time.Second)
	if err := f.verify(t, token); !errors.Is(err, entraauth.ErrInvalidToken) {
		t.Errorf("within the interval: got %v, want %v", err, entraauth.ErrInvalidToken)
	}
	f.clock.Add(time.Second)
	if err := f.verify(t, token); err != nil {
		t.Errorf("after it: got %v, want nil", err)
	}
}

// 10,000 invented kids over 100 seconds: what they cost Entra.
func TestInventedKeyIDs(t *testing.T) {
	t.Parallel()
	f := newFixture(t, uncached)
	token := f.token()
	if err := f.verify(t, token); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(token, ".")
	before := f.tenant.Count(entratest.EndpointKeys)
	for i := range 10_000 {
		f.clock.Add(10 * time.Millisecond)
		header := b64(fmt.Appendf(nil, `{"alg":"RS256","typ":"JWT","kid":"invented-%d"}`, i))
		if err := f.verify(t, header+"."+rest); !errors.Is(err, entraauth.ErrInvalidToken) {
			t.Fatalf("kid %d: got %v, want %v", i, err, entraauth.ErrInvalidToken)
		}
	}
	n := f.tenant.Count(entratest.EndpointKeys) - before
	t.Logf("%d fetches", n)
	if n > 2 {
		t.Errorf("%d fetches in 100 seconds, want at most 2", n)
	}
}

// An authority that comes and goes costs nobody with a known key anything.
func TestFlapping(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	token := f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["exp"] = f.clock.Now().Add(100 * time.Hour).Unix() })
	if err := f.verify(t, token); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		fault := entratest.Fault{}
		if i%4 != 3 {
			fault = []entratest.Fault{{Status: 500}, {Body: "{"}, {Drop: true}}[i%4]
		}
		f.tenant.Fail(entratest.EndpointKeys, fault)
		f.tenant.Fail(entratest.EndpointDiscovery, fault)
		f.clock.Add(45 * time.Minute)
		if err := f.verify(t, token); err != nil {
			t.Fatalf("after %d changes: got %v, want nil", i, err)
		}
		unknown := f.tenant.Mint(f.api, 1, func(h, _ map[string]any) { h["kid"] = "x" })
		err := f.verify(t, unknown) // waits for the refresh, if one is under way
		if !errors.Is(err, entraauth.ErrInvalidToken) && !errors.Is(err, entraauth.ErrKeysUnavailable) {
			t.Fatalf("unknown kid: got %v, want %v or %v", err, entraauth.ErrInvalidToken, entraauth.ErrKeysUnavailable)
		}
	}
}

// An outage of the metadata alone is none of the keys.
func TestMetadataDownKeysUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if err := f.verify(t, f.token()); err != nil {
		t.Fatal(err)
	}
	f.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Status: 500})
	f.tenant.RotateKeys()
	if err := f.verify(t, f.token()); err != nil {
		t.Errorf("a new key while the metadata is down: got %v, want nil", err)
	}
}

// Keys come from the authority alone, wherever it points.
func TestRedirectElsewhereIsNotFollowed(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	// The same server by another name: were the redirect followed, all would be well.
	elsewhere := strings.Replace(f.tenant.AuthorityHost(), "localhost", "127.0.0.1", 1)
	keys := elsewhere + "/" + f.tenant.ID() + "/discovery/v2.0/keys"
	f.startBehind(t, func(req *http.Request) *http.Response {
		if !strings.HasSuffix(req.URL.Path, "/keys") || req.URL.Hostname() != "localhost" {
			return nil
		}
		return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {keys}}, Body: http.NoBody, Request: req}
	})
	if err := f.verify(t, f.token()); !errors.Is(err, entraauth.ErrKeysUnavailable) {
		t.Errorf("got %v, want %v", err, entraauth.ErrKeysUnavailable)
	}
}

// startBehind starts a verifier that sees the authority through what answers in
// its place; nil leaves a request to the authority.
func (f *fixture) startBehind(t *testing.T, instead func(*http.Request) *http.Response) {
	t.Helper()
	client := *f.tenant.HTTPClient()
	client.Transport = behind{client.Transport, instead}
	f.start(t, func(o *entraauth.Options) { o.HTTPClient = &client })
}

type behind struct {
	next    http.RoundTripper
	instead func(*http.Request) *http.Response
}

func (b behind) RoundTrip(req *http.Request) (*http.Response, error) {
	if resp := b.instead(req); resp != nil {
		return resp, nil
	}
	return b.next.RoundTrip(req)
}
