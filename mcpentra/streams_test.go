package mcpentra_test

import (
	"bufio"
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A testClock is the verifier's. It is ahead of time, and does not stand still: on a busy machine a
// request for keys may fail, and the next waits for the clock.
type testClock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// newsWorld is a world with resources that change, of which some need a role, on a
// clock of its own.
func newsWorld(t testing.TB, opts ...mcpentra.Option) (*world, *testClock) {
	t.Helper()
	clock := &testClock{}
	w := newWorld(t, append(opts, mcpentra.WithTools(newsSet{}), mcpentra.WithServerOptions(func(o *mcp.ServerOptions) {
		o.SubscribeHandler = func(context.Context, *mcp.SubscribeRequest) error { return nil }
		o.UnsubscribeHandler = func(context.Context, *mcp.UnsubscribeRequest) error { return errors.New("the handler always fails") }
	}), mcpentra.WithResourcePolicy("news://board/*", entraauth.Policy{UserRoles: []string{"Board"}}))...)
	var err error
	w.verifier, err = entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(), Now: clock.Now, KeyRefetchInterval: time.Second,
	})
	must(t, err)
	t.Cleanup(func() { _ = w.verifier.Close() })
	w.rebuild(t)
	return w, clock
}

type newsSet struct{}

func (newsSet) Register(s *mcp.Server) {
	s.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: "news://{+path}", Name: "news"},
		func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "news"}}}, nil
		})
}

// holderOf returns a token of the user, good for that long by the clock.
func (w *world) holderOf(clock *testClock, oid string, life time.Duration, roles ...string) string {
	return strings.TrimPrefix(w.bearer(map[string]any{
		"oid": oid, "exp": clock.Now().Add(life).Unix(), "nbf": clock.Now().Unix(), "iat": clock.Now().Unix(), "roles": append([]string{}, roles...),
	})["Authorization"], "Bearer ")
}

// A stream is an open one, of which a test reads what comes.
type stream struct {
	events chan string // the data of each; closed at the end
}

// openOver opens a stream and returns what comes on it.
func (w *world) openOver(t testing.TB, transport *http.Transport, method, body string, header map[string]string) (int, *stream) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, method, w.url, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := transport.RoundTrip(req)
	must(t, err)
	s := &stream{make(chan string, 64)}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(s.events)
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				s.events <- data
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close()
		wg.Wait()
		transport.CloseIdleConnections()
	})
	return resp.StatusCode, s
}

// next returns the next event, and false at the stream's end.
func (s *stream) next(t testing.TB) (string, bool) {
	t.Helper()
	select {
	case data, ok := <-s.events:
		return data, ok
	case <-time.After(time.Minute):
		t.Fatal("nothing comes within a minute, want an event")
		return "", false
	}
}

// ended reads up to the end and returns what came.
func (s *stream) ended(t testing.TB) string {
	t.Helper()
	var all strings.Builder
	for {
		data, ok := s.next(t)
		if !ok {
			return all.String()
		}
		all.WriteString(data)
	}
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`

func listenTo(uris ...string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["` + strings.Join(uris, `","`) + `"]},` + modernMeta + `}}`
}

func subscribeTo(uri string) string {
	return `{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"` + uri + `"}}`
}

