package mcpentra_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// wrapped promotes Register only.
type wrapped struct{ mcpentra.ToolSet }

// bundle is several sets.
type bundle []mcpentra.ToolSet

func (b bundle) Register(s *mcp.Server) {
	for _, set := range b {
		set.Register(s)
	}
}

// own has a Register of its own.
type own struct{ inner mcpentra.ToolSet }

func (o *own) Register(s *mcp.Server) { o.inner.Register(s) }

func wrappings(set mcpentra.ToolSet) map[string]mcpentra.ToolSet {
	return map[string]mcpentra.ToolSet{
		"direct": set, "embedded": wrapped{set}, "embedded pointer": &wrapped{set}, "bundle": bundle{said("other"), set}, "function": registers(set.Register), "own": &own{set},
		"deep": bundle{wrapped{&own{registers(bundle{set}.Register)}}},
	}
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

func wantFault(t *testing.T, name string, err error, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: the error is %v, want one with %q", name, err, want)
		}
	}
}

// However a tool is wrapped, its policies hold, with the same answers.
func TestWrappedToolsKeepPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answers := map[string]string{}
	for name := range wrappings(notes{}) {
		ran := false
		set := wrappings(secretly(&ran, readers))[name]
		w.options = []mcpentra.Option{mcpentra.WithTools(set), mcpentra.WithToolPolicy("*", entraauth.Policy{Scopes: []string{"access_as_user"}})}
		w.rebuild(t)
		status, header, body := w.post(t, callBody("secret"), w.bearer(nil))
		if status != 403 || ran {
			t.Errorf("%s: got %d %s, ran: %v; want 403, false", name, status, body, ran)
		}
		answers[name] = header.Get("WWW-Authenticate") + body
		for tool, err := range w.connect(t, w.token(w.alice), "2026-07-28").Tools(t.Context(), nil) {
			must(t, err)
			if tool.Name == "secret" {
				t.Errorf("%s: the tool is listed", name)
			}
		}
		if status, _, body := w.post(t, `[`+callBody("secret")+`]`, with(w.bearer(nil), "Mcp-Protocol-Version", "2025-03-26")); status != 403 || ran {
			t.Errorf("%s, batch: got %d %s, ran: %v; want 403, false", name, status, body, ran)
		}
		if status, _, body := w.post(t, callBody("secret"), w.bearer(map[string]any{"roles": []string{"Reader"}})); status != 200 || !ran {
			t.Errorf("%s, with the role: got %d %s, ran: %v; want 200, true", name, status, body, ran)
		}
	}
	for name, answer := range answers {
		if changing.ReplaceAllString(answer, "") != changing.ReplaceAllString(answers["direct"], "") {
			t.Errorf("%s is answered %s, direct %s", name, answer, answers["direct"])
		}
	}
}

func with(header map[string]string, name, value string) map[string]string {
	header[name] = value
	return header
}

// The same for a tool that is registered once the server runs, and on a server of
// the SDK's, which knows nobody or, with mcpauth, who calls.
func TestToolsRegisteredElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name := range wrappings(notes{}) {
		ran := false
		w.rebuild(t)
		wrappings(secretly(&ran, readers))[name].Register(w.server.MCP())
		if status, _, body := w.post(t, callBody("secret"), w.bearer(nil)); status != 403 || ran {
			t.Errorf("%s, later: got %d %s, ran: %v; want 403, false", name, status, body, ran)
		}
		if status, _, _ := w.post(t, callBody("secret"), w.bearer(map[string]any{"roles": []string{"Reader"}})); status != 200 || !ran {
			t.Errorf("%s, later, with the role: got %d, ran: %v; want 200, true", name, status, ran)
		}
		ran = false
		server := mcp.NewServer(&mcp.Implementation{Name: "plain"}, nil)
		wrappings(secretly(&ran, readers))[name].Register(server)
		server.AddReceivingMiddleware(mcpauth.Receive)
		here, there := mcp.NewInMemoryTransports()
		_, err := server.Connect(t.Context(), there, nil)
		must(t, err)
		session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(t.Context(), here, nil)
		must(t, err)
		if _, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "secret"}); err == nil || ran {
			t.Errorf("%s, plain server: got %v, ran: %v; want an error, false", name, err, ran)
		}
		_ = session.Close()
	}
}

// However blobtool's set is wrapped, its resources follow its tools.
func TestWrappedResourcesFollowTools(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	blobs, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{HTTPClient: w.blobs.HTTPClient(), Tools: []string{"read_blob", "list_blobs"}})
	must(t, err)
	for name, set := range wrappings(blobs) {
		w.options = []mcpentra.Option{mcpentra.WithTools(set), mcpentra.WithToolPolicy("read_blob", readers)}
		w.rebuild(t)
		body := `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"blob://docs/hello.txt"}}`
		if status, _, text := w.post(t, body, w.bearer(nil)); status != 403 {
			t.Errorf("%s: got %d %s, want 403", name, status, text)
		}
		if status, _, text := w.post(t, body, w.bearer(map[string]any{"roles": []string{"Reader"}})); status != 200 || !strings.Contains(text, "Hello") {
			t.Errorf("%s, with the role: got %d %s, want 200 and Hello", name, status, text)
		}
		for r, err := range w.connect(t, w.token(w.alice), "2026-07-28").Resources(t.Context(), nil) {
			must(t, err)
			t.Errorf("%s: %s is listed", name, r.URI)
		}
		w.options = nil
		w.rebuild(t)
		w.server, err = mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithTools(set))
		wantFault(t, name, err, "WithExchanger")
	}
}

