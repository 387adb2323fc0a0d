package mcpentra_test

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// An account is a storage account that can live in a bubble: it answers requests for properties.
type account struct {
	mu      sync.Mutex
	etag    string
	asked   map[string]int  // by user
	refuses map[string]bool // users without a role
}

func (a *account) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	user := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	a.asked[user]++
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"X-Ms-Request-Id": {"1"}, "Etag": {`"` + a.etag + `"`}}, Body: http.NoBody, Request: r}
	if a.refuses[user] {
		resp.StatusCode = http.StatusForbidden
		resp.Header.Set("X-Ms-Error-Code", "AuthorizationPermissionMismatch")
	}
	return resp, nil
}

func (a *account) change(etag string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.etag = etag
}

// refuse takes the user's role.
func (a *account) refuse(user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuses[user] = true
}

// polls returns how many requests a user has made since the last time.
func (a *account) polls(user string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer delete(a.asked, user)
	return a.asked[user]
}

// A userToken is a credential whose tokens are the user's id.
type userToken string

func (u userToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(u), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// blobNews runs f with a server whose blobs can be subscribed to, in each era.
func blobNews(t *testing.T, f func(*testing.T, *bubble, *account, string)) {
	t.Helper()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			a := &account{etag: "1", asked: map[string]int{}, refuses: map[string]bool{}}
			set, err := blobtool.New("https://account.blob.core.windows.net", "docs", func(ctx context.Context) (azcore.TokenCredential, error) {
				caller, err := mcpauth.Caller(ctx)
				if err != nil {
					return nil, err
				}
				return userToken(caller.ObjectID()), nil
			}, &blobtool.Options{HTTPClient: &http.Client{Transport: a}, Subscriptions: &blobtool.SubscriptionOptions{}, Tools: []string{"read_blob"}})
			must(t, err)
			inBubble(t, func(t *testing.T, b *bubble) { f(t, b, a, mode.name) }, append(mode.opts, mcpentra.WithTools(set),
				mcpentra.WithResourcePolicy("blob://docs/board/*", entraauth.Policy{UserRoles: []string{"Board"}}))...)
		})
	}
}

// subscribe is world.listening, in a bubble.
func (b *bubble) subscribe(t *testing.T, mode string, header map[string]string, uris ...string) (*stream, map[string]string) {
	t.Helper()
	h, transport := maps.Clone(header), b.transport(t)
	h["Content-Type"], h["Accept"] = "application/json", "application/json, text/event-stream"
	if mode == "stateless" {
		h["Mcp-Protocol-Version"], h["Mcp-Method"] = "2026-07-28", "subscriptions/listen"
		_, s := b.openOver(t, transport, http.MethodPost, listenTo(uris...), h)
		return s, h
	}
	_, answer, _ := doOver(t, transport, http.MethodPost, b.url, initialize, h)
	h["Mcp-Session-Id"], h["Mcp-Protocol-Version"] = answer.Get("Mcp-Session-Id"), "2025-11-25"
	for _, uri := range uris {
		if status, _, body := doOver(t, transport, http.MethodPost, b.url, subscribeTo(uri), h); status != http.StatusOK || strings.Contains(body, `"error"`) {
			t.Fatalf("subscribe to %s: got %d %s, want 200 and no error", uri, status, body)
		}
	}
	_, s := b.openOver(t, transport, http.MethodGet, "", h)
	return s, h
}

// come returns the text of what has come to a stream.
func (s *stream) come() (text string, over bool) {
	synctest.Wait()
	for {
		select {
		case data, open := <-s.events:
			if !open {
				return text, true
			}
			text += data + "\n"
		default:
			return text, false
		}
	}
}

func updatesIn(s *stream) int {
	text, _ := s.come()
	return strings.Count(text, "resources/updated")
}

const untilTold = time.Minute + 12*time.Second

// A change of a blob reaches the sessions and streams of the user whose rights showed it, however
// they spell it, until the right ends.
func TestBlobNews(t *testing.T) {
	t.Parallel()
	blobNews(t, func(t *testing.T, b *bubble, a *account, mode string) {
		aliceID, bobID := b.alice.ObjectID, b.bob.ObjectID
		alice, _ := b.subscribe(t, mode, b.bearer(nil), "BLOB://docs/%61.txt")
		bob, _ := b.subscribe(t, mode, b.bearer(map[string]any{"oid": bobID}), "blob://docs/a.txt")
		pass(10 * time.Minute)
		alice.come()
		bob.come()
		a.refuse(bobID)
		a.change("2")
		pass(untilTold)
		if text, _ := alice.come(); strings.Count(text, "resources/updated") != 1 || !strings.Contains(text, `"blob://docs/a.txt"`) || strings.Contains(text, "addressees") {
			t.Errorf("Alice: got %s, want one update of blob://docs/a.txt", text)
		}
		text, over := bob.come()
		if mode == "stateless" && (!over || strings.Contains(text, "resources/updated") || !strings.Contains(text, "Storage Blob Data Reader")) {
			t.Errorf("Bob: got %s (over: %v), want no update and an end that says why", text, over)
		}
		if mode == "sessions" && (over || strings.Count(text, "resources/updated") != 1) {
			t.Errorf("Bob: got %s (over: %v), want one last update", text, over)
		}
		a.polls(aliceID)
		a.polls(bobID)
		a.change("3")
		pass(30 * time.Minute)
		if n, m := updatesIn(alice), updatesIn(bob); n != 1 || m != 0 {
			t.Errorf("afterwards: got %d and %d updates, want 1 and 0", n, m)
		}
		if n, m := a.polls(aliceID), a.polls(bobID); n < 20 || m != 0 {
			t.Errorf("afterwards: %d and %d requests, want at least 20, and 0", n, m)
		}
	})
}

