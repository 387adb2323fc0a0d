package blobtool_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
)

// listResources lists all pages, and returns the URIs and how many pages there were.
func listResources(t testing.TB, session *mcp.ClientSession) (uris []string, pages int) {
	t.Helper()
	params := &mcp.ListResourcesParams{}
	for range 1000 {
		res, err := session.ListResources(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Resources) > 100 {
			t.Fatalf("%d on a page, want at most 100", len(res.Resources))
		}
		for _, r := range res.Resources {
			uris = append(uris, r.URI)
		}
		if pages++; res.NextCursor == "" {
			return uris, pages
		}
		params.Cursor = res.NextCursor
	}
	t.Fatal("the listing does not end, want a last page")
	return nil, 0
}

func TestListResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	put(w.storage, "docs", "a b.txt", "dir/日本.txt", `back\slash`)
	for i := range 250 {
		put(w.storage, "docs", fmt.Sprintf("many/%03d", i))
	}
	session := w.connect(t, "alice")
	uris, pages := listResources(t, session)
	if len(uris) != 252 || pages != 3 || uris[0] != "blob://docs/a%20b.txt" || uris[1] != "blob://docs/dir/%E6%97%A5%E6%9C%AC.txt" || uris[251] != "blob://docs/many/249" {
		t.Errorf("%d resources on %d pages: got %q, want 252 uris, 3, blob://docs/a%%20b.txt, blob://docs/dir/%%E6%%97%%A5%%E6%%9C%%AC.txt, blob://docs/many/249", len(uris), pages, uris[:3])
	}
	res, err := session.ListResources(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := res.Resources[1]; r.Name != "dir/日本.txt" || r.MIMEType != "text/plain" || r.Size != 25 || r.Annotations.LastModified == "" || res.CacheScope != "private" {
		t.Errorf("got %+v, cache scope %q; want private, dir/日本.txt, text/plain, 25, an Annotations.LastModified", r, res.CacheScope)
	}
	if read, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: res.Resources[1].URI}); err != nil || read.Contents[0].Text != "content of dir/日本.txt" {
		t.Errorf("got %+v, %v; want Contents[0].Text \"content of dir/日本.txt\", nil", read, err)
	}
	for _, cursor := range []string{"x", res.NextCursor + "A", res.NextCursor[:len(res.NextCursor)-1], "blob.other." + res.NextCursor} {
		if _, err := session.ListResources(t.Context(), &mcp.ListResourcesParams{Cursor: cursor}); err == nil {
			t.Errorf("cursor %s was accepted, want an error", cursor)
		}
	}
	_, err = w.connect(t, "bob").ListResources(t.Context(), nil)
	if wire, ok := errors.AsType[*jsonrpc.Error](err); !ok || !strings.Contains(wire.Message, "may not list container") || strings.Contains(wire.Message, "127.0.0.1") {
		t.Errorf("bob: got %v, want that he may not list, and no address", err)
	}
}

func TestListResourcesOfAccount(t *testing.T) {
	t.Parallel()
	w := newAccountWorld(t, nil)
	for i := range 5 {
		put(w.storage, fmt.Sprintf("c-%d", i), "a", "b/c")
		w.storage.Grant(w.bob.ObjectID, fmt.Sprintf("c-%d", i/2*2), "")
	}
	for i := range 70 {
		put(w.storage, "c-2", fmt.Sprintf("x/%02d", i))
		put(w.storage, "c-3", fmt.Sprintf("x/%02d", i))
	}
	w.storage.Grant(w.alice.ObjectID, "", "")
	uris, pages := listResources(t, w.connect(t, "alice"))
	if len(uris) != 150 || pages != 2 || uris[0] != "blob://c-0/a" || !slices.IsSorted(uris) {
		t.Errorf("%d resources on %d pages, want 150 on 2, in order", len(uris), pages)
	}
	w.allowOnly(t, "c-4", "c-2/x/1*", "c-1", "c-0/b/")
	// What Bob has no role on is left out.
	uris, _ = listResources(t, w.connect(t, "bob"))
	if want := "blob://c-0/b/c blob://c-2/x/10 blob://c-2/x/11"; !strings.HasPrefix(strings.Join(uris, " "), want) || len(uris) != 1+10+2 {
		t.Errorf("got %q, want %q at the start, 1 + 10 + 2 uris", uris, want)
	}
}

