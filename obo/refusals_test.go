package obo_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// usersEntra is a token endpoint in memory that answers each user in the user's
// own way, and counts.
type usersEntra struct {
	mu      sync.Mutex
	answers map[string]answer // by oid; the rest get a token
	counts  map[string]int
	clock   *fakeClock
}

func newUsersEntra() *usersEntra {
	return &usersEntra{answers: map[string]answer{}, counts: map[string]int{}, clock: &fakeClock{now: time.Now().Truncate(time.Second)}}
}

func (e *usersEntra) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	var claims struct{ OID string }
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(req.Form.Get("assertion"), ".")[1])
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.counts[claims.OID]++
	a, ok := e.answers[claims.OID]
	e.mu.Unlock()
	if !ok {
		a = good
	}
	return (&scriptedEntra{answers: []answer{a}}).RoundTrip(req)
}

func (e *usersEntra) set(user int, a answer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers[oid(user)] = a
}

// take returns how many requests the user has cost since it was last asked.
func (e *usersEntra) take(user int) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.counts[oid(user)]
	e.counts[oid(user)] = 0
	return n
}

func (e *usersEntra) exchanger(t testing.TB, change func(*obo.Options)) *obo.Exchanger {
	t.Helper()
	o := &obo.Options{HTTPClient: &http.Client{Transport: e}, Now: e.clock.Now, MaxRetries: -1}
	if change != nil {
		change(o)
	}
	x, err := obo.NewExchanger(homeTenant, someAppID, clientauth.Secret("s"), o)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func oid(user int) string { return fmt.Sprintf("%08d-aaaa-1234-1234-123456789abc", user) }

// token is the user's nth token.
func (e *usersEntra) token(user, n int) obo.Assertion {
	payload := fmt.Sprintf(`{"tid":"%s","oid":"%s","scp":"access_as_user","exp":%d,"uti":"%d"}`,
		homeTenant, oid(user), e.clock.Now().Add(24*time.Hour).Unix(), n)
	return obo.NewAssertion("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln")
}

func (e *usersEntra) ask(x *obo.Exchanger, user, n int) error {
	_, err := x.Credential(e.token(user, n)).GetToken(context.Background(), storageOptions)
	return err
}

func refused(code int, oauthError string) answer {
	return answer{status: http.StatusBadRequest, body: fmt.Sprintf(`{"error":%q,"error_codes":[%d]}`, oauthError, code)}
}

const alice, bob = 1, 2

func userID(user int) string { return strings.ToUpper(homeTenant + "." + oid(user)) }

// A user whose exchange fails costs a few requests, however many calls are made,
// and another user none.
func TestFailingUserCostsFewRequests(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		answer
		want error
		most int // requests, of 200 calls within one moment
	}{
		{"no consent", refused(65001, "invalid_grant"), obo.ErrConsentRequired, 2},
		{"no second factor", refused(50076, "interaction_required"), obo.ErrInteractionRequired, 1},
		{"blocked", refused(53003, "interaction_required"), obo.ErrBlocked, 2},
		{"revoked", refused(50173, "invalid_grant"), obo.ErrAssertionExpired, 1},
		{"wrong secret", refused(7000215, "invalid_client"), obo.ErrMisconfigured, 2},
		{"a code that we don't know", refused(987654, "invalid_grant"), obo.ErrInteractionRequired, 1},
		{"another", refused(987654, "invalid_request"), obo.ErrMisconfigured, 2},
		{"no code", answer{status: 400, body: `{"error":"invalid_grant"}`}, obo.ErrInteractionRequired, 1},
		{"not Entra", answer{status: 404, body: "<html>"}, obo.ErrMisconfigured, 2},
		{"throttled", answer{status: 429, body: "{}"}, obo.ErrThrottled, 1},
		{"a looping client", refused(50196, "invalid_grant"), obo.ErrThrottled, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			entra := newUsersEntra()
			entra.set(alice, test.answer)
			x := entra.exchanger(t, nil)
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					if err := entra.ask(x, alice, 0); !errors.Is(err, test.want) {
						t.Errorf("at once: got %v, want %v", err, test.want)
					}
				})
			}
			wg.Wait()
			for range 100 {
				if err := entra.ask(x, alice, 0); !errors.Is(err, test.want) {
					t.Errorf("one by one: got %v, want %v", err, test.want)
				}
			}
			if n := entra.take(alice); n < 1 || n > test.most {
				t.Errorf("200 calls cost %d requests, want at most %d", n, test.most)
			}
			if err := entra.ask(x, bob, 0); err != nil || entra.take(bob) != 1 {
				t.Errorf("another user: got %v, want nil after one request", err)
			}
			entra.clock.Advance(refusalLife)
			if err := entra.ask(x, alice, 0); !errors.Is(err, test.want) || entra.take(alice) != 1 {
				t.Errorf("2 seconds later: got %v, want %v by a request", err, test.want)
			}
			entra.clock.Advance(refusalLife)
			entra.set(alice, good)
			if err := entra.ask(x, alice, 0); err != nil {
				t.Errorf("what was in the way is gone, but: got %v, want nil", err)
			}
		})
	}
}

