package mcpentra_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// vault is a server with all tools of blobtool, whose blobs below secret/ and whose
// container payroll are closed by the policy. Their names have "covert" in them, and
// their content "classified".
func vault(t testing.TB, account bool, p entraauth.Policy, opts ...mcpentra.Option) *world {
	t.Helper()
	w := newWorld(t)
	w.blobs.AddContainer("payroll")
	w.blobs.GrantOwner(w.alice.ObjectID, "", "")
	for _, name := range []string{"docs secret/covert.txt", "docs secret/deep/covert.txt", "docs one/covert é.txt", "payroll covert.txt"} {
		container, blob, _ := strings.Cut(name, " ")
		w.blobs.Put(container, blob, []byte("this is classified"), "text/plain")
		w.blobs.Update(container, blob, func(p *blobtest.Properties) { p.Tags = map[string]string{"k": "v"} })
	}
	for _, name := range []string{"open.txt", "one/open.txt", "secrets.txt", "zz/%73ecret.txt"} {
		w.blobs.Put("docs", name, []byte("this is open"), "text/plain")
		w.blobs.Update("docs", name, func(p *blobtest.Properties) { p.Tags = map[string]string{"k": "v"} })
	}
	options := &blobtool.Options{HTTPClient: w.blobs.HTTPClient(), Logger: w.logger()}
	set, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, options)
	if account {
		set, err = blobtool.NewAccount(w.blobs.URL(), mcpentra.Credential, options)
		opts = append(opts, mcpentra.WithResourcePolicy("blob://payroll/*", p))
	}
	must(t, err)
	w.server, err = mcpentra.NewServer(resourceURL, w.verifier, append(opts,
		mcpentra.WithExchanger(w.exchanger), mcpentra.WithLogger(w.logger()), mcpentra.WithTools(struct{ mcpentra.ToolSet }{set}, configureOnly{set}),
		mcpentra.WithResourcePolicy("blob://docs/secret/*", p), mcpentra.WithResourcePolicy("blob://docs/one/covert%20%C3%A9.txt", p))...)
	must(t, err)
	w.url = serve(t, w.server) + "/mcp"
	return w
}

// configureOnly lets a wrapped set complete.
type configureOnly struct{ set *blobtool.Set }

func (configureOnly) Register(*mcp.Server)             {}
func (c configureOnly) Configure(o *mcp.ServerOptions) { c.set.Configure(o) }

// vaultReads are calls that show a closed blob, for a set of one container and for one
// of an account.
var vaultReads = map[string]string{
	"read_blob":                   `"name":"read_blob","arguments":{%s"blob_path":"secret/covert.txt"}`,
	"read_blob exact":             `"name":"read_blob","arguments":{%s"blob_path":"one/covert é.txt"}`,
	"read_blob by URI":            `"name":"read_blob","arguments":{%s"blob_path":"blob://docs/%73ecret/covert.txt"}`,
	"read_blob by a version":      `"name":"read_blob","arguments":{%s"blob_path":"secret/covert.txt","version_id":"2026-01-31T09:30:00.1234567Z"}`,
	"read_blob lines":             `"name":"read_blob","arguments":{%s"blob_path":"secret/covert.txt","tail_lines":1}`,
	"read_blob of none":           `"name":"read_blob","arguments":{%s"blob_path":"secret/none.txt"}`,
	"read_blob of a folder":       `"name":"read_blob","arguments":{%s"blob_path":"secret/"}`,
	"stat_blob":                   `"name":"stat_blob","arguments":{%s"blob_path":"secret/deep/covert.txt"}`,
	"list_blobs below it":         `"name":"list_blobs","arguments":{%s"prefix":"secret/"}`,
	"list_blobs deeper":           `"name":"list_blobs","arguments":{%s"prefix":"secret/deep/c","folders":true}`,
	"search_blobs below it":       `"name":"search_blobs","arguments":{%s"prefix":"secret/","text":"this"}`,
	"search_blobs by its pattern": `"name":"search_blobs","arguments":{%s"name":"secret/*"}`,
}

