package mcpentra_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri/uritest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A library is a set of notes whose handler takes a URI for whatever any handler
// might, and counts who comes by which door.
type library struct {
	mu   sync.Mutex
	seen []string
}

const classified = "this is classified"

func (l *library) note(uri string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, uri)
}

// read returns what is classified to whoever gets near it.
func (l *library) read(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	l.note(req.Params.URI)
	text := "note of " + req.Params.URI
	for _, reads := range uritest.Readers {
		if strings.HasPrefix(reads(req.Params.URI), "team/hr/") {
			text = classified
		}
	}
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: text}}}, nil
}

func (l *library) Register(s *mcp.Server) {
	for _, uri := range []string{"note://Odd/Case", "note://odd/te%61m", "note://odd/%c3%a9", "note://odd/x/../y"} {
		s.AddResource(&mcp.Resource{URI: uri, Name: uri}, l.read)
	}
	for _, uri := range []string{"note://{+rest}", "note:{+rest}", "note://box/{name}", "greeting://{name}", "Odd://Te%61m/{name}"} {
		s.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: uri, Name: uri}, l.read)
	}
}

func (l *library) ToolForResource(string) string { return "" }

func (l *library) Configure(o *mcp.ServerOptions) {
	o.SubscribeHandler = func(_ context.Context, req *mcp.SubscribeRequest) error { l.note(req.Params.URI); return nil }
	o.UnsubscribeHandler = func(_ context.Context, req *mcp.UnsubscribeRequest) error { l.note(req.Params.URI); return nil }
	o.CompletionHandler = func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
		return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Total: 3, Values: []string{"team/hr/", "team/hr/plan", "team/open"}}}, nil
	}
}

// doorWorld closes note://team/hr and blob://docs/secret to whoever is no reader.
func doorWorld(t testing.TB, opts ...mcpentra.Option) (*world, *library) {
	t.Helper()
	w, l := newWorld(t), &library{}
	blobs, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{HTTPClient: w.blobs.HTTPClient(), Tools: []string{"read_blob", "list_blobs", "search_blobs"}})
	must(t, err)
	w.options = append([]mcpentra.Option{
		mcpentra.WithTools(l, blobs),
		mcpentra.WithResourcePolicy("note://team/hr/*", readers), mcpentra.WithResourcePolicy("blob://docs/secret/*", readers),
		mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e6, Burst: 1 << 20}),
	}, opts...)
	w.rebuild(t)
	for _, name := range append(openBlobs, "secret/plan.txt", "secret/") {
		text := "open " + name
		if strings.HasPrefix(name, "secret/") {
			text = classified
		}
		w.blobs.Put("docs", name, []byte(text), "text/plain")
	}
	return w, l
}

// openBlobs have names that mean nothing but themselves.
var openBlobs = []string{
	"plan.txt", "a%2Fb", "a%252Fb", "100%", "%", "%zz", "a b", "a+b", "日本/語.txt", "x?y", "x#z", "q?secret/plan.txt", "/lead", "double//slash", "trail/", "secretx/plan.txt", "secret",
	"Secret/plan.txt", "open/secret/plan.txt", ".hidden", "...", "a...b/..c", "[x]", "{+path}", "a&b=c;d,e:f@g!h$i'j(k)*", "~user", "é", "😀", "a\u00a0b",
}

// Nothing that is closed is reached by any spelling and any door, with and without
// sessions; whoever has the role is not refused.
func TestEverySpellingAtEveryDoor(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			w, l := doorWorld(t, mode.opts...)
			stranger := w.connect(t, w.token(w.alice), "2025-11-25")
			reader := w.connect(t, strings.TrimPrefix(w.bearer(map[string]any{"roles": []string{"Reader"}})["Authorization"], "Bearer "), "2025-11-25")
			spellings := append(uritest.Spellings("note", "team", "hr", "plan"), uritest.Spellings("blob", "docs", "secret", "plan.txt")...)
			t.Logf("%d spellings", len(spellings))
			for _, uri := range spellings {
				for door, use := range doors {
					if text, err := use(t.Context(), stranger, uri); err == nil || !strings.Contains(err.Error(), "role") {
						t.Errorf("%s %q: got %s, %v; want an error and role", door, uri, text, err)
					}
					if len(l.seen) > 0 {
						t.Errorf("got %s %q reaches the set as %q, want nothing to reach it", door, uri, l.seen)
						l.seen = nil
					}
				}
				if _, err := doors["read"](t.Context(), reader, uri); err != nil && strings.Contains(err.Error(), "role") {
					t.Errorf("a reader reads %q: %v", uri, err)
				}
				l.seen = nil
			}
			if text, err := doors["read"](t.Context(), reader, "blob://docs/%73ecret/plan.txt"); err != nil || text != classified {
				t.Errorf("a reader reads %q, %v; want it, nil", text, err)
			}
		})
	}
}

