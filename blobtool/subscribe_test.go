package blobtool_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

const (
	aURI    = "blob://docs/a.txt"
	aDay    = 24 * time.Hour
	longest = time.Minute + 12*time.Second // between two requests, if nothing is wrong
)

// change gives the blob another content.
func (x *subscribing) change() { x.storage.Put("docs", "a.txt", []byte("2"), "text/plain") }

// A change reaches its subscriber once, from the first request that sees it.
func TestSubscribe(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{}, func(t *testing.T, x *subscribing) {
		s := x.as(t, bearer("alice", aDay)).subscribe(t, aURI)
		if text, over := s.take(); over || strings.Contains(text, `"error"`) {
			t.Fatalf("subscribed: got %s (over: %v), want an open stream", text, over)
		}
		pass(time.Minute)
		if n := s.updates(); n != 0 {
			t.Errorf("without a change: got %d updates, want 0", n)
		}
		x.change()
		pass(longest)
		text, _ := s.take()
		if n := strings.Count(text, "resources/updated"); n != 1 || !strings.Contains(text, aURI) || strings.Contains(text, "addressees") {
			t.Errorf("after a change: got %s, want one update of %s", text, aURI)
		}
		if modern := x.era == eras[0]; modern != strings.Contains(text, `"io.modelcontextprotocol/subscriptionId":7`) {
			t.Errorf("the update is %s, want the subscription's ID: %v", text, modern)
		}
		x.storage.Delete("docs", "a.txt")
		pass(longest)
		if n := s.updates(); n != 1 {
			t.Errorf("after the blob was deleted: got %d updates, want 1", n)
		}
		pass(10 * time.Minute)
		if n := s.updates(); n != 0 {
			t.Errorf("while there is no blob: got %d updates, want 0", n)
		}
		x.change()
		pass(longest)
		if n := s.updates(); n != 1 {
			t.Errorf("when it is back: got %d updates, want 1", n)
		}
	})
}

// A stream says first that it has begun. What changes before that comes afterwards.
func TestUpdatesFollowTheBeginning(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{}, func(t *testing.T, x *subscribing) {
		x.storage.Put("docs", "slow.txt", nil, "text/plain")
		x.slow = "slow.txt"
		c, changed := x.as(t, bearer("alice", aDay)), make(chan struct{})
		go func() {
			defer close(changed)
			<-time.After(10 * time.Second)
			x.change()
		}()
		s := c.subscribe(t, aURI, "blob://docs/slow.txt")
		<-changed
		pass(longest)
		text, _ := s.take()
		if x.era == eras[1] { // it begins at once, and what comes before there is a stream is lost without an event store
			return
		}
		if ack, news := strings.Index(text, "acknowledged"), strings.Index(text, "resources/updated"); ack < 0 || news < ack || strings.Count(text, "resources/updated") != 1 {
			t.Errorf("got %s, want one update, after the acknowledgement", text)
		}
	})
}

// What one user's request sees tells another nothing, neither what changed nor when.
func TestUpdatesReachTheirUserOnly(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{}, func(t *testing.T, x *subscribing) {
		alice := x.as(t, bearer("alice", aDay)).subscribe(t, aURI)
		bob := x.as(t, bearer("bob", aDay)).subscribe(t, aURI)
		x.cut("bob", true)
		x.change()
		pass(20 * time.Minute)
		if n, m := alice.updates(), bob.updates(); n != 1 || m != 0 {
			t.Errorf("Bob can't ask: got %d and %d updates, want 1 and 0", n, m)
		}
		x.cut("bob", false)
		pass(longest)
		if n, m := alice.updates(), bob.updates(); n != 0 || m != 1 {
			t.Errorf("Bob can ask again: got %d and %d updates, want 0 and 1", n, m)
		}
		if n, m := x.polls("alice"), x.polls("bob"); n < 16 || m < 16 {
			t.Errorf("%d and %d requests in 20 minutes, want at least 16 of each", n, m)
		}
		x.storage.Revoke(x.bob.ObjectID)
		x.change()
		pass(longest)
		x.polls("bob")
		text, over := bob.take()
		if x.era == eras[0] && (!over || !strings.Contains(text, "Storage Blob Data Reader") || strings.Contains(text, "resources/updated")) {
			t.Errorf("Bob lost his right: got %s (over: %v), want no update and an end that says why", text, over)
		}
		if x.era == eras[1] && (over || strings.Count(text, "resources/updated") != 1) {
			t.Errorf("Bob lost his right: got %s (over: %v), want one last update", text, over)
		}
		alice.take()
		x.change()
		pass(10 * time.Minute)
		if n, m := alice.updates(), bob.updates(); n != 1 || m != 0 || x.polls("bob") != 0 {
			t.Errorf("afterwards: got %d and %d updates, want 1 and 0, and no requests with Bob's token", n, m)
		}
	})
}

