package obo_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// scriptedEntra answers from a list, the last answer forever, in memory: time
// stands still while it does.
type scriptedEntra struct {
	mu       sync.Mutex
	answers  []answer
	requests []time.Time
}

type answer struct {
	status     int
	body       string
	retryAfter string
	delay      time.Duration
	err        error
}

var good = answer{status: http.StatusOK, body: `{"token_type":"Bearer","expires_in":3600,"access_token":"token"}`}

func transient(code string) answer {
	return answer{status: http.StatusBadRequest, body: `{"error":"temporarily_unavailable","error_codes":[` + code + `]}`}
}

func (s *scriptedEntra) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests = append(s.requests, time.Now())
	a := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	s.mu.Unlock()
	if a.delay > 0 { // a timer of 0 can crash Go 1.26 in a bubble of synctest with -race
		select {
		case <-time.After(a.delay):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	header := http.Header{}
	if a.retryAfter != "" {
		header.Set("Retry-After", a.retryAfter)
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body)), Request: req}, nil
}

func (s *scriptedEntra) script(answers ...answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers, s.requests = answers, nil
}

func (s *scriptedEntra) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func (s *scriptedEntra) exchanger(t *testing.T, change func(*obo.Options)) *obo.Exchanger {
	t.Helper()
	o := &obo.Options{HTTPClient: &http.Client{Transport: s}}
	if change != nil {
		change(o)
	}
	x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), o)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func ask(ctx context.Context, x *obo.Exchanger, user int) error {
	_, err := x.Credential(obo.NewAssertion(userToken(user))).GetToken(ctx, storageOptions)
	return err
}

func TestRetries(t *testing.T) {
	t.Parallel()
	broken := answer{err: errors.New("connection reset by peer")}
	busy := answer{status: http.StatusServiceUnavailable, body: "<html>"}
	wait := func(status int, seconds string) answer {
		return answer{status: status, body: "{}", retryAfter: seconds}
	}
	for _, test := range []struct {
		name     string
		answers  []answer
		requests int
		want     error // nil if the last answer is a token
		least    time.Duration
		most     time.Duration
	}{
		{"lost connection", []answer{broken, good}, 2, nil, 125 * time.Millisecond, 375 * time.Millisecond},
		{"503 twice", []answer{busy, busy, good}, 3, nil, 625 * time.Millisecond, 1875 * time.Millisecond},
		{"503 forever", []answer{busy}, 3, obo.ErrUnavailable, 625 * time.Millisecond, 1875 * time.Millisecond},
		{"transient codes", []answer{transient("90033"), transient("90024"), good}, 3, nil, 625 * time.Millisecond, 1875 * time.Millisecond},
		{"429 that says when", []answer{wait(429, "3"), good}, 2, nil, 3 * time.Second, 3500 * time.Millisecond},
		{"503 that says when", []answer{wait(503, "5"), good}, 2, nil, 5 * time.Second, 5500 * time.Millisecond},
		{"too long to wait", []answer{wait(429, "6")}, 1, obo.ErrThrottled, 0, 0},
		{"throttled tenant", []answer{transient("90055"), good}, 2, nil, 125 * time.Millisecond, 375 * time.Millisecond},
		{"looping client", []answer{transient("50196")}, 1, obo.ErrThrottled, 0, 0},
		{"lost request", []answer{{delay: time.Hour}, good}, 2, nil, 10 * time.Second, 11 * time.Second},
		{"broken off", []answer{{status: 200, body: "{"}, good}, 1, obo.ErrUnavailable, 0, 0},
		{"no Entra", []answer{{status: 404, body: "<html>"}}, 1, obo.ErrMisconfigured, 0, 0},
		{"no consent", []answer{transient("65001")}, 1, obo.ErrConsentRequired, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				entra := &scriptedEntra{answers: test.answers}
				start := time.Now()
				err := ask(t.Context(), entra.exchanger(t, nil), 1)
				if !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				if took := time.Since(start); entra.count() != test.requests || took < test.least || took > test.most {
					t.Errorf("%d requests in %v, want %d in %v to %v", entra.count(), took, test.requests, test.least, test.most)
				}
			})
		})
	}
}

func TestNoRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entra := &scriptedEntra{answers: []answer{{status: 503}}}
		start := time.Now()
		_ = ask(t.Context(), entra.exchanger(t, func(o *obo.Options) { o.MaxRetries = -1 }), 1)
		if entra.count() != 1 || time.Since(start) != 0 {
			t.Errorf("%d requests in %v, want 1 at once", entra.count(), time.Since(start))
		}
	})
}

