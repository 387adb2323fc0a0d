package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// A ToolSet adds its tools to a server. It may also be a [Configurer] and a
// [ResourceOwner].
//
// A type that wraps a set, or several, hides these methods unless it has them too.
// The policies of a [Tool] and of blobtool's tools and resources apply anyway.
// If a set has tools under a policy, and resources that neither ToolForResource nor
// [WithResourcePolicy] covers, [NewServer] returns an error.
type ToolSet interface {
	Register(server *mcp.Server)
}

// A Configurer is a [ToolSet] that changes the options of the SDK's server.
type Configurer interface {
	// Configure is called before the server is made, which is the only time to set up
	// completions and subscriptions.
	Configure(options *mcp.ServerOptions)
}

// A ResourceOwner is a [ToolSet] whose resources show what its tools show.
type ResourceOwner interface {
	// ToolForResource returns the tool that a resource of the set stands for, by URI or
	// URI template, and "" for every other resource. A caller who may not use the tool
	// may not use the resource. It is called for each way to read a URI,
	// and concurrently.
	ToolForResource(uri string) string
}

// Tool returns a set for [WithTools] with one tool, your own, and its policies. It adds
// the tool as mcp.AddTool does.
//
// The policies apply wherever the set is registered: within sets of your own, and on a
// plain server of the SDK, where every call is refused unless mcpauth.Receive identifies
// the caller. Register panics, as mcp.AddTool does, if the tool is invalid;
// [NewServer] returns an error instead.
func Tool[In, Out any](t *mcp.Tool, h mcp.ToolHandlerFor[In, Out], policies ...entraauth.Policy) ToolSet {
	own := &ownTool{tool: t, hasHandler: h != nil}
	for _, p := range policies {
		valid, err := p.Validated()
		own.policies = append(own.policies, valid)
		own.invalid = errors.Join(own.invalid, err)
	}
	own.register = func(s *mcp.Server) {
		mcp.AddTool(s, t, func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
			if err := own.refuse(ctx); err != nil {
				return nil, *new(Out), err
			}
			return h(ctx, req, in)
		})
	}
	return own
}

type ownTool struct {
	tool       *mcp.Tool
	hasHandler bool
	policies   []entraauth.Policy
	invalid    error // what is wrong with the policies
	register   func(*mcp.Server)
}

// Register adds the tool and its policies to the server.
func (t *ownTool) Register(s *mcp.Server) {
	if err := t.fault(); err != nil {
		panic(err)
	}
	if b, ok := toolset.HostOf(s).(*registry); ok {
		b.Tool(t.tool.Name)
		b.toolPolicies(t.tool.Name, t.policies)
	}
	t.register(s)
}

// fault returns all faults of the tool.
func (t *ownTool) fault() error {
	if t.tool == nil {
		return errors.New("mcpentra.Tool: the tool is nil")
	}
	var faults []error
	if t.tool.Name == "" {
		faults = append(faults, errors.New("mcpentra.Tool: the tool has no name"))
	}
	if !t.hasHandler {
		faults = append(faults, fmt.Errorf("mcpentra.Tool(%q): the handler is nil", t.tool.Name))
	}
	faults = append(faults, named(fmt.Sprintf("mcpentra.Tool(%q)", t.tool.Name), t.invalid))
	return errors.Join(faults...)
}

// refuse returns the refusal of a caller who does not meet the policies. A Server has
// checked them already; this check is for servers that know no policies.
func (t *ownTool) refuse(ctx context.Context) error {
	for _, p := range t.policies {
		if e, ok := errors.AsType[*entraauth.Error](p.Check(entraauth.FromContext(ctx))); ok {
			return &jsonrpc.Error{Code: codeRefused, Message: e.Error(), Data: refusalData(e)}
		}
	}
	return nil
}

// A registry collects what tool sets bring when they register, however they are wrapped
// (internal/toolset), including sets that register after [NewServer], while requests are
// served.
type registry struct {
	access *access
	server string // its name and version

	mu       sync.Mutex
	building bool
	set      string          // that is being registered
	names    map[string]bool // of the tools that were told about
	repeated []string        // of these, those that were told about again
	acting   []actingSet
}

func newRegistry(a *access, i *mcp.Implementation) *registry {
	return &registry{access: a, server: i.Name + " " + i.Version, building: true, names: map[string]bool{}}
}

// registering names the tool set that is registered next.
func (b *registry) registering(set string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set = set
}

// built returns the names that several tools have so far. Later ones are not reported.
func (b *registry) built() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.building = false
	return b.repeated
}

// Tool implements toolset.Host.
func (b *registry) Tool(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.building && b.names[name] {
		b.repeated = append(b.repeated, name)
	}
	b.names[name] = true
}

// toolPolicies adds the policies of a tool.
func (b *registry) toolPolicies(name string, policies []entraauth.Policy) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rules []rule
	for _, p := range policies {
		rules = append(rules, rule{resourceuri.Name(name), p})
	}
	b.access.bring(rules)
}

