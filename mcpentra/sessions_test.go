package mcpentra_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A holder is a user with a session.
type holder struct {
	user    *entratest.User
	tokens  []string // of one client
	other   string   // a token of another client
	session string
}

// crowd is many holders on one stateful server, whose tool says who calls and
// what the session has been given to keep.
type crowd struct {
	*world
	transport *http.Transport
	holders   []*holder
}

func newCrowd(t *testing.T, size int, opts ...mcpentra.Option) *crowd {
	t.Helper()
	c := &crowd{world: newWorld(t, append(opts, mcpentra.WithSessions())...), transport: &http.Transport{MaxIdleConnsPerHost: size}}
	t.Cleanup(c.transport.CloseIdleConnections)
	other := c.tenant.AddClient("another client")
	var kept sync.Map
	mcp.AddTool(c.server.MCP(), &mcp.Tool{Name: "keep", Description: "Keeps a word in the session."},
		func(ctx context.Context, req *mcp.CallToolRequest, in struct {
			Word string `json:"word"`
		}) (*mcp.CallToolResult, any, error) {
			before, found := kept.Swap(req.Session.ID(), in.Word)
			if !found {
				before = "nothing"
			}
			id := entraauth.FromContext(ctx)
			text := fmt.Sprintf("caller=%s client=%s kept=%v", id.ObjectID(), id.ClientID(), before)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		})
	for i := range size {
		u := c.tenant.AddUser(fmt.Sprintf("user%d@contoso.example", i), "User")
		h := &holder{user: u, tokens: []string{c.token(u), c.token(u)}, other: c.tenant.Token(u, other, c.api)}
		h.session = c.open(t, h)
		c.holders = append(c.holders, h)
	}
	t.Cleanup(func() {
		for session := range c.server.MCP().Sessions() {
			_ = session.Close()
		}
	})
	return c
}

func (c *crowd) open(t testing.TB, h *holder) string {
	t.Helper()
	status, header, body := c.ask(t, http.MethodPost, h.tokens[0], "", "", initialize)
	if status != http.StatusOK || header.Get("Mcp-Session-Id") == "" {
		t.Fatalf("initialize: got %d %s, want 200, an Mcp-Session-Id", status, body)
	}
	return header.Get("Mcp-Session-Id")
}

func (c *crowd) ask(t testing.TB, method, token, session, lastEvent, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, c.url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Authorization": "Bearer " + token, "Mcp-Session-Id": session, "Last-Event-ID": lastEvent,
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, resp.Header, string(data)
}