// listening opens a stream for the URIs, in the way of the server's era.
func (w *world) listening(t testing.TB, mode, token string, uris ...string) (*stream, map[string]string) {
	t.Helper()
	if mode == "stateless" {
		header := map[string]string{"Authorization": "Bearer " + token, "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
		status, s := w.open(t, http.MethodPost, listenTo(uris...), header)
		if status != http.StatusOK {
			t.Fatalf("listen: got %d %s, want 200", status, s.ended(t))
		}
		if first, _ := s.next(t); !strings.Contains(first, "acknowledged") {
			t.Fatalf("listen begins with %s, want acknowledged", first)
		}
		return s, header
	}
	header := w.begin(t, mode, token, "2025-11-25")
	for _, uri := range uris {
		if status, _, body := w.post(t, subscribeTo(uri), header); status != http.StatusOK || strings.Contains(body, "error") {
			t.Fatalf("subscribe: got %d %s, want 200 and no error", status, body)
		}
	}
	status, s := w.open(t, http.MethodGet, "", header)
	if status != http.StatusOK {
		t.Fatalf("stream: got %d, want 200", status)
	}
	return s, header
}

func (w *world) changed(t testing.TB, uri string) {
	t.Helper()
	must(t, w.server.MCP().ResourceUpdated(context.Background(), &mcp.ResourceUpdatedNotificationParams{URI: uri}))
}

// A stream ends with the token that opened it, also where its session goes on with
// a newer one, and nothing more is told on it.
func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w, clock := newsWorld(t, mode.opts...)
			s, header := w.listening(t, mode.name, w.holderOf(clock, w.alice.ObjectID, time.Hour), "news://all/1")
			w.changed(t, "news://all/1")
			if data, _ := s.next(t); !strings.Contains(data, "news://all/1") {
				t.Fatalf("while the token is good: got %s, want news://all/1", data)
			}
			clock.advance(time.Hour + 30*time.Second) // within the skew
			w.server.CheckStreams()
			w.changed(t, "news://all/1")
			if data, _ := s.next(t); !strings.Contains(data, "news://all/1") {
				t.Fatalf("within the skew: got %s, want news://all/1", data)
			}
			newer := map[string]string{"Authorization": "Bearer " + w.holderOf(clock, w.alice.ObjectID, time.Hour)}
			for name, value := range header {
				if name != "Authorization" && name != "Mcp-Method" {
					newer[name] = value
				}
			}
			if mode.name == "sessions" {
				if status, _, body := w.post(t, listTools, newer); status != http.StatusOK {
					t.Fatalf("a newer token: got %d %s, want 200", status, body)
				}
			}
			clock.advance(time.Minute)
			w.server.CheckStreams()
			if rest := s.ended(t); strings.Contains(rest, "news://") {
				t.Errorf("told after its token expired: got %s, want no news://", rest)
			}
			if mode.name == "sessions" { // goes on
				if status, _, body := w.post(t, listTools, newer); status != http.StatusOK {
					t.Errorf("the session afterwards: got %d %s, want 200", status, body)
				}
				_, s = w.open(t, http.MethodGet, "", newer)
				w.changed(t, "news://all/1")
				for data, ok := s.next(t); !strings.Contains(data, "news://all/1"); data, ok = s.next(t) {
					if !ok {
						t.Fatal("the new stream ended, want news://all/1")
					}
				}
			}
		})
	}
}

// A stream ends without a request: the check is the server's own.
func TestStreamEndsByItself(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w, clock := newsWorld(t, mode.opts...)
			w.server.CheckStreamsEvery(time.Millisecond)
			s, _ := w.listening(t, mode.name, w.holderOf(clock, w.alice.ObjectID, time.Hour), "news://all/1")
			clock.advance(48 * time.Hour)
			w.changed(t, "news://all/1") // before the check
			if rest := s.ended(t); strings.Contains(rest, "news://") {
				t.Errorf("told two days later: got %s, want no news://", rest)
			}
		})
	}
}

// A key that leaves the tenant takes the streams of its tokens along.
func TestStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w, clock := newsWorld(t, mode.opts...)
			w.server.CheckStreamsEvery(time.Millisecond)
			s, _ := w.listening(t, mode.name, w.holderOf(clock, w.alice.ObjectID, 24*time.Hour), "news://all/1")
			w.tenant.RotateKeys()
			clock.advance(2 * time.Hour) // the keys are due; nobody asks but the check
			if rest := s.ended(t); strings.Contains(rest, "news://") {
				t.Errorf("told: got %s, want no news://", rest)
			}
		})
	}
}

// Calls that run when their token expires go on to their answer.
func TestCallOutlivesItsToken(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w, clock := newsWorld(t, mode.opts...)
			h := addHold(w)
			header := w.begin(t, mode.name, w.holderOf(clock, w.alice.ObjectID, time.Hour), "2025-11-25")
			var wg sync.WaitGroup
			wg.Go(func() {
				if status, _, body := w.post(t, callBody("hold"), header); status != http.StatusOK || !strings.Contains(body, "held") {
					t.Errorf("got %d %s, want 200 and held", status, body)
				}
			})
			h.wait(1)
			clock.advance(48 * time.Hour)
			w.server.CheckStreams()
			close(h.end)
			wg.Wait()
		})
	}
}

