package blobtool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// Whatever clients do at the same time, the limits hold, and nothing stays behind.
func TestSubscribeStorm(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{MaxPerUser: 4, MaxTotal: 6}, func(t *testing.T, x *subscribing) {
		for i := range 4 {
			x.storage.Put("docs", fmt.Sprint(i), nil, "text/plain")
		}
		var all sync.WaitGroup
		for i := range 16 {
			c := x.as(t, bearer([]string{"alice", "bob"}[i%2], aDay))
			all.Go(func() {
				for n := range 8 {
					ctx, hangUp := context.WithTimeout(t.Context(), time.Duration(n+1)*7*time.Second)
					uri := fmt.Sprintf("blob://docs/%d", (i+n)%4)
					method, params := "resources/subscribe", `"params":{"uri":"`+uri+`"}`
					if x.era == eras[0] {
						method, params = "subscriptions/listen", `"params":{"notifications":{"resourceSubscriptions":["`+uri+`"]},`+subscriptionMeta+`}`
					}
					if resp, err := c.send(ctx, t, http.MethodPost, method, params); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
					x.storage.Put("docs", fmt.Sprint(n%4), fmt.Append(nil, i, n), "text/plain")
					hangUp()
					if x.era == eras[1] && n%3 > 0 {
						c.post(t, "resources/unsubscribe", params)
					}
				}
				if x.era == eras[1] {
					if resp, err := c.send(t.Context(), t, http.MethodDelete, "", ""); err == nil {
						_ = resp.Body.Close()
					}
				}
			})
		}
		all.Wait()
		pass(time.Minute)
		x.polls("alice")
		x.polls("bob")
		pass(time.Hour)
		if n := x.polls("alice") + x.polls("bob"); n != 0 {
			t.Errorf("%d requests afterwards, want 0", n)
		}
		c := x.as(t, bearer("alice", aDay))
		text, _ := c.subscribe(t, "blob://docs/0", "blob://docs/1", "blob://docs/2", "blob://docs/3").take()
		if strings.Contains(text, `"error"`) {
			t.Errorf("as many as allowed: got %s, want no error", text)
		}
	})
}

func TestSubscriptionsAreBounded(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{MaxPerUser: 3}, func(t *testing.T, x *subscribing) {
		uris := x.numbered(4)
		alice := x.as(t, bearer("alice", aDay))
		s := alice.subscribe(t, uris[:3]...)
		if text, _ := alice.subscribe(t, uris[3]).take(); !strings.Contains(text, "You have 3 subscriptions") {
			t.Errorf("one more: got %s, want an error with the number", text)
		}
		if x.era == eras[1] {
			if text := alice.post(t, "resources/subscribe", `"params":{"uri":"`+uris[0]+`"}`); strings.Contains(text, `"error"`) {
				t.Errorf("one that is there: got %s, want no error", text)
			}
			alice.post(t, "resources/unsubscribe", `"params":{"uri":"`+uris[0]+`"}`)
			alice.post(t, "resources/unsubscribe", `"params":{"uri":"`+uris[0]+`"}`)
		} else {
			s.hangUp()
		}
		pass(time.Second)
		if text, _ := alice.subscribe(t, uris[3]).take(); strings.Contains(text, `"error"`) {
			t.Errorf("after one ended: got %s, want no error", text)
		}
	})
}

// numbered makes n blobs and returns their URIs.
func (x *subscribing) numbered(n int) (uris []string) {
	for i := range n {
		x.storage.Put("docs", fmt.Sprint(i), nil, "text/plain")
		uris = append(uris, fmt.Sprintf("blob://docs/%d", i))
	}
	return uris
}