var vaultReadsOfOne = map[string]string{
	"read_blob_with_token":         `"name":"read_blob_with_token","arguments":{"blob_path":"secret/covert.txt"}`,
	"read_blob_with_token by URI":  `"name":"read_blob_with_token","arguments":{"blob_path":"blob://docs/secret/covert.txt"}`,
	"read_blob_with_token, no way": `"name":"read_blob_with_token","arguments":{"blob_path":"secret//covert.txt"}`,
}

var vaultReadsOfAccount = map[string]string{
	"a container's blob":    `"name":"read_blob","arguments":{"container":"payroll","blob_path":"covert.txt"}`,
	"a container's listing": `"name":"list_blobs","arguments":{"container":"payroll"}`,
	"a container's search":  `"name":"search_blobs","arguments":{"container":"payroll","text":"this"}`,
}

// vaultLists are calls that may succeed, and must tell nothing.
var vaultLists = map[string]string{
	"list_blobs":            `"method":"tools/call","params":{"name":"list_blobs","arguments":{%s"include":["metadata","tags","versions","snapshots","deleted"]}}`,
	"list_blobs, folders":   `"method":"tools/call","params":{"name":"list_blobs","arguments":{%s"folders":true}}`,
	"list_blobs, a page":    `"method":"tools/call","params":{"name":"list_blobs","arguments":{%s"prefix":"secret","page_size":1}}`,
	"search_blobs, names":   `"method":"tools/call","params":{"name":"search_blobs","arguments":{%s"name":"**/cov*"}}`,
	"search_blobs, tags":    `"method":"tools/call","params":{"name":"search_blobs","arguments":{%s"tags":[{"key":"k","value":"v"}]}}`,
	"search_blobs, text":    `"method":"tools/call","params":{"name":"search_blobs","arguments":{%s"text":"this"}}`,
	"list_containers":       `"method":"tools/call","params":{"name":"list_containers","arguments":{}}`,
	"resources/list":        `"method":"resources/list","params":{}`,
	"completion":            `"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"blob://docs/{+path}"},"argument":{"name":"path","value":"one/"}}`,
	"completion below":      `"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"blob://docs/{+path}"},"argument":{"name":"path","value":"secret/"}}`,
	"completion, account":   `"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"blob://{container}/{+path}"},"argument":{"name":"path","value":"one/"},"context":{"arguments":{"container":"docs"}}}`,
	"completion, container": `"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"blob://{container}/{+path}"},"argument":{"name":"container","value":"pay"}}`,
}