// TestRetriesEndWithTheCaller: a caller waits no longer than its own deadline;
// the retries go on for another.
func TestRetriesEndWithTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entra := &scriptedEntra{answers: []answer{{status: 429, retryAfter: "4"}, good}}
		x := entra.exchanger(t, nil)
		c := x.Credential(obo.NewAssertion(userToken(1)))
		var patient error
		var wg sync.WaitGroup
		hasty, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		wg.Go(func() { _, patient = c.GetToken(t.Context(), storageOptions) })
		_, err := c.GetToken(hasty, storageOptions)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != 50*time.Millisecond {
			t.Errorf("got %v after %v, want the deadline after 50ms", err, took)
		}
		wg.Wait()
		if patient != nil || entra.count() != 2 {
			t.Errorf("the other caller got %v after %d requests, want nil after 2", patient, entra.count())
		}
	})
}

// TestWaiterWithDeadline: 50 ms of patience for an exchange of 900 ms.
func TestWaiterWithDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := good
		slow.delay = 900 * time.Millisecond
		entra := &scriptedEntra{answers: []answer{slow}}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := ask(ctx, entra.exchanger(t, nil), 1)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > 100*time.Millisecond {
			t.Errorf("got %v after %v, want the deadline within 100ms", err, took)
		}
		time.Sleep(time.Second) // the exchange ends by itself
	})
}

// TestCircuit walks through an outage: it opens, answers at once, lets one
// request through after its pause, and closes with the first good answer.
func TestCircuit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := answer{delay: 9 * time.Second, err: errors.New("no route to host")}
		entra := &scriptedEntra{answers: []answer{down}}
		x := entra.exchanger(t, nil)
		var wg sync.WaitGroup
		for user := range 20 {
			wg.Go(func() {
				if err := ask(t.Context(), x, user); !errors.Is(err, obo.ErrUnavailable) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
			})
		}
		wg.Wait() // open since 9 seconds after the start; the others' pause is over
		entra.script(down)
		time.Sleep(time.Minute)
		var probes sync.WaitGroup
		for user := range 20 { // half open: one of them is sent
			probes.Go(func() { _ = ask(t.Context(), x, user) })
		}
		probes.Wait()
		if got := entra.count(); got != 1 {
			t.Errorf("%d requests while half open, want 1", got)
		}
		start := time.Now()
		err := ask(t.Context(), x, 1)
		if took := time.Since(start); took != 0 || entra.count() != 1 {
			t.Errorf("the circuit is open, but a caller waited %v, and %d requests were sent; want 0s, 1", took, entra.count())
		}
		e := wantKind(t, err, obo.ErrUnavailable)
		if e.RetryAfter <= 5*time.Second || e.RetryAfter > time.Minute {
			t.Errorf("wait %v, want a longer pause than the first", e.RetryAfter)
		}
		entra.script(good)
		time.Sleep(e.RetryAfter)
		for user := range 3 {
			if err := ask(t.Context(), x, user); err != nil {
				t.Errorf("Entra is back, but: got %v, want nil", err)
			}
		}
		entra.script(answer{status: 503})
		_ = ask(t.Context(), x, 50)
		if entra.count() != 3 {
			t.Errorf("%d requests; it should be closed and count from the beginning, want 3", entra.count())
		}
	})
}

// TestCircuitIgnoresUsers: what one user or the app did wrong is no outage.
func TestCircuitIgnoresUsers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, code := range []string{"65001", "50076", "500133", "7000215", "50196", "53003"} {
			entra := &scriptedEntra{answers: []answer{transient(code)}}
			x := entra.exchanger(t, nil)
			for user := range 8 {
				_ = ask(t.Context(), x, user)
			}
			if got := entra.count(); got != 8 {
				t.Errorf("AADSTS%s: %d requests for 8 users, want 8", code, got)
			}
		}
	})
}

// TestCircuitOfThrottledTenant: Entra says how long to leave it alone.
func TestCircuitOfThrottledTenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entra := &scriptedEntra{answers: []answer{{status: 429, retryAfter: "40", body: "{}"}}}
		x := entra.exchanger(t, nil)
		for user := range 10 {
			e := wantKind(t, ask(t.Context(), x, user), obo.ErrThrottled)
			if e.RetryAfter != 40*time.Second {
				t.Errorf("wait %v, want 40s", e.RetryAfter)
			}
		}
		if got := entra.count(); got != 5 {
			t.Errorf("%d requests, want 5", got)
		}
	})
}
