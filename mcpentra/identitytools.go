package mcpentra

import (
	"context"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// IdentityTools returns the tools with which a user sees that signing in
// worked: secure_ping, and get_user_info with the claims of the caller's own
// token and how it fared under each rule of the verifier.
func IdentityTools(v *entraauth.Verifier) ToolSet { return identityTools{verifier: v} }

type identityTools struct {
	verifier *entraauth.Verifier
	server   string // its name and version, where it is one of ours
}

// authentication names how callers are verified, in the tools' results.
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
		panic("mcpentra.IdentityTools: the verifier is nil") // an error of NewServer, as all panics of Register
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

// userInfoSchema says that the lists are never null, which Go's types can't:
// some clients refuse a tool whose schema has a list of types.
func userInfoSchema() *jsonschema.Schema {
	schema, err := jsonschema.For[userInfoOutput](nil)
	if err != nil {
		panic(err) // the type is fixed: every test would see it
	}
	validation := schema.Properties["validation"]
	validation.Types, validation.Type = nil, "array"
	return schema
}

// readOnly annotates tools that look at nothing but the request.
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
