package mcpentra_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// What happens between two checks is not told either.
func TestExpiredStreamIsToldNothing(t *testing.T) {
	w, clock := newsWorld(t, mcpentra.WithSessions())
	s, header := w.listening(t, "sessions", w.holderOf(clock, w.alice.ObjectID, time.Hour), "news://all/1")
	clock.advance(48 * time.Hour)
	header["Authorization"] = "Bearer " + w.holderOf(clock, w.alice.ObjectID, time.Hour)
	if status, _, body := w.post(t, listTools, header); status != http.StatusOK {
		t.Fatalf("a newer token in the session: %d %s", status, body)
	}
	w.changed(t, "news://all/1")
	if rest := s.ended(t); strings.Contains(rest, "news://") {
		t.Errorf("told two days after its token expired: %s", rest)
	}
	status, s := w.open(t, http.MethodGet, "", header)
	if status != http.StatusOK {
		t.Fatalf("a new stream: %d", status)
	}
	w.changed(t, "news://all/1")
	if data, _ := s.next(t); !strings.Contains(data, "news://all/1") {
		t.Errorf("the new stream: %s", data)
	}
}

// A session has the version that the server chose, whatever its client asked for.
func TestSessionIsNeverModern(t *testing.T) {
	w, clock := newsWorld(t, mcpentra.WithSessions())
	for _, asked := range []string{"2026-07-28", "9999-01-01"} {
		header := w.begin(t, "sessions", w.holderOf(clock, w.alice.ObjectID, time.Hour), asked)
		header["Mcp-Protocol-Version"] = "2025-11-25"
		if status, _, body := w.post(t, subscribeTo("news://all/1"), header); status != http.StatusOK || strings.Contains(body, `"error"`) {
			t.Fatalf("%s: subscribe: %d %s", asked, status, body)
		}
		if status, _, body := w.post(t, `{"jsonrpc":"2.0","id":5,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["news://all/2"]}}}`, header); !strings.Contains(body, "-32601") {
			t.Errorf("%s: listen in a session: %d %s, want -32601", asked, status, body)
		}
		if status, _, body := do(t, http.MethodDelete, w.url, "", header); status >= 300 {
			t.Fatalf("%s: DELETE: %d %s", asked, status, body)
		}
		if sessions, subscriptions, _ := w.server.Kept(); sessions != 0 || subscriptions != 0 {
			t.Errorf("%s: %d sessions and %d subscriptions are kept after their end", asked, sessions, subscriptions)
		}
	}
}