// Where all have too many, one of the user who has the most ends, so that nobody is refused because
// of another.
func TestRoomIsTakenFromTheUserWithTheMost(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{MaxTotal: 4}, func(t *testing.T, x *subscribing) {
		uris := x.numbered(4)
		alice, bob := x.as(t, bearer("alice", aDay)), x.as(t, bearer("bob", aDay))
		var of [4]*newsStream
		for i, uri := range uris {
			if of[i] = alice.subscribe(t, uri); x.era == eras[1] && i > 0 {
				of[i] = of[0] // a session has one stream
			}
			pass(time.Second)
		}
		if text, _ := alice.subscribe(t, aURI).take(); !strings.Contains(text, "as many subscriptions to blobs as it can hold") {
			t.Errorf("one more of the one who has the most: got %s, want a refusal", text)
		}
		for _, uri := range []string{"blob://docs/none", "blob://docs/none"} {
			if text, _ := bob.subscribe(t, uri).take(); !strings.Contains(text, "must exist") {
				t.Errorf("got %s, want must exist", text)
			}
		}
		if text, over := of[0].take(); over || strings.Contains(text, "resources/updated") {
			t.Errorf("after what was refused: got %s (over: %t), want nothing", text, over)
		}
		bobs := []*newsStream{bob.subscribe(t, uris[0]), bob.subscribe(t, uris[1])}
		for i, s := range bobs {
			if text, _ := s.take(); strings.Contains(text, `"error"`) {
				t.Errorf("Bob's %d: got %s, want no error", i, text)
			}
		}
		if text, _ := bob.subscribe(t, uris[2]).take(); !strings.Contains(text, "as many subscriptions to blobs as it can hold") {
			t.Errorf("both have two: got %s, want a refusal", text)
		}
		if x.era == eras[1] {
			if text, _ := of[0].take(); strings.Count(text, "resources/updated") != 2 || !strings.Contains(text, uris[0]) || !strings.Contains(text, uris[1]) {
				t.Errorf("Alice's: got %s, want one last update of the two oldest", text)
			}
		} else {
			for i, s := range of {
				text, over := s.take()
				if want := i < 2; over != want || want != strings.Contains(text, "to make room for another user") {
					t.Errorf("Alice's %d: got %s (over: %t), want it over with the reason: %t", i, text, over, want)
				}
			}
		}
		x.polls("alice")
		pass(10 * time.Minute)
		if n := x.polls("alice"); n < 16 || n > 50 {
			t.Errorf("%d requests for Alice in 10 minutes, want those of two watches", n)
		}
	})
}

// Subscribing needs what reading needs.
func TestSubscriptionsRefused(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{}, func(t *testing.T, x *subscribing) {
		x.storage.AddContainer("other")
		x.storage.Put("other", "a.txt", nil, "text/plain")
		x.storage.Revoke(x.bob.ObjectID)
		for _, c := range []struct{ user, uri, want string }{
			{"bob", aURI, "Storage Blob Data Reader"},
			{"alice", "blob://docs/none.txt", "must exist"},
			{"alice", "blob://other/a.txt", "not found"},
			{"alice", "note://a", "not found"},
			{"nobody", aURI, "signed-in user"},
		} {
			text, _ := x.as(t, bearer(c.user, aDay)).subscribe(t, c.uri).take()
			if !strings.Contains(text, `"error"`) || !strings.Contains(strings.ToLower(text), strings.ToLower(c.want)) {
				t.Errorf("%s to %s: got %s, want an error with %q", c.user, c.uri, text, c.want)
			}
		}
		x.polls("alice")
		pass(time.Hour)
		if n := x.polls("alice"); n != 0 {
			t.Errorf("%d requests afterwards, want 0", n)
		}
	})
}

// A program's own update is for all who subscribe, whatever they may see, so it reaches nobody.
func TestProgramsOwnUpdate(t *testing.T) {
	t.Parallel()
	inEachEra(t, blobtool.SubscriptionOptions{}, func(t *testing.T, x *subscribing) {
		s := x.as(t, bearer("alice", aDay)).subscribe(t, aURI)
		if err := x.server.ResourceUpdated(t.Context(), &mcp.ResourceUpdatedNotificationParams{URI: aURI}); err != nil {
			t.Fatal(err)
		}
		if n := s.updates(); n != 0 {
			t.Errorf("got %d updates, want 0", n)
		}
	})
}

func TestSubscriptionOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options blobtool.SubscriptionOptions
		tools   []string
		want    string
	}{
		{want: ""},
		{options: blobtool.SubscriptionOptions{MaxPerUser: -1}, want: "Options.Subscriptions.MaxPerUser"},
		{options: blobtool.SubscriptionOptions{MaxTotal: -1}, want: "Options.Subscriptions.MaxTotal"},
		{options: blobtool.SubscriptionOptions{MinInterval: time.Millisecond}, want: "Options.Subscriptions.MinInterval"},
		{options: blobtool.SubscriptionOptions{MaxInterval: time.Second}, want: "Options.Subscriptions.MaxInterval"},
		{options: blobtool.SubscriptionOptions{MinInterval: time.Hour}, want: ""},
		{tools: []string{"list_blobs"}, want: "read_blob"},
	} {
		_, err := blobtool.New("https://account.blob.core.windows.net", "docs", (&world{}).findCredential, &blobtool.Options{Subscriptions: &c.options, Tools: c.tools})
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, blobtool.ErrConfiguration) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("New with %+v and %v: got %v, want %q", c.options, c.tools, err, c.want)
		}
	}
}
