package mcpentra_test

import (
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// subscriptionsOf returns how many URIs the SDK has an entry for.
func subscriptionsOf(w *world) int {
	server := reflect.ValueOf(w.server.MCP()).Elem()
	mu := (*sync.Mutex)(server.FieldByName("mu").Addr().UnsafePointer())
	mu.Lock()
	defer mu.Unlock()
	return server.FieldByName("resourceSubscriptions").Len()
}

// Subscriptions end with their session or stream, whatever the program's handler
// says, and requests without session leave none.
func TestSubscriptionsEnd(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w, clock := newsWorld(t, append(mode.opts, mcpentra.WithLimits(mcpentra.Limits{Sessions: 3}))...)
			token := w.holderOf(clock, w.alice.ObjectID, time.Hour)
			for i := range 6 { // with sessions, the oldest end for the newest
				w.listening(t, mode.name, token, fmt.Sprintf("news://all/%d", i), fmt.Sprintf("news://all/more/%d", i))
			}
			want := map[string]int{"stateless": 12, "sessions": 6}[mode.name]
			if n := subscriptionsOf(w); n != want {
				t.Errorf("the SDK keeps %d subscriptions, want %d", n, want)
			}
			if sessions, subscriptions, _ := w.server.Kept(); subscriptions != want || sessions != want/2 {
				t.Errorf("%d sessions and %d subscriptions are kept, want %d and %d", sessions, subscriptions, want/2, want)
			}
			clock.advance(2 * time.Hour)
			w.server.CheckStreams()
			for session := range w.server.MCP().Sessions() {
				_ = session.Close()
			}
			for { // the last end behind the server's back
				sessions, subscriptions, _ := w.server.Kept()
				if sessions+subscriptions+subscriptionsOf(w) == 0 {
					break
				}
				runtime.Gosched()
			}
		})
	}
}

// Without a session nothing could be sent, so nothing is subscribed to.
func TestStatelessSubscribe(t *testing.T) {
	t.Parallel()
	w, clock := newsWorld(t)
	header := map[string]string{"Authorization": "Bearer " + w.holderOf(clock, w.alice.ObjectID, time.Hour)}
	for _, protocol := range []string{"2025-03-26", "2025-06-18", "2025-11-25"} {
		header["Mcp-Protocol-Version"] = protocol
		for _, method := range []string{"resources/subscribe", "resources/unsubscribe", "subscriptions/listen"} {
			body := strings.Replace(subscribeTo("news://all/"+strings.Repeat("x", 1000)), "resources/subscribe", method, 1)
			if status, _, text := w.post(t, body, header); status != http.StatusOK || !strings.Contains(text, "-32601") {
				t.Errorf("%s %s: got %d %s, want 200 and -32601", protocol, method, status, text)
			}
		}
		if _, _, text := w.post(t, strings.Replace(initialize, "2025-11-25", protocol, 1), header); !strings.Contains(text, `"resources":{`) || strings.Contains(text, `"subscribe":true`) {
			t.Errorf("%s: what is not there is offered: %s", protocol, text)
		}
	}
	if n := subscriptionsOf(w); n != 0 {
		t.Errorf("the SDK keeps %d subscriptions, want 0", n)
	}
	discover := `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + modernMeta + `}}`
	header["Mcp-Protocol-Version"], header["Mcp-Method"] = "2026-07-28", "server/discover"
	if _, _, text := w.post(t, discover, header); !strings.Contains(text, `"subscribe":true`) {
		t.Errorf("streams of 2026-07-28 are not offered: %s", text)
	}
}

// A session of an older protocol has no listen: it would outlive its token.
func TestListenIsOfTheModernEra(t *testing.T) {
	t.Parallel()
	w, clock := newsWorld(t, mcpentra.WithSessions())
	header := w.begin(t, "sessions", w.holderOf(clock, w.alice.ObjectID, time.Hour), "2025-11-25")
	body := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["news://all/1"]}}}`
	if status, _, text := w.post(t, body, header); status != http.StatusOK || !strings.Contains(text, "-32601") {
		t.Errorf("got %d %s, want 200 and -32601", status, text)
	}
}

func TestSubscriptionsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 512
	w, clock := newsWorld(t)
	alice, bob := w.holderOf(clock, w.alice.ObjectID, time.Hour), w.holderOf(clock, w.bob.ObjectID, time.Hour)
	uris := make([]string, most)
	for i := range uris {
		uris[i] = fmt.Sprintf("news://all/%d", i)
	}
	first, _ := w.listening(t, "stateless", alice, uris[:most-1]...)
	w.listening(t, "stateless", alice, "news://all/last")
	header := map[string]string{"Authorization": "Bearer " + alice, "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
	if status, _, body := w.post(t, listenTo("news://all/more"), header); !strings.Contains(body, "Too many subscriptions") {
		t.Errorf("one more: got %d %s, want \"Too many subscriptions\"", status, body)
	}
	w.listening(t, "stateless", bob, uris...)
	if status, _, body := w.post(t, listenTo("news://all/"+strings.Repeat("x", 2048)), header); !strings.Contains(body, "too long") {
		t.Errorf("a long one: got %d %s, want \"too long\"", status, body)
	}
	clock.advance(2 * time.Hour)
	w.server.CheckStreams()
	first.ended(t)

	w, clock = newsWorld(t, mcpentra.WithSessions(), mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e6, Burst: 1e6}))
	session := w.begin(t, "sessions", w.holderOf(clock, w.alice.ObjectID, time.Hour), "2025-03-26")
	again := w.begin(t, "sessions", w.holderOf(clock, w.alice.ObjectID, time.Hour), "2025-03-26")
	for i, batch := range slices.Collect(slices.Chunk(uris, 32)) {
		var all []string
		for id, uri := range batch {
			all = append(all, strings.Replace(subscribeTo(uri), `"id":3`, fmt.Sprintf(`"id":%d`, id+1), 1))
		}
		h := []map[string]string{session, again}[i%2]
		if status, _, body := w.post(t, "["+strings.Join(all, ",")+"]", h); status != http.StatusOK || strings.Contains(body, "error") || strings.Count(body, `"result"`) != len(batch) {
			t.Fatalf("subscriptions %d: got %d %s, want 200 and no error, %v", i, status, body, len(batch))
		}
	}
	if _, _, body := w.post(t, subscribeTo("news://all/more"), session); !strings.Contains(body, "Too many subscriptions") {
		t.Errorf("one more: got %s, want \"Too many subscriptions\"", body)
	}
	if _, _, body := w.post(t, subscribeTo(uris[0]), session); strings.Contains(body, "error") {
		t.Errorf("one that is there: got %s, want no error", body)
	}
	if _, _, body := w.post(t, subscribeTo("news://board/1"), session); !strings.Contains(body, "not allowed") && !strings.Contains(body, "role") {
		t.Errorf("one that is not allowed: got %s, want a refusal", body)
	}
	do(t, http.MethodDelete, w.url, "", again)
	if _, _, body := w.post(t, subscribeTo("news://all/more"), session); strings.Contains(body, "error") {
		t.Errorf("after the other session ended: got %s, want no error", body)
	}
}