// A policy for a resource holds for every tool that shows the same blob, and for every
// list that tells its name, stateless and with sessions, in a set that is wrapped.
func TestResourcePolicyHoldsForTools(t *testing.T) {
	t.Parallel()
	for _, account := range []bool{false, true} {
		for _, sessions := range []bool{false, true} {
			t.Run(fmt.Sprintf("account %v sessions %v", account, sessions), func(t *testing.T) {
				t.Parallel()
				var opts []mcpentra.Option
				if sessions {
					opts = append(opts, mcpentra.WithSessions())
				}
				w := vault(t, account, readers, opts...)
				container, more := "", vaultReadsOfOne
				if account {
					container, more = `"container":"docs",`, vaultReadsOfAccount
				}
				stranger := w.caller(t, w.bearer(nil), sessions)
				reader := w.caller(t, w.bearer(map[string]any{"roles": []string{"Reader"}}), sessions)
				for _, calls := range []map[string]string{vaultReads, more} {
					for name, params := range calls {
						body := strings.ReplaceAll(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{`+params+`}}`, "%s", container)
						status, header, text := w.post(t, body, stranger)
						if status != http.StatusForbidden || !strings.Contains(header.Get("WWW-Authenticate"), "access_denied") && !strings.Contains(text, "role") ||
							!strings.Contains(text, `"id":7`) || !strings.Contains(text, `"reason":`) || strings.Contains(text, "classified") {
							t.Errorf("%s: got %d %v %s, want 403 with the reason, and nothing classified", name, status, header, text)
						}
						if status, _, text := w.post(t, body, reader); status != http.StatusOK {
							t.Errorf("%s by a reader: got %d %s, want 200", name, status, text)
						}
					}
				}
				for name, request := range vaultLists {
					body := strings.ReplaceAll(`{"jsonrpc":"2.0","id":7,`+request+`}`, "%s", container)
					status, _, text := w.post(t, body, stranger)
					if status != http.StatusOK && status != http.StatusForbidden || strings.Contains(text, "covert.") || strings.Contains(text, "covert é") ||
						strings.Contains(text, "classified") || strings.Contains(text, `secret/`) || strings.Contains(text, "payroll") {
						t.Errorf("%s: got %d %s, want 200 or 403, and nothing classified", name, status, text)
					}
					if name == "search_blobs, text" && !strings.Contains(text, `\"examined\":5`) {
						t.Errorf("%s: got %s, want 5 examined: what is closed doesn't count", name, text)
					}
					if status, _, text := w.post(t, body, reader); status != http.StatusOK {
						t.Errorf("%s by a reader: got %d %s, want 200", name, status, text)
					}
				}
				// What is open stays so, for both.
				for _, who := range []map[string]string{stranger, reader} {
					status, _, text := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_blobs","arguments":{`+container+`"page_size":50}}}`, who)
					for _, name := range []string{"open.txt", "one/open.txt", "secrets.txt", "hello.txt"} {
						if status != http.StatusOK || !strings.Contains(text, name) {
							t.Errorf("the listing lacks %s: got %d %s, want 200 and %q", name, status, text, name)
						}
					}
					if _, _, text := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_blob","arguments":{`+container+`"blob_path":"secrets.txt"}}}`, who); !strings.Contains(text, "this is open") {
						t.Errorf("secrets.txt: got %s, want \"this is open\"", text)
					}
				}
				if _, _, text := w.post(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_blobs","arguments":{%s"text":"this"}}}`, container), reader); strings.Count(text, "classified") == 0 {
					t.Errorf("a reader's search: got %s, want classified", text)
				}
				if strings.Contains(w.log.String(), "outcome=failed") || strings.Count(w.log.String(), "outcome=refused") < len(vaultReads)+len(more) {
					t.Error("refusals are not in the log")
				}
			})
		}
	}
}

// caller returns the headers of a caller, with a session of their own if it takes one.
func (w *world) caller(t testing.TB, header map[string]string, sessions bool) map[string]string {
	t.Helper()
	if !sessions {
		return header
	}
	_, got, _ := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`, header)
	header["Mcp-Session-Id"] = got.Get("Mcp-Session-Id")
	header["Mcp-Protocol-Version"] = "2025-11-25"
	w.post(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, header)
	url := w.url
	t.Cleanup(func() { do(t, http.MethodDelete, url, "", header) })
	return header
}

// A missing scope is asked for, with those that the tool takes; whoever comes back
// with them is served. Where the answer has begun, or in a batch, words must do.
func TestResourcePolicyChallengesTools(t *testing.T) {
	t.Parallel()
	for _, sessions := range []bool{false, true} {
		opts := []mcpentra.Option{mcpentra.WithToolPolicy("read_blob", entraauth.Policy{Scopes: []string{"access_as_user"}})}
		if sessions {
			opts = append(opts, mcpentra.WithSessions())
		}
		w := vault(t, false, entraauth.Policy{Scopes: []string{"Secrets.Read"}}, opts...)
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_blob","arguments":{"blob_path":"secret/covert.txt"}}}`
		weak := w.caller(t, w.bearer(nil), sessions)
		status, header, text := w.post(t, body, weak)
		challenge := header.Get("WWW-Authenticate")
		if status != http.StatusForbidden || !strings.Contains(challenge, "insufficient_scope") || !strings.Contains(challenge, "Secrets.Read") ||
			!strings.Contains(challenge, "access_as_user") || !strings.Contains(challenge, "resource_metadata") {
			t.Errorf("sessions %v: got %d %q %s, want 403 and insufficient_scope and Secrets.Read and access_as_user and resource_metadata", sessions, status, challenge, text)
		}
		strong := w.caller(t, w.bearer(map[string]any{"scp": "access_as_user Secrets.Read"}), sessions)
		if status, _, text := w.post(t, body, strong); status != http.StatusOK || !strings.Contains(text, "classified") {
			t.Errorf("sessions %v, with the scope: got %d %s, want 200 and classified", sessions, status, text)
		}
		if sessions {
			continue
		}
		weak["Mcp-Protocol-Version"] = "2025-03-26"
		status, _, text = w.post(t, "["+body+"]", weak)
		if strings.Contains(text, "classified") || !strings.Contains(text, "Secrets.Read") && !strings.Contains(text, "scope") {
			t.Errorf("in a batch: got %d %s, want the scope, and nothing classified", status, text)
		}
		// Lists of resources show what there is for the asking, lists of tools do not.
		if _, _, text := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"resources/list","params":{}}`, w.bearer(nil)); !strings.Contains(text, "covert.txt") {
			t.Errorf("resources/list: got %s, want covert.txt", text)
		}
		if _, _, text := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_blobs","arguments":{}}}`, w.bearer(nil)); strings.Contains(text, "covert.txt") {
			t.Errorf("list_blobs: got %s, want no covert.txt", text)
		}
	}
}

