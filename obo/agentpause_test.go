package obo_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/obo"
)

var vaultOptions = policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}}

// withVault adds a second resource.
func withVault(o *obo.Options) {
	o.Resources = []string{"https://storage.azure.com", "https://vault.azure.net"}
}

// firstStepFails are the ways in which an agent's first step can fail, and how often it is sent then
// for many exchanges at once.
var firstStepFails = map[string]struct {
	a    answer
	most int
}{
	"throttled":      {answer{status: http.StatusTooManyRequests, body: `{}`, retryAfter: "300"}, 1},
	"refused":        {refusalOf(700211, "invalid_client"), 3},
	"a wrong secret": {refusalOf(7000215, "invalid_client"), 3},
	"an odd code":    {refusalOf(82999, "invalid_grant"), 3},
	"a policy":       {refusalOf(53003, "invalid_grant"), 3},
	"garbage":        {answer{status: http.StatusOK, body: "<html>"}, 5},
	"busy":           {refusalOf(90024, "temporarily_unavailable"), 5},
	"down":           {answer{status: http.StatusServiceUnavailable, body: "<html>"}, 5},
	"no connection":  {answer{err: errors.New("connection refused")}, 5},
	"no answer":      {answer{status: http.StatusServiceUnavailable, body: "<html>", delay: time.Hour}, 5},
}

// TestFailingAgentDelaysNobody: while one agent's first step fails, its own exchanges are paced, and
// nothing else: neither other agents of the same user, who has many requests in flight, nor those of
// another.
func TestFailingAgentDelaysNobody(t *testing.T) {
	t.Parallel()
	for name, test := range firstStepFails {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				entra := &agentEntra{}
				x := entra.exchanger(t, withVault)
				entra.refuseAgent(agentA, test.a)
				var wg sync.WaitGroup
				for i := range 40 { // more than a user has turns
					wg.Go(func() {
						o := storageOptions
						o.Claims = `{"access_token":{"n":{"value":"` + strings.Repeat("x", i) + `"}}}`
						if _, err := askWith(t, x.AgentCredential(blueprintToken(1), agentA), o); err == nil {
							t.Error("GetToken = nil, want an error")
						}
					})
				}
				synctest.Wait()
				wantPrompt(t, x, "in flight")
				wg.Wait()
				for range 10 {
					if _, err := askAs(t, x, 1, agentA); err == nil {
						t.Error("GetToken = nil, want an error")
					}
				}
				wantPrompt(t, x, "after many failures")
				// Less those of the other agent.
				if first, _ := entra.steps(); first-1 > test.most {
					t.Errorf("%d first steps of the failing agent, want %d at most", first-1, test.most)
				}
				entra.refuseAgent("", answer{})
				time.Sleep(6 * time.Minute) //nolint:forbidigo // on the clock of testing/synctest
				mustAsk(t, x, 1, agentA)
			})
		})
	}
}

// refuseAgent makes one agent's first step fail.
func (e *agentEntra) refuseAgent(agent string, a answer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = func(form url.Values) answer {
		if isFirst(form) && form.Get("fmi_path") == agent {
			return a
		}
		return answer{}
	}
}

// wantPrompt makes exchanges of two users as the other agent, and wants no pause.
func wantPrompt(t *testing.T, x *obo.Exchanger, when string) {
	t.Helper()
	began := time.Now()
	for user := 1; user <= 2; user++ {
		for _, o := range []policy.TokenRequestOptions{storageOptions, vaultOptions} {
			token, err := askWith(t, x.AgentCredential(blueprintToken(user), agentB), o)
			if err != nil || !strings.HasPrefix(token, "token."+agentB) {
				t.Errorf("%s: the other agent of user %d: got %q, %v; want its token", when, user, token, err)
			}
		}
	}
	if took := time.Since(began); took != 0 {
		t.Errorf("%s: the other agent's exchanges took %v, want no pause", when, took)
	}
	time.Sleep(time.Second) //nolint:forbidigo // on the clock of testing/synctest; from then on users have other tokens
}

