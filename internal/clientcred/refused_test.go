package clientcred_test

import (
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
)

func TestBlames(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]struct{ blames, outdated bool }{
		7000215: {true, false}, 7000222: {true, false}, 700024: {true, true}, 700027: {true, true},
		70021: {true, false}, 700213: {true, false}, 7002138: {true, false},
		0: {}, 65001: {}, 70011: {}, 7002: {}, 700016: {}, 90009: {},
	} {
		if got := clientcred.Blames(code); got != want.blames {
			t.Errorf("Blames(%d) = %v, want %v", code, got, want.blames)
		}
		if got := clientcred.Outdated(code); got != want.outdated {
			t.Errorf("Outdated(%d) = %v, want %v", code, got, want.outdated)
		}
	}
}
