package mcpentra_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// fileScopes are the hierarchy of these tests.
var fileScopes = map[string][]string{
	"Files.Manage":    {"Files.ReadWrite"},
	"Files.ReadWrite": {"Files.Read"},
	"Notes.Manage":    {"Notes.Read", "Files.Read"},
}

// shelf is a set with a static resource, a template and prompts.
type shelf struct{}

func (shelf) Register(s *mcp.Server) {
	read := func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "this is " + req.Params.URI}}}, nil
	}
	s.AddResource(&mcp.Resource{URI: "file://index", Name: "index"}, read)
	s.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: "file://shelf/{name}", Name: "shelf"}, read)
	for _, name := range []string{"summarize", "rewrite"} {
		s.AddPrompt(&mcp.Prompt{Name: name}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: "this is " + name}}}}, nil
		})
	}
}

// hierarchyWorld is a server with scopes that imply others, for whatever a client can ask for.
func hierarchyWorld(t testing.TB, opts ...mcpentra.Option) *world {
	t.Helper()
	w := newWorld(t)
	v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(), ImpliedScopes: fileScopes,
	})
	must(t, err)
	t.Cleanup(func() { _ = v.Close() })
	w.verifier = v
	w.options = append([]mcpentra.Option{
		mcpentra.WithTools(said("file_read"), said("file_write", entraauth.Policy{Scopes: []string{"Files.ReadWrite"}}),
			said("file_find", entraauth.Policy{AnyScope: []string{"Files.Manage", "Files.ReadWrite", "Notes.Read"}}), said("note_read", entraauth.Policy{Scopes: []string{"Notes.Read"}}), shelf{}),
		mcpentra.WithToolPolicy("file_*", entraauth.Policy{Scopes: []string{"Files.Read"}}),
		mcpentra.WithResourcePolicy("file://*", entraauth.Policy{Scopes: []string{"Files.Read"}}),
		mcpentra.WithResourcePolicy("file://shelf/drafts*", entraauth.Policy{AnyScope: []string{"Files.Manage", "Files.ReadWrite"}}),
		mcpentra.WithPromptPolicy("summarize", entraauth.Policy{Scopes: []string{"Files.Read"}}),
		mcpentra.WithPromptPolicy("rewrite", entraauth.Policy{Scopes: []string{"Files.ReadWrite", "Files.Read", "Notes.Read"}}),
	}, opts...)
	w.rebuild(t)
	return w
}

func (w *world) withScopes(scopes ...string) map[string]string {
	return w.bearer(map[string]any{"scp": strings.Join(append([]string{"access_as_user"}, scopes...), " ")})
}

// challenged returns the challenge's scopes as short names, without access_as_user.
func (w *world) challenged(t testing.TB, challenge string) []string {
	t.Helper()
	_, rest, _ := strings.Cut(challenge, `scope="`)
	list, _, _ := strings.Cut(rest, `"`)
	names := strings.Fields(strings.ReplaceAll(list, "api://"+w.api.ClientID+"/", ""))
	if len(names) == 0 || names[0] != "access_as_user" {
		t.Fatalf("the challenge %q does not begin with access_as_user", challenge)
	}
	return names[1:]
}

func rpc(id int, method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, id, method, params)
}

