package bench_test

import (
	"testing"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// BenchmarkVerify is each contestant by itself. On a noisy machine compare the
// ratios of program compare instead, in which all take turns.
func BenchmarkVerify(b *testing.B) {
	for _, t := range []struct{ name, token string }{
		{"claims=25", bed.Token(nil)},
		{"groups=200", bed.TokenWithGroups()},
	} {
		alone, withHash, err := bench.SignatureAlone(bed, t.token)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(t.name+"/signature", run(t.token, alone))
		b.Run(t.name+"/signature and hash", run(t.token, withHash))
		for _, c := range bench.Contestants() {
			verify, err := c.New(b.Context(), bed)
			if err != nil {
				b.Fatalf("%s: %v", c.Name, err)
			}
			b.Run(t.name+"/"+c.Name, run(t.token, verify))
		}
	}
}

func run(token string, verify bench.Verify) func(*testing.B) {
	return func(b *testing.B) {
		if err := verify(b.Context(), token); err != nil { // the keys are fetched
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if err := verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// Each way has its turn, and nobody fetches anything on the hot path.
func TestRatios(t *testing.T) {
	costs, err := bench.Ratios(t.Context(), bed, bench.Contestants(), bed.Token(nil), 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(bench.Contestants()) + 2; len(costs) != want {
		t.Fatalf("%d costs, want %d", len(costs), want)
	}
	for _, c := range costs {
		if c.Requests > 0 {
			t.Errorf("%s made %d requests on the hot path", c.Name, c.Requests)
		}
	}
}
