package obo_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/obo"
)

// What fails for one user alone, whatever it is, costs few requests and nobody else.
func TestOneUsersFaults(t *testing.T) {
	t.Parallel()
	huge := `{"token_type":"Bearer","expires_in":3600,"access_token":"` + strings.Repeat("x", 100<<10) + `"}`
	for name, a := range map[string]answer{
		"503":                {status: 503, body: "<html>"},
		"500 with a code":    {status: 500, body: `{"error":"server_error","error_codes":[90033]}`},
		"lost connection":    {err: errors.New("connection reset by peer")},
		"no token":           {status: 200, body: "{}"},
		"a huge token":       {status: 200, body: huge},
		"an endless answer":  {status: 200, body: strings.Repeat(" ", 2<<20)},
		"a refusal too long": {status: 400, body: strings.Repeat(" ", 2<<20)},
	} {
		entra := newUsersEntra()
		x := entra.exchanger(t, nil)
		entra.set(alice, a)
		for n := range 100 {
			_ = wantKind(t, entra.ask(x, alice, n%7), obo.ErrUnavailable)
			if err := entra.ask(x, bob, n); err != nil {
				t.Fatalf("%s: another user after %d failures: got %v, want nil", name, n+1, err)
			}
		}
		if n := entra.take(alice); n > 5 {
			t.Errorf("%s: 100 calls cost %d requests, want at most 5", name, n)
		}
		entra.clock.Advance(5 * time.Second)
		entra.set(alice, good)
		if err := entra.ask(x, alice, 0); err != nil {
			t.Errorf("%s: it has passed, but: got %v, want nil", name, err)
		}
	}
}

// A user's exchanges at the same time, each with a token of its own, wait for each
// other and for nobody else, so that they cost no more than one after another.
func TestOneUsersExchangesAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer
		most int
		want error
	}{
		"good":          {good, 100, nil},
		"no consent":    {refused(65001, "invalid_grant"), 16, obo.ErrConsentRequired},
		"second factor": {refused(50076, "interaction_required"), 16, obo.ErrInteractionRequired},
		"throttled":     {throttled("60"), 8, obo.ErrThrottled},
		"503":           {answer{status: 503}, 12, obo.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				entra := newUsersEntra()
				entra.set(alice, test.answer)
				running, most := 0, 0
				var mu sync.Mutex
				x := entra.exchanger(t, func(o *obo.Options) {
					o.HTTPClient = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
						mu.Lock()
						running++
						most = max(most, running)
						mu.Unlock()
						time.Sleep(time.Second)
						mu.Lock()
						running--
						mu.Unlock()
						return entra.RoundTrip(req)
					})}
				})
				var all sync.WaitGroup
				for n := range 100 {
					all.Go(func() {
						if err := entra.ask(x, alice, n); !errors.Is(err, test.want) && !errors.Is(err, obo.ErrThrottled) {
							t.Errorf("token %d: got %v, want %v or ErrThrottled", n, err, test.want)
						}
					})
				}
				synctest.Wait()
				start := time.Now()
				if err := entra.ask(x, bob, 0); err != nil || time.Since(start) != time.Second {
					t.Errorf("another user waited %v: %v; want 1s, nil", time.Since(start), err)
				}
				all.Wait()
				if n := entra.take(alice); n > test.most || most > 9 {
					t.Errorf("100 tokens cost %d requests, %d at once; want at most %d, 8 at once", n, most, test.most)
				}
			})
		})
	}
}

// A probe that never comes back keeps nobody from the next one.
func TestLostProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entra := newUsersEntra()
		hung, end := false, make(chan struct{})
		x := entra.exchanger(t, func(o *obo.Options) {
			o.Now = time.Now
			o.HTTPClient = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
				if hung {
					hung = false
					<-end // and ignores its context
				}
				return entra.RoundTrip(req)
			})}
		})
		entra.set(alice, answer{status: 503})
		for n := range 5 {
			_ = entra.ask(x, alice, n)
		}
		time.Sleep(6 * time.Second)
		hung = true
		go func() { _ = entra.ask(x, 3, 0) }()
		synctest.Wait()
		_ = wantKind(t, entra.ask(x, bob, 0), obo.ErrUnavailable)
		time.Sleep(30 * time.Second)
		if err := entra.ask(x, bob, 0); err != nil {
			t.Errorf("after the probe's time: got %v, want nil", err)
		}
		close(end)
		synctest.Wait()
		if err := entra.ask(x, bob, 1); err != nil {
			t.Errorf("after the lost probe's answer: got %v, want nil", err)
		}
	})
}