// doors are the requests that name a resource.
var doors = map[string]func(ctx context.Context, s *mcp.ClientSession, uri string) (string, error){
	"read": func(ctx context.Context, s *mcp.ClientSession, uri string) (string, error) {
		r, err := s.ReadResource(ctx, &mcp.ReadResourceParams{URI: uri})
		if err != nil {
			return "", err
		}
		return r.Contents[0].Text, nil
	},
	"subscribe": func(ctx context.Context, s *mcp.ClientSession, uri string) (string, error) {
		return "", s.Subscribe(ctx, &mcp.SubscribeParams{URI: uri})
	},
	"unsubscribe": func(ctx context.Context, s *mcp.ClientSession, uri string) (string, error) {
		return "", s.Unsubscribe(ctx, &mcp.UnsubscribeParams{URI: uri})
	},
	"complete": func(ctx context.Context, s *mcp.ClientSession, uri string) (string, error) {
		r, err := s.Complete(ctx, &mcp.CompleteParams{Ref: &mcp.CompleteReference{Type: "ref/resource", URI: uri}, Argument: mcp.CompleteParamsArgument{Name: "x", Value: ""}})
		if err != nil {
			return "", err
		}
		return strings.Join(r.Completion.Values, " "), nil
	},
}

// The same before dispatch, with the status: and subscriptions/listen, where each of
// several URIs counts.
func TestEverySpellingBeforeDispatch(t *testing.T) {
	t.Parallel()
	w, l := doorWorld(t)
	header := w.bearer(nil)
	header["Mcp-Protocol-Version"] = "2026-07-28"
	for _, uri := range uritest.Spellings("note", "team", "hr", "plan") {
		header["Mcp-Method"] = "subscriptions/listen"
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["note://open",%q]},%s}}`, uri, modernMeta)
		if status, _, text := w.post(t, body, header); status != http.StatusForbidden {
			t.Errorf("listen %q: got %d %s, want 403", uri, status, text)
		}
		delete(header, "Mcp-Method")
		body = fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":%q}}`, uri)
		if status, _, text := w.post(t, body, w.bearer(nil)); status != http.StatusForbidden {
			t.Errorf("read %q: got %d %s, want 403", uri, status, text)
		}
	}
	if len(l.seen) > 0 {
		t.Errorf("reached the set: got %q, want no seen", l.seen)
	}
}

