package mcpentra_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/resourceuri/uritest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

const (
	storageScope = "https://storage.azure.com/.default"
	ownToken     = "token of the server itself"
)

// operator is the server's own credential.
type operator struct {
	asked atomic.Int32
	err   error
}

func (o *operator) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	o.asked.Add(1)
	return azcore.AccessToken{Token: ownToken, ExpiresOn: time.Now().Add(time.Hour)}, o.err
}

// whose says whose token the caller's credential gets.
func whose(ctx context.Context, scope string) (string, error) {
	credential, err := mcpentra.Credential(ctx)
	if err != nil {
		return "", err
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	switch {
	case err != nil:
		return "", err
	case token.Token == ownToken:
		return "as the server", nil
	}
	return "as the caller", nil
}

// borrowers have tools, resources and prompts that say whose token they get.
type borrowers struct{}

func (borrowers) Register(s *mcp.Server) {
	for _, name := range []string{"ask", "ask_too", "other"} {
		mcp.AddTool(s, &mcp.Tool{Name: name, Description: "Says whose token it gets."},
			func(ctx context.Context, _ *mcp.CallToolRequest, in struct {
				Scope string `json:"scope,omitempty"`
			}) (*mcp.CallToolResult, any, error) {
				if in.Scope == "" {
					in.Scope = storageScope
				}
				text, err := whose(ctx, in.Scope)
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, err
			})
	}
	read := func(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		text, err := whose(ctx, storageScope)
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: text}}}, err
	}
	s.AddResource(&mcp.Resource{URI: "note://own", Name: "own"}, read)
	s.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: "note://{+path}", Name: "all"}, read)
	s.AddPrompt(&mcp.Prompt{Name: "draft"}, func(ctx context.Context, _ *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		text, err := whose(ctx, storageScope)
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: text}}}}, err
	})
	s.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			result, err := next(ctx, method, req)
			if list, ok := result.(*mcp.ListPromptsResult); ok && err == nil {
				text, err := whose(ctx, storageScope)
				list.Prompts = append(list.Prompts, &mcp.Prompt{Name: fmt.Sprint(text, err)})
			}
			return result, err
		}
	})
}

func (borrowers) Configure(o *mcp.ServerOptions) {
	o.CompletionHandler = func(ctx context.Context, _ *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
		text, err := whose(ctx, storageScope)
		return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{text}}}, err
	}
}

// ToolForResource makes all resources below note://asked stand for the tool ask.
func (borrowers) ToolForResource(uri string) string {
	if strings.HasPrefix(uri, "note://asked/") {
		return "ask"
	}
	return ""
}

// lendingWorld lends the operator's credential to the tools ask and ask_too, and to note://own and
// what is below note://team.
func lendingWorld(t *testing.T, opts ...mcpentra.Option) (*world, *operator) {
	t.Helper()
	own := &operator{}
	w := newWorld(t)
	w.options = append(opts, mcpentra.WithTools(borrowers{}),
		mcpentra.WithDangerousServerCredentialForApplications(own, []string{"ask*"}, []string{"note://own", "note://team/*"}))
	w.verifierAcceptsApps(t)
	return w, own
}

func readBody(uri string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":%q}}`, uri)
}

