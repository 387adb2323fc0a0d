package mcpentra_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

const manager = "11111111-2222-3333-4444-555555555555" // a group

// readers is a policy that nobody meets without the role.
var readers = entraauth.Policy{UserRoles: []string{"Reader"}}

// said is a tool that says its own name.
func said(name string, policies ...entraauth.Policy) mcpentra.ToolSet {
	return mcpentra.Tool(&mcp.Tool{Name: name, Description: "Says its name."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "this is " + name}}}, nil, nil
		}, policies...)
}

// policyWorld has a tool for each kind of policy.
func policyWorld(t testing.TB, opts ...mcpentra.Option) *world {
	t.Helper()
	w := newWorld(t, append([]mcpentra.Option{
		mcpentra.WithTools(
			said("mail_read"), said("mail_send", entraauth.Policy{Scopes: []string{"Mail.Send"}}),
			said("report", entraauth.Policy{UserRoles: []string{"Reader"}}), said("salaries"),
			said("payout"), said("desktop"), said("batch", entraauth.Policy{AppRoles: []string{"Batch.Run"}}),
			said("either", entraauth.Policy{AnyScope: []string{"Files.Read", "Files.All"}}),
			said("strict", entraauth.Policy{Scopes: []string{"Mail.Send"}, UserRoles: []string{"Reader"}}),
			notes{},
		),
		mcpentra.WithToolPolicy("mail_*", entraauth.Policy{Scopes: []string{"Mail.Read"}}),
		mcpentra.WithToolPolicy("salaries", entraauth.Policy{Groups: []string{manager}}),
		mcpentra.WithToolPolicy("payout", entraauth.Policy{AuthContext: "c1"}),
		mcpentra.WithToolPolicy("desktop", entraauth.Policy{Clients: []string{manager}}),
		mcpentra.WithResourcePolicy("note://team/*", entraauth.Policy{UserRoles: []string{"Reader"}}),
		mcpentra.WithPromptPolicy("draft", entraauth.Policy{Scopes: []string{"Mail.Send"}}),
	}, opts...)...)
	return w
}

// notes is a set with resources and prompts: those of note://mail stand for the
// tool mail_read.
type notes struct{}

func (notes) Register(s *mcp.Server) {
	read := func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "noted"}}}, nil
	}
	for _, uri := range []string{"note://own", "note://team/plan", "note://mail/today"} {
		s.AddResource(&mcp.Resource{URI: uri, Name: uri}, read)
	}
	s.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: "note://team/{name}", Name: "team"}, read)
	for _, name := range []string{"draft", "greet"} {
		s.AddPrompt(&mcp.Prompt{Name: name}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: "Write."}}}}, nil
		})
	}
}

func (notes) Configure(o *mcp.ServerOptions) {
	o.CompletionHandler = func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
		return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{"plan"}}}, nil
	}
}

func (notes) ToolForResource(uri string) string {
	if strings.HasPrefix(uri, "note://mail/") {
		return "mail_read"
	}
	return ""
}

// bearer returns the header of a token of Alice's with these changes to its claims.
func (w *world) bearer(change map[string]any) map[string]string {
	token := w.tenant.Mint(w.api, 1, func(_, claims map[string]any) {
		claims["oid"], claims["appid"] = w.alice.ObjectID, w.client.ClientID
		for name, value := range change {
			claims[name] = value
			if value == nil {
				delete(claims, name)
			}
		}
	})
	return map[string]string{"Authorization": "Bearer " + token}
}

// application returns the header of an app-only token.
func (w *world) application(roles ...string) map[string]string {
	return w.bearer(map[string]any{"scp": nil, "idtyp": "app", "sub": w.client.ClientID, "oid": w.client.ClientID, "roles": roles})
}

func callBody(tool string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + tool + `","arguments":{}}}`
}

