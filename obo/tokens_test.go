package obo_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
)

func TestOneExchangeHoweverManyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := good
		slow.delay = time.Second
		entra := &scriptedEntra{answers: []answer{slow}}
		x, a := entra.exchanger(t, nil), obo.NewAssertion(userToken(1))
		begun := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := x.Credential(a).GetToken(t.Context(), storageOptions); err != nil { // a credential each, as in a server
					t.Errorf("GetToken = %v, want nil", err)
				}
			})
		}
		wg.Wait()
		if n, took := entra.count(), time.Since(begun); n != 1 || took != slow.delay {
			t.Errorf("100 callers cost %d requests and %s, want 1 and %s", n, took, slow.delay)
		}
	})
}

// TestCallersThatGiveUp: the one who started the exchange and a later one with
// a deadline of their own both leave; the exchange serves those who stay.
func TestCallersThatGiveUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entra, use := w.hold()
	c := w.exchanger(use).Credential(w.assertion(w.alice))
	leader, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := w.get(leader, c)
		left <- err
	}()
	<-entra.arrived
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the leader got %v, want its context's error", err)
	}
	hasty, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := w.get(hasty, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller with a deadline got %v, want its context's error", err)
	}
	close(entra.release)
	w.mustGet(c)
	if w.exchanges() != 1 {
		t.Errorf("%d exchanges, want 1", w.exchanges())
	}
}

// TestUsersAreNeverMixed runs users, failures and the cache's eviction against
// each other. Each token handed out is compared with its user.
func TestUsersAreNeverMixed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.exchanger(func(o *obo.Options) { o.CacheBytes = 20 << 10 }) // room for some of the users
	const users, workers, calls = 12, 16, 40
	people := make([]*entratest.User, users)
	assertions := make([]obo.Assertion, users)
	for i := range people {
		people[i] = w.tenant.AddUser(fmt.Sprintf("user%d@contoso.com", i), fmt.Sprint("User ", i))
		assertions[i] = w.assertion(people[i])
	}
	stop := make(chan struct{})
	var faults, callers sync.WaitGroup
	faults.Go(func() {
		kinds := []entratest.Fault{{AADSTS: 65001, Times: 1}, {Status: 503, Times: 2}, {Drop: true, Times: 1}, {Delay: 5 * time.Millisecond, Times: 5}, {}}
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				w.tenant.Fail(entratest.EndpointToken, kinds[rand.IntN(len(kinds))])
				w.clock.Advance(time.Second) // for the circuit breaker
			}
		}
	})
	for range workers {
		callers.Go(func() {
			for range calls {
				i := rand.IntN(users)
				claims, err := w.get(t.Context(), x.Credential(assertions[i]))
				if err != nil {
					continue // a fault, typed as others tests show
				}
				if claims["oid"] != people[i].ObjectID {
					t.Errorf("user %s got a token of %v, want %v", people[i].ObjectID, claims["oid"], people[i].ObjectID)
				}
			}
		})
	}
	callers.Wait()
	close(stop)
	faults.Wait()
}

func TestSameUserOtherAssertionOtherToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.exchanger(nil)
	w.mustGet(x.Credential(w.assertion(w.alice)))
	w.mustGet(x.Credential(w.assertion(w.alice))) // signed in again
	if w.exchanges() != 2 {
		t.Errorf("%d exchanges for 2 assertions, want 2", w.exchanges())
	}
}

func TestCacheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.exchanger(nil).Credential(w.assertion(w.alice))
	const claims = challenge
	requests := []policy.TokenRequestOptions{
		{Scopes: []string{storageScope}},
		{Scopes: []string{"https://storage.azure.com/user_impersonation"}},
		{Scopes: []string{storageScope}, EnableCAE: true},
		{Scopes: []string{storageScope}, Claims: claims},
		{Scopes: []string{storageScope}, Claims: claims + " "},
	}
	for range 2 {
		for _, o := range requests {
			if _, err := w.getWith(t.Context(), c, o); err != nil {
				t.Fatal(err)
			}
		}
		// The tenant's own id changes nothing.
		if _, err := w.getWith(t.Context(), c, policy.TokenRequestOptions{Scopes: []string{storageScope}, TenantID: strings.ToUpper(w.tenant.ID())}); err != nil {
			t.Fatal(err)
		}
	}
	if w.exchanges() != len(requests) {
		t.Errorf("%d exchanges, want %d", w.exchanges(), len(requests))
	}
	if got := lastTokenRequest(t, w).Form.Get("claims"); got != claims+" " {
		t.Errorf("claims on the wire: %q, want %q", got, claims+" ")
	}
}

