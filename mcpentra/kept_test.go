package mcpentra_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// What begins a session is small, for it is kept, and asked for in all spellings.
func TestInitializeIsSmall(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, mode.opts...)
			header := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
			t.Cleanup(func() {
				for session := range w.server.MCP().Sessions() {
					_ = session.Close()
				}
			})
			sized := func(n int) string {
				body := strings.Replace(initialize, `"name":"t"`, `"name":"`+strings.Repeat("t", n-len(initialize)+1)+`"`, 1)
				return body
			}
			for _, row := range []struct {
				name, body string
				status     int
			}{
				{"as large as may be", sized(64 << 10), http.StatusOK},
				{"one byte more", sized(64<<10 + 1), http.StatusRequestEntityTooLarge},
				{"of megabytes", sized(3 << 20), http.StatusRequestEntityTooLarge},
				{"of many small values", strings.Replace(initialize, `"capabilities":{}`, `"capabilities":{"experimental":{"a":[[]`+strings.Repeat(",[]", 20000)+`]}}`, 1), http.StatusRequestEntityTooLarge},
				{"of some values", strings.Replace(initialize, `"capabilities":{}`, `"capabilities":{"experimental":{"a":[[]`+strings.Repeat(",[]", 400)+`]}}`, 1), http.StatusOK},
				{"spelt otherwise", strings.Replace(sized(100<<10), `"method":"initialize"`, `"m\u0065thod":"initi\u0061lize"`, 1), http.StatusRequestEntityTooLarge},
			} {
				status, h, body := w.post(t, row.body, header)
				if status != row.status || status != http.StatusOK && (decode(t, body)["error"] == nil || !strings.Contains(body, "65536") || h.Get("Mcp-Session-Id") != "") {
					t.Errorf("%s: %d %v %.300s, want %d", row.name, status, h, body, row.status)
				}
			}
		})
	}
}

// The largest message of a batch counts: others must not make it small.
func TestInitializeInABatchIsSmall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithSessions())
	pings := strings.Repeat(`,{"jsonrpc":"2.0","id":9,"method":"ping"}`, 31)
	large := strings.Replace(initialize, `"capabilities":{}`, `"capabilities":{"experimental":{"a":[[]`+strings.Repeat(",[]", 15000)+`]}}`, 1)
	header := map[string]string{"Authorization": "Bearer " + w.token(w.alice), "Mcp-Protocol-Version": "2025-03-26"}
	status, h, body := w.post(t, "["+large+pings+"]", header)
	if h.Get("Mcp-Session-Id") != "" && status == http.StatusOK && !strings.Contains(body, "65536") {
		t.Errorf("%d %v %.300s, want a refusal", status, h, body)
	}
	if sessions, _, _ := w.server.Kept(); sessions != 0 {
		t.Errorf("%d sessions are kept, want 0", sessions)
	}
}

// Of other messages too the session, the subscription or the stream keeps something:
// the level, the id.
func TestKeptMessagesAreSmall(t *testing.T) {
	t.Parallel()
	w, clock := newsWorld(t, mcpentra.WithSessions())
	header := w.begin(t, "sessions", w.holderOf(clock, w.alice.ObjectID, time.Hour), "2025-03-26")
	long := strings.Repeat("x", 9<<10)
	const subscribe = `{"jsonrpc":"2.0","id":%q,"method":"resources/subscribe","params":{"uri":"news://all/1","_meta":{"x":%s}}}`
	const level = `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":%q}}`
	for _, row := range []struct {
		name, body string
		refused    bool
	}{
		{"a level", fmt.Sprintf(level, "info"), false},
		{"a long level", fmt.Sprintf(level, long), true},
		{"a subscription", fmt.Sprintf(subscribe, "1", "1"), false},
		{"one with a long id", fmt.Sprintf(subscribe, long, "1"), true},
		{"one with many values", fmt.Sprintf(subscribe, "1", "[0"+strings.Repeat(",0", 2000)+"]"), true},
		{"a batch of them", "[" + strings.TrimSuffix(strings.Repeat(fmt.Sprintf(subscribe, "%d", "1")+",", 20), ",") + "]", false},
		{"a batch of them with long ids", "[" + strings.TrimSuffix(strings.Repeat(fmt.Sprintf(subscribe, "%d"+long, "1")+",", 20), ",") + "]", true},
	} {
		body := row.body
		for i := 0; strings.Contains(body, "%d"); i++ { // ids of their own
			body = strings.Replace(body, "%d", fmt.Sprint(i), 1)
		}
		status, _, text := w.post(t, body, header)
		if got := strings.Contains(text, "too large"); got != row.refused || status != http.StatusOK && status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d %.300s, want refused: %v", row.name, status, text, row.refused)
		}
	}
	w, clock = newsWorld(t)
	header = map[string]string{"Authorization": "Bearer " + w.holderOf(clock, w.alice.ObjectID, time.Hour), "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
	body := strings.Replace(listenTo("news://all/1"), `"id":1`, `"id":"`+strings.Repeat("x", 64<<10)+`"`, 1)
	if status, _, text := w.post(t, body, header); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a stream with a long id: got %d %.300s, want 413", status, text)
	}
}