var changing = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|localhost:\d+`)

// What is answered to whom: the whole challenge and body of each refusal is in a
// golden file.
func TestRefusalsByPolicy(t *testing.T) {
	t.Parallel()
	w := policyWorld(t)
	w.verifierAcceptsApps(t)
	var golden strings.Builder
	for _, c := range []struct {
		name   string
		header map[string]string
		tool   string
		status int
	}{
		{"no policy", w.bearer(nil), "secure_ping", 200},
		{"scope missing", w.bearer(nil), "mail_read", 403},
		{"scope there", w.bearer(map[string]any{"scp": "access_as_user Mail.Read"}), "mail_read", 200},
		{"policies add up, one scope missing", w.bearer(map[string]any{"scp": "access_as_user Mail.Read"}), "mail_send", 403},
		{"policies add up, the other missing", w.bearer(map[string]any{"scp": "access_as_user Mail.Send"}), "mail_send", 403},
		{"policies add up", w.bearer(map[string]any{"scp": "access_as_user Mail.Send Mail.Read"}), "mail_send", 200},
		{"any scope, none", w.bearer(nil), "either", 403},
		{"any scope, the second", w.bearer(map[string]any{"scp": "access_as_user Files.All"}), "either", 200},
		{"role missing", w.bearer(nil), "report", 403},
		{"role there", w.bearer(map[string]any{"roles": []string{"Reader"}}), "report", 200},
		{"role and scope missing", w.bearer(nil), "strict", 403},
		{"role there, scope missing", w.bearer(map[string]any{"roles": []string{"Reader"}}), "strict", 403},
		{"group missing", w.bearer(nil), "salaries", 403},
		{"group there", w.bearer(map[string]any{"groups": []string{manager}}), "salaries", 200},
		{"client not allowed", w.bearer(nil), "desktop", 403},
		{"client allowed", w.bearer(map[string]any{"appid": manager}), "desktop", 200},
		{"authentication context, client without cp1", w.bearer(nil), "payout", 403},
		{"authentication context, client with cp1", w.bearer(map[string]any{"xms_cc": []string{"cp1"}}), "payout", 401},
		{"authentication context there", w.bearer(map[string]any{"acrs": []string{"c1"}}), "payout", 200},
		{"user calls a tool for applications", w.bearer(nil), "batch", 403},
		{"application without the role", w.application("Other"), "batch", 403},
		{"application with the role", w.application("Other", "Batch.Run"), "batch", 200},
		{"application calls a tool for users", w.application("Other"), "mail_read", 403},
		{"application calls a tool for all", w.application("Other"), "secure_ping", 200},
	} {
		status, header, body := w.post(t, callBody(c.tool), c.header)
		if status != c.status {
			t.Errorf("%s: %s: got %d %s, want %v", c.name, c.tool, status, body, c.status)
		}
		if status == 200 {
			if !strings.Contains(body, `"id":7`) || strings.Contains(body, `"error"`) {
				t.Errorf("%s: got %s, want %q and no %q", c.name, body, `"id":7`, `"error"`)
			}
			continue
		}
		if strings.Contains(body, "this is") {
			t.Errorf("%s: the tool ran, want a refusal", c.name)
		}
		fmt.Fprintf(&golden, "# %s: %s\n%d\nWWW-Authenticate: %s\n%s\n", c.name, c.tool, status, header.Get("WWW-Authenticate"), body)
	}
	text := strings.NewReplacer(w.api.ClientID, "{api}", w.client.ClientID, "{client}", w.tenant.ID(), "{tenant}").Replace(golden.String())
	compareGolden(t, "challenges.txt", changing.ReplaceAllString(text, "{id}"))
	if strings.Contains(w.log.String(), "arguments") {
		t.Error("the log has arguments")
	}
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if string(want) != got {
		t.Errorf("%s differs (go test -update writes it):\n%s", path, got)
	}
}

// verifierAcceptsApps replaces the server's verifier by one that lets applications
// with a role in: each tool says whether it wants users.
func (w *world) verifierAcceptsApps(t *testing.T) {
	t.Helper()
	v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(),
		Policy: entraauth.Policy{Scopes: []string{"access_as_user"}, AppRoles: []string{"Other"}},
	})
	must(t, err)
	t.Cleanup(func() { _ = v.Close() })
	w.verifier = v
	w.rebuild(t)
}

// The same in each era, with sessions and without.
func TestPolicyInEachEra(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		for _, mode := range modes {
			if mode.name == "sessions" && protocol == "2026-07-28" {
				continue
			}
			t.Run(mode.name+" "+protocol, func(t *testing.T) {
				w := policyWorld(t, mode.opts...)
				h := &tokenHolder{token: w.token(w.alice)}
				s := w.connectWith(t, h, protocol)
				if _, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "mail_read"}); err == nil || !strings.Contains(err.Error(), "Required scope is missing") {
					t.Errorf("mail_read: got %v, want an error and \"Required scope is missing\"", err)
				}
				// The connection has survived, and the next token has the scope.
				h.set(strings.TrimPrefix(w.bearer(map[string]any{"scp": "access_as_user Mail.Read"})["Authorization"], "Bearer "))
				if _, text := call(t, s, "mail_read", nil); text != "this is mail_read" {
					t.Errorf("mail_read: got %s, want \"this is mail_read\"", text)
				}
				if _, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "no_such_tool"}); err == nil || !strings.Contains(err.Error(), "unknown tool") {
					t.Errorf("no_such_tool: got %v, want an error and \"unknown tool\"", err)
				}
			})
		}
	}
}

// Requests that seem to call one tool and call another.
func TestDeceptiveRequests(t *testing.T) {
	t.Parallel()
	w := policyWorld(t)
	for name, c := range map[string]struct {
		body   string
		header map[string]string
		status []int
	}{
		"name in two cases":         {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"report","NAME":"secure_ping"}}`, nil, []int{403}},
		"name in two cases, before": {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"NAME":"secure_ping","name":"report"}}`, nil, []int{403}},
		"name twice":                {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secure_ping","name":"report"}}`, nil, []int{400, 403}},
		"method in two cases":       {`{"jsonrpc":"2.0","id":1,"method":"tools/call","METHOD":"tools/list","params":{"name":"report"}}`, nil, []int{403}},
		"params in two cases":       {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"report"},"PARAMS":{"name":"secure_ping"}}`, nil, []int{403}},
		"escaped name":              {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"\u006eame":"\u0072eport"}}`, nil, []int{403}},
		"batch":                     {`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secure_ping"}},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"report"}}]`, map[string]string{"Mcp-Protocol-Version": "2025-03-26"}, []int{403}},
		"batch, name in two cases":  {`[{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"report","NAME":"secure_ping"}}]`, map[string]string{"Mcp-Protocol-Version": "2025-03-26"}, []int{200, 403}},
		"Mcp-Name is another":       {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"report",` + modernMeta + `}}`, map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "secure_ping"}, []int{400, 403}},
		"Mcp-Name is the forbidden": {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secure_ping",` + modernMeta + `}}`, map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "report"}, []int{400, 403}},
		"name is a number":          {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}`, nil, []int{400}},
		"params are a list":         {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["report"]}`, nil, []int{400}},
		"byte order mark":           {"\uFEFF" + callBody("report"), nil, []int{400}},
		"two messages":              {callBody("secure_ping") + callBody("report"), nil, []int{400}},
		"not JSON":                  {`report`, nil, []int{400}},
	} {
		header := w.bearer(nil)
		maps.Copy(header, c.header)
		status, _, body := w.post(t, c.body, header)
		if !slices.Contains(c.status, status) || strings.Contains(body, "this is") {
			t.Errorf("%s: got %d %s, want %d, and no answer of the tool", name, status, body, c.status)
		}
		if strings.HasPrefix(name, "batch, ") && status == 200 && !strings.Contains(body, `"reason":"user_role_missing"`) {
			t.Errorf("%s: got %s, want user_role_missing", name, body)
		}
	}
}

