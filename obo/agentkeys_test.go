package obo_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// The tests of this file: two agents, and an agent and the app itself, never share anything. One
// user's same token is used throughout.

// agentRequests are requests whose keys are made in different ways.
var agentRequests = map[string]policy.TokenRequestOptions{
	"usual":       storageOptions,
	"with CAE":    {Scopes: []string{storageScope}, EnableCAE: true},
	"named scope": {Scopes: []string{"https://storage.azure.com/user_impersonation"}},
	"two scopes":  {Scopes: []string{"https://storage.azure.com/a", "https://storage.azure.com/b"}},
	"challenge":   {Scopes: []string{storageScope}, Claims: challenge},
}

// TestAgentsShareNoTokens is about the cache in memory.
func TestAgentsShareNoTokens(t *testing.T) {
	t.Parallel()
	for name, o := range agentRequests {
		entra := &agentEntra{}
		x := entra.exchanger(t, nil)
		a := blueprintToken(1)
		for range 2 { // the second time from the cache
			for _, agent := range []string{agentA, agentB} {
				token, err := askWith(t, x.AgentCredential(a, agent), o)
				if err != nil || !strings.HasPrefix(token, "token."+agent+".") {
					t.Errorf("%s, as %s: got %q, %v; want the agent's own token", name, agent, token, err)
				}
			}
		}
		entra.wantSteps(t, name, 2, 2)
	}
}

