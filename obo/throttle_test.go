package obo_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/obo"
)

func throttled(retryAfter string) answer {
	return answer{status: 429, body: "{}", retryAfter: retryAfter}
}

// One user's throttling, however long, repeated and with however many tokens, is
// that user's affair: Entra is left alone for the user, and for nobody else.
func TestOneThrottledUser(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		answer
		wait time.Duration
	}{
		{"429", throttled(""), 2 * time.Second},
		{"429 with Retry-After", throttled("40"), 40 * time.Second},
		{"for an hour", throttled("3600"), 5 * time.Minute}, // bounded
		{"as a date", throttled("Mon, 01 Jan 2999 00:00:00 GMT"), 5 * time.Minute},
		{"the tenant's code", refused(90055, "invalid_grant"), 2 * time.Second},
		{"a looping client", refused(50196, "invalid_grant"), 2 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			entra := newUsersEntra()
			entra.set(alice, test.answer)
			x := entra.exchanger(t, nil)
			for round := range 10 { // each as soon as it may
				for n := range 3 { // tokens
					e := wantKind(t, entra.ask(x, alice, n), obo.ErrThrottled)
					if n > 0 && (e.RetryAfter < time.Second || e.RetryAfter > test.wait) {
						t.Errorf("wait %v, want up to %v", e.RetryAfter, test.wait)
					}
				}
				if n := entra.take(alice); n != 1 {
					t.Errorf("round %d: %d requests for the user, want 1", round, n)
				}
				if err := entra.ask(x, bob, round); err != nil || entra.take(bob) != 1 {
					t.Fatalf("round %d: another user: got %v, want nil after one request", round, err)
				}
				entra.clock.Advance(test.wait - time.Millisecond)
				if err := entra.ask(x, alice, 0); !errors.Is(err, obo.ErrThrottled) || entra.take(alice) != 0 {
					t.Errorf("round %d: asked too early: got %v, want ErrThrottled without a request", round, err)
				}
				entra.clock.Advance(time.Millisecond)
			}
			x.ForgetRefusals(userID(alice)) // for a consent; changes nothing about this
			entra.set(alice, good)
			if err := entra.ask(x, alice, 9); err != nil {
				t.Errorf("when the time is up: got %v, want nil", err)
			}
		})
	}
}

// What Entra calls passing, and goes on for one user, is that user's affair too. A
// fault of the service is everybody's.
func TestOneUsersPassingFailures(t *testing.T) {
	t.Parallel()
	entra := newUsersEntra()
	x := entra.exchanger(t, nil)
	entra.set(alice, refused(90024, "temporarily_unavailable"))
	for n := range 20 {
		_ = wantKind(t, entra.ask(x, alice, n), obo.ErrUnavailable)
	}
	if n := entra.take(alice); n != 5 {
		t.Errorf("%d requests in a moment, want 5", n)
	}
	if err := entra.ask(x, bob, 0); err != nil {
		t.Errorf("another user: got %v, want nil", err)
	}
	entra.clock.Advance(5 * time.Second)
	entra.set(alice, good)
	if err := entra.ask(x, alice, 0); err != nil {
		t.Errorf("it has passed: got %v, want nil", err)
	}
}

// A user's tokens that are there are served while the user is throttled.
func TestThrottledUserHasTokens(t *testing.T) {
	t.Parallel()
	entra := newUsersEntra()
	x := entra.exchanger(t, nil)
	if err := entra.ask(x, alice, 0); err != nil {
		t.Fatal(err)
	}
	entra.set(alice, throttled("60"))
	if err := entra.ask(x, alice, 1); !errors.Is(err, obo.ErrThrottled) {
		t.Errorf("got %v, want ErrThrottled", err)
	}
	if err := entra.ask(x, alice, 0); err != nil {
		t.Errorf("a token that is there: got %v, want nil", err)
	}
}

// When several users are throttled it is the tenant; and it takes more than one of
// them to keep it closed.
func TestSeveralThrottledUsers(t *testing.T) {
	t.Parallel()
	entra := newUsersEntra()
	x := entra.exchanger(t, nil)
	for user := 10; user < 14; user++ {
		entra.set(user, throttled("20"))
		_ = entra.ask(x, user, 0)
	}
	if err := entra.ask(x, bob, 0); err != nil { // and a good answer says that it is not the tenant
		t.Fatalf("4 users are throttled: got %v, want nil", err)
	}
	for user := 20; user < 25; user++ {
		entra.set(user, throttled("20"))
		_ = entra.ask(x, user, 0)
	}
	e := wantKind(t, entra.ask(x, bob, 1), obo.ErrThrottled)
	if e.RetryAfter != 20*time.Second {
		t.Errorf("wait %v, want 20s", e.RetryAfter)
	}
	entra.take(bob)
	// One of the five comes first each time, and is still throttled.
	entra.clock.Advance(20 * time.Second)
	_ = wantKind(t, entra.ask(x, 20, 1), obo.ErrThrottled)
	if err := entra.ask(x, bob, 1); err != nil || entra.take(bob) != 1 {
		t.Errorf("one user's throttling kept it from the others: got %v, want nil after one request", err)
	}
	// Hours apart they say nothing.
	for user := 30; user < 40; user++ {
		entra.set(user, throttled("20"))
		_ = entra.ask(x, user, 0)
		entra.clock.Advance(time.Hour)
	}
	if err := entra.ask(x, 3, 2); err != nil {
		t.Errorf("users throttled hours apart: got %v, want nil", err)
	}
}

// A fault of the service counts whoever meets it; a throttled user in between
// neither counts nor excuses it.
func TestFaultsOfTheService(t *testing.T) {
	t.Parallel()
	entra := newUsersEntra()
	x := entra.exchanger(t, nil)
	entra.set(alice, answer{status: 503})
	for range 4 {
		_ = entra.ask(x, alice, 0)
	}
	entra.set(3, throttled(""))
	_ = entra.ask(x, 3, 0)
	if entra.take(alice) != 4 {
		t.Error("the circuit opened too early, want it closed")
	}
	_ = entra.ask(x, alice, 0)
	_ = wantKind(t, entra.ask(x, bob, 0), obo.ErrUnavailable)
	if n := entra.take(bob); n != 0 {
		t.Errorf("%d requests while it is out of order, want 0", n)
	}
	// The probe is a throttled user's: so Entra is there again.
	entra.clock.Advance(5 * time.Second)
	_ = wantKind(t, entra.ask(x, 3, 0), obo.ErrThrottled)
	if err := entra.ask(x, bob, 0); err != nil {
		t.Errorf("Entra answers again, but: got %v, want nil", err)
	}
}