// The server's policies apply to subscribing and to each update.
func TestBlobNewsUnderPolicy(t *testing.T) {
	t.Parallel()
	blobNews(t, func(t *testing.T, b *bubble, a *account, mode string) {
		const uri = "blob://docs/board/plan.txt"
		member := b.bearer(map[string]any{"roles": []string{"Board"}})
		s, header := b.subscribe(t, mode, member, uri)
		a.change("2")
		pass(untilTold)
		if n := updatesIn(s); n != 1 {
			t.Errorf("a member: got %d updates, want 1", n)
		}
		outsider := b.bearer(nil)
		if mode == "stateless" {
			outsider["Mcp-Protocol-Version"], outsider["Mcp-Method"] = "2026-07-28", "subscriptions/listen"
			if status, _, body := doOver(t, b.transport(t), http.MethodPost, b.url, listenTo(uri), outsider); status != http.StatusForbidden {
				t.Errorf("listen without the role: got %d %s, want 403", status, body)
			}
			return
		}
		header["Authorization"] = outsider["Authorization"] // the user's role is gone
		transport := b.transport(t)
		if status, _, body := doOver(t, transport, http.MethodPost, b.url, listTools, header); status != http.StatusOK {
			t.Fatalf("got %d %s, want 200", status, body)
		}
		a.change("3")
		pass(untilTold)
		if n := updatesIn(s); n != 0 {
			t.Errorf("no longer a member: got %d updates, want 0", n)
		}
		if status, _, body := doOver(t, transport, http.MethodPost, b.url, subscribeTo(uri), header); status != http.StatusForbidden {
			t.Errorf("subscribe without the role: got %d %s, want 403", status, body)
		}
	})
}

// Requests stop when the server drains, and when a session is ended.
func TestBlobNewsEnd(t *testing.T) {
	t.Parallel()
	blobNews(t, func(t *testing.T, b *bubble, a *account, mode string) {
		alice := b.bearer(nil) // by the verifier's clock, which stands still
		_, header := b.subscribe(t, mode, alice, "blob://docs/a.txt", "blob://docs/b.txt")
		if mode == "sessions" {
			doOver(t, b.transport(t), http.MethodDelete, b.url, "", header)
			synctest.Wait()
			a.polls(b.alice.ObjectID)
			pass(10 * time.Minute)
			if n := a.polls(b.alice.ObjectID); n != 0 {
				t.Errorf("after the session's end: %d requests, want 0", n)
			}
			b.subscribe(t, mode, alice, "blob://docs/a.txt")
		}
		pass(time.Minute)
		if n := a.polls(b.alice.ObjectID); n < 3 {
			t.Errorf("before: %d requests, want at least 3", n)
		}
		b.stop()
		must(t, <-b.served)
		synctest.Wait()
		a.polls(b.alice.ObjectID)
		pass(10 * time.Minute)
		if n := a.polls(b.alice.ObjectID); n != 0 {
			t.Errorf("after the drain: %d requests, want 0", n)
		}
	})
}

// Users subscribe with their own rights by On-Behalf-Of, and applications can't.
func TestSubscribeOnBehalfOf(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			set, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{
				HTTPClient: w.blobs.HTTPClient(), Subscriptions: &blobtool.SubscriptionOptions{}, Tools: []string{"read_blob"},
			})
			must(t, err)
			w.options = append(w.options, append(mode.opts, mcpentra.WithTools(set))...)
			w.rebuild(t)
			const uri = "blob://docs/hello.txt"
			w.listening(t, mode.name, strings.TrimPrefix(w.bearer(nil)["Authorization"], "Bearer "), uri)
			bob := w.begin(t, mode.name, w.token(w.bob), "2025-11-25")
			body := subscribeTo(uri)
			if mode.name == "stateless" {
				bob["Mcp-Protocol-Version"], bob["Mcp-Method"] = "2026-07-28", "subscriptions/listen"
				body = listenTo(uri)
			}
			if _, _, text := w.post(t, body, bob); !strings.Contains(text, "Storage Blob Data Reader") {
				t.Errorf("Bob, who has no role: got %s, want a refusal that names the role", text)
			}
		})
	}
}
