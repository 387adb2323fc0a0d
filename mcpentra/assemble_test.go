package mcpentra_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// What is nil, empty or panics is a fault of NewServer.
func TestAssemblyFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	handle := func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	}
	blobs, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, nil)
	must(t, err)
	var noHandler mcp.ToolHandlerFor[struct{}, any]
	for name, c := range map[string]struct {
		option mcpentra.Option
		want   string
	}{
		"nil option":               {nil, "option 1 is nil"},
		"nil server options":       {mcpentra.WithServerOptions(nil), "WithServerOptions: the function is nil"},
		"nil set":                  {mcpentra.WithTools(nil), "tool set 0 (<nil>) is nil"},
		"nil set among others":     {mcpentra.WithTools(notes{}, nil), "tool set 1 (<nil>) is nil"},
		"typed nil set":            {mcpentra.WithTools((*blobtool.Set)(nil)), "tool set 0 (*blobtool.Set) is nil"},
		"typed nil of ours":        {mcpentra.WithTools((*own)(nil)), "is nil"},
		"nil function as set":      {mcpentra.WithTools(registers(nil)), "is nil"},
		"nil inside a wrapper":     {mcpentra.WithTools(wrapped{}), "mcpentra_test.wrapped"},
		"nil inside a bundle":      {mcpentra.WithTools(bundle{nil}), "mcpentra_test.bundle"},
		"identity tools of nobody": {mcpentra.WithTools(mcpentra.IdentityTools(nil)), "IdentityTools: the verifier is nil"},
		"wrapped, of nobody":       {mcpentra.WithTools(bundle{mcpentra.IdentityTools(nil)}), "IdentityTools: the verifier is nil"},
		"nil tool":                 {mcpentra.WithTools(mcpentra.Tool(nil, handle)), "the tool is nil"},
		"nil tool, wrapped":        {mcpentra.WithTools(&own{mcpentra.Tool(nil, handle)}), "the tool is nil"},
		"no name":                  {mcpentra.WithTools(mcpentra.Tool(&mcp.Tool{}, handle)), "the tool has no name"},
		"no handler":               {mcpentra.WithTools(mcpentra.Tool(&mcp.Tool{Name: "x"}, noHandler)), `Tool("x"): the handler is nil`},
		"no name, of the SDK":      {mcpentra.WithTools(registers(func(s *mcp.Server) { mcp.AddTool(s, &mcp.Tool{}, handle) })), "a tool has no name"},
		"neither":                  {mcpentra.WithTools(mcpentra.Tool(&mcp.Tool{}, noHandler)), "the handler is nil"},
		"schema of no object":      {mcpentra.WithTools(mcpentra.Tool(&mcp.Tool{Name: "x", InputSchema: 5}, handle)), "x"},
		"a set that panics":        {mcpentra.WithTools(registers(func(*mcp.Server) { panic("oh no") })), "oh no"},
		"a set that panics, error": {mcpentra.WithTools(registers(func(*mcp.Server) { panic(errors.New("oh no")) })), "oh no"},
		"options that panic":       {mcpentra.WithServerOptions(func(*mcp.ServerOptions) { panic("oh no") }), "WithServerOptions: oh no"},
		"options that can't be":    {mcpentra.WithServerOptions(func(o *mcp.ServerOptions) { o.PageSize = -1 }), "page size"},
		"half of a subscription": {mcpentra.WithServerOptions(func(o *mcp.ServerOptions) {
			o.SubscribeHandler = func(context.Context, *mcp.SubscribeRequest) error { return nil }
		}), "UnsubscribeHandler"},
		"two of one name":           {mcpentra.WithTools(said("x"), said("x")), `two tools named "x"`},
		"two of one name, bundle":   {mcpentra.WithTools(bundle{said("x"), wrapped{said("x")}}), `two tools named "x"`},
		"nil inside a struct":       {mcpentra.WithTools(struct{ *blobtool.Set }{}, said("y", readers), notes{}), "*blobtool.Set }): runtime error"},
		"two blob sets, bundled":    {mcpentra.WithTools(bundle{blobs, wrapped{blobs}}), `two tools named "read_blob"`},
		"two of one name, told":     {mcpentra.WithTools(bundle{blobs, said("list_blobs")}), `two tools named "list_blobs"`},
		"two of one name, kinds":    {mcpentra.WithTools(said("secure_ping")), `two tools named "secure_ping"`},
		"two of one name, of SDK":   {mcpentra.WithTools(said("x"), registers(func(s *mcp.Server) { mcp.AddTool(s, &mcp.Tool{Name: "x"}, handle) })), `two tools named "x"`},
		"two of one name, identity": {mcpentra.WithTools(mcpentra.IdentityTools(w.verifier)), `two tools named "secure_ping"`},
		"two prompts of one name":   {mcpentra.WithTools(notes{}, registers(func(s *mcp.Server) { s.AddPrompt(&mcp.Prompt{Name: "draft"}, nil) })), `two prompts named "draft"`},
	} {
		server, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithTools(mcpentra.IdentityTools(w.verifier)), c.option, mcpentra.WithToolPolicy("misspelled", readers))
		if server != nil {
			t.Errorf("%s: got a server, want none", name)
		}
		wantFault(t, name, err, c.want, `WithToolPolicy("misspelled")`)
		if err != nil && strings.Count(err.Error(), c.want) > 1 && strings.HasPrefix(c.want, "two ") {
			t.Errorf("%s: told twice: %v", name, err)
		}
	}
}

