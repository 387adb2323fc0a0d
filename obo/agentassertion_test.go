package obo_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// TestAgentsDontStorm: 50 callers at once cost one first step, and a second one each at most.
func TestAgentsDontStorm(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		users         func(i int) int
		first, second int
	}{
		{"one user", func(int) int { return 1 }, 1, 1},
		{"50 users", func(i int) int { return i }, 1, 50},
	} {
		synctest.Test(t, func(t *testing.T) { // in which users' tokens stay the same
			entra := &agentEntra{}
			x := entra.exchanger(t, nil)
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() { _, _ = askAs(t, x, test.users(i), agentA) })
			}
			wg.Wait()
			entra.wantSteps(t, test.name, test.first, test.second)
		})
	}
}

// TestRejectedAssertionsDontStorm: however many exchanges are in flight with a rejected assertion, it is
// replaced once, and each exchange is repeated once.
func TestRejectedAssertionsDontStorm(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rejects       func(assertion string) bool
		first, second int
		fails         bool
	}{
		"the old one": {func(s string) bool { return strings.HasPrefix(s, "vouched.1.") }, 1, 100, false},
		"all of them": {func(string) bool { return true }, 1, 100, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			rejecting := false
			var mu sync.Mutex
			entra := &agentEntra{}
			entra.answer = func(form url.Values) answer {
				mu.Lock()
				defer mu.Unlock()
				if !isFirst(form) && rejecting && test.rejects(form.Get("client_assertion")) {
					a := refusalOf(700024, "invalid_client")
					a.delay = time.Second // until all are in flight
					return a
				}
				return answer{}
			}
			x := entra.exchanger(t, nil)
			mustAsk(t, x, 100, agentA)
			entra.steps()
			mu.Lock()
			rejecting = true
			mu.Unlock()
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() {
					if _, err := askAs(t, x, i, agentA); (err != nil) != test.fails {
						t.Errorf("%s: GetToken = %v, want an error: %t", name, err, test.fails)
					}
				})
			}
			wg.Wait()
			entra.wantSteps(t, name, test.first, test.second)
			if !test.fails {
				return
			}
			_, _ = askAs(t, x, 200, agentA)
			entra.wantSteps(t, name+", and another user", 0, 1)
			time.Sleep(31 * time.Second) //nolint:forbidigo // on the clock of testing/synctest
			_, _ = askAs(t, x, 201, agentA)
			entra.wantSteps(t, name+", half a minute later", 1, 2)
			time.Sleep(31 * time.Second) //nolint:forbidigo // on the clock of testing/synctest
			mu.Lock()
			rejecting = false
			mu.Unlock()
			mustAsk(t, x, 202, agentA)
		})
	}
}

// TestAssertionIsReplacedOnce: what the second step rejects about its proof makes a new first step, and
// nothing else does.
func TestAssertionIsReplacedOnce(t *testing.T) {
	t.Parallel()
	for code, replaced := range map[int]bool{
		700213: true, 700211: true, 7002138: true, 700024: true, 700027: true, 700023: true, 70021: true, 50012: true,
		0: true, 82998: true, 82999: false, 650052: false, 65001: false, 50013: false, 500133: false, 50076: false, 53003: false, 700016: false, 82014: false, 82001: false, 90033: false,
	} {
		entra := &agentEntra{}
		x := entra.exchanger(t, nil)
		mustAsk(t, x, 1, agentA)
		entra.steps()
		oauthError := "invalid_grant"
		if code == 0 || code == 82998 || code == 650052 {
			oauthError = "invalid_client"
		}
		entra.refuse(false, 1, refusalOf(code, oauthError))
		_, err := askAs(t, x, 2, agentA)
		if (err == nil) != replaced {
			t.Errorf("AADSTS%d: GetToken = %v, want success: %t", code, err, replaced)
		}
		if replaced {
			entra.wantSteps(t, "replaced", 1, 2)
		} else {
			entra.wantSteps(t, "not replaced", 0, 1)
		}
	}
}

// TestSameAssertionAgain: an assertion that Entra issues again in the same words is another one.
func TestSameAssertionAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entra := &agentEntra{answer: func(form url.Values) answer {
			if isFirst(form) {
				return tokenAnswer("vouched."+form.Get("fmi_path"), 3900)
			}
			return refusalOf(700024, "invalid_client")
		}}
		x := entra.exchanger(t, nil)
		_, _ = askAs(t, x, 1, agentA)
		entra.wantSteps(t, "rejected", 2, 2)
		_, _ = askAs(t, x, 2, agentA)
		entra.wantSteps(t, "rejected again at once", 0, 1)
		time.Sleep(31 * time.Second) //nolint:forbidigo // on the clock of testing/synctest
		_, _ = askAs(t, x, 3, agentA)
		entra.wantSteps(t, "rejected half a minute later", 1, 2)
	})
}