// Two clients of one user share a poll, which goes on with the one whose token is good.
func TestOnePollForAUserAndBlob(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{}, func(t *testing.T, x *subscribing) {
		first := x.as(t, bearer("alice", 30*time.Minute)).subscribe(t, aURI)
		pass(20 * time.Minute)
		x.polls("alice")
		second := x.as(t, bearer("alice", aDay)).subscribe(t, aURI)
		pass(9 * time.Minute)
		if n := x.polls("alice"); n > 9*60/48+10 {
			t.Errorf("%d requests in 9 minutes, want those of one watch", n)
		}
		x.change()
		pass(longest)
		if n, m := first.updates(), second.updates(); n != 1 || m != 1 {
			t.Errorf("got %d and %d updates, want 1 and 1", n, m)
		}
		pass(10 * time.Minute)
		first.take()
		x.change()
		pass(longest)
		if m := second.updates(); m != 1 {
			t.Errorf("after the first one's token: got %d updates, want 1", m)
		}
	})
}

// A stream ends with the token that began it. A session's subscription pauses until the session has
// a newer token, and misses nothing.
func TestSubscriptionEndsWithItsToken(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{}, func(t *testing.T, x *subscribing) {
		c := x.as(t, bearer("alice", time.Hour))
		s := c.subscribe(t, aURI)
		pass(time.Hour + longest)
		x.polls("alice")
		x.change()
		pass(time.Hour)
		if n := x.polls("alice"); n != 0 {
			t.Errorf("%d requests after the token's end, want 0", n)
		}
		text, over := s.take()
		if x.era == eras[0] {
			if !over || !strings.Contains(text, "has expired") || strings.Contains(text, "resources/updated") {
				t.Errorf("got %s (over: %v), want an end that says why", text, over)
			}
			return
		}
		if strings.Contains(text, "resources/updated") {
			t.Errorf("got %s, want no update", text)
		}
		c.token = bearer("alice", time.Hour)
		c.post(t, "tools/list", `"params":{}`)
		pass(longest)
		if n := s.updates(); n != 1 {
			t.Errorf("with a newer token: got %d updates, want 1", n)
		}
	})
}

// A user who gets no token any more is no longer asked for. An outage of Entra's is waited for.
func TestSubscriptionWithoutToken(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{}, func(t *testing.T, x *subscribing) {
		c := x.as(t, bearer("alice", aDay))
		s := c.subscribe(t, aURI)
		pass(50 * time.Minute)
		x.refuseTokens("alice", outage{errors.New("Entra is down")})
		pass(3 * time.Hour) // the token for Azure Storage is good for one
		x.change()
		if text, over := s.take(); over || strings.Contains(text, "resources/updated") {
			t.Errorf("while Entra is down: got %s (over: %v), want nothing", text, over)
		}
		x.refuseTokens("alice", nil)
		pass(longest)
		if n := s.updates(); n != 1 {
			t.Errorf("after the outage: got %d updates, want 1", n)
		}
		x.refuseTokens("alice", errors.New("a person must sign in"))
		pass(2 * time.Hour)
		x.refuseTokens("alice", nil)
		x.change()
		pass(longest)
		text, over := s.take()
		if x.era == eras[0] {
			if !over || !strings.Contains(text, "could not get a token") || strings.Contains(text, "resources/updated") {
				t.Errorf("got %s (over: %v), want an end that says why", text, over)
			}
			return
		}
		if strings.Contains(text, "resources/updated") {
			t.Errorf("paused: got %s, want no update", text)
		}
		c.token = bearer("alice", 2*aDay)
		c.post(t, "tools/list", `"params":{}`)
		pass(longest)
		if n := s.updates(); n != 1 {
			t.Errorf("with a newer token: got %d updates, want 1", n)
		}
	})
}