// All faults are told at once, each misspelled policy too.
func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	blobs, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, nil)
	must(t, err)
	_, err = mcpentra.NewServer("http://mcp.example.com/", nil, mcpentra.WithTools(nil, mcpentra.Tool[any, any](nil, nil), notes{}, blobs),
		nil, mcpentra.WithServerOptions(nil), mcpentra.WithStateKeys([]byte("short")), mcpentra.WithExchanger(nil),
		mcpentra.WithToolPolicy("secure_pong", readers), mcpentra.WithToolPolicy("secure_pang", entraauth.Policy{}), mcpentra.WithToolPolicy("a*b", entraauth.Policy{AuthContext: "c0"}),
		mcpentra.WithResourcePolicy("note://nowhere", readers), mcpentra.WithResourcePolicy("note://**", readers), mcpentra.WithPromptPolicy("drift", readers),
	)
	wantFault(t, "all", err, "resource URL", "verifier is nil", "tool set 0", "the tool is nil", "option 1", "WithServerOptions", "WithStateKeys", "WithExchanger: ",
		`WithToolPolicy("secure_pong"): there is no`, `WithToolPolicy("secure_pang"): the policy asks`, `WithToolPolicy("secure_pang"): there is no`, `WithToolPolicy("a*b"): the pattern`, `WithToolPolicy("a*b"): AuthContext`,
		`WithResourcePolicy("note://nowhere"): there is no`, `WithResourcePolicy("note://**"): the pattern`, `WithPromptPolicy("drift"): there is no`,
		"tool set 2 (*blobtool.Set): the set acts on behalf")
}

// A set that acts for its callers by Credential needs an exchanger, and one that
// has a credential of its own does not; whatever else its function does, it is not
// done at start.
func TestCredentialWithoutExchanger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		credential blobtool.CredentialFunc
		fault      bool
	}{
		"ours": {mcpentra.Credential, true},
		"by a function": {func(ctx context.Context) (azcore.TokenCredential, error) {
			cred, err := mcpentra.Credential(ctx)
			return cred, err
		}, true},
		"another": {func(ctx context.Context) (azcore.TokenCredential, error) {
			if ctx.Err() == nil {
				t.Error("it is asked with a context that has not ended")
			}
			return nil, errors.New("of no caller")
		}, false},
		"panics": {func(context.Context) (azcore.TokenCredential, error) { panic("no caller") }, false},
	} {
		set, err := blobtool.New(w.blobs.URL(), "docs", c.credential, nil)
		must(t, err)
		for wrapping, set := range wrappings(set) {
			_, err = mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithTools(set))
			if c.fault {
				wantFault(t, name+", "+wrapping, err, "WithExchanger", "tool set 0")
			} else if err != nil {
				t.Errorf("%s, %s: got %v, want nil", name, wrapping, err)
			}
		}
	}
}

// A tool of one's own that asks for the credential is told, and the operator is, once.
func TestCredentialOfOwnToolWithoutExchanger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var err error
	w.server, err = mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithLogger(w.logger()), mcpentra.WithTools(
		mcpentra.Tool(&mcp.Tool{Name: "act"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			_, err := mcpentra.Credential(ctx)
			return nil, nil, err
		})))
	must(t, err)
	w.url = serve(t, w.server) + "/mcp"
	for range 3 {
		if _, _, body := w.post(t, callBody("act"), w.bearer(nil)); !strings.Contains(body, mcpentra.ErrNoExchanger.Error()) {
			t.Errorf("got %s, want %v", body, mcpentra.ErrNoExchanger)
		}
	}
	if n := strings.Count(w.log.String(), "level=ERROR"); n != 1 || !strings.Contains(w.log.String(), "WithExchanger") {
		t.Errorf("%d errors in the log: %s; want 1 that names WithExchanger", n, w.log)
	}
}

// Keys that are not there, because a variable was empty, don't turn the feature off
// without a word.
func TestStateKeysThatAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for want, keys := range map[string][][]byte{
		"WithStateKeys: there is no key":       {},
		"WithStateKeys: key 0 has 0 bytes":     {nil},
		"WithStateKeys: key 1 has 31 bytes":    {stateKey('a'), make([]byte, 31)},
		"WithStateKeys: key 1 is all zero":     {stateKey('a'), make([]byte, 32)},
		"WithStateKeys: key 0 is all zero; it": {make([]byte, 32)},
	} {
		_, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithStateKeys(keys...))
		wantFault(t, want, err, want)
	}
}