// TestAssertionLives: by this host's clock, and renewed before it ends, in the background.
func TestAssertionLives(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		lifetime int // in seconds
		after    time.Duration
		first    int  // steps of an exchange then
		blocked  bool // the exchange waits for it
	}{
		{"young", 3900, 59 * time.Minute, 0, false},
		{"due", 3900, 61 * time.Minute, 1, false},
		{"in its last minute", 3900, 64*time.Minute + time.Second, 1, true},
		{"expired", 3900, 66 * time.Minute, 1, true},
		{"short, young", 200, 99 * time.Second, 0, false},
		{"short, due", 200, 101 * time.Second, 1, false},
		{"short, at its end", 200, 151 * time.Second, 1, true},
		{"very short", 4, 2 * time.Second, 0, false},
		{"very short, at its end", 4, 4 * time.Second, 1, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			entra := &agentEntra{lifetime: test.lifetime}
			x := entra.exchanger(t, nil)
			mustAsk(t, x, 1, agentA)
			entra.steps()
			time.Sleep(test.after) //nolint:forbidigo // on the clock of testing/synctest
			mustAsk(t, x, 2, agentA)
			synctest.Wait()
			proof := ""
			for _, form := range entra.forms {
				if !isFirst(form) {
					proof = form.Get("client_assertion")
				}
			}
			if old := strings.HasPrefix(proof, "vouched.1."); old == test.blocked {
				t.Errorf("%s: the exchange used the old assertion: %t, want %t", test.name, old, !test.blocked)
			}
			entra.wantSteps(t, test.name, test.first, 1)
		})
	}
}

// TestRenewalFails: the assertion that is still good serves on, and the operator hears of it once.
func TestRenewalFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entra := &agentEntra{}
		x := entra.exchanger(t, nil)
		mustAsk(t, x, 1, agentA)
		time.Sleep(61 * time.Minute) //nolint:forbidigo // on the clock of testing/synctest
		entra.steps()
		entra.refuse(true, -1, refusalOf(7000222, "invalid_client"))
		for user := range 5 {
			mustAsk(t, x, 2+user, agentA)
			time.Sleep(31 * time.Second) //nolint:forbidigo // on the clock of testing/synctest
		}
		synctest.Wait()
		if n := strings.Count(entra.text(), `"level":"ERROR"`); n != 1 {
			t.Errorf("%d errors in the log, want 1:\n%s", n, entra.text())
		}
		entra.wantSteps(t, "renewals", 5, 5)
		time.Sleep(2 * time.Minute) //nolint:forbidigo // on the clock of testing/synctest
		_, err := askAs(t, x, 50, agentA)
		if e := wantKind(t, err, obo.ErrMisconfigured); e.AADSTS != 7000222 || e.Resource != "https://storage.azure.com" {
			t.Errorf("got AADSTS%d for %q, want 7000222 and the resource", e.AADSTS, e.Resource)
		}
		entra.refuse(true, 0, answer{})
		time.Sleep(3 * time.Second) //nolint:forbidigo // on the clock of testing/synctest
		mustAsk(t, x, 51, agentA)
	})
}

// TestFirstStepIsPaced: a refusal that a retry can't change is not repeated for each user.
func TestFirstStepIsPaced(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		a      answer
		want   error
		most   int
		levels int // errors in the log
	}{
		{"a wrong secret", refusalOf(7000215, "invalid_client"), obo.ErrMisconfigured, 2, 1},
		{"throttled", answer{status: http.StatusTooManyRequests, body: `{}`, retryAfter: "60"}, obo.ErrThrottled, 1, 0},
		{"down", answer{status: http.StatusServiceUnavailable, body: "<html>"}, obo.ErrUnavailable, 5, 1},
		{"no connection", answer{err: errors.New("connection refused")}, obo.ErrUnavailable, 5, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			entra := &agentEntra{}
			x := entra.exchanger(t, nil)
			entra.refuse(true, -1, test.a)
			for user := range 40 {
				if _, err := askAs(t, x, user, agentA); !errors.Is(err, test.want) {
					t.Errorf("%s: GetToken = %v, want %v", test.name, err, test.want)
				}
			}
			entra.wantSteps(t, test.name, test.most, 0)
			if n := strings.Count(entra.text(), `"level":"ERROR"`); n != test.levels {
				t.Errorf("%s: %d errors in the log, want %d:\n%s", test.name, n, test.levels, entra.text())
			}
			entra.refuse(true, 0, answer{})
			time.Sleep(10 * time.Minute) //nolint:forbidigo // on the clock of testing/synctest
			mustAsk(t, x, 1000, agentA)
		})
	}
}

// TestBothStepsAreRetried, as every request is.
func TestBothStepsAreRetried(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			entra := &agentEntra{}
			x := entra.exchanger(t, func(o *obo.Options) { o.MaxRetries = 2 })
			entra.refuse(first, 2, answer{status: http.StatusServiceUnavailable, body: "<html>"})
			mustAsk(t, x, 1, agentA)
			if first {
				entra.wantSteps(t, "the first step retried", 3, 1)
			} else {
				entra.wantSteps(t, "the second step retried", 1, 3)
			}
		})
	}
}

