package documented

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/explain"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// TokenToolWarning is logged at the start of a server that has the tool.
const TokenToolWarning = "get_azure_blob_storage_token gives the signed-in user's raw storage token to the model. " +
	"It exists only because the documented server has it, for demonstration: don't copy it into your own server"

// tokenTool is get_azure_blob_storage_token. It is part of this example and not of the library,
// which has no way to give a token to a model.
type tokenTool struct {
	obo      bool
	resource string // the resource of its tokens
}

func newTokenTool(c serverconfig.Config) tokenTool {
	t := tokenTool{obo: c.OBO, resource: serverconfig.StorageResource}
	if len(c.Audiences) > 0 {
		t.resource = c.Audiences[0]
	}
	return t
}

type tokenOutput struct {
	OK           bool           `json:"ok" jsonschema:"true: there is a token"`
	Message      string         `json:"message" jsonschema:"what was done"`
	Resource     string         `json:"resource" jsonschema:"the resource that the token is for"`
	AccessToken  string         `json:"access_token" jsonschema:"the raw On-Behalf-Of token: a secret of the signed-in user"`
	TokenDecoded map[string]any `json:"token_decoded" jsonschema:"the token's claims"`
	Usage        string         `json:"usage" jsonschema:"how to use the token"`
	DemoNote     string         `json:"demo_note" jsonschema:"why no real server should have this tool"`
}

// Register adds the tool.
func (t tokenTool) Register(server *mcp.Server) {
	mcp.AddTool(server, &mcp.Tool{
		Name: "get_azure_blob_storage_token", Title: "Get a token for Azure Blob Storage (demo)",
		Description: "Demonstration only: gets an access token for " + t.resource + " on behalf of the signed-in user and returns it raw, with its claims.",
		Annotations: readOnly(),
	}, t.call)
}

func (t tokenTool) call(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, tokenOutput, error) {
	if !t.obo {
		return nil, tokenOutput{}, errOBOOff
	}
	credential, err := mcpentra.Credential(ctx)
	if err != nil {
		return nil, tokenOutput{}, err
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{t.resource + "/.default"}})
	if err != nil {
		return nil, tokenOutput{}, err
	}
	out := tokenOutput{
		OK:          true,
		Message:     "Access token acquired on behalf of the signed-in user",
		Resource:    t.resource,
		AccessToken: token.Token,
		Usage: `Send it to the resource as "Authorization: Bearer <access_token>", to Azure Storage with a header x-ms-version. ` +
			"read_blob_with_token needs no token: it gets its own",
		DemoNote: "For demonstration only. Anyone with this token can act as the user until it expires; a server should not reveal it",
	}
	if out.TokenDecoded, err = explain.DecodeClaims(token.Token); err != nil {
		// Some resources issue tokens that only they can read.
		out.Message += ". Its claims can't be shown: " + err.Error()
		out.TokenDecoded = map[string]any{}
	}
	return nil, out, nil
}
