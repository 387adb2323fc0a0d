package obo_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/trail"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// sentIDs is a transport that notes the client-request-id of each token request.
type sentIDs struct {
	next http.RoundTripper
	mu   sync.Mutex
	ids  []string
}

func (s *sentIDs) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.ids = append(s.ids, req.Header.Get("client-request-id"))
	s.mu.Unlock()
	return s.next.RoundTrip(req)
}

func (s *sentIDs) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ids)
}

func newSender(t *testing.T, entra http.RoundTripper, agents ...string) (*obo.Exchanger, *sentIDs) {
	t.Helper()
	sent := &sentIDs{next: entra}
	x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{HTTPClient: &http.Client{Transport: sent}, Agents: agents})
	if err != nil {
		t.Fatal(err)
	}
	return x, sent
}

// trailOf is which ids the line of a call has that asks for a token.
func trailOf(ctx context.Context, c *obo.Credential) ([]string, error) {
	var own trail.Trail
	_, err := c.GetToken(trail.With(ctx, &own), storageOptions)
	return idsOf(&own), err
}

func idsOf(own *trail.Trail) []string {
	attrs := own.AppendAttrs(nil)
	if len(attrs) == 0 {
		return nil
	}
	ids, _ := attrs[0].Value.Any().([]string)
	return ids
}

// Each call's line has the ids of the token requests that were sent for it: the sign-in log's
// correlation ids, also on success. A token that was there already was not exchanged.
func TestTrailOfExchanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sent := &sentIDs{next: w.tenant.HTTPClient().Transport}
	store := newMemoryStore()
	replica := func() *obo.Exchanger {
		return w.exchanger(func(o *obo.Options) {
			o.HTTPClient, o.Store, o.StoreKeys = &http.Client{Transport: sent}, store, [][]byte{storeKey(1)}
		})
	}
	x, alice := replica(), w.assertion(w.alice)
	first, err := trailOf(t.Context(), x.Credential(alice))
	if err != nil || len(first) != 1 || !slices.Equal(first, sent.all()) {
		t.Errorf("an exchange: got %v, %v; want what was sent: %v", first, err, sent.all())
	}
	for name, x := range map[string]*obo.Exchanger{"a cached token": x, "the token in the store": replica()} {
		if got, err := trailOf(t.Context(), x.Credential(alice)); err != nil || got != nil {
			t.Errorf("%s: got %v, %v; want no id", name, got, err)
		}
	}
	w.tenant.RevokeConsent(w.api, w.tenant.Storage())
	bob := w.assertion(w.bob)
	refused, err := trailOf(t.Context(), x.Credential(bob))
	if e := asError(t, err); len(refused) != 1 || e.CorrelationID != refused[0] {
		t.Errorf("a refusal: got %v, want the error's correlation id %s", refused, e.CorrelationID)
	}
	for range 2 { // sent once more, then answered from memory
		refused, _ = trailOf(t.Context(), x.Credential(bob))
	}
	if refused != nil {
		t.Errorf("a remembered refusal: got %v, want no id", refused)
	}
	if got := w.text(); !strings.Contains(got, `"exchanges":["`+first[0]+`"]`) || strings.Count(got, `"exchanges":["`) != len(sent.all()) {
		t.Errorf("the exchanger's own log: got %s, want a line with each of %v", got, sent.all())
	}
}

// However many calls wait for one exchange, the line of each has its id, also of the one that
// gave up.
func TestTrailOfWaiters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := good
		slow.delay = time.Second
		x, sent := newSender(t, &scriptedEntra{answers: []answer{slow}})
		c := x.Credential(obo.NewAssertion(userToken(1)))
		var trails [5]trail.Trail
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for i := range trails {
			ctx := t.Context()
			if i == 2 {
				ctx = impatient
			}
			go func() { _, _ = c.GetToken(trail.With(ctx, &trails[i]), storageOptions) }()
		}
		time.Sleep(time.Minute) //nolint:forbidigo // on the clock of testing/synctest
		for i := range trails {
			if got := idsOf(&trails[i]); len(got) != 1 || !slices.Equal(got, sent.all()) {
				t.Errorf("waiter %d: got %v, want the one that was sent: %v", i, got, sent.all())
			}
		}
	})
}

// Each retry is a request of its own, with a line of its own in the sign-in log.
func TestTrailOfRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x, sent := newSender(t, &scriptedEntra{answers: []answer{{status: 503}, {status: 503}, good}})
		got, err := trailOf(t.Context(), x.Credential(obo.NewAssertion(userToken(1))))
		if err != nil || len(got) != 3 || !slices.Equal(got, sent.all()) {
			t.Errorf("got %v, %v; want the 3 that were sent: %v", got, err, sent.all())
		}
	})
}

// A token is renewed for later calls: the one that starts it has got the old token, and no id.
func TestTrailOfRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x, sent := newSender(t, &scriptedEntra{answers: []answer{good}})
		c := x.Credential(obo.NewAssertion(userToken(1)))
		if got, err := trailOf(t.Context(), c); err != nil || len(got) != 1 {
			t.Errorf("the first exchange: got %v, %v; want 1 id", got, err)
		}
		time.Sleep(56 * time.Minute) //nolint:forbidigo // on the clock of testing/synctest
		if got, err := trailOf(t.Context(), c); err != nil || got != nil {
			t.Errorf("the call that starts the renewal: got %v, %v; want no id", got, err)
		}
		synctest.Wait()
		if len(sent.all()) != 2 {
			t.Errorf("%d requests, want 2", len(sent.all()))
		}
	})
}

// An agent's exchange is two requests; once the agent's assertion is there, only the second.
func TestTrailOfAgents(t *testing.T) {
	t.Parallel()
	x, sent := newSender(t, &agentEntra{}, agentA)
	for i, want := range []int{2, 1} {
		before := len(sent.all())
		got, err := trailOf(t.Context(), x.AgentCredential(blueprintToken(i), agentA))
		if err != nil || len(got) != want || !slices.Equal(got, sent.all()[before:]) {
			t.Errorf("user %d: got %v, %v; want %d: %v", i, got, err, want, sent.all()[before:])
		}
	}
}