// Lists show what the caller may use, or may have for the asking.
func TestListsShowWhatTheCallerMayUse(t *testing.T) {
	t.Parallel()
	w := policyWorld(t)
	w.verifierAcceptsApps(t)
	list := func(header map[string]string) string {
		s := w.connect(t, strings.TrimPrefix(header["Authorization"], "Bearer "), "2026-07-28")
		var names []string
		for x, err := range s.Tools(t.Context(), nil) {
			must(t, err)
			names = append(names, x.Name)
		}
		for x, err := range s.Resources(t.Context(), nil) {
			must(t, err)
			names = append(names, x.URI)
		}
		for x, err := range s.ResourceTemplates(t.Context(), nil) {
			must(t, err)
			names = append(names, x.URITemplate)
		}
		for x, err := range s.Prompts(t.Context(), nil) {
			must(t, err)
			names = append(names, x.Name)
		}
		return strings.Join(names, " ")
	}
	const identity, blob = "get_user_info", "read_blob_with_token"
	for name, c := range map[string]struct {
		header map[string]string
		hidden []string
		shown  []string
	}{
		"user": {w.bearer(nil), []string{"report", "strict", "salaries", "desktop", "batch", "note://team/plan", "note://team/{name}", "payout"},
			[]string{identity, blob, "mail_read", "mail_send", "either", "note://own", "note://mail/today", "greet", "draft"}},
		"user with cp1":    {w.bearer(map[string]any{"xms_cc": []string{"cp1"}}), []string{"report"}, []string{"payout"}},
		"user with role":   {w.bearer(map[string]any{"roles": []string{"Reader"}}), []string{"salaries"}, []string{"report", "strict", "note://team/plan", "note://team/{name}"}},
		"application":      {w.application("Other"), []string{"mail_read", "report", "batch", "note://mail/today", "note://team/plan", "draft"}, []string{identity, "note://own", "greet"}},
		"application with": {w.application("Other", "Batch.Run"), []string{"mail_read"}, []string{"batch"}},
	} {
		got := " " + list(c.header) + " "
		for _, x := range c.hidden {
			if strings.Contains(got, " "+x+" ") {
				t.Errorf("%s: %s is shown, want it hidden", name, x)
			}
		}
		for _, x := range c.shown {
			if !strings.Contains(got, " "+x+" ") {
				t.Errorf("%s: %s is hidden, want it shown: %s", name, x, got)
			}
		}
	}
}

