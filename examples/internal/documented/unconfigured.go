package documented

import (
	"context"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A setupError tells the caller what the operator has not configured. Tools are listed even
// without their configuration, so that people learn why they don't work.
type setupError string

func (e setupError) Error() string { return string(e) }

// UserText returns the text, which is meant for the caller.
func (e setupError) UserText() string { return string(e) }

// errOBOOff is the error of tools that act as the caller while OBO is off.
const errOBOOff = setupError("The On-Behalf-Of flow is off on this server, so it can't act as the signed-in user. " +
	"Set USE_OBO_FLOW=true with ENTRA_APP_CLIENT_SECRET or UMI_CLIENT_ID in the server's environment, and restart it.")

// storageMissing returns the error of the blob tool without its container.
func storageMissing(variables []string, obo bool) setupError {
	text := "read_blob_with_token is not configured on this server. Set " + strings.Join(variables, " and ") +
		" in the server's environment, and restart it."
	if !obo {
		text += " Set USE_OBO_FLOW=true as well, so that it can act as the signed-in user."
	}
	return setupError(text)
}

// unconfiguredBlobs replaces the tool of package blobtool.
type unconfiguredBlobs struct{ why setupError }

type unconfiguredInput struct {
	BlobPath string `json:"blob_path" jsonschema:"Path of the blob within the container."`
	MaxChars int64  `json:"max_chars,omitempty" jsonschema:"How many characters of the text to return. Defaults to 8000."`
	Encoding string `json:"encoding,omitempty" jsonschema:"Character encoding of the blob. Defaults to utf-8."`
}

// Register adds the tool.
func (u unconfiguredBlobs) Register(server *mcp.Server) {
	mcp.AddTool(server, &mcp.Tool{
		Name: "read_blob_with_token", Title: "Read a blob as text",
		Description: "Reads a text blob with the permissions of the signed-in user. Not configured on this server: it answers with what is missing.",
		Annotations: readOnly(),
	}, func(context.Context, *mcp.CallToolRequest, unconfiguredInput) (*mcp.CallToolResult, any, error) {
		return nil, nil, u.why
	})
}

// readOnly returns the annotations of tools that change nothing and reach Azure.
func readOnly() *mcp.ToolAnnotations {
	no, yes := false, true
	return &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, DestructiveHint: &no, OpenWorldHint: &yes}
}