// An outage is an error that passes.
type outage struct{ error }

func (outage) Temporary() bool { return true }

// Requests become rarer while nothing changes, and wait as Azure asks.
func TestPollsBackOff(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{}, func(t *testing.T, x *subscribing) {
		s := x.as(t, bearer("alice", aDay)).subscribe(t, aURI)
		x.polls("alice")
		var counts [3]int
		for i := range counts {
			pass(10 * time.Minute)
			counts[i] = x.polls("alice")
		}
		if counts[0] < 10 || counts[0] > 22 || counts[1] < 8 || counts[1] > 13 || counts[2] < 8 || counts[2] > 13 {
			t.Errorf("requests in 10 minutes each: %v, want about 15, 10 and 10", counts)
		}
		for _, f := range []blobtest.Fault{
			{Operation: blobtest.OpGetBlobProperties, Status: http.StatusServiceUnavailable, Code: "ServerBusy", RetryAfter: 5 * time.Minute},
			{Operation: blobtest.OpGetBlobProperties, Status: http.StatusInternalServerError, Code: "InternalError"},
			{Operation: blobtest.OpGetBlobProperties, Drop: true},
		} {
			x.storage.Fail(f)
			pass(longest)
			x.polls("alice")
			pass(20 * time.Minute)
			if n, most := x.polls("alice"), map[bool]int{true: 4, false: 26}[f.RetryAfter > 0]; n > most || n == 0 {
				t.Errorf("%+v: %d requests in 20 minutes, want 1 to %d", f, n, most)
			}
			x.storage.Fail()
			pass(6 * time.Minute)
		}
		x.change()
		pass(longest)
		if n := s.updates(); n != 1 {
			t.Errorf("after the faults: got %d updates, want 1", n)
		}
	})
}

// Polls stop with the subscription, however it ends.
func TestPollsEnd(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{MaxPerUser: 1}, func(t *testing.T, x *subscribing) {
		ends := map[string]func(*caller, *newsStream){"hang up": func(_ *caller, s *newsStream) { s.hangUp() }}
		if x.era == eras[1] {
			ends = map[string]func(*caller, *newsStream){
				"unsubscribe": func(c *caller, _ *newsStream) { c.post(t, "resources/unsubscribe", `"params":{"uri":"`+aURI+`"}`) },
				"delete": func(c *caller, _ *newsStream) {
					resp, err := c.send(t.Context(), t, http.MethodDelete, "", "")
					if err != nil {
						t.Fatal(err)
					}
					_ = resp.Body.Close()
				},
			}
		}
		ends["close"] = func(*caller, *newsStream) {
			for session := range x.server.Sessions() {
				_ = session.Close()
			}
		}
		for name, end := range ends {
			for range 2 { // the place is free again
				c := x.as(t, bearer("alice", aDay))
				s := c.subscribe(t, aURI)
				pass(time.Minute)
				if text, _ := s.take(); x.polls("alice") < 3 || strings.Contains(text, `"error"`) {
					t.Fatalf("%s: before, there are too few requests, or %s", name, text)
				}
				end(c, s)
				pass(time.Second)
				x.polls("alice")
				pass(time.Hour)
				if n := x.polls("alice"); n != 0 {
					t.Errorf("%s: %d requests afterwards, want 0", name, n)
				}
				s.hangUp()
			}
		}
	})
}