// What is open can be read by whoever has no role, by the spelling that lists have
// and by others.
func TestOpenResourcesStayUsable(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			w, _ := doorWorld(t, mode.opts...)
			s := w.connect(t, w.token(w.alice), "2025-11-25")
			read := func(uri, want string) {
				t.Helper()
				if text, err := doors["read"](t.Context(), s, uri); err != nil || text != want {
					t.Errorf("%q is %q, %v; want %q", uri, text, err, want)
				}
			}
			listed := 0
			for r, err := range s.Resources(t.Context(), nil) {
				must(t, err)
				if strings.HasPrefix(r.URI, "blob://docs/secret/") {
					t.Errorf("%s is listed", r.URI)
				}
				if strings.HasPrefix(r.URI, "blob:") && r.Name != "hello.txt" {
					listed++
					read(r.URI, "open "+r.Name)
				} else if strings.HasPrefix(r.URI, "note:") {
					read(r.URI, "note of "+r.URI)
				}
			}
			if listed != len(openBlobs) {
				t.Errorf("%d of %d blobs are listed, want %v", listed, len(openBlobs), len(openBlobs))
			}
			for uri, want := range map[string]string{
				"BLOB://DOCS/plan.txt": "open plan.txt", "blob://d%6fcs/pl%61n.txt": "open plan.txt", "blob://docs/x/%2e%2e/plan.txt": "open plan.txt",
				"blob://docs/a b": "open a b", "blob://docs/100%": "open 100%", "blob://docs/日本/語.txt": "open 日本/語.txt",
				"note://box/a%2Fb": "note of note://box/a%2Fb", "note://box/a%2fb%7e": "note of note://box/a%2Fb~", "NOTE://box/x": "note of note://box/x",
				"greeting://Alice": "note of greeting://Alice", "note://odd/te%61m": "note of note://odd/te%61m",
				"Odd://Te%61m/x": "note of Odd://Te%61m/x", "note://Odd/Case": "note of note://Odd/Case",
				"note://team/open/..%2Fx": "note of note://team/open/..%2Fx", "note://team/hrx": "note of note://team/hrx", "note://team/a?q=hr/": "note of note://team/a?q=hr/",
			} {
				read(uri, want)
			}
		})
	}
}

// Whoever subscribes to what is open hears of it, in the spelling that the server's
// own code uses, and ends that by any spelling.
func TestSubscriptionsKeepTheirSpelling(t *testing.T) {
	t.Parallel()
	w, l := doorWorld(t, mcpentra.WithSessions())
	updates := make(chan string, 10)
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, req *mcp.ResourceUpdatedNotificationRequest) { updates <- req.Params.URI },
	})
	s, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: w.url, HTTPClient: &http.Client{Transport: withToken{w.token(w.alice), &http.Transport{}}}, MaxRetries: -1,
	}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	must(t, err)
	defer func() { _ = s.Close() }()
	for sent, known := range map[string]string{
		"note://odd/te%61m": "note://odd/te%61m", "note://Odd/Case": "note://Odd/Case", "note://odd/%C3%A9": "note://odd/%c3%a9", "note://odd/é": "note://odd/%c3%a9",
		"greeting://Alice": "greeting://Alice", "note://team/op%65n/a%2fb": "note://team/open/a%2Fb", "NOTE://box/x/../y": "note://box/y",
	} {
		must(t, s.Subscribe(t.Context(), &mcp.SubscribeParams{URI: sent}))
		must(t, w.server.MCP().ResourceUpdated(t.Context(), &mcp.ResourceUpdatedNotificationParams{URI: known}))
		select {
		case got := <-updates:
			if got != known {
				t.Errorf("%s: told of %s, want %v", sent, got, known)
			}
		case <-t.Context().Done():
			t.Fatalf("%s: not told of %s", sent, known)
		}
		must(t, s.Unsubscribe(t.Context(), &mcp.UnsubscribeParams{URI: sent}))
		must(t, w.server.MCP().ResourceUpdated(t.Context(), &mcp.ResourceUpdatedNotificationParams{URI: known}))
	}
	must(t, s.Ping(t.Context(), nil))
	if len(updates) > 0 {
		t.Errorf("told of %s after the end, want no updates", <-updates)
	}
	if len(l.seen) != 14 {
		t.Errorf("the set was asked about %q, want 14", l.seen)
	}
}

// A resource that stands for a tool does so in every spelling.
func TestToolForResourceInEverySpelling(t *testing.T) {
	t.Parallel()
	w := policyWorld(t, mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e6, Burst: 1 << 20}))
	for _, uri := range uritest.Spellings("note", "mail", "today", "x") {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":%q}}`, uri)
		if status, _, text := w.post(t, body, w.bearer(nil)); status != http.StatusForbidden {
			t.Errorf("read %q: got %d %s, want 403", uri, status, text)
		}
		if status, _, text := w.post(t, body, w.bearer(map[string]any{"scp": "access_as_user Mail.Read"})); status != http.StatusOK {
			t.Errorf("read %q with the scope: got %d %s, want 200", uri, status, text)
		}
	}
}