// Applications get the server's credential where it is lent, and nowhere else. People never do.
func TestServerCredential(t *testing.T) {
	t.Parallel()
	const complete = `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"note://{+path}"},"argument":{"name":"path","value":"own"}}}`
	const asServer, asCaller, needsUser = "as the server", "as the caller", "needs a user"
	for _, mode := range modes {
		w, _ := lendingWorld(t, mode.opts...)
		app := w.caller(t, w.application("Other"), mode.name == "sessions")
		person := w.caller(t, w.bearer(nil), mode.name == "sessions")
		for _, c := range []struct{ name, body, toApp, toPerson string }{
			{"a tool", callBody("ask"), asServer, asCaller},
			{"a tool of the prefix", callBody("ask_too"), asServer, asCaller},
			{"another tool", callBody("other"), needsUser, asCaller},
			{"a tool, in arguments the name of another", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"other","arguments":{"name":"ask"}}}`, "", ""},
			{"the last of two names", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask","arguments":{},"name":"other"}}`, needsUser, asCaller},
			{"a name in another case", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"other","arguments":{},"Name":"ask"}}`, needsUser, asCaller},
			{"a resource", readBody("note://own"), asServer, asCaller},
			{"a resource, spelled otherwise", readBody("NOTE://ow%6E"), asServer, asCaller},
			{"another resource", readBody("note://other"), needsUser, asCaller},
			{"below the prefix", readBody("note://team/plan"), asServer, asCaller},
			{"below the prefix, with dots", readBody("note://team/x/../plan"), asServer, asCaller},
			{"the prefix alone", readBody("note://team"), needsUser, asCaller},
			{"out of the prefix", readBody("note://team/../other"), needsUser, asCaller},
			{"out of the prefix, if decoded", readBody("note://team/..%2Fother"), needsUser, asCaller},
			{"out of the prefix, if decoded twice", readBody("note://team/%252E%252E%252Fother"), needsUser, asCaller},
			{"into the prefix, if cleaned", readBody("note://other/..%2F..%2Fteam/plan"), needsUser, asCaller},
			{"of a user", readBody("note://x@team/plan"), needsUser, asCaller},
			{"one that stands for a tool", readBody("note://asked/x"), needsUser, asCaller},
			{"a prompt", `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"draft"}}`, needsUser, asCaller},
			{"a prompt with a tool's name", `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"ask"}}`, "", ""},
			{"a list", `{"jsonrpc":"2.0","id":1,"method":"prompts/list","params":{}}`, needsUser, asCaller},
			{"a completion", complete, needsUser, asCaller},
		} {
			for _, of := range []struct {
				name, want string
				header     map[string]string
			}{{"an application", c.toApp, app}, {"a person", c.toPerson, person}} {
				before := len(w.log.String())
				status, _, body := w.post(t, c.body, of.header)
				if !strings.Contains(body, of.want) || of.want != asServer && strings.Contains(body, asServer) {
					t.Errorf("%s, %s for %s: got %d %s, want %q", mode.name, c.name, of.name, status, body, of.want)
				}
				line := w.log.String()[before:]
				if lent := strings.Contains(line, "credential=server"); lent != (of.want == asServer) {
					t.Errorf("%s, %s for %s: the log says credential=server: %v, want %v: %s", mode.name, c.name, of.name, lent, of.want == asServer, line)
				}
				if named := strings.Contains(line, "WithDangerousServerCredentialForApplications"); named != (of.want == needsUser && c.name != "a list") {
					t.Errorf("%s, %s for %s: the log names the option: %v in %s", mode.name, c.name, of.name, named, line)
				}
				if strings.Contains(body, "WithDangerous") {
					t.Errorf("%s, %s for %s: the option is in the answer: %s", mode.name, c.name, of.name, body)
				}
			}
		}
	}
}

// Whatever a handler makes of a URI, it reads nothing with the server's credential that is not
// named.
func TestServerCredentialInEachSpelling(t *testing.T) {
	t.Parallel()
	w, _ := lendingWorld(t)
	app, lent := w.application("Other"), 0
	for _, uri := range append(uritest.Spellings("note", "hr", "x", "plan"), uritest.Spellings("note", "team", "x", "plan")...) {
		_, _, body := w.post(t, readBody(uri), app)
		if !strings.Contains(body, "as the server") {
			continue
		}
		lent++
		_, got, _ := strings.Cut(body, `"uri":"`)
		got, _, _ = strings.Cut(got, `"`)
		for name, handler := range uritest.Readers { // of what the handler got, of which the host keeps its case
			if seen := strings.ToLower(handler(got)); seen != "" && !strings.HasPrefix(seen, "team/") {
				t.Errorf("the credential is lent for %q, which a handler (%s) gets as %q and reads as %q", uri, name, got, seen)
			}
		}
	}
	if lent == 0 {
		t.Error("the credential is lent for none, want some")
	}
}

