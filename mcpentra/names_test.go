package mcpentra_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

func complete(t *testing.T, s *mcp.ClientSession, template, variable, value string, given map[string]string) ([]string, error) {
	t.Helper()
	r, err := s.Complete(t.Context(), &mcp.CompleteParams{
		Ref: &mcp.CompleteReference{Type: "ref/resource", URI: template}, Argument: mcp.CompleteParamsArgument{Name: variable, Value: value},
		Context: &mcp.CompleteContext{Arguments: given},
	})
	if err != nil {
		return nil, err
	}
	if r.Completion.Total > len(r.Completion.Values) {
		t.Errorf("%s of %s: a total of %d, want at most %v", variable, template, r.Completion.Total, len(r.Completion.Values))
	}
	return r.Completion.Values, nil
}

// Whoever may not list blobs by any tool is not told their names by lists of
// resources or by completions; whoever may not list containers, not theirs.
func TestNamesFollowListingTools(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.blobs.Grant(w.alice.ObjectID, "", "")
	for name, c := range map[string]struct {
		tools               []string
		closed              []string
		blobs, containers   bool // are told
		ofOneContainer, all bool // resources are listed
	}{
		"nothing closed":                 {nil, nil, true, true, true, true},
		"list_blobs":                     {nil, []string{"list_blobs"}, true, true, true, true},
		"search_blobs":                   {nil, []string{"search_blobs"}, true, true, true, true},
		"both":                           {nil, []string{"list_blobs", "search_blobs"}, false, true, false, false},
		"containers":                     {nil, []string{"list_containers"}, true, false, true, false},
		"all three":                      {nil, []string{"list_blobs", "search_blobs", "list_containers"}, false, false, false, false},
		"by a pattern":                   {nil, []string{"list_*", "search_*"}, false, false, false, false},
		"the only one offered":           {[]string{"read_blob", "list_blobs"}, []string{"list_blobs"}, false, true, false, false},
		"the other is offered":           {[]string{"read_blob", "list_blobs", "search_blobs"}, []string{"list_blobs"}, true, true, true, true},
		"none is offered":                {[]string{"read_blob"}, nil, true, true, true, true},
		"another tool":                   {nil, []string{"stat_blob"}, true, true, true, true},
		"read_blob, so no resources":     {nil, []string{"read_blob"}, false, false, false, false},
		"containers, in another pattern": {nil, []string{"list_c*"}, true, false, true, false},
	} {
		for _, account := range []bool{false, true} {
			options := &blobtool.Options{HTTPClient: w.blobs.HTTPClient(), Tools: c.tools}
			set, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, options)
			template := "blob://docs/{+path}"
			if account {
				template = "blob://{container}/{+path}"
				set, err = blobtool.NewAccount(w.blobs.URL(), mcpentra.Credential, options)
			}
			must(t, err)
			opts := []mcpentra.Option{mcpentra.WithExchanger(w.exchanger), mcpentra.WithTools(wrappings(set)["direct"])}
			for _, pattern := range c.closed {
				if account || !strings.HasPrefix(pattern, "list_c") {
					opts = append(opts, mcpentra.WithToolPolicy(pattern, readers))
				}
			}
			for _, mode := range modes {
				at := name + map[bool]string{true: ", account, ", false: ", container, "}[account] + mode.name
				server, err := mcpentra.NewServer(resourceURL, w.verifier, append(opts, append(mode.opts, mcpentra.WithLogger(w.logger()))...)...)
				must(t, err)
				w.server = server
				w.url = serve(t, server) + "/mcp"
				s := w.connect(t, w.token(w.alice), "2025-11-25")
				var uris []string
				for r, err := range s.Resources(t.Context(), nil) {
					must(t, err)
					uris = append(uris, r.URI)
				}
				if want := account && c.all || !account && c.ofOneContainer; slices.Contains(uris, "blob://docs/hello.txt") != want || !want && len(uris) > 0 {
					t.Errorf("%s: resources %q, want some: %v", at, uris, want)
				}
				values, err := complete(t, s, template, "path", "he", map[string]string{"container": "docs"})
				if told := slices.Equal(values, []string{"hello.txt"}); told != c.blobs {
					t.Errorf("%s: blobs %q, %v, want some: %v", at, values, err, c.blobs)
				}
				if account {
					values, err := complete(t, s, template, "container", "", nil)
					if told := slices.Equal(values, []string{"docs"}); told != c.containers {
						t.Errorf("%s: containers %q, %v, want some: %v", at, values, err, c.containers)
					}
				}
			}
		}
	}
}

// The cursor of somebody who may list does not help who may not.
func TestCursorGivesNoNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	set, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{HTTPClient: w.blobs.HTTPClient(), Tools: []string{"read_blob", "list_blobs"}})
	must(t, err)
	for i := range 150 {
		w.blobs.Put("docs", fmt.Sprintf("%03d", i), nil, "text/plain")
	}
	w.options = []mcpentra.Option{mcpentra.WithTools(set), mcpentra.WithToolPolicy("list_blobs", readers)}
	w.rebuild(t)
	reader := w.connect(t, strings.TrimPrefix(w.bearer(map[string]any{"roles": []string{"Reader"}})["Authorization"], "Bearer "), "2026-07-28")
	first, err := reader.ListResources(t.Context(), nil)
	must(t, err)
	next := &mcp.ListResourcesParams{Cursor: first.NextCursor}
	if page, err := reader.ListResources(t.Context(), next); err != nil || len(page.Resources) != 51 {
		t.Errorf("the reader's second page is %+v, %v; want 51 resources, nil", page, err)
	}
	if page, err := w.connect(t, w.token(w.alice), "2026-07-28").ListResources(t.Context(), next); err != nil || len(page.Resources) > 0 || page.NextCursor != "" {
		t.Errorf("the stranger's second page is %+v, %v; want no resources, no NextCursor, nil", page, err)
	}
}