// TestTimes walks through the life of a token on a fake clock.
func TestTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.exchanger(nil)
	day := w.tenant.Mint(w.api, 1, func(_, claims map[string]any) {
		claims["exp"] = w.clock.Now().Add(24 * time.Hour).Unix()
	})
	c := x.Credential(obo.NewAssertion(day))
	get := func() time.Duration {
		t.Helper()
		token, err := c.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}})
		if err != nil {
			t.Fatal(err)
		}
		w.hide(token.Token)
		return token.ExpiresOn.Sub(w.clock.Now())
	}
	want := func(exchanges int) {
		t.Helper()
		if w.exchanges() != exchanges {
			t.Fatalf("%d exchanges, want %d", w.exchanges(), exchanges)
		}
	}
	left := get()
	if left < 59*time.Minute || left > 91*time.Minute {
		t.Fatalf("the token lives for %v, want 59m to 91m", left)
	}
	w.clock.Advance(left - 5*time.Minute - time.Second)
	get()
	want(1)
	w.clock.Advance(time.Second) // due
	if got := get(); got > 5*time.Minute {
		t.Errorf("the caller waited for the renewal, want the old token at once")
	}
	for get() <= 5*time.Minute {
		time.Sleep(time.Millisecond) //nolint:forbidigo // nothing tells when a renewal has ended
	}
	want(2)
	w.clock.Advance(2 * time.Hour) // expired, and nobody came
	if got := get(); got < 59*time.Minute {
		t.Errorf("got a token that lives for %v, want at least 59m", got)
	}
	want(3)
}

func TestShortTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// 2 minutes, in the forms that Entra and its neighbors use. MSAL alone
	// would refuse a token of less than 5.
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{
		Body: `{"token_type":"bearer","access_token":"opaque","expires_in":"120","refresh_in":"none"}`,
	})
	c := w.exchanger(nil).Credential(w.assertion(w.alice))
	token, err := c.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}})
	if err != nil {
		t.Fatal(err)
	}
	if got := token.ExpiresOn.Sub(w.clock.Now()); got != 2*time.Minute {
		t.Errorf("lives for %v, want 2m", got)
	}
	if got := token.RefreshOn.Sub(w.clock.Now()); got != time.Minute {
		t.Errorf("is renewed after %v, want half of its life", got)
	}
}

func TestRefreshIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{
		Body: `{"token_type":"Bearer","access_token":"opaque","expires_in":3600,"refresh_in":600}`,
	})
	token, err := w.exchanger(nil).Credential(w.assertion(w.alice)).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}})
	if err != nil || token.RefreshOn.Sub(w.clock.Now()) != 10*time.Minute {
		t.Errorf("got %v, %v; want 10m, nil", token.RefreshOn.Sub(w.clock.Now()), err)
	}
}

// TestNothingOutlivesTheAssertion: a downstream token may live longer than the
// user's own; it is not served longer.
func TestNothingOutlivesTheAssertion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expires := w.clock.Now().Add(10 * time.Minute)
	token := w.tenant.Mint(w.api, 1, func(_, claims map[string]any) { claims["exp"] = expires.Unix() })
	c := w.exchanger(nil).Credential(obo.NewAssertion(token))
	got, err := c.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}})
	if err != nil {
		t.Fatal(err)
	}
	if !got.ExpiresOn.Equal(expires) || !got.RefreshOn.IsZero() {
		t.Errorf("served until %v, renewed at %v; want the assertion's end %v and never", got.ExpiresOn, got.RefreshOn, expires)
	}
	w.clock.Advance(10*time.Minute - time.Nanosecond)
	w.mustGet(c)
	w.clock.Advance(time.Nanosecond)
	if _, err := w.get(t.Context(), c); !errors.Is(err, obo.ErrAssertionExpired) {
		t.Errorf("got %v, want ErrAssertionExpired", err)
	}
	if w.exchanges() != 1 {
		t.Errorf("%d exchanges, want 1", w.exchanges())
	}
}

// TestConsentIsNoticed: errors aren't cached.
func TestConsentIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tenant.RevokeConsent(w.api, w.tenant.Storage())
	c := w.exchanger(nil).Credential(w.assertion(w.alice))
	if _, err := w.get(t.Context(), c); !errors.Is(err, obo.ErrConsentRequired) {
		t.Fatalf("got %v, want ErrConsentRequired", err)
	}
	w.tenant.Consent(w.api, w.tenant.Storage())
	w.mustGet(c)
}

// TestRedirectIsNotFollowed: a redirect would take the secret and the user's
// token elsewhere.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	thief := newWorld(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		x := w.exchanger(func(o *obo.Options) {
			o.HTTPClient = &http.Client{Transport: redirectTo{status, thief.tenant.AuthorityHost(), thief.tenant.HTTPClient().Transport}}
		})
		if _, err := w.get(t.Context(), x.Credential(w.assertion(w.alice))); !errors.Is(err, obo.ErrMisconfigured) {
			t.Errorf("%d: got %v, want ErrMisconfigured", status, err)
		}
	}
	if n := len(thief.tenant.Requests()); n != 0 {
		t.Errorf("%d requests were redirected, want 0", n)
	}
}

// redirectTo answers the first request with a redirect.
type redirectTo struct {
	status int
	host   string
	next   http.RoundTripper
}

func (r redirectTo) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasPrefix(req.URL.String(), r.host) {
		return r.next.RoundTrip(req)
	}
	return &http.Response{
		StatusCode: r.status, Request: req, Body: http.NoBody,
		Header: http.Header{"Location": {r.host + req.URL.Path}},
	}, nil
}