// Many callers at once, applications and people, in calls, sessions and batches: none has the
// credential of another.
func TestServerCredentialAtOnce(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		w, _ := lendingWorld(t, mode.opts...)
		app := w.begin(t, mode.name, strings.TrimPrefix(w.application("Other")["Authorization"], "Bearer "), "2025-03-26")
		person := w.begin(t, mode.name, w.token(w.alice), "2025-03-26")
		var wg sync.WaitGroup
		var id atomic.Int32
		request := func(tool string) string {
			return strings.Replace(callBody(tool), `"id":7`, fmt.Sprintf(`"id":%d`, id.Add(1)), 1)
		}
		for range 4 {
			for _, of := range []struct {
				header    map[string]string
				want, not string
			}{{app, "as the server", "as the caller"}, {person, "as the caller", "as the server"}} {
				wg.Go(func() {
					for range 5 {
						for _, body := range []string{request("ask"), "[" + request("ask") + "," + request("ask_too") + "]"} {
							status, _, text := w.post(t, body, of.header)
							if !strings.Contains(text, of.want) || strings.Contains(text, of.not) {
								t.Errorf("%s: got %d %s, want only %q", mode.name, status, text, of.want)
							}
						}
					}
				})
			}
		}
		wg.Wait()
	}
}

// What was lent to one call works in no other, after it, or without its context.
func TestServerCredentialStaysInItsCall(t *testing.T) {
	t.Parallel()
	w, own := lendingWorld(t)
	var kept azcore.TokenCredential
	token := func(ctx context.Context) string {
		_, err := kept.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{storageScope}})
		if err != nil {
			return err.Error()
		}
		return "lent"
	}
	var ended context.Context
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "ask_again", Description: "Keeps the first credential."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			texts := []string{}
			if kept == nil {
				var err error
				if kept, err = mcpentra.Credential(ctx); err != nil {
					return nil, nil, err
				}
				ended = context.WithoutCancel(ctx)
				texts = append(texts, token(context.WithoutCancel(ctx)), token(context.Background())) //nolint:contextcheck // none is what is tested
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: strings.Join(append(texts, token(ctx)), "|")}}}, nil, nil
		})
	const elsewhere = "works only in the call that it was lent to"
	for _, c := range []struct {
		name   string
		header map[string]string
		want   string
	}{
		{"the application that it is lent to", w.application("Other"), "lent|the server's credential " + elsewhere + "|lent"},
		{"a person's call", w.bearer(nil), `"text":"the server's credential ` + elsewhere},
		{"another call of the application", w.application("Other"), `"text":"the server's credential ` + elsewhere},
	} {
		if status, _, body := w.post(t, callBody("ask_again"), c.header); !strings.Contains(body, c.want) {
			t.Errorf("%s: got %d %s, want %q", c.name, status, body, c.want)
		}
	}
	if got := token(ended); !strings.Contains(got, elsewhere) {
		t.Errorf("after the call: got %q, want that it %s", got, elsewhere)
	}
	if _, err := mcpentra.Credential(ended); err == nil || !strings.Contains(err.Error(), elsewhere) {
		t.Errorf("Credential after the call: got %v, want that it %s", err, elsewhere)
	}
	if got := own.asked.Load(); got != 2 {
		t.Errorf("the operator's credential was asked %d times, want 2", got)
	}
}

// The credential asks for tokens of the exchanger's resources alone, and what goes wrong with it is
// the operator's to read.
func TestServerCredentialErrors(t *testing.T) {
	t.Parallel()
	w, own := lendingWorld(t)
	ask := func(scope string) string {
		_, _, body := w.post(t, strings.Replace(callBody("ask"), `{}`, fmt.Sprintf(`{"scope":%q}`, scope), 1), w.application("Other"))
		return body
	}
	for _, scope := range []string{"https://graph.microsoft.com/.default", "https://storage.azure.com", "https://storage.azure.com.evil.example/.default",
		"https://storage.azure.com/x/.default", "https://storage.azure.com/ https://graph.microsoft.com/.default", "https://storage.azure.com/.default?x"} {
		if body := ask(scope); !strings.Contains(body, "not of a resource that this server acts at") {
			t.Errorf("%s: got %s, want that it is not of a resource of the server's", scope, body)
		}
	}
	for _, scope := range []string{"https://storage.azure.com/user_impersonation", "https://STORAGE.azure.com//.default"} {
		if body := ask(scope); !strings.Contains(body, "as the server") {
			t.Errorf("%s: got %s, want the server's token", scope, body)
		}
	}
	own.err = errors.New("POST http://169.254.169.254/metadata/identity: connection refused")
	if body := ask(storageScope); !strings.Contains(body, "this server's own credential gets no token") || strings.Contains(body, "169.254") {
		t.Errorf("a failure: got %s, want no address in it", body)
	}
	if log := w.log.String(); !strings.Contains(log, "169.254.169.254") || !strings.Contains(log, "reason=server_credential_failed") || strings.Contains(log, ownToken) {
		t.Errorf("the log has not why the credential failed, or it has the token:\n%s", log)
	}
}