// Resources implements toolset.Host.
func (b *registry) Resources(toolFor func(uri string) string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.access.bring(nil, toolFor)
}

// Credential implements toolset.Host.
func (b *registry) Credential(get func(context.Context) error, resource string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.building {
		b.acting = append(b.acting, actingSet{b.set, get, resource})
	}
}

// An actingSet is a tool set that acts on behalf of its callers.
type actingSet struct {
	name       string
	credential func(context.Context) error
	resource   string // for which it acts
}

// named puts the name before each of the errors that are joined in err.
func named(name string, err error) error {
	if several, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		var all []error
		for _, e := range several.Unwrap() {
			all = append(all, named(name, e))
		}
		return errors.Join(all...)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

// attempt calls f, and returns its panic as an error.
func attempt(what string, f func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			err = fmt.Errorf("%s: %w", what, p)
		default:
			err = fmt.Errorf("%s: %v", what, p)
		}
	}()
	f()
	return nil
}

// IdentityTools returns tools that show a user that signing in worked: secure_ping, and
// get_user_info, which returns the claims of the caller's own token and the result of
// each rule of the verifier.
func IdentityTools(v *entraauth.Verifier) ToolSet { return identityTools{verifier: v} }

type identityTools struct {
	verifier *entraauth.Verifier
	server   string // its name and version; "" on a plain server of the SDK
}

// authentication is how callers are verified, for the tools' results.
const authentication = "Microsoft Entra ID access token (entraauth.Verifier)"

type pingOutput struct {
	OK             bool   `json:"ok" jsonschema:"true: the caller is authenticated"`
	Message        string `json:"message" jsonschema:"what was found"`
	Server         string `json:"server" jsonschema:"the server that answered"`
	Authentication string `json:"authentication" jsonschema:"how the caller was verified"`
}

type userInfoOutput struct {
	OK                   bool              `json:"ok" jsonschema:"true: the caller is authenticated"`
	Message              string            `json:"message" jsonschema:"what was found"`
	AuthenticationMethod string            `json:"authentication_method" jsonschema:"how the caller was verified"`
	Issuer               string            `json:"issuer" jsonschema:"who issued the token (claim iss)"`
	Audience             string            `json:"audience" jsonschema:"whom the token is for (claim aud)"`
	UserClaims           map[string]any    `json:"user_claims" jsonschema:"all claims of the verified token"`
	Validation           []entraauth.Check `json:"validation" jsonschema:"each rule that the token was judged by and how it fared, times in the server's local time"`
}

// Register adds the tools to the server.
func (t identityTools) Register(server *mcp.Server) {
	if t.verifier == nil {
		panic("mcpentra.IdentityTools: the verifier is nil") // NewServer returns it as an error
	}
	if r, ok := toolset.HostOf(server).(*registry); ok {
		r.Tool("secure_ping")
		r.Tool("get_user_info")
		t.server = r.server
	}
	mcp.AddTool(server, &mcp.Tool{
		Name: "secure_ping", Title: "Secure ping",
		Description: "Checks that the caller is authenticated. Needs no arguments.",
		Annotations: readOnly(),
	}, t.ping)
	mcp.AddTool(server, &mcp.Tool{
		Name: "get_user_info", Title: "Who am I",
		Description: "Returns the signed-in user's identity: all claims of the verified access token, and how the token fared under each verification rule.",
		Annotations: readOnly(), OutputSchema: userInfoSchema(),
	}, t.userInfo)
}

// userInfoSchema declares the list as an array that is never null, which Go's types
// can't: some clients reject a tool whose schema has a list of types.
func userInfoSchema() *jsonschema.Schema {
	schema, err := jsonschema.For[userInfoOutput](nil)
	if err != nil {
		panic(err) // never happens: the type is fixed
	}
	validation := schema.Properties["validation"]
	validation.Types, validation.Type = nil, "array"
	return schema
}

// readOnly returns the annotations of tools that read only the request.
func readOnly() *mcp.ToolAnnotations {
	no := false
	return &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, DestructiveHint: &no, OpenWorldHint: &no}
}

func (t identityTools) ping(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, pingOutput, error) {
	if entraauth.FromContext(ctx) == nil {
		return nil, pingOutput{}, ErrNoCaller
	}
	return nil, pingOutput{
		OK: true, Message: "Authenticated ping successful",
		Server: t.server, Authentication: authentication,
	}, nil
}

func (t identityTools) userInfo(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, userInfoOutput, error) {
	id := entraauth.FromContext(ctx)
	if id == nil {
		return nil, userInfoOutput{}, ErrNoCaller
	}
	out := userInfoOutput{OK: true, Message: "User information from the verified token", AuthenticationMethod: authentication}
	if err := id.Claims(&out.UserClaims); err != nil {
		return nil, userInfoOutput{}, err
	}
	out.Issuer, _ = out.UserClaims["iss"].(string)
	out.Audience, _ = out.UserClaims["aud"].(string)
	out.Validation = t.verifier.Explain(ctx, secret.Reveal(secret.Text(id.Assertion()))).Checks
	return nil, out, nil
}