// News of a resource go to those who may use it when there are some.
func TestNewsGoToThoseAdmitted(t *testing.T) {
	t.Parallel()
	w, clock := newsWorld(t, mcpentra.WithSessions())
	member := w.holderOf(clock, w.alice.ObjectID, time.Hour, "Board")
	s, header := w.listening(t, "sessions", member, "news://board/1", "news://all/1")
	other, _ := w.listening(t, "sessions", w.holderOf(clock, w.bob.ObjectID, time.Hour, "Board"), "news://board/1")
	w.changed(t, "news://board/1")
	for _, s := range []*stream{s, other} {
		if data, _ := s.next(t); !strings.Contains(data, "news://board/1") {
			t.Fatalf("a member: got %s, want news://board/1", data)
		}
	}
	// Alice's role is gone, as her next token says. Her stream is of the old one.
	header["Authorization"] = "Bearer " + w.holderOf(clock, w.alice.ObjectID, 2*time.Hour)
	if status, _, body := w.post(t, listTools, header); status != http.StatusOK {
		t.Fatalf("got %d %s, want 200", status, body)
	}
	w.changed(t, "news://board/1")
	w.changed(t, "news://all/1")
	if data, _ := s.next(t); !strings.Contains(data, "news://all/1") {
		t.Errorf("no longer a member: got %s, want news://all/1", data)
	}
	if data, _ := other.next(t); !strings.Contains(data, "news://board/1") {
		t.Errorf("still a member: got %s, want news://board/1", data)
	}
	// And it is back.
	header["Authorization"] = "Bearer " + w.holderOf(clock, w.alice.ObjectID, 2*time.Hour, "Board")
	if status, _, body := w.post(t, listTools, header); status != http.StatusOK {
		t.Fatalf("got %d %s, want 200", status, body)
	}
	w.changed(t, "news://board/1")
	if data, _ := s.next(t); !strings.Contains(data, "news://board/1") {
		t.Errorf("a member again: got %s, want news://board/1", data)
	}
	// A short token is used, and expires: the stream's own still counts.
	header["Authorization"] = "Bearer " + w.holderOf(clock, w.alice.ObjectID, time.Minute, "Board")
	if status, _, body := w.post(t, listTools, header); status != http.StatusOK {
		t.Fatalf("got %d %s, want 200", status, body)
	}
	clock.advance(10 * time.Minute)
	w.changed(t, "news://board/1")
	if data, _ := s.next(t); !strings.Contains(data, "news://board/1") {
		t.Errorf("a member by the stream's token: got %s, want news://board/1", data)
	}
}

// What a client missed is looked at again when it comes back for it.
func TestMissedNewsGoToThoseAdmitted(t *testing.T) {
	t.Parallel()
	w, clock := newsWorld(t, mcpentra.WithSessions())
	s, header := w.listening(t, "sessions", w.holderOf(clock, w.alice.ObjectID, time.Hour, "Board"), "news://board/1", "news://all/1")
	w.changed(t, "news://board/1")
	w.changed(t, "news://all/1")
	for range 2 {
		s.next(t)
	}
	clock.advance(time.Hour - time.Minute)
	renew := func(roles ...string) {
		header["Authorization"] = "Bearer " + w.holderOf(clock, w.alice.ObjectID, time.Hour, roles...)
	}
	renew("Board")
	if status, _, body := w.post(t, listTools, header); status != http.StatusOK {
		t.Fatalf("got %d %s, want 200", status, body)
	}
	clock.advance(3 * time.Minute)
	w.server.CheckStreams()
	s.ended(t)
	for range 3 { // while there is no stream
		w.changed(t, "news://board/1")
	}
	w.changed(t, "news://all/1")
	renew() // the role is gone
	seen := func(lastEvent string) (ids []string) {
		h := map[string]string{}
		maps.Copy(h, header)
		if lastEvent != "" {
			h["Last-Event-ID"] = lastEvent
		}
		status, s := w.open(t, http.MethodGet, "", h)
		if status != http.StatusOK {
			t.Fatalf("a new stream: got %d, want 200", status)
		}
		w.changed(t, "news://board/1")
		must(t, w.server.MCP().ResourceUpdated(context.Background(), &mcp.ResourceUpdatedNotificationParams{URI: "news://all/1", Meta: mcp.Meta{"last": true}}))
		for {
			data, ok := s.next(t)
			if !ok || strings.Contains(data, "news://board") {
				t.Fatalf("told of what is not for the caller: %s (open: %v)", data, ok)
			}
			ids = append(ids, data)
			if strings.Contains(data, `"last"`) {
				break
			}
		}
		clock.advance(2 * time.Hour)
		w.server.CheckStreams()
		s.ended(t)
		renew()
		return ids
	}
	if all := seen(""); len(all) != 3 { // two before, one now
		t.Errorf("of what all may know came %q, want 3", all)
	}
	if all := seen("_2"); len(all) != 1 { // the numbers are those of what was sent
		t.Errorf("after the third came %q, want one", all)
	}
}