// A credential that nothing or nobody can use is reported at start.
func TestServerCredentialFaults(t *testing.T) {
	t.Parallel()
	const option = "WithDangerousServerCredentialForApplications"
	lend := mcpentra.WithDangerousServerCredentialForApplications
	var none *operator
	w := newWorld(t)
	w.verifierAcceptsApps(t)
	for name, c := range map[string]struct {
		options []mcpentra.Option
		want    []string // none if it is right
	}{
		"all tools and resources": {[]mcpentra.Option{lend(&operator{}, []string{"*"}, []string{"*"})}, nil},
		"a template":              {[]mcpentra.Option{lend(&operator{}, nil, []string{"note://team/*"})}, nil},
		"no credential":           {[]mcpentra.Option{lend(nil, []string{"ask"}, nil)}, []string{"the credential is nil"}},
		"a nil pointer":           {[]mcpentra.Option{lend(none, []string{"ask"}, nil)}, []string{"the credential is nil"}},
		"nothing named":           {[]mcpentra.Option{lend(&operator{}, nil, nil)}, []string{"neither a tool nor a resource"}},
		"empty lists":             {[]mcpentra.Option{lend(&operator{}, []string{}, []string{})}, []string{"neither a tool nor a resource"}},
		"an empty list":           {[]mcpentra.Option{lend(&operator{}, []string{"ask"}, []string{})}, []string{"empty, not nil"}},
		"twice":                   {[]mcpentra.Option{lend(&operator{}, []string{"ask"}, nil), lend(&operator{}, []string{"other"}, nil)}, []string{"appears twice"}},
		"no such tool":            {[]mcpentra.Option{lend(&operator{}, []string{"ask", "asks"}, nil)}, []string{option + `("asks"): there is no such tool`}},
		"no such resource":        {[]mcpentra.Option{lend(&operator{}, nil, []string{"blob://docs/*"})}, []string{option + `("blob://docs/*"): there is no such resource`}},
		"patterns that mislead":   {[]mcpentra.Option{lend(&operator{}, []string{"as*k", ""}, []string{"own"})}, []string{"tools[0]", "tools[1]", "resources[0]"}},
		"a resource as tool":      {[]mcpentra.Option{lend(&operator{}, []string{"note://own"}, nil)}, []string{"no such tool"}},
	} {
		_, err := mcpentra.NewServer(resourceURL, w.verifier, append(c.options, mcpentra.WithExchanger(w.exchanger), mcpentra.WithTools(borrowers{}))...)
		if (err != nil) != (len(c.want) > 0) {
			t.Errorf("%s: got %v, want faults: %v", name, err, c.want)
		}
		for _, want := range c.want {
			if err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), option)) {
				t.Errorf("%s: got %v, want %q of %s", name, err, want, option)
			}
		}
	}
}

// A server for applications alone needs no exchanger.
func TestServerCredentialWithoutExchanger(t *testing.T) {
	t.Parallel()
	w, own := lendingWorld(t)
	server, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithTools(borrowers{}), mcpentra.WithLogger(w.logger()),
		mcpentra.WithDangerousServerCredentialForApplications(own, []string{"ask"}, nil))
	must(t, err)
	w.url = serve(t, server) + "/mcp"
	for name, c := range map[string]struct {
		header map[string]string
		want   string
	}{
		"an application": {w.application("Other"), "as the server"},
		"a person":       {w.bearer(nil), mcpentra.ErrNoExchanger.Error()},
	} {
		if _, _, body := w.post(t, callBody("ask"), c.header); !strings.Contains(body, c.want) {
			t.Errorf("%s: got %s, want %q", name, body, c.want)
		}
	}
	if _, _, body := w.post(t, callBody("other"), w.application("Other")); !strings.Contains(body, "needs a user") {
		t.Errorf("an application at another tool: got %s, want that it needs a user", body)
	}
}