// What each kind of target asks of whom. A token with exactly the challenge's scopes passes.
func TestHierarchyByKind(t *testing.T) {
	t.Parallel()
	w := hierarchyWorld(t)
	tool := func(name string) string { return rpc(1, "tools/call", `{"name":"`+name+`","arguments":{}}`) }
	prompt := func(name string) string { return rpc(1, "prompts/get", `{"name":"`+name+`"}`) }
	read := func(uri string) string { return rpc(1, "resources/read", `{"uri":"`+uri+`"}`) }
	batch := func(messages ...string) string { return "[" + strings.Join(messages, ",") + "]" }
	for name, row := range map[string]struct {
		body   string
		asks   string            // of a token with access_as_user alone
		refuse map[string]string // what a token has: what it is asked for all the same
		pass   []string
	}{
		"tool": {tool("file_read"), "Files.Read", map[string]string{"Notes.Read": "Files.Read"},
			[]string{"Files.ReadWrite", "Files.Manage", "Notes.Manage"}},
		"tool, two policies of which one implies the other": {tool("file_write"), "Files.ReadWrite", map[string]string{"Files.Read": "Files.ReadWrite", "Notes.Manage": "Files.ReadWrite"},
			[]string{"Files.Manage", "Files.ReadWrite Files.Read"}},
		"tool, one of several": {tool("file_find"), "Files.ReadWrite", map[string]string{"Files.Read": "Files.ReadWrite", "Notes.Read": "Files.ReadWrite"},
			[]string{"Files.Manage", "Notes.Manage", "Notes.Read Files.Read"}},
		"static resource":               {read("file://index"), "Files.Read", map[string]string{"Notes.Read": "Files.Read"}, []string{"Files.Manage", "Notes.Manage"}},
		"template resource":             {read("file://shelf/plan"), "Files.Read", nil, []string{"Files.ReadWrite", "Notes.Manage"}},
		"template resource, a narrower": {read("file://shelf/drafts1"), "Files.ReadWrite", map[string]string{"Notes.Manage": "Files.ReadWrite"}, []string{"Files.Manage"}},
		"prompt":                        {prompt("summarize"), "Files.Read", nil, []string{"Files.ReadWrite", "Notes.Manage"}},
		"prompt, several": {prompt("rewrite"), "Files.ReadWrite Notes.Read", map[string]string{"Files.ReadWrite": "Files.ReadWrite Notes.Read", "Notes.Manage": "Files.ReadWrite Notes.Read"},
			[]string{"Files.Manage Notes.Read", "Files.ReadWrite Notes.Manage"}},
		"completion of a template": {rpc(1, "completion/complete", `{"ref":{"type":"ref/resource","uri":"file://shelf/{name}"},"argument":{"name":"name","value":"p"}}`), "Files.Read", nil, []string{"Notes.Manage"}},
		"batch: all of it at once": {batch(tool("note_read"), strings.Replace(tool("file_write"), `"id":1`, `"id":2`, 1), strings.Replace(tool("file_find"), `"id":1`, `"id":3`, 1)), "Notes.Read Files.ReadWrite",
			map[string]string{"Files.ReadWrite": "Notes.Read Files.ReadWrite"}, []string{"Notes.Manage Files.Manage"}},
	} {
		t.Run(name, func(t *testing.T) {
			post := func(scopes ...string) (int, []string, string) {
				header := w.withScopes(scopes...)
				if strings.HasPrefix(row.body, "[") {
					header["Mcp-Protocol-Version"] = "2025-03-26"
				}
				status, answer, body := w.post(t, row.body, header)
				if status != 403 {
					return status, nil, body
				}
				return status, w.challenged(t, answer.Get("WWW-Authenticate")), body
			}
			refuse := map[string]string{"": row.asks}
			maps.Copy(refuse, row.refuse)
			for has, asks := range refuse {
				if status, got, body := post(strings.Fields(has)...); status != 403 || strings.Join(got, " ") != asks {
					t.Errorf("with %q: %d, challenge %q, want 403, %q\n%s", has, status, got, asks, body)
				}
			}
			bare := w.bearer(map[string]any{"scp": "other"}) // not even the verifier's scope: all is asked for at once
			if strings.HasPrefix(row.body, "[") {
				bare["Mcp-Protocol-Version"] = "2025-03-26"
			}
			if status, answer, body := w.post(t, row.body, bare); status != 403 || strings.Join(w.challenged(t, answer.Get("WWW-Authenticate")), " ") != row.asks {
				t.Errorf("without the verifier's scope: %d, challenge %q, want 403, %q\n%s", status, answer.Get("WWW-Authenticate"), row.asks, body)
			}
			for _, has := range append(row.pass, row.asks) {
				if status, got, body := post(strings.Fields(has)...); status != 200 || strings.Contains(body, `"error"`) && !strings.Contains(name, "completion") {
					t.Errorf("with %q: %d, challenge %q, want 200\n%s", has, status, got, body)
				}
			}
		})
	}
}

// The second check, on what the SDK has read, decides by the same rule: in each era, with
// sessions and without.
func TestHierarchyInEachEra(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		for _, protocol := range protocols {
			if mode.name == "sessions" && protocol == "2026-07-28" {
				continue
			}
			t.Run(mode.name+" "+protocol, func(t *testing.T) {
				w := hierarchyWorld(t, mode.opts...)
				h := &tokenHolder{token: strings.TrimPrefix(w.withScopes("Files.Read")["Authorization"], "Bearer ")}
				s := w.connectWith(t, h, protocol)
				if _, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "file_write"}); err == nil || !strings.Contains(err.Error(), "Required scope is missing") {
					t.Errorf("file_write with a narrower scope: %v, want an error and \"Required scope is missing\"", err)
				}
				h.set(strings.TrimPrefix(w.withScopes("Files.Manage")["Authorization"], "Bearer "))
				for _, tool := range []string{"file_read", "file_write", "file_find"} {
					if _, text := call(t, s, tool, nil); text != "this is "+tool {
						t.Errorf("%s with a broader scope: %s, want \"this is %s\"", tool, text, tool)
					}
				}
				if r, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "file://shelf/drafts1"}); err != nil || r.Contents[0].Text != "this is file://shelf/drafts1" {
					t.Errorf("resources/read with a broader scope: %v %v, want its text", r, err)
				}
			})
		}
	}
}

