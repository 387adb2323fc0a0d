package calls_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
	"github.com/mcpentra/mcp-entra-go/bench/calls"
)

// bed is the one of the process: see [bench.NewBed].
var bed *bench.Bed

func TestMain(m *testing.M) {
	calls.ServeIfAsked()
	var err error
	if bed, err = bench.NewBed(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	bed.Close()
	os.Exit(code)
}

// bad are tokens that nobody may take.
func bad() map[string]string {
	good := bed.Token(nil)
	cut := strings.LastIndexByte(good, '.') + 1
	forged := []byte(good)
	forged[cut+5] ^= 1 // 'A' and '@', say: maybe no base64url, certainly another signature
	if forged[cut+5] == '@' || forged[cut+5] == '^' {
		forged[cut+5] = 'B'
	}
	return map[string]string{
		"no token":         "",
		"no JWT":           "secret",
		"forged signature": string(forged),
		"expired":          bed.Token(func(_, c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }),
		"other audience":   bed.Token(func(_, c map[string]any) { c["aud"] = "11111111-2222-3333-4444-555555555555" }),
		"scope missing":    bed.Token(func(_, c map[string]any) { c["scp"] = "User.Read" }),
	}
}

// Each entrant answers a call with a good token in each protocol version that it
// is measured with, and refuses one with a bad token.
func TestEntrants(t *testing.T) {
	for _, e := range calls.Entrants(".") {
		t.Run(e.Name, func(t *testing.T) {
			if missing := e.Missing(); missing != "" {
				t.Skip(missing)
			}
			ctx, cancel := context.WithCancel(t.Context())
			p, err := calls.Start(ctx, bed, &e)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Wait()
			defer cancel()
			for _, version := range []string{calls.Old, calls.New} {
				for _, req := range []calls.Request{calls.Call(version, bed.Token(nil)), calls.List(version, bed.Token(nil))} {
					status, body, err := p.Once(ctx, req)
					if err != nil {
						t.Fatal(err)
					}
					if good := status == http.StatusOK && strings.Contains(body, req.Want); good != slices.Contains(e.Speaks, version) {
						t.Errorf("%s of %s is answered: %t; %d %.500s", req.Name, version, good, status, body)
					}
				}
			}
			for name, token := range bad() {
				status, body, err := p.Once(ctx, calls.Call(calls.Old, token))
				if err != nil {
					t.Fatal(err)
				}
				if refused := status == http.StatusUnauthorized || status == http.StatusForbidden; refused == e.Open {
					t.Errorf("%s: %d %.500s", name, status, body)
				}
			}
		})
	}
}

// So do the handlers that are called directly; and ours shows the admin tools to
// administrators alone.
func TestHandlers(t *testing.T) {
	admin := bed.Token(func(_, c map[string]any) { c["roles"] = []string{calls.AdminRole} })
	for _, h := range calls.Handlers() {
		t.Run(h.Name, func(t *testing.T) {
			handler, err := h.New(t.Context(), calls.EntraOf(bed))
			if err != nil {
				t.Fatal(err)
			}
			for name, token := range bad() {
				status, body, err := calls.Once(t.Context(), handler, calls.Call(calls.New, token))
				if err != nil {
					t.Fatal(err)
				}
				if refused := status == http.StatusUnauthorized || status == http.StatusForbidden; refused == h.Open {
					t.Errorf("%s: %d %.500s", name, status, body)
				}
			}
			for _, version := range []string{calls.Old, calls.New} {
				req := calls.Call(version, bed.Token(nil))
				if status, body, err := calls.Once(t.Context(), handler, req); err != nil || status != http.StatusOK || !strings.Contains(body, req.Want) {
					t.Errorf("%s: %d %.500s (%v)", req.Name, status, body, err)
				}
				for token, shown := range map[string]bool{admin: true, bed.Token(nil): !h.Filters} {
					status, body, err := calls.Once(t.Context(), handler, calls.List(version, token))
					if err != nil || status != http.StatusOK || !strings.Contains(body, calls.Called) || strings.Contains(body, "admin_audit") != shown {
						t.Errorf("tools/list of %s: want the admin tools %t; %d %.3000s (%v)", version, shown, status, body, err)
					}
				}
			}
		})
	}
}

// Everything has its turn, and is found to cost something.
func TestMeasure(t *testing.T) {
	costs, err := calls.Direct(t.Context(), calls.EntraOf(bed), calls.Handlers(), calls.Call(calls.New, bed.Token(nil)), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(costs) != len(calls.Handlers()) {
		t.Errorf("%d costs", len(costs))
	}
	rates, err := calls.Load(t.Context(), bed, calls.Entrants(".")[:2], calls.Call(calls.Old, bed.Token(nil)), 1, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rates {
		if r.PerSecond <= 0 || r.CPU <= 0 || r.Ratio <= 0 {
			t.Errorf("entrant %d: %+v", i, r)
		}
	}
}
