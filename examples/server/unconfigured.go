package main

import (
	"context"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A setupError tells the caller what the operator has not configured. Tools stay
// listed without their configuration, so that people find out why they don't work
// rather than miss them.
type setupError string

func (e setupError) Error() string { return string(e) }

// UserText returns the text, which is made for the caller.
func (e setupError) UserText() string { return string(e) }

// errOBOOff is the error of the tools that act as the caller, with OBO off.
const errOBOOff = setupError("The On-Behalf-Of flow is off on this server, so it can't act as the signed-in user. " +
	"Set USE_OBO_FLOW=true with ENTRA_APP_CLIENT_SECRET or UMI_CLIENT_ID in the server's environment, and restart it.")

// storageMissing is the error of the blob tool without its container.
func storageMissing(variables []string, obo bool) setupError {
	text := "read_blob_with_token is not configured on this server. Set " + strings.Join(variables, " and ") +
		" in the server's environment, and restart it."
	if !obo {
		text += " Set USE_OBO_FLOW=true as well, so that it can act as the signed-in user."
	}
	return setupError(text)
}

// unconfiguredBlobs stands in for package blobtool's tool.
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

// readOnly annotates tools that change nothing and reach Azure.
func readOnly() *mcp.ToolAnnotations {
	no, yes := false, true
	return &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, DestructiveHint: &no, OpenWorldHint: &yes}
}
