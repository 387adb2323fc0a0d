package mcpentra

import (
	"context"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A catalog lists what a server has: all that is registered, if it is the innermost
// middleware, or what the middleware of tool sets makes of that.
type catalog struct {
	next mcp.MethodHandler
}

// items are the things of a list, by name, URI or URI template.
type items map[string]any

// The methods that list things.
const (
	listTools     = "tools/list"
	listPrompts   = "prompts/list"
	listResources = "resources/list"
	listTemplates = "resources/templates/list"
)

// list returns all pages of a list, asked for on behalf of a request, and what it has
// so far if it fails.
func (c *catalog) list(ctx context.Context, cause mcp.Request, method string) (items, error) {
	all := items{}
	for cursor := ""; ; {
		result, err := c.next(ctx, method, listRequest(cause, method, cursor))
		if err != nil {
			return all, fmt.Errorf("%s: %w", method, err)
		}
		cursor = ""
		switch r := result.(type) {
		case *mcp.ListToolsResult:
			cursor = r.NextCursor
			for _, t := range r.Tools {
				all[t.Name] = t
			}
		case *mcp.ListPromptsResult:
			cursor = r.NextCursor
			for _, p := range r.Prompts {
				all[p.Name] = p
			}
		case *mcp.ListResourcesResult:
			cursor = r.NextCursor
			for _, x := range r.Resources {
				all[x.URI] = x
			}
		case *mcp.ListResourceTemplatesResult:
			cursor = r.NextCursor
			for _, x := range r.ResourceTemplates {
				all[x.URITemplate] = x
			}
		}
		if cursor == "" {
			return all, nil
		}
	}
}

func listRequest(cause mcp.Request, method, cursor string) mcp.Request {
	ss, _ := cause.GetSession().(*mcp.ServerSession)
	extra := cause.GetExtra()
	switch method {
	case listTools:
		return &mcp.ListToolsRequest{Session: ss, Extra: extra, Params: &mcp.ListToolsParams{Cursor: cursor}}
	case listPrompts:
		return &mcp.ListPromptsRequest{Session: ss, Extra: extra, Params: &mcp.ListPromptsParams{Cursor: cursor}}
	case listTemplates:
		return &mcp.ListResourceTemplatesRequest{Session: ss, Extra: extra, Params: &mcp.ListResourceTemplatesParams{Cursor: cursor}}
	}
	return &mcp.ListResourcesRequest{Session: ss, Extra: extra, Params: &mcp.ListResourcesParams{Cursor: cursor}}
}