// Exchanges go on when their callers have hung up. What a user can leave behind so is
// bounded, and ends.
func TestAbandonedExchangesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entra := newUsersEntra()
		x := entra.exchanger(t, func(o *obo.Options) {
			o.HTTPClient = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
				time.Sleep(5 * time.Second)
				return entra.RoundTrip(req)
			})}
		})
		before := bubbleGoroutines()
		ctx, hangUp := context.WithCancel(t.Context())
		var all sync.WaitGroup
		full := 0
		for n := range 1000 {
			all.Go(func() {
				_, err := x.Credential(entra.token(alice, n)).GetToken(ctx, storageOptions)
				if errors.Is(err, obo.ErrThrottled) {
					full++
				}
			})
			synctest.Wait()
		}
		hangUp()
		all.Wait()
		if n := bubbleGoroutines() - before; n > 256 || full != 1000-256 {
			t.Errorf("%d exchanges go on, %d of 1000 were refused; want at most 256 and 744", n, full)
		}
		if err := entra.ask(x, bob, 0); err != nil {
			t.Errorf("another user: got %v, want nil", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := bubbleGoroutines() - before; n > 0 {
			t.Errorf("%d exchanges go on a minute later, want 0", n)
		}
		if err := entra.ask(x, alice, 0); err != nil {
			t.Errorf("the user a minute later: got %v, want nil", err)
		}
	})
}

// An answer that can't be read says that Entra is there: it takes several users'
// before others are refused.
func TestUnreadableAnswers(t *testing.T) {
	t.Parallel()
	entra := newUsersEntra()
	x := entra.exchanger(t, nil)
	for n := range 20 {
		entra.set(alice, answer{status: 200, body: "{}"})
		_ = entra.ask(x, alice, n)
	}
	if err := entra.ask(x, bob, 0); err != nil {
		t.Errorf("one user's answers can't be read, and another: got %v, want nil", err)
	}
	for user := 10; user < 15; user++ {
		entra.set(user, answer{status: 200, body: "{}"})
		_ = entra.ask(x, user, 0)
	}
	_ = wantKind(t, entra.ask(x, bob, 1), obo.ErrUnavailable)
}

// A clock that is set back makes nobody wait.
func TestClockIsSetBack(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]answer{
		"refused":   refused(65001, "invalid_grant"),
		"throttled": throttled("60"),
		"out":       {status: 503},
	} {
		for _, jump := range []time.Duration{-time.Millisecond, -time.Minute, -time.Hour} {
			entra := newUsersEntra()
			x := entra.exchanger(t, nil)
			entra.set(alice, a)
			token := entra.token(alice, 0)
			get := func() error {
				_, err := x.Credential(token).GetToken(t.Context(), storageOptions)
				return err
			}
			for range 5 {
				_ = get()
			}
			before := entra.take(alice)
			_ = get()
			if entra.take(alice) != 0 {
				t.Errorf("%s: asked after %d failures, want no request", name, before)
			}
			entra.clock.Advance(jump)
			_ = get()
			if entra.take(alice) != 1 {
				t.Errorf("%s: not asked after a jump by %v, want one request", name, jump)
			}
			for range 5 {
				_ = get()
			}
			if n := entra.take(alice); n > 4 {
				t.Errorf("%s: %d requests after a jump by %v, want at most 4", name, n, jump)
			}
			entra.set(alice, good)
			entra.clock.Advance(jump)
			if err := get(); err != nil {
				t.Errorf("%s: it has passed, but after a jump by %v: got %v, want nil", name, jump, err)
			}
		}
	}
}

// resourceEntra refuses the resources that are named in it.
type resourceEntra struct {
	*usersEntra
	refusals map[string]answer // by resource
}

func (e *resourceEntra) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := e.usersEntra.RoundTrip(req)
	for resource, a := range e.refusals {
		if err == nil && strings.HasPrefix(req.Form.Get("scope"), resource) {
			return (&scriptedEntra{answers: []answer{a}}).RoundTrip(req)
		}
	}
	return resp, err
}