// The same for a set that is registered once the server runs.
func TestWrappedResourcesRegisteredLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithToolPolicy("read_*", readers))
	blobs, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{HTTPClient: w.blobs.HTTPClient(), Tools: []string{"read_blob"}})
	must(t, err)
	bundle{wrapped{blobs}}.Register(w.server.MCP())
	for _, uri := range []string{"blob://docs/hello.txt", "BLOB://docs/%68ello.txt"} {
		body := `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"` + uri + `"}}`
		if status, _, text := w.post(t, body, w.bearer(nil)); status != 403 {
			t.Errorf("%s: got %d %s, want 403", uri, status, text)
		}
		if status, _, text := w.post(t, body, w.bearer(map[string]any{"roles": []string{"Reader"}})); status != 200 || !strings.Contains(text, "Hello") {
			t.Errorf("%s, with the role: got %d %s, want 200 and Hello", uri, status, text)
		}
	}
	if status, _, text := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"resources/list"}`, w.bearer(nil)); strings.Contains(text, "hello") {
		t.Errorf("listed: got %d %s, want no hello", status, text)
	}
}

// A set that has resources and a tool under a policy must say whether the one
// stands for the other, if need be through its wrapper.
func TestResourcesWithoutAWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	both := bundle{said("mail_read"), notes{}}
	for name, c := range map[string]struct {
		set   mcpentra.ToolSet
		opts  []mcpentra.Option
		fault bool
	}{
		"policy by option":         {both, []mcpentra.Option{mcpentra.WithToolPolicy("mail_*", readers)}, true},
		"policy for all":           {wrapped{both}, []mcpentra.Option{mcpentra.WithToolPolicy("*", readers)}, true},
		"policy of its own":        {registers(bundle{said("mail_read", readers), notes{}}.Register), nil, true},
		"one resource is covered":  {both, []mcpentra.Option{mcpentra.WithToolPolicy("mail_*", readers), mcpentra.WithResourcePolicy("note://own", readers)}, true},
		"no policy":                {both, nil, false},
		"policy for another tool":  {both, []mcpentra.Option{mcpentra.WithToolPolicy("secure_ping", readers)}, false},
		"all resources are closed": {both, []mcpentra.Option{mcpentra.WithToolPolicy("mail_*", readers), mcpentra.WithResourcePolicy("note://*", readers)}, false},
		"it says":                  {saying{both}, []mcpentra.Option{mcpentra.WithToolPolicy("mail_*", readers)}, false},
		"one by one":               {notes{}, []mcpentra.Option{mcpentra.WithTools(said("mail_read")), mcpentra.WithToolPolicy("mail_*", readers)}, false},
	} {
		_, err := mcpentra.NewServer(resourceURL, w.verifier, append(c.opts, mcpentra.WithTools(mcpentra.IdentityTools(w.verifier), c.set))...)
		if c.fault {
			wantFault(t, name, err, "ToolForResource", "mail_read", "note://")
		} else if err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
	}
}

// saying says that its resources are free.
type saying struct{ bundle }

func (saying) ToolForResource(string) string { return "" }

// sayingSet has a resource that stands for a tool of another set.
type sayingSet struct{}

func (sayingSet) Register(s *mcp.Server) {
	s.AddResource(&mcp.Resource{URI: "vault://a", Name: "a"}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: "vault://a", Text: "SECRET"}}}, nil
	})
}

func (sayingSet) ToolForResource(string) string { return "secret" }

// What a wrapped set says of its resources holds, also where the tool is another
// set's; a wrapper that hides even the set is a fault.
func TestWrapperOfResourcesOfAnotherSetsTool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := mcpentra.Tool(&mcp.Tool{Name: "secret"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	}, readers)
	for name, set := range map[string]mcpentra.ToolSet{
		"not wrapped":          sayingSet{},
		"embedded":             wrapped{sayingSet{}},
		"embedded, twice":      wrapped{wrapped{sayingSet{}}},
		"embedded, by pointer": &wrapped{&sayingSet{}},
		"bundle":               bundle{sayingSet{}},
		"bundle in a wrapper":  wrapped{bundle{wrapped{sayingSet{}}}},
		"by name":              wrapped{byName{"a": sayingSet{}}},
		"a list in a field":    listed{Sets: []mcpentra.ToolSet{wrapped{sayingSet{}}}},
	} {
		w.options = []mcpentra.Option{mcpentra.WithTools(secret, set)}
		w.rebuild(t)
		body := `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"vault://a"}}`
		if status, _, text := w.post(t, body, w.bearer(nil)); status != 403 {
			t.Errorf("%s: got %d %s, want 403", name, status, text)
		}
		if status, _, text := w.post(t, body, w.bearer(map[string]any{"roles": []string{"Reader"}})); status != 200 || !strings.Contains(text, "SECRET") {
			t.Errorf("%s, with the role: got %d %s, want 200 and SECRET", name, status, text)
		}
	}
	_, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithTools(secret, hiding{sayingSet{}}))
	wantFault(t, "in a field that is not exported", err, "ToolForResource", "secret", "vault://a")
	if _, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithTools(hiding{sayingSet{}})); err != nil {
		t.Errorf("without policies: got %v, want nil", err)
	}
}

// hiding is a wrapper of a set that nobody sees.
type hiding struct{ inner sayingSet }

func (h hiding) Register(s *mcp.Server) { h.inner.Register(s) }

// byName is several sets in a map.
type byName map[string]mcpentra.ToolSet

func (b byName) Register(s *mcp.Server) {
	for _, set := range b {
		set.Register(s)
	}
}

// listed is several sets in a field.
type listed struct{ Sets []mcpentra.ToolSet }

func (l listed) Register(s *mcp.Server) { bundle(l.Sets).Register(s) }
