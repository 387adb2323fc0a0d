package entraauth_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// What outlives its request asks again: the token's time, and its key.
func TestRecheck(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*entraauth.Options){"cached": nil, "uncached": uncached} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, change)
			mint := func() *entraauth.Identity {
				token := f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["exp"] = f.clock.Now().Unix() + 600 })
				id, err := f.verifier.Verify(t.Context(), token)
				if err != nil {
					t.Fatal(err)
				}
				return id
			}
			id := mint()
			for _, row := range []struct {
				after time.Duration
				want  error
			}{{0, nil}, {10*time.Minute + 59*time.Second, nil}, {time.Second, entraauth.ErrExpired}, {48 * time.Hour, entraauth.ErrExpired}} {
				f.clock.Add(row.after)
				if err := f.verifier.Recheck(id); !errors.Is(err, row.want) {
					t.Errorf("%s later: %v, want %v", row.after, err, row.want)
				}
			}
			id = mint()
			f.tenant.RotateKeys()
			if err := f.verifier.Recheck(id); err != nil {
				t.Errorf("before the new set is known: got %v, want nil", err)
			}
			mint() // fetches the new set
			if err := f.verifier.Recheck(id); !errors.Is(err, entraauth.ErrInvalidToken) {
				t.Errorf("its key is gone: got %v, want %v", err, entraauth.ErrInvalidToken)
			}
		})
	}
	f := newFixture(t, nil)
	for _, id := range []*entraauth.Identity{nil, {}} {
		if err := f.verifier.Recheck(id); !errors.Is(err, entraauth.ErrInvalidToken) {
			t.Errorf("an identity of nobody: got %v, want %v", err, entraauth.ErrInvalidToken)
		}
	}
}

// A withdrawn key is noticed by Recheck alone: it sets off the fetch that is due.
func TestRecheckFetchesWhatIsDue(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	id, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["exp"] = f.clock.Now().Unix() + 24*3600 }))
	if err != nil {
		t.Fatal(err)
	}
	f.tenant.RotateKeys()
	fetches := f.tenant.Count(entratest.EndpointKeys)
	f.clock.Add(90 * time.Minute)
	for f.verifier.Recheck(id) == nil { // until the fetch has ended
	}
	if err := f.verifier.Recheck(id); !errors.Is(err, entraauth.ErrInvalidToken) {
		t.Errorf("got %v, want %v", err, entraauth.ErrInvalidToken)
	}
	if n := f.tenant.Count(entratest.EndpointKeys) - fetches; n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}
