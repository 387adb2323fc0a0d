package obo_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// TestMemoryComesBack: what users cost, and that nothing of it stays when their
// tokens have expired and nobody comes any more.
func TestMemoryComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 800
		entra := &memoryEntra{}
		x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{HTTPClient: &http.Client{Transport: entra}})
		if err != nil {
			t.Fatal(err)
		}
		load := func(first, users int) {
			for i := range users {
				if err := ask(t.Context(), x, first+i); err != nil {
					t.Fatal(err)
				}
			}
		}
		load(0, 10)
		time.Sleep(3 * time.Hour)
		empty := heap()
		load(0, users)
		full := heap()
		time.Sleep(3 * time.Hour) // tokens live for one
		after := heap()
		perUser, left := (full-empty)/users, (float64(after)-float64(empty))/float64(full-empty)
		t.Logf("%d bytes for each user, %.1f %% left", perUser, 100*left)
		if perUser > 2500 || left > 0.05 {
			t.Errorf("%d bytes for each user with a token of %d, %.1f %% left; want at most 2500 and 5 %%", perUser, tokenSize, 100*left)
		}
		if got := entra.requests.Load(); got != users+10 {
			t.Errorf("got %d requests, want %d: one for each user's first token", got, users+10)
		}
	})
}