// A list shows what the caller may use. Where a policy also wants what no client can ask for,
// a broader scope counts as the narrower one does.
func TestHierarchyInLists(t *testing.T) {
	t.Parallel()
	w := hierarchyWorld(t)
	w.options = append(w.options, mcpentra.WithToolPolicy("note_read", entraauth.Policy{UserRoles: []string{"Reader"}}))
	w.rebuild(t)
	for name, row := range map[string]struct {
		header map[string]string
		hidden bool
	}{
		"no scope, no role":       {w.withScopes(), true},
		"broader scope, no role":  {w.withScopes("Notes.Manage"), true},
		"role, no scope":          {w.bearer(map[string]any{"roles": []string{"Reader"}}), false},
		"role and a broader":      {w.bearer(map[string]any{"roles": []string{"Reader"}, "scp": "access_as_user Notes.Manage"}), false},
		"role and a narrower one": {w.bearer(map[string]any{"roles": []string{"Reader"}, "scp": "access_as_user Files.Read"}), false},
	} {
		_, _, body := w.post(t, rpc(1, "tools/list", `{}`), row.header)
		if strings.Contains(body, `"note_read"`) == row.hidden || !strings.Contains(body, `"file_write"`) {
			t.Errorf("%s: note_read hidden: %v, want %v, and file_write shown\n%s", name, !strings.Contains(body, `"note_read"`), row.hidden, body)
		}
	}
}

// A tool that asks with MayUseResource decides, and challenges, by the same rule.
func TestHierarchyInMayUseResource(t *testing.T) {
	t.Parallel()
	w := hierarchyWorld(t)
	w.options = append(w.options, mcpentra.WithTools(mcpentra.Tool(&mcp.Tool{Name: "peek", Description: "Looks at a draft."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			if err := mcpentra.MayUseResource(ctx, "file://shelf/drafts1"); err != nil {
				return nil, nil, err
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "this is a draft"}}}, nil, nil
		}, entraauth.Policy{AnyScope: []string{"Notes.Read", "Files.Read"}})))
	w.rebuild(t)
	for has, asks := range map[string]string{"Files.Read": "Files.ReadWrite", "Notes.Manage": "Files.ReadWrite", "Files.ReadWrite": "", "Files.Manage": ""} {
		status, answer, body := w.post(t, callBody("peek"), w.withScopes(has))
		if asks == "" {
			if status != 200 || !strings.Contains(body, "this is a draft") {
				t.Errorf("with %s: %d %s, want the draft", has, status, body)
			}
			continue
		}
		if status != 403 || strings.Join(w.challenged(t, answer.Get("WWW-Authenticate")), " ") != asks {
			t.Errorf("with %s: %d, challenge %q, want 403, %s", has, status, answer.Get("WWW-Authenticate"), asks)
		}
	}
}

// The proxy knows whatever a challenge can name: it would drop anything else from the
// client's request, which would be challenged again and again. Here the verifier's choice
// implies what the tool needs, and the tool's challenge makes another choice.
func TestHierarchyOfChoicesAtTheProxy(t *testing.T) {
	t.Parallel()
	p := newFakeProxy()
	w := newWorld(t)
	v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(), ImpliedScopes: fileScopes,
		Policy: entraauth.Policy{AnyScope: []string{"Files.Manage", "access_as_user"}},
	})
	must(t, err)
	t.Cleanup(func() { _ = v.Close() })
	w.verifier = v
	w.options = []mcpentra.Option{mcpentra.WithAuthProxy(p), mcpentra.WithTools(said("file_read", entraauth.Policy{Scopes: []string{"access_as_user", "Files.Read"}}))}
	w.rebuild(t)
	_, answer, _ := w.post(t, callBody("file_read"), w.withScopes())
	names := w.challenged(t, answer.Get("WWW-Authenticate"))
	if strings.Join(names, " ") != "Files.Read" {
		t.Errorf("the challenge asks for %q besides access_as_user, want Files.Read", names)
	}
	for _, name := range names {
		if !slices.Contains(p.scopes, "api://"+w.api.ClientID+"/"+name) {
			t.Errorf("the proxy knows %q, want %s among them", p.scopes, name)
		}
	}
}

// The metadata advertises the verifier's scopes, and the proxy knows all that a challenge can
// name and all that a policy takes in their place.
func TestHierarchyAtTheProxy(t *testing.T) {
	t.Parallel()
	p := newFakeProxy()
	w := hierarchyWorld(t, mcpentra.WithAuthProxy(p))
	prefix := "api://" + w.api.ClientID + "/"
	_, _, body := do(t, "GET", strings.TrimSuffix(w.url, "/mcp")+"/.well-known/oauth-protected-resource/mcp", "", nil)
	if !strings.Contains(body, `"scopes_supported":["`+prefix+`access_as_user"]`) {
		t.Errorf("the metadata: %s, want access_as_user alone", body)
	}
	want := []string{"access_as_user", "Files.Manage", "Files.Read", "Files.ReadWrite", "Notes.Read"}
	var got []string
	for _, scope := range p.scopes {
		got = append(got, strings.TrimPrefix(scope, prefix))
	}
	if len(got) == 0 || got[0] != "access_as_user" || !slices.Equal(slices.Sorted(slices.Values(got[1:])), want[1:]) {
		t.Errorf("the proxy's scopes are %q, want %q, the first one first", got, want)
	}
}