// What the user has done elsewhere is noticed at once: a sign-in, a consent to
// another resource, an answer to other claims.
func TestUserComesBack(t *testing.T) {
	t.Parallel()
	const one, two = "https://one.example", "https://two.example"
	const other = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
	type call struct {
		token            int
		resource, claims string
	}
	for _, test := range []struct {
		name    string
		refusal answer
		then    call // while the old call is refused still; it succeeds, and the old one after it
	}{
		{"new token after a step-up", refused(50076, "interaction_required"), call{1, one, ""}},
		{"new token after a consent", refused(65001, "invalid_grant"), call{1, one, ""}},
		{"new token after a revocation", refused(50173, "invalid_grant"), call{1, one, ""}},
		{"new token, another resource", refused(50076, "interaction_required"), call{1, two, ""}},
		{"another resource", refused(65001, "invalid_grant"), call{0, two, ""}},
		{"claims", refused(50076, "interaction_required"), call{0, one, other}},
	} {
		t.Run(test.name, func(t *testing.T) {
			entra := &resourceEntra{newUsersEntra(), map[string]answer{}}
			x := entra.exchanger(t, func(o *obo.Options) {
				o.HTTPClient = &http.Client{Transport: entra}
				o.Resources = []string{one, two}
			})
			get := func(c call) error {
				_, err := x.Credential(entra.token(alice, c.token)).GetToken(t.Context(), policy.TokenRequestOptions{
					Scopes: []string{c.resource + "/.default"}, Claims: c.claims, EnableCAE: true,
				})
				return err
			}
			old := call{0, one, ""}
			entra.refusals[one], entra.refusals[two] = test.refusal, test.refusal
			for range 5 {
				if err := get(old); err == nil {
					t.Fatal("GetToken = nil, want the refusal")
				}
			}
			clear(entra.refusals)
			if err := get(old); err == nil {
				t.Fatal("GetToken = nil, want the refusal remembered: the test tests nothing")
			}
			if err := get(test.then); err != nil {
				t.Errorf("the user is back: got %v, want nil", err)
			}
			if err := get(old); err != nil {
				t.Errorf("the old call after it: got %v, want nil", err)
			}
		})
	}
}

// Two resources are refused and remembered each for itself.
func TestTwoResourcesRefused(t *testing.T) {
	t.Parallel()
	const one, two = "https://one.example", "https://two.example"
	entra := &resourceEntra{newUsersEntra(), map[string]answer{one: refused(65001, "invalid_grant")}}
	x := entra.exchanger(t, func(o *obo.Options) {
		o.HTTPClient = &http.Client{Transport: entra}
		o.Resources = []string{one, two}
	})
	token := entra.token(alice, 0)
	get := func(resource string) error {
		_, err := x.Credential(token).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
		return err
	}
	if err := get(two); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		_ = wantKind(t, get(one), obo.ErrConsentRequired)
		if err := get(two); err != nil {
			t.Fatalf("the resource that isn't refused: got %v, want nil", err)
		}
	}
	if n := entra.take(alice); n != 3 {
		t.Errorf("%d requests, want 1 for the token and 2 that are refused", n)
	}
}

// A client that was refused with many tokens in a row comes with one that is good.
func TestGoodTokenAfterManyRefused(t *testing.T) {
	t.Parallel()
	const one = "https://one.example"
	entra := &resourceEntra{newUsersEntra(), map[string]answer{one: refused(50076, "interaction_required")}}
	x := entra.exchanger(t, func(o *obo.Options) {
		o.HTTPClient = &http.Client{Transport: entra}
		o.Resources = []string{one}
	})
	get := func(token int) error {
		_, err := x.Credential(entra.token(alice, token)).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{one + "/.default"}})
		return err
	}
	for token := range 6 {
		if err := get(token); !errors.Is(err, obo.ErrInteractionRequired) {
			t.Fatalf("token %d: got %v, want ErrInteractionRequired", token, err)
		}
	}
	clear(entra.refusals)
	if err := get(6); err != nil {
		t.Errorf("the token that is good: got %v, want nil", err)
	}
}