// Resources and prompts are judged wherever they are used.
func TestResourcesAndPrompts(t *testing.T) {
	t.Parallel()
	w := policyWorld(t)
	reader := w.bearer(map[string]any{"roles": []string{"Reader"}, "scp": "access_as_user Mail.Read Mail.Send"})
	for body, needsPolicy := range map[string]bool{
		`"method":"resources/read","params":{"uri":"note://own"}`:                                                                                  false,
		`"method":"resources/read","params":{"uri":"note://team/plan"}`:                                                                            true,
		`"method":"resources/read","params":{"uri":"note://mail/today"}`:                                                                           true,
		`"method":"resources/read","params":{"uri":"note://team/other"}`:                                                                           true,
		`"method":"prompts/get","params":{"name":"greet"}`:                                                                                         false,
		`"method":"prompts/get","params":{"name":"draft"}`:                                                                                         true,
		`"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"note://team/{name}"},"argument":{"name":"name","value":""}}`: true,
		`"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"draft"},"argument":{"name":"name","value":""}}`:               true,
		`"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"name","value":""}}`:               false,
	} {
		body = `{"jsonrpc":"2.0","id":1,` + body + `}`
		status, _, text := w.post(t, body, w.bearer(nil))
		if want := map[bool]int{true: http.StatusForbidden, false: http.StatusOK}[needsPolicy]; status != want {
			t.Errorf("%s: got %d %s, want %v", body, status, text, want)
		}
		if status, _, text := w.post(t, body, reader); status != http.StatusOK || strings.Contains(text, `"error"`) {
			t.Errorf("%s with everything: got %d %s, want 200 and no %q", body, status, text, `"error"`)
		}
	}
}

func TestPolicyFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		option mcpentra.Option
		want   string
	}{
		"misspelled tool": {mcpentra.WithToolPolicy("secure_pong", readers), "secure_pong"},
		"no such prefix":  {mcpentra.WithToolPolicy("blob_*", readers), "blob_*"},
		"no pattern":      {mcpentra.WithToolPolicy("", readers), "pattern is empty"},
		"full scope":      {mcpentra.WithToolPolicy("*", entraauth.Policy{Scopes: []string{"api://x/y"}}), "Scopes"},
		"tool's own":      {mcpentra.WithTools(said("x", entraauth.Policy{AuthContext: "c100"})), "AuthContext"},
		"no such prompt":  {mcpentra.WithPromptPolicy("greet", readers), "greet"},
		"no such URI":     {mcpentra.WithResourcePolicy("note://x", readers), "note://x"},
		"short state key": {mcpentra.WithStateKeys([]byte("short")), "WithStateKeys"},
	} {
		_, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithTools(mcpentra.IdentityTools(w.verifier)), c.option)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error and %q", name, err, c.want)
		}
	}
	if _, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithTools(mcpentra.IdentityTools(w.verifier), notes{}),
		mcpentra.WithToolPolicy("*", readers), mcpentra.WithToolPolicy("secure_*", readers),
		mcpentra.WithPromptPolicy("gr*", readers), mcpentra.WithResourcePolicy("note://team/plan", readers),
		mcpentra.WithResourcePolicy("note://*", readers), mcpentra.WithResourcePolicy("note://team/x", readers)); err != nil {
		t.Errorf("NewServer = %v, want nil", err)
	}
}

// A tool that is added later is under the policies whose patterns match it.
func TestToolAddedLater(t *testing.T) {
	t.Parallel()
	w := policyWorld(t)
	said("mail_delete").Register(w.server.MCP())
	if status, _, body := w.post(t, callBody("mail_delete"), w.bearer(nil)); status != http.StatusForbidden {
		t.Errorf("got %d %s, want 403", status, body)
	}
}

// secretly is a tool that must not run.
func secretly(ran *bool, p entraauth.Policy) mcpentra.ToolSet {
	return mcpentra.Tool(&mcp.Tool{Name: "secret", Description: "Must not run."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			*ran = true
			return nil, nil, nil
		}, p)
}