// Cursors go on for those to whom something is closed, and do not tell them what: the
// service's marker in one has the name that comes next.
func TestCursorsTellNoClosedNames(t *testing.T) {
	t.Parallel()
	w := vault(t, false, readers)
	for who, claims := range map[string]map[string]any{"stranger": nil, "reader": {"roles": []string{"Reader"}}} {
		s := w.connect(t, strings.TrimPrefix(w.bearer(claims)["Authorization"], "Bearer "), "2025-11-25")
		for _, tool := range []string{"list_blobs", "search_blobs"} {
			args := map[string]any{"page_size": 1}
			if tool == "search_blobs" {
				args = map[string]any{"max_results": 1, "name": "**"}
			}
			var names []string
			found := false
			for cursor := ""; ; {
				if cursor != "" {
					args["cursor"] = cursor
				}
				r, text := call(t, s, tool, args)
				out := decode(t, text)
				if r.IsError {
					t.Fatalf("%s, %s: got the error %s, want none", who, tool, text)
				}
				for _, row := range out["blobs"].([]any) {
					names = append(names, row.(map[string]any)["name"].(string))
				}
				if cursor, _ = out["next_cursor"].(string); cursor == "" {
					break
				}
				plain, _ := base64.RawURLEncoding.DecodeString(cursor)
				inner, _ := base64.StdEncoding.DecodeString(between(string(plain), `"m":"`, `"`))
				told := strings.Contains(string(plain)+string(inner), "secret/")
				if found = found || told; told && who == "stranger" {
					t.Errorf("%s, %s: a cursor tells %s %s", who, tool, plain, inner)
				}
				if _, text := call(t, s, tool, map[string]any{"page_size": 1, "max_results": 1, "name": "**", "cursor": cursor + "AAAA"}); strings.Contains(text, "next_cursor\":") {
					t.Errorf("%s, %s: a cursor that was changed: %s", who, tool, text)
				}
			}
			if who == "reader" && !found {
				t.Errorf("%s, %s: no cursor has a name in it, so this test can't fail", who, tool)
			}
			want := "hello.txt one/open.txt open.txt secrets.txt zz/%73ecret.txt"
			if who == "reader" {
				want = "hello.txt one/covert é.txt one/open.txt open.txt secret/covert.txt secret/deep/covert.txt secrets.txt zz/%73ecret.txt"
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("%s, %s: %s, want %s", who, tool, got, want)
			}
		}
	}
}

