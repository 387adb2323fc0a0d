package obo_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// moodyEntra gives each user a token that names it, and fails one time in six.
type moodyEntra struct {
	exchanges atomic.Int64
}

func (e *moodyEntra) RoundTrip(req *http.Request) (*http.Response, error) {
	e.exchanges.Add(1)
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
	}
	claims, err := decode(req.Form.Get("assertion"))
	if err != nil {
		return nil, err
	}
	token := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"oid":"%s","scope":"%s"}`, claims["oid"], req.Form.Get("scope")))
	full := fmt.Sprintf(`{"token_type":"Bearer","expires_in":%d,"access_token":"e30.%s.c2ln"}`, 60+rand.IntN(600), token)
	switch rand.IntN(36) {
	case 0:
		return answer(http.StatusBadRequest, `{"error":"invalid_grant","error_codes":[65001],"suberror":"consent_required"}`)
	case 1:
		return answer(http.StatusServiceUnavailable, "<html>")
	case 2:
		return nil, errors.New("connection reset")
	case 3:
		return answer(http.StatusOK, full[:len(full)/2])
	case 4:
		return answer(http.StatusTooManyRequests, "{}")
	case 5:
		return answer(http.StatusOK, `{"token_type":"Bearer","access_token":"x"}`)
	case 6, 7:
		time.Sleep(time.Millisecond) //nolint:forbidigo // an answer that takes its time
	}
	return answer(http.StatusOK, full)
}

// TestManyUsersAreNeverMixed: 1,000 users, 64 callers at once, two replicas with
// one store, caches that hold a third of the users, tokens that expire, are
// renewed and challenged, and failures. Each token is its user's and its scope's.
func TestManyUsersAreNeverMixed(t *testing.T) {
	t.Parallel()
	const users, callers, calls = 1000, 64, 40
	clock := &fakeClock{now: time.Now()}
	entra := &moodyEntra{}
	store := newMemoryStore()
	var replicas [2]*obo.Exchanger
	for i := range replicas {
		x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{
			HTTPClient: &http.Client{Transport: entra}, Now: clock.Now, Store: store, StoreKeys: [][]byte{storeKey(1)},
			CacheBytes: 150 << 10, MaxRetries: -1,
			Resources: []string{"https://storage.azure.com", "https://graph.microsoft.com"},
		})
		if err != nil {
			t.Fatal(err)
		}
		replicas[i] = x
	}
	assertions := make([]obo.Assertion, users)
	for i := range assertions {
		assertions[i] = obo.NewAssertion(userToken(i))
	}
	stop := make(chan struct{})
	var ticker, all sync.WaitGroup
	ticker.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				clock.Advance(time.Second)
			}
		}
	})
	var served, failed atomic.Int64
	for range callers {
		all.Go(func() {
			for range calls {
				user := rand.IntN(users)
				if rand.IntN(2) == 0 {
					user %= 40 // who come often
				}
				o := policy.TokenRequestOptions{Scopes: []string{storageScope}, EnableCAE: rand.IntN(2) == 0}
				if rand.IntN(3) == 0 {
					o.Scopes = []string{"https://graph.microsoft.com/.default"}
				}
				if rand.IntN(20) == 0 {
					o.Claims = challenge
				}
				token, err := replicas[rand.IntN(2)].Credential(assertions[user]).GetToken(t.Context(), o)
				if err != nil {
					if _, ok := errors.AsType[*obo.Error](err); !ok {
						t.Errorf("got %T: %v, want *obo.Error", err, err)
					}
					failed.Add(1)
					continue
				}
				served.Add(1)
				claims, err := decode(token.Token)
				if want := fmt.Sprintf("%08d-1234-1234-1234-123456789abc", user); err != nil || claims["oid"] != want {
					t.Errorf("user %s got a token of %v, want %v, nil", want, claims["oid"], want)
				}
				if scope, _ := claims["scope"].(string); !strings.HasPrefix(scope, o.Scopes[0]) {
					t.Errorf("asked for %q, got a token for %q; want %q at the start", o.Scopes[0], scope, o.Scopes[0])
				}
			}
		})
	}
	all.Wait()
	close(stop)
	ticker.Wait()
	stats, _ := json.Marshal(replicas[0].StoreStats())
	t.Logf("%d tokens, %d failures, %d exchanges, store of the first replica: %s", served.Load(), failed.Load(), entra.exchanges.Load(), stats)
	if served.Load() < callers*calls/2 {
		t.Errorf("%d of %d calls got a token, want half of them: the test tests nothing", served.Load(), callers*calls)
	}
}