func keep(id int, word string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"keep","arguments":{"word":%q}}}`, id, word)
}

// Fifty users use their own sessions, with two tokens each, and try each other's:
// nobody is ever taken for another, or sees what another's session holds.
func TestSessionsAreNotShared(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 50)
	var mu sync.Mutex
	events := []string{} // ids of all that was ever sent to anybody
	var wg sync.WaitGroup
	for i, h := range c.holders {
		wg.Go(func() {
			before := "nothing"
			for round := range 4 {
				word := fmt.Sprintf("secret-%d-%d", i, round)
				status, _, body := c.ask(t, http.MethodPost, h.tokens[round%2], h.session, "", keep(100+round, word))
				if want := "caller=" + h.user.ObjectID; status != http.StatusOK || !strings.Contains(body, want) || !strings.Contains(body, "kept="+before) {
					t.Errorf("user %d in the own session: %d %s, want %s and %s", i, status, body, want, before)
				}
				before = word
				if id := eventID.FindStringSubmatch(body); id != nil {
					mu.Lock()
					events = append(events, id[1])
					mu.Unlock()
				}
				c.steal(t, i, rand.IntN(len(c.holders)), func() string {
					mu.Lock()
					defer mu.Unlock()
					return events[rand.IntN(len(events))]
				}())
			}
		})
	}
	wg.Wait()
	for i, h := range c.holders { // a session is one client application's
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			status, _, body := c.ask(t, method, h.other, h.session, "", keep(7, "x"))
			unknown, _, text := c.ask(t, method, h.other, "unknown", "", keep(7, "x"))
			if status != http.StatusNotFound || unknown != status || text != body {
				t.Errorf("user %d with another client: got %s %d %s, and for an unknown session %d %s; want 404 and the same", i, method, status, body, unknown, text)
			}
		}
	}
	for i, h := range c.holders { // all are still there: nobody could end another's
		if status, _, body := c.ask(t, http.MethodDelete, h.tokens[0], h.session, "", ""); status != http.StatusNoContent {
			t.Errorf("user %d ends the own session: got %d %s, want 204", i, status, body)
		}
		if status, _, _ := c.ask(t, http.MethodPost, h.tokens[0], h.session, "", keep(1, "x")); status != http.StatusNotFound {
			t.Errorf("user %d in a session that is over: got %d, want 404", i, status)
		}
	}
}

// steal tries another's session and another's events, in all ways.
func (c *crowd) steal(t *testing.T, thief, victim int, event string) {
	if thief == victim {
		return
	}
	h, session := c.holders[thief], c.holders[victim].session
	foreign := fmt.Sprintf("secret-%d-", thief)
	for _, row := range []struct {
		name, method, token, session, event, body string
		status                                    int
	}{
		{"calls in another's session", http.MethodPost, h.tokens[0], session, "", keep(7, "stolen"), http.StatusNotFound},
		{"opens another's stream", http.MethodGet, h.tokens[0], session, "", "", http.StatusNotFound},
		{"resumes another's stream", http.MethodGet, h.tokens[0], session, event, "", http.StatusNotFound},
		{"ends another's session", http.MethodDelete, h.tokens[0], session, "", "", http.StatusNotFound},
		{"guesses a session", http.MethodPost, h.tokens[0], session[1:] + "X", "", keep(7, "stolen"), http.StatusNotFound},
		{"comes without token", http.MethodPost, "x", session, "", keep(7, "stolen"), http.StatusUnauthorized},
	} {
		status, _, body := c.ask(t, row.method, row.token, row.session, row.event, row.body)
		if status != row.status || strings.Contains(body, "caller=") || strings.Contains(body, "secret-") {
			t.Errorf("user %d %s: %d %s, want %d", thief, row.name, status, body, row.status)
		}
	}
	// Events of another's stream, asked for in the own session.
	status, _, body := c.ask(t, http.MethodGet, h.tokens[0], h.session, event, "")
	if strings.Contains(body, "secret-") && !strings.Contains(body, foreign) || strings.Contains(body, "caller=") && !strings.Contains(body, h.user.ObjectID) {
		t.Errorf("user %d replays another's events: got %d %s, want his own at most", thief, status, body)
	}
}

// A user who opens sessions and never ends them has the newest.
func TestOldestSessionEnds(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 2, mcpentra.WithLimits(mcpentra.Limits{Sessions: 3}))
	alice, bob := c.holders[0], c.holders[1]
	all := []string{alice.session}
	for range 9 {
		all = append(all, c.open(t, alice))
	}
	for i, session := range all {
		for { // the end of a session takes a moment
			status, _, body := c.ask(t, http.MethodPost, alice.tokens[0], session, "", keep(1, "x"))
			if i < len(all)-3 && status == http.StatusOK {
				continue
			}
			if want := map[bool]int{true: http.StatusNotFound, false: http.StatusOK}[i < len(all)-3]; status != want {
				t.Errorf("session %d of %d: %d %s, want %d", i, len(all), status, body, want)
			}
			break
		}
	}
	if status, _, body := c.ask(t, http.MethodPost, bob.tokens[0], bob.session, "", keep(1, "x")); status != http.StatusOK {
		t.Errorf("another user's session: got %d %s, want 200", status, body)
	}
}

// With sessions, calls go on when the client hangs up, and still count.
func TestAbandonedCallsCount(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 2, mcpentra.WithLimits(mcpentra.Limits{Concurrent: 3}))
	x := addWaiting(c.world)
	alice, bob := c.holders[0], c.holders[1]
	const wait = `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"wait","arguments":{}}}`
	for i := range 3 {
		conn, _ := dial(t, c.url)
		body := fmt.Sprintf(wait, i)
		_, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nMcp-Session-Id: %s\r\nContent-Type: application/json\r\n"+
			"Accept: application/json, text/event-stream\r\nContent-Length: %d\r\n\r\n%s", alice.tokens[0], alice.session, len(body), body)
		must(t, err)
		<-x.begun
		must(t, conn.Close())
	}
	if _, _, body := c.ask(t, http.MethodPost, alice.tokens[0], alice.session, "", keep(9, "x")); !strings.Contains(body, "Too many requests") {
		t.Errorf("a fourth call: got %s, want \"Too many requests\"", body)
	}
	if status, _, body := c.ask(t, http.MethodPost, bob.tokens[0], bob.session, "", keep(9, "x")); status != http.StatusOK || !strings.Contains(body, "caller=") {
		t.Errorf("another user: got %d %s, want 200 and caller=", status, body)
	}
	close(x.end)
	for range 3 {
		if err := <-x.ended; err != nil {
			t.Errorf("an abandoned call's context: got %v, want nil", err)
		}
	}
}

// The sessions of the process are bounded. Whoever has most makes room for others; of
// those who have one each, nobody does.
func TestAllSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithSessions(), mcpentra.WithLimits(mcpentra.Limits{AllSessions: 4, Sessions: 3}))
	users := []*entratest.User{w.alice, w.bob, w.tenant.AddUser("carol@contoso.example", "Carol"), w.tenant.AddUser("dave@contoso.example", "Dave"),
		w.tenant.AddUser("eve@contoso.example", "Eve")}
	var first []map[string]string
	for range 3 {
		first = append(first, w.begin(t, "sessions", w.token(users[0]), "2025-11-25"))
	}
	for _, u := range users[1:4] { // Alice's two oldest go for Carol and Dave
		w.begin(t, "sessions", w.token(u), "2025-11-25")
	}
	for i, want := range []int{http.StatusNotFound, http.StatusNotFound, http.StatusOK} {
		if status, _, body := w.post(t, listTools, first[i]); status != want {
			t.Errorf("Alice's session %d: %d %s, want %d", i, status, body, want)
		}
	}
	status, h, body := w.post(t, initialize, map[string]string{"Authorization": "Bearer " + w.token(users[4])})
	if status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || h.Get("Mcp-Session-Id") != "" || decode(t, body)["error"] == nil || decode(t, body)["id"] != 1.0 {
		t.Errorf("one too many: got %d %v %s, want 503, a Retry-After, no session, an error for 1", status, h, body)
	}
	do(t, http.MethodDelete, w.url, "", first[2])
	w.begin(t, "sessions", w.token(users[4]), "2025-11-25")
	if sessions, _, _ := w.server.Kept(); sessions != 4 {
		t.Errorf("%d sessions are kept, want 4", sessions)
	}
}

// Consents that sessions wait for are bounded for each user, and end with the session.
func TestWaitingConsentsEnd(t *testing.T) {
	t.Parallel()
	w := consentWorld(t, mcpentra.WithSessions(), mcpentra.WithLimits(mcpentra.Limits{Sessions: 2}))
	open := func(user *entratest.User) map[string]string {
		header := map[string]string{"Authorization": "Bearer " + w.token(user)}
		_, h, _ := w.post(t, strings.Replace(initialize, `"capabilities":{}`, `"capabilities":{"elicitation":{"url":{}}}`, 1), header)
		header["Mcp-Session-Id"], header["Mcp-Protocol-Version"] = h.Get("Mcp-Session-Id"), "2025-11-25"
		return header
	}
	t.Cleanup(func() {
		for session := range w.server.MCP().Sessions() {
			_ = session.Close()
		}
	})
	ask := func(header map[string]string) {
		if status, _, body := w.post(t, callBody("whoami"), header); status != http.StatusOK || !strings.Contains(body, "-32042") {
			t.Fatalf("got %d %s, want 200 and -32042", status, body)
		}
	}
	alice, bob := open(w.alice), open(w.bob)
	ask(bob)
	for range 40 {
		ask(alice)
	}
	if _, _, consents := w.server.Kept(); consents != 16+1 {
		t.Errorf("%d consents are waited for, want 16+1", consents)
	}
	do(t, http.MethodDelete, w.url, "", alice)
	if _, _, consents := w.server.Kept(); consents != 1 {
		t.Errorf("%d consents are waited for after the session ended, want 1", consents)
	}
	ask(open(w.alice))
	open(w.alice)
	open(w.alice) // ends the first
	if _, _, consents := w.server.Kept(); consents != 1 {
		t.Errorf("%d consents are waited for after the session was pushed out, want 1", consents)
	}
}

// What a session's requests leave behind does not grow with their number.
func TestSessionsKeepNoRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithSessions(), mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e6, Burst: 1e6}))
	header := w.begin(t, "sessions", w.token(w.alice), "2025-11-25")
	ping := func(n int) {
		for range n {
			w.post(t, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, header)
		}
	}
	user := strings.ToLower(w.tenant.ID() + "." + w.alice.ObjectID)
	ping(300)
	streams, bytes := w.server.KeptEvents(user)
	ping(1000)
	if after, size := w.server.KeptEvents(user); after > 1024+2 || streams < 300 || size > 4*bytes {
		t.Errorf("%d streams and %d bytes are kept, %d and %d before; want at most 1026, and no growth", after, size, streams, bytes)
	}
}

// The SDK keeps the last request of each session; a session must not keep its body and
// its answer along with it. It measures the heap, so it does not run in parallel.
func TestSessionsKeepNoBodies(t *testing.T) {
	w := newWorld(t, mcpentra.WithSessions())
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "take"}, func(context.Context, *mcp.CallToolRequest, struct{ Text string }) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{}, nil, nil
	})
	const sessions, size = 16, 1 << 20
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var headers []map[string]string
	for range sessions {
		headers = append(headers, w.begin(t, "sessions", w.token(w.alice), "2025-11-25"))
	}
	before := heap()
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"take","arguments":{"Text":"` + strings.Repeat("x", size) + `"}}}`
	for _, header := range headers {
		if status, _, answer := w.post(t, body, header); status != http.StatusOK || strings.Contains(answer, "error") {
			t.Fatalf("a large call = %d %.200s, want 200", status, answer)
		}
	}
	if kept := (heap() - before) / sessions; kept > 2*size {
		t.Errorf("each session keeps %d bytes after a call of %d, want at most the SDK's parameters", kept, size)
	}
}