// TestFailingRenewalWarns: nobody waits for a renewal, so one warning says that it fails in passing,
// once until it succeeds.
func TestFailingRenewalWarns(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"throttled", "busy", "down", "no connection"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				entra := &agentEntra{}
				x := entra.exchanger(t, nil)
				for outage := 1; outage <= 2; outage++ {
					entra.refuse(true, 0, answer{})
					mustAsk(t, x, outage*100, agentA)
					time.Sleep(61 * time.Minute) //nolint:forbidigo // on the clock of testing/synctest
					entra.refuse(true, -1, firstStepFails[name].a)
					for user := range 5 {
						mustAsk(t, x, outage*100+1+user, agentA)
						time.Sleep(20 * time.Second) //nolint:forbidigo // on the clock of testing/synctest
					}
					if n := strings.Count(entra.text(), "the assertion for an agent is not renewed"); n != outage || !strings.Contains(entra.text(), `"level":"WARN"`) || !strings.Contains(entra.text(), `"agent":"`+agentA) {
						t.Errorf("%d warnings after %d outages, want one each with the agent:\n%s", n, outage, entra.text())
					}
					time.Sleep(20 * time.Minute) //nolint:forbidigo // on the clock of testing/synctest
				}
			})
		})
	}
}

// TestPausedAgentSaysSo: an agent's pause is not taken for an outage of Entra.
func TestPausedAgentSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entra := &agentEntra{}
		x := entra.exchanger(t, nil)
		entra.refuseAgent(agentA, firstStepFails["down"].a)
		var texts []string
		for user := range 30 {
			if _, err := askAs(t, x, 1+user, agentA); err != nil {
				texts = append(texts, err.Error())
			}
			time.Sleep(2 * time.Second) //nolint:forbidigo // on the clock of testing/synctest
		}
		if got := strings.Join(texts, "\n"); !strings.Contains(got, "the assertion for the server's agent identity") || strings.Contains(got, "not sending it requests") {
			t.Errorf("got %s\nwant an error about the assertion for the agent", got)
		}
		entra.refuseAgent("", answer{})
		time.Sleep(2 * time.Minute) //nolint:forbidigo // on the clock of testing/synctest
		mustAsk(t, x, 1, agentA)
		for _, want := range []string{"pausing requests for it alone", "issues the assertion for the agent again"} {
			if !strings.Contains(entra.text(), want) {
				t.Errorf("the log does not say %q:\n%s", want, entra.text())
			}
		}
		for _, never := range []string{"pausing requests to it", "Entra ID answers again"} {
			if strings.Contains(entra.text(), never) {
				t.Errorf("the log says %q, want only this agent's pause:\n%s", never, entra.text())
			}
		}
	})
}

// TestErrorsAreEachExchangesOwn, to be run with -race: exchanges that fail together, for one first step
// or one user's pause, have an error each, with their own resource and agent.
func TestErrorsAreEachExchangesOwn(t *testing.T) {
	t.Parallel()
	for name, test := range firstStepFails {
		if test.a.delay > 0 {
			continue
		}
		for i := range 4 {
			entra := &agentEntra{}
			x := entra.exchanger(t, withVault)
			entra.refuse(i%2 == 0, -1, test.a)
			var wg sync.WaitGroup
			for i := range 32 {
				agent, o, resource := agentA, storageOptions, "https://storage.azure.com"
				if i%2 == 1 {
					agent = agentB
				}
				if i/2%2 == 1 {
					o, resource = vaultOptions, "https://vault.azure.net"
				}
				wg.Go(func() {
					_, err := askWith(t, x.AgentCredential(tokenFor(1+i/8%2, strings.ToLower(someAppID)), agent), o)
					e, ok := errors.AsType[*obo.Error](err)
					if !ok || e.Resource != resource {
						t.Errorf("%s: got %v, want an error for %s", name, err, resource)
						return
					}
					if shown := e.LogValue().String(); !strings.Contains(shown, agent) {
						t.Errorf("%s: the log has %s, want the agent %s", name, shown, agent)
					}
				})
			}
			wg.Wait()
		}
	}
}