// TestOneUserOfAnAgentIsThrottled: others go on, with the same assertion.
func TestOneUserOfAnAgentIsThrottled(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	x := entra.exchanger(t, nil)
	mustAsk(t, x, 1, agentA)
	entra.refuse(false, 1, answer{status: http.StatusTooManyRequests, body: `{}`, retryAfter: "60"})
	_, err := askAs(t, x, 2, agentA)
	_ = wantKind(t, err, obo.ErrThrottled)
	entra.steps()
	_, err = askAs(t, x, 2, agentA)
	_ = wantKind(t, err, obo.ErrThrottled)
	entra.wantSteps(t, "the throttled user", 0, 0)
	mustAsk(t, x, 3, agentA)
}

// TestCallerGivesUp: the first step goes on for the others, and its result is kept.
func TestCallerOfAnAgentGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entra := &agentEntra{}
		slow := tokenAnswer("vouched.1."+agentA, 3900)
		slow.delay = 5 * time.Second
		entra.refuse(true, 1, slow)
		x := entra.exchanger(t, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := x.AgentCredential(blueprintToken(1), agentA).GetToken(ctx, storageOptions); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("GetToken = %v, want the end of the caller's context", err)
		}
		mustAsk(t, x, 2, agentA)
		synctest.Wait()
		entra.wantSteps(t, "one that gave up and another", 1, 2)
	})
}

// TestAgentTransportPanics: an error, and the stack in the log.
func TestAgentTransportPanics(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{answer: func(form url.Values) answer {
		if isFirst(form) {
			panic("vouched.0.secret-value")
		}
		return answer{}
	}}
	_, err := askAs(t, entra.exchanger(t, nil), 1, agentA)
	_ = wantKind(t, err, obo.ErrUnavailable)
	if !strings.Contains(entra.text(), "panic in an exchange") {
		t.Errorf("the log is %s, want the panic", entra.text())
	}
}

// TestBlueprintProofs: each method proves the blueprint in the first step, and never the second.
func TestBlueprintProofs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pem, projected := filepath.Join(dir, "app.pem"), filepath.Join(dir, "token")
	certificateFile(t, pem)
	if err := os.WriteFile(projected, []byte("p.q.workload"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		m    clientauth.Method
		want func(form url.Values) bool
	}{
		"secret":      {clientauth.Secret("the-secret-value"), func(f url.Values) bool { return f.Get("client_secret") == "the-secret-value" }},
		"certificate": {clientauth.CertificateFile(pem, ""), func(f url.Values) bool { return strings.Count(f.Get("client_assertion"), ".") == 2 }},
		"workload":    {clientauth.WorkloadIdentity(projected), func(f url.Values) bool { return f.Get("client_assertion") == "p.q.workload" }},
		"function": {clientauth.Func(func(context.Context) (string, error) { return "p.q.func", nil }),
			func(f url.Values) bool { return f.Get("client_assertion") == "p.q.func" }},
	} {
		entra := &agentEntra{}
		mustAsk(t, entra.exchangerWith(t, test.m, nil), 1, agentA)
		if !test.want(entra.forms[0]) || entra.forms[0].Get("client_id") != strings.ToLower(someAppID) {
			t.Errorf("%s: the first step is %v, want it proved by the method", name, entra.forms[0])
		}
		if second := entra.forms[1]; second.Get("client_assertion") != "vouched.1."+agentA || second.Has("client_secret") {
			t.Errorf("%s: the second step is not proved by the assertion alone", name)
		}
	}
}

// TestBlueprintChain: what the first step refuses moves the chain on, with a warning.
func TestBlueprintChain(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	entra.answer = func(form url.Values) answer {
		if isFirst(form) && form.Get("client_secret") == "old-secret-value" {
			return refusalOf(7000222, "invalid_client")
		}
		return answer{}
	}
	m := clientauth.Chain(clientauth.Secret("old-secret-value"), clientauth.Secret("new-secret-value"))
	x := entra.exchangerWith(t, m, nil)
	mustAsk(t, x, 1, agentA)
	entra.wantSteps(t, "a chain", 2, 1)
	if !strings.Contains(entra.text(), "trying the next client credential") || strings.Contains(entra.text(), "ERROR") {
		t.Errorf("the log is %s, want one warning", entra.text())
	}
	mustAsk(t, x, 1, agentB)
	entra.wantSteps(t, "the other agent stays with what worked", 1, 1)
	// The second step's refusal says nothing about the blueprint's proof.
	entra.refuse(false, -1, refusalOf(7000215, "invalid_client"))
	_, err := askAs(t, x, 2, agentB)
	_ = wantKind(t, err, obo.ErrMisconfigured)
	if strings.Count(entra.text(), "trying the next client credential") != 1 {
		t.Errorf("the log is %s, want no other warning", entra.text())
	}
}
