package mcpentra_test

import (
	"net/http"
	"strings"
	"testing"
)

// An application on its own may call what needs no user; a tool that acts on
// behalf of its caller says that it needs one, and asks Entra nothing.
func TestApplicationCallsAToolThatNeedsAUser(t *testing.T) {
	t.Parallel()
	w := policyWorld(t)
	w.verifierAcceptsApps(t)
	addWhoami(w)
	before := len(w.tenant.Requests())
	status, _, body := w.post(t, callBody("whoami"), w.application("Other"))
	if status != http.StatusOK || !strings.Contains(body, `"isError":true`) || !strings.Contains(body, "call as a signed-in user") {
		t.Errorf("got %d %s, want 200 and %q and \"call as a signed-in user\"", status, body, `"isError":true`)
	}
	for _, r := range w.tenant.Requests()[before:] {
		if r.Form.Get("assertion") != "" {
			t.Error("an application's token was exchanged")
		}
	}
}