// A server's own resources come first, and those of several sets one after the other.
func TestListResourcesOfSeveral(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	put(w.storage, "docs", "a")
	put(w.storage, "notes", "b")
	w.storage.Grant(w.alice.ObjectID, "notes", "")
	server := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ServerOptions{PageSize: 1})
	for _, name := range []string{"docs", "notes"} {
		set, err := blobtool.New(w.storage.URL(), name, w.findCredential, &blobtool.Options{HTTPClient: w.storage.HTTPClient()})
		if err != nil {
			t.Fatal(err)
		}
		set.Register(server)
	}
	for _, uri := range []string{"note://1", "note://2"} {
		server.AddResource(&mcp.Resource{URI: uri, Name: uri}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return nil, nil //nolint:nilnil // never read
		})
	}
	here, there := mcp.NewInMemoryTransports()
	serving, err := server.Connect(t.Context(), there, nil)
	if err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	uris, _ := listResources(t, session)
	if got := strings.Join(uris, " "); got != "note://1 note://2 blob://docs/a blob://notes/b" {
		t.Errorf("got %s, want \"note://1 note://2 blob://docs/a blob://notes/b\"", got)
	}
	_ = session.Close()
	_ = serving.Wait()
}

// The middleware that knows the caller is added after Register, and then runs before
// the listing, with sessions too: each sees what is theirs.
func TestListResourcesAsTheCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	put(w.storage, "docs", "alice/1", "bob/1")
	w.storage.Revoke(w.alice.ObjectID)
	w.storage.Grant(w.alice.ObjectID, "docs", "alice/")
	w.storage.Grant(w.bob.ObjectID, "docs", "")
	api := tenant.AddApp("resources", "access_as_user")
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = verifier.Close() }()
	credential := func(ctx context.Context) (azcore.TokenCredential, error) {
		id := entraauth.FromContext(ctx)
		if id == nil {
			return nil, errors.New("no caller")
		}
		user := w.alice
		if id.ObjectID() == w.bob.ObjectID {
			user = w.bob
		}
		return tokenFunc(func(policy.TokenRequestOptions) (string, error) {
			return tenant.Token(user, w.client, tenant.Storage(), "user_impersonation"), nil
		}), nil
	}
	for _, stateless := range []bool{true, false} {
		set, err := blobtool.New(w.storage.URL(), "docs", credential, &blobtool.Options{HTTPClient: w.storage.HTTPClient()})
		if err != nil {
			t.Fatal(err)
		}
		var options mcp.ServerOptions
		set.Configure(&options)
		server := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, &options)
		set.Register(server)
		server.AddReceivingMiddleware(mcpauth.Receive)
		stream := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: stateless})
		front := httptest.NewServer(verifier.Middleware(&entraauth.BearerCheck{WriteBody: mcpauth.WriteBody})(mcpauth.Bridge(stream)))
		w.url = front.URL
		bob := w.connect(t, tenant.Token(w.bob, w.client, api))
		if uris, _ := listResources(t, bob); len(uris) != 2 {
			t.Errorf("stateless %v: bob sees %q, want 2 uris", stateless, uris)
		}
		alice := w.connect(t, tenant.Token(w.alice, w.client, api))
		if _, err := alice.ListResources(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "may not list") {
			t.Errorf("stateless %v: alice: got %v, want an error and \"may not list\"", stateless, err)
		}
		complete := &mcp.CompleteParams{
			Ref:      &mcp.CompleteReference{Type: "ref/resource", URI: set.URITemplate()},
			Argument: mcp.CompleteParamsArgument{Name: "path", Value: "alice/"},
		}
		if res, err := alice.Complete(t.Context(), complete); err != nil || strings.Join(res.Completion.Values, " ") != "alice/1" {
			t.Errorf("stateless %v: alice completes to %+v, %v; want alice/1, nil", stateless, res, err)
		}
		_ = bob.Close()
		_ = alice.Close()
		front.Close()
	}
}