// What may pass by itself is not remembered.
func TestPassingFailuresAreNotRemembered(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]answer{
		"503":             {status: 503, body: "busy"},
		"passing code":    refused(90033, "temporarily_unavailable"),
		"lost connection": {err: errors.New("connection reset by peer")},
		"no token":        {status: 200, body: "{}"},
	} {
		entra := newUsersEntra()
		entra.set(alice, a)
		x := entra.exchanger(t, nil)
		for range 3 {
			if err := entra.ask(x, alice, 0); !errors.Is(err, obo.ErrUnavailable) {
				t.Errorf("%s: got %v, want ErrUnavailable", name, err)
			}
		}
		entra.set(alice, good)
		if err := entra.ask(x, alice, 0); err != nil || entra.take(alice) != 4 {
			t.Errorf("%s is over: got %v, want nil after 4 requests", name, err)
		}
	}
}

// A consent is noticed at once: by a new token, by another success of the user, or
// when the server says that the user is back.
func TestRefusalsAreForgotten(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		back func(entra *usersEntra, x *obo.Exchanger)
		want error
	}{
		{"nothing happened", func(*usersEntra, *obo.Exchanger) {}, obo.ErrConsentRequired},
		{"another user is back", func(_ *usersEntra, x *obo.Exchanger) { x.ForgetRefusals(userID(bob)) }, obo.ErrConsentRequired},
		{"the user is back", func(_ *usersEntra, x *obo.Exchanger) { x.ForgetRefusals(userID(alice)) }, nil},
		{"somebody is back", func(_ *usersEntra, x *obo.Exchanger) { x.ForgetRefusals("") }, nil},
		{"a new token", func(entra *usersEntra, x *obo.Exchanger) {
			if err := entra.ask(x, alice, 1); err != nil {
				t.Errorf("the new token: got %v, want nil", err)
			}
		}, nil},
	} {
		entra := newUsersEntra()
		entra.set(alice, refused(65001, "invalid_grant"))
		x := entra.exchanger(t, nil)
		for range 5 {
			_ = entra.ask(x, alice, 0)
		}
		entra.set(alice, good)
		test.back(entra, x)
		if err := entra.ask(x, alice, 0); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

// An exchange that was under way when the consent came back says nothing about the
// time afterwards.
func TestRefusalOfBeforeTheConsent(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]string{"known": userID(alice), "unknown": ""} {
		entra := newUsersEntra()
		entra.set(alice, refused(65001, "invalid_grant"))
		var x *obo.Exchanger
		during := func() {}
		x = entra.exchanger(t, func(o *obo.Options) {
			o.HTTPClient = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
				resp, err := entra.RoundTrip(req)
				during()
				return resp, err
			})}
		})
		_ = entra.ask(x, alice, 0)
		during = func() { x.ForgetRefusals(user) }
		_ = entra.ask(x, alice, 0)
		during = func() {}
		entra.set(alice, good)
		if err := entra.ask(x, alice, 0); err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// To say that one is back does not get around the limit.
func TestForgettingIsPaced(t *testing.T) {
	t.Parallel()
	for _, user := range []string{userID(alice), ""} {
		entra := newUsersEntra()
		entra.set(alice, refused(65001, "invalid_grant"))
		x := entra.exchanger(t, nil)
		for range 100 {
			_ = entra.ask(x, alice, 0)
			x.ForgetRefusals(user)
		}
		if n := entra.take(alice); n > 8 {
			t.Errorf("user %q: %d requests in a moment, want at most 8", user, n)
		}
	}
}

// Refusals are of one token and one request.
func TestRefusalsAreOfOneRequest(t *testing.T) {
	t.Parallel()
	entra := newUsersEntra()
	entra.set(alice, refused(50076, "interaction_required"))
	x := entra.exchanger(t, func(o *obo.Options) { o.Resources = []string{"https://a.example", "https://b.example"} })
	ask := func(n int, scope, claims string) {
		o := policy.TokenRequestOptions{Scopes: []string{scope}, Claims: claims}
		if _, err := x.Credential(entra.token(alice, n)).GetToken(t.Context(), o); !errors.Is(err, obo.ErrInteractionRequired) {
			t.Errorf("token %d, %s, %s: got %v, want ErrInteractionRequired", n, scope, claims, err)
		}
	}
	const claims = `{"access_token":{"nbf":{"essential":true,"value":"1"}}}`
	for range 3 {
		ask(0, "https://a.example/.default", "")
		ask(0, "https://b.example/.default", "")
		ask(0, "https://a.example/.default", claims)
		ask(1, "https://a.example/.default", "")
	}
	if n := entra.take(alice); n != 4 {
		t.Errorf("%d requests, want one for each of 4", n)
	}
}

// What is kept is bounded: for a user with many tokens, and for many users.
func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	entra := newUsersEntra()
	x := entra.exchanger(t, nil)
	entra.set(alice, refused(65001, "invalid_grant"))
	for n := range 100 {
		_ = entra.ask(x, alice, n)
	}
	if n := entra.take(alice); n > 8 {
		t.Errorf("100 tokens of one user cost %d requests in a moment, want at most 8", n)
	}
	if err := entra.ask(x, bob, 0); err != nil {
		t.Errorf("another user: got %v, want nil", err)
	}
	for user := range 4200 {
		entra.set(10+user, refused(50076, "interaction_required"))
		_ = entra.ask(x, 10+user, 0)
	}
	if n := obo.Remembered(x); n > 4096 {
		t.Errorf("%d users are remembered, want at most 4096", n)
	}
	entra.clock.Advance(time.Minute)
	entra.set(3, refused(50076, "interaction_required"))
	_ = entra.ask(x, 3, 0)
	if n := obo.Remembered(x); n != 1 {
		t.Errorf("%d users are remembered a minute later, want 1", n)
	}
}