// TestAgentsShareNoChallenges: an answered challenge replaces the tokens of its agent only.
func TestAgentsShareNoChallenges(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	x := entra.exchanger(t, nil)
	a := blueprintToken(1)
	get := func(agent, claims string) string {
		token, err := askWith(t, x.AgentCredential(a, agent), policy.TokenRequestOptions{Scopes: []string{storageScope}, Claims: claims})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	firstA, firstB := get(agentA, ""), get(agentB, "")
	renewed := get(agentA, challenge)
	if renewed == firstA || get(agentA, "") != renewed || get(agentA, challenge) != renewed {
		t.Error("the challenge did not replace its agent's token")
	}
	if got := get(agentB, ""); got != firstB {
		t.Errorf("the other agent's token: got %q, want %q as before", got, firstB)
	}
	if got := get(agentB, challenge); got == renewed || got == firstB {
		t.Errorf("the other agent's challenge: got %q, want a token of its own", got)
	}
}

// TestAgentsShareNoRefusals: what one agent is refused is remembered for it only.
func TestAgentsShareNoRefusals(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{answer: func(form url.Values) answer {
		if form.Get("client_id") == agentA {
			return refusalOf(50076, "invalid_grant")
		}
		return answer{}
	}}
	x := entra.exchanger(t, nil)
	a := blueprintToken(1)
	for range 3 {
		if _, err := askWith(t, x.AgentCredential(a, agentA), storageOptions); !errors.Is(err, obo.ErrInteractionRequired) {
			t.Errorf("GetToken = %v, want ErrInteractionRequired", err)
		}
	}
	entra.wantSteps(t, "the refused agent", 1, 1)
	if _, err := askWith(t, x.AgentCredential(a, agentB), storageOptions); err != nil {
		t.Errorf("the other agent: GetToken = %v, want nil", err)
	}
}

// TestAgentsShareNoFlights: while one agent's exchange waits, the other's is made.
func TestAgentsShareNoFlights(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	entra := &agentEntra{answer: func(form url.Values) answer {
		if form.Get("client_id") == agentA {
			once.Do(func() { close(arrived) })
			<-release
		}
		return answer{}
	}}
	x := entra.exchanger(t, nil)
	a := blueprintToken(1)
	var wg sync.WaitGroup
	wg.Go(func() {
		if token, err := askWith(t, x.AgentCredential(a, agentA), storageOptions); err != nil || !strings.Contains(token, agentA) {
			t.Errorf("the waiting agent: got %q, %v; want its token", token, err)
		}
	})
	<-arrived
	if token, err := askWith(t, x.AgentCredential(a, agentB), storageOptions); err != nil || !strings.Contains(token, agentB) {
		t.Errorf("the other agent: got %q, %v; want its token", token, err)
	}
	close(release)
	wg.Wait()
}

// TestAgentsShareNoAssertions: each agent's second step is proved by its own assertion; the double
// refuses another's.
func TestAgentsShareNoAssertions(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	x := entra.exchanger(t, nil)
	for user := range 4 {
		for _, agent := range []string{agentA, agentB} {
			mustAsk(t, x, user, agent)
		}
	}
	for _, form := range entra.forms {
		if !isFirst(form) && !strings.HasSuffix(form.Get("client_assertion"), "."+form.Get("client_id")) {
			t.Errorf("%s was proved by %s", form.Get("client_id"), form.Get("client_assertion"))
		}
	}
	entra.wantSteps(t, "four users of two agents", 2, 8)
}

// TestAgentsOfManyUsers: two replicas and one of the app itself, with 100 users and 5 agents at once.
func TestAgentsOfManyUsers(t *testing.T) {
	t.Parallel()
	entra, store := &agentEntra{}, newMemoryStore()
	var agents []string
	for i := range 5 {
		agents = append(agents, fmt.Sprintf("aaaaaaaa-1111-1111-1111-00000000000%d", i))
	}
	exchanger := func(list []string) *obo.Exchanger {
		return entra.exchanger(t, func(o *obo.Options) {
			o.Agents, o.Store, o.StoreKeys, o.DeclareCP1 = list, store, [][]byte{storeKey(1)}, true
		})
	}
	replicas := []*obo.Exchanger{exchanger(agents), exchanger([]string{agents[4], agents[2], agents[0], agents[1], agents[3]})}
	plain := exchanger(nil)
	var wg sync.WaitGroup
	want := func(c *obo.Credential, o policy.TokenRequestOptions, owner string) {
		wg.Go(func() {
			if token, err := askWith(t, c, o); err != nil || !strings.HasPrefix(token, "token."+strings.ToLower(owner)+".") {
				t.Errorf("got %q, %v; want a token of %s", token, err, owner)
			}
		})
	}
	for user := range 30 {
		a := blueprintToken(user)
		for _, o := range agentRequests {
			for _, agent := range agents {
				for _, x := range replicas {
					want(x.AgentCredential(a, agent), o, agent)
				}
			}
			want(plain.Credential(a), o, someAppID)
		}
	}
	wg.Wait()
	entra.mu.Lock()
	defer entra.mu.Unlock()
	for _, form := range entra.forms {
		owner := form.Get("client_id")
		switch {
		case isFirst(form) && (form.Has("assertion") || form.Has("claims")):
			t.Error("a first step has something of a user")
		case !isFirst(form) && owner != strings.ToLower(someAppID) && !strings.HasSuffix(form.Get("client_assertion"), "."+owner):
			t.Errorf("%s was proved by %s", owner, form.Get("client_assertion"))
		}
	}
}

// TestAgentsShareNoStoredTokens: one store for exchangers that list the agents in other orders, and
// for one of the app itself.
func TestAgentsShareNoStoredTokens(t *testing.T) {
	t.Parallel()
	for name, o := range agentRequests {
		entra, store := &agentEntra{}, newMemoryStore()
		exchanger := func(agents ...string) *obo.Exchanger {
			return entra.exchanger(t, func(o *obo.Options) {
				o.Agents, o.Store, o.StoreKeys = agents, store, [][]byte{storeKey(1)}
			})
		}
		a := blueprintToken(1)
		get := func(c *obo.Credential, owner string) {
			t.Helper()
			token, err := askWith(t, c, o)
			if err != nil || !strings.HasPrefix(token, "token."+strings.ToLower(owner)+".") {
				t.Errorf("%s: got %q, %v; want a token of %s", name, token, err, owner)
			}
		}
		get(exchanger(agentA, agentB).AgentCredential(a, agentA), agentA)
		get(exchanger(agentB, agentA).AgentCredential(a, agentB), agentB) // also the first of its list
		get(exchanger().Credential(a), someAppID)
		entra.wantSteps(t, name, 2, 3)
		if len(store.values) != 3 {
			t.Errorf("%s: the store has %d values, want one for each of three actors", name, len(store.values))
		}
		for _, value := range store.values {
			if strings.Contains(string(value), "vouched") {
				t.Error("the store sees an agent's assertion")
			}
		}
		if o.Claims != "" {
			continue // what the store has was challenged
		}
		// Replicas find the right ones, whatever the order.
		get(exchanger(agentB, agentA).AgentCredential(a, agentA), agentA)
		get(exchanger(agentA, agentB).AgentCredential(a, agentB), agentB)
		get(exchanger(agentB).AgentCredential(a, agentB), agentB)
		get(exchanger().Credential(a), someAppID)
		entra.wantSteps(t, name+", from the store", 0, 0)
	}
}

// TestStoredNamesStay: the name of a token without an agent is that of earlier releases, whose
// replicas share the store.
func TestStoredNamesStay(t *testing.T) {
	t.Parallel()
	store := newMemoryStore()
	x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{
		HTTPClient: &http.Client{Transport: &memoryEntra{}}, Store: store, StoreKeys: [][]byte{storeKey(1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	assertion := obo.NewAssertion("e30.eyJ0aWQiOiIxMjM0NTY3OC0xMjM0LTEyMzQtMTIzNC0xMjM0NTY3ODlhYmMiLCJzY3AiOiJ4IiwiZXhwIjo5OTk5OTk5OTk5fQ.c2ln")
	if _, err := x.Credential(assertion).GetToken(t.Context(), storageOptions); err != nil {
		t.Fatal(err)
	}
	const want = "5e945e73229415f9df2f174711b3b11908fe8ad9dc740358aae5f179519e1139" // worked out by other code
	for name := range store.values {
		if name != want {
			t.Errorf("stored as %s, want %s", name, want)
		}
	}
}
