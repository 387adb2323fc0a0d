package mcpentra

import (
	"bytes"
	"context"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// absentArguments is receiving middleware that takes "arguments": null for no
// arguments: go-sdk v1.8 panics when it fills in a tool's defaults there.
func absentArguments(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if r, ok := req.(*mcp.CallToolRequest); ok && r.Params != nil && bytes.Equal(bytes.TrimSpace(r.Params.Arguments), []byte("null")) {
			r.Params.Arguments = nil
		}
		return next(ctx, method, req)
	}
}