// Completions leave out what leads to resources that are closed, of any set.
func TestCompletionsFollowPolicies(t *testing.T) {
	t.Parallel()
	w, _ := doorWorld(t)
	stranger := w.connect(t, w.token(w.alice), "2025-11-25")
	reader := w.connect(t, strings.TrimPrefix(w.bearer(map[string]any{"roles": []string{"Reader"}})["Authorization"], "Bearer "), "2025-11-25")
	check := func(who string, s *mcp.ClientSession, template, variable, value, want string) {
		t.Helper()
		values, err := complete(t, s, template, variable, value, nil)
		if err != nil || strings.Join(values, " ") != want {
			t.Errorf("%s completes %s of %s to %q, %v; want %q", who, variable, template, values, err, want)
		}
	}
	check("stranger", stranger, "note://{+rest}", "rest", "", "team/open")
	check("stranger", stranger, "NOTE://{+rest}", "rest", "", "team/open")
	check("stranger", stranger, "note:{+rest}", "rest", "", "team/open") // by the reading note://team/hr/
	check("stranger", stranger, "note://{+rest}", "other", "", "")
	check("reader", reader, "note://{+rest}", "rest", "", "team/hr/ team/hr/plan team/open")
	check("reader", reader, "note://{+rest}", "other", "", "team/hr/ team/hr/plan team/open")
	check("reader", reader, "blob://docs/{+path}", "path", "sec", "secret secret/ secretx/")
	check("stranger", stranger, "blob://docs/{+path}", "path", "sec", "secret secretx/")
	check("stranger", stranger, "blob://docs/{+path}", "path", "secret/", "")
	check("reader", reader, "blob://docs/{+path}", "path", "secret/", "secret/ secret/plan.txt")
	check("stranger", stranger, "blob://docs/{+path}", "path", "a", "a b a%252Fb a%2Fb a&b=c;d,e:f@g!h$i'j(k)* a+b a...b/ a\u00a0b")
	// A template that nobody lists is nobody's: a handler that ignores it would tell all.
	for _, template := range []string{"note://x/{+rest}", "zzz{rest}", "note://te%61m/{rest}", "{rest}", "note://{+rest}{x}", "blob://docs/{+other}"} {
		if values, err := complete(t, stranger, template, "rest", "", nil); err == nil {
			t.Errorf("%s is completed to %q", template, values)
		}
	}
	for _, uri := range []string{"zzz", "note://open", "", "blob://docs/x"} {
		if values, err := complete(t, stranger, uri, "rest", "", nil); err != nil || len(values) > 0 {
			t.Errorf("%q is completed to %q, %v", uri, values, err)
		}
	}
}

// shelves have a template with two variables, whose completions know all shelves.
type shelves struct{ notes }

func (shelves) Register(s *mcp.Server) {
	s.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: "note://{shelf}/{name}", Name: "shelf"}, nil)
}

func (shelves) Configure(o *mcp.ServerOptions) {
	o.CompletionHandler = func(_ context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
		values := []string{"plan", "mail", "a%2Fb"}
		if req.Params.Argument.Name == "shelf" {
			values = []string{"team", "own", "mail", "TE%41M", "x/../team"}
		}
		return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: values}}, nil
	}
}

func TestCompletionsOfSeveralVariables(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithTools(shelves{}, said("mail_read")), mcpentra.WithResourcePolicy("note://team/*", readers), mcpentra.WithToolPolicy("mail_read", readers))
	w.rebuild(t)
	stranger := w.connect(t, w.token(w.alice), "2026-07-28")
	reader := w.connect(t, strings.TrimPrefix(w.bearer(map[string]any{"roles": []string{"Reader"}})["Authorization"], "Bearer "), "2026-07-28")
	for _, c := range []struct{ variable, shelf, stranger, reader string }{
		{"shelf", "", "own", "team own mail TE%41M x/../team"},
		{"name", "own", "plan mail a%2Fb", "plan mail a%2Fb"},
		{"name", "team", "", "plan mail a%2Fb"},
		{"name", "TEAM", "", "plan mail a%2Fb"},
		{"name", "mail", "", "plan mail a%2Fb"},
		{"name", "", "", "plan mail a%2Fb"}, // of which shelf nobody knows
		{"other", "own", "", "plan mail a%2Fb"},
	} {
		given := map[string]string{}
		if c.shelf != "" {
			given["shelf"] = c.shelf
		}
		for s, want := range map[*mcp.ClientSession]string{stranger: c.stranger, reader: c.reader} {
			if values, err := complete(t, s, "note://{shelf}/{name}", c.variable, "", given); err != nil || strings.Join(values, " ") != want {
				t.Errorf("%s with shelf %q: %q, %v; want %q", c.variable, c.shelf, values, err, want)
			}
		}
	}
	if status, _, text := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"note://team/plan"},"argument":{"name":"x","value":""}}}`, w.bearer(nil)); status != http.StatusForbidden {
		t.Errorf("got %d %s, want 403", status, text)
	}
}