// A tool of one's own asks for itself.
func TestMayUseResource(t *testing.T) {
	t.Parallel()
	type noteInput struct {
		URI string `json:"uri"`
	}
	var outside error
	show := mcpentra.Tool(&mcp.Tool{Name: "show"}, func(ctx context.Context, _ *mcp.CallToolRequest, in noteInput) (*mcp.CallToolResult, any, error) {
		outside = mcpentra.MayUseResource(context.Background(), in.URI) //nolint:contextcheck // the test is about a context of no call
		if err := mcpentra.MayUseResource(ctx, in.URI); err != nil {
			return nil, nil, fmt.Errorf("showing: %w", err)
		}
		return nil, map[string]string{"text": "shown"}, nil
	}, readers)
	l := &library{}
	w := newWorld(t, mcpentra.WithTools(l, show), mcpentra.WithResourcePolicy("note://team/hr/*", entraauth.Policy{UserRoles: []string{"HR"}}),
		mcpentra.WithResourcePolicy("note://box/%7By%7D", entraauth.Policy{UserRoles: []string{"HR"}}))
	for _, c := range []struct {
		uri    string
		roles  []string
		status int
	}{
		{"note://team/open", []string{"Reader"}, 200},
		{"note://team/hr/plan", []string{"Reader"}, 403},
		{"NOTE://team/%68r/plan", []string{"Reader"}, 403},
		{"note://team/hr/plan", []string{"Reader", "HR"}, 200},
		{"note://team/hr/plan", []string{"HR"}, 403}, // the tool's own policy
		{"note://team/{x}", []string{"Reader"}, 200},
		{"note://team/hr/{x}", []string{"Reader"}, 403},
		{"note://box/{y}", []string{"Reader"}, 403},
		{"note://box/{y}", []string{"Reader", "HR"}, 200},
	} {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"show","arguments":{"uri":%q}}}`, c.uri)
		if status, _, text := w.post(t, body, w.bearer(map[string]any{"roles": c.roles})); status != c.status || strings.Contains(text, "shown") != (status == 200) {
			t.Errorf("%s with %v: %d %s, want %d", c.uri, c.roles, status, text, c.status)
		}
	}
	if !errors.Is(outside, mcpentra.ErrNoCaller) {
		t.Errorf("outside of a call: %v, want ErrNoCaller", outside)
	}
}

// A rule for one resource covers the names that a handler may take for its own: with
// white space, a NUL or dots behind it.
func TestExactRuleCoversEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithTools(&library{}), mcpentra.WithResourcePolicy("note://box/plan", readers))
	for uri, want := range map[string]int{
		"note://box/plan": 403, "note://box/plan%20": 403, "note://box/plan ": 403, "note://box/plan%09%0A": 403, "note://box/plan%00": 403,
		"note://box/plan%00.png": 403, "note://box/plan.": 403, "note://box/plan%2E%20": 403, "note://box/plan%20?q": 403, "note://box/plan%2520": 403,
		"note://box/plan/%20": 403,
		"note://box/plans":    200, "note://box/plan.txt": 200, "note://box/a%20plan": 200, "note://box/%20plan": 200, "note://box/pla": 200, "note://box/plan++": 200,
	} {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":%q}}`, uri)
		if status, _, text := w.post(t, body, w.bearer(nil)); status != want {
			t.Errorf("%q: %d %s, want %d", uri, status, text, want)
		}
	}
}

// What a policy costs for a page of a listing, as long as Azure's can be.
func BenchmarkResourcePolicy(b *testing.B) {
	for name, uri := range map[string]string{
		"plain": "blob://docs/reports/2026/a-%04d.txt", "escaped": "blob://docs/reports/2026/M%%C3%%A4rz%%20Bericht%%20%%28a%%29-%04d.txt",
	} {
		page := make([]string, 5000)
		for i := range page {
			page[i] = fmt.Sprintf(uri, i)
		}
		b.Run(name, func(b *testing.B) {
			ask := mcpentra.ResourcePolicyOfNobody(readers, "blob://docs/secret/*", "blob://docs/m%C3%A4rz/*", "blob://docs/one.txt", "blob://payroll/*")
			b.ReportAllocs()
			for b.Loop() {
				for _, uri := range page {
					if err := ask(uri); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
