//go:build unix

package conformance_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func addResources(s *mcp.Server) {
	fixed := func(name, kind string, contents mcp.ResourceContents) {
		uri := "test://" + name
		s.AddResource(&mcp.Resource{Name: name, URI: uri, MIMEType: kind},
			func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
				c := contents
				c.URI, c.MIMEType = uri, kind
				return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{&c}}, nil
			})
	}
	fixed("static-text", "text/plain", mcp.ResourceContents{Text: "A text that stays as it is"})
	fixed("static-binary", "image/png", mcp.ResourceContents{Blob: png})
	fixed("watched-resource", "text/plain", mcp.ResourceContents{Text: "A text that a client may watch"})
	const before, after = "test://template/", "/data"
	s.AddResourceTemplate(&mcp.ResourceTemplate{Name: "template", URITemplate: before + "{id}" + after, MIMEType: "application/json"},
		func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			id := strings.TrimSuffix(strings.TrimPrefix(req.Params.URI, before), after)
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{
				URI: req.Params.URI, MIMEType: "application/json", Text: fmt.Sprintf(`{"id": %q}`, id),
			}}}, nil
		})
}

func addPrompts(s *mcp.Server) {
	said := &mcp.TextContent{Text: "Look at that."}
	s.AddPrompt(&mcp.Prompt{Name: "test_simple_prompt", Description: described}, prompt(&mcp.TextContent{Text: "This is a simple prompt for testing."}))
	s.AddPrompt(&mcp.Prompt{Name: "test_prompt_with_image", Description: described}, prompt(&mcp.ImageContent{Data: png, MIMEType: "image/png"}, said))
	required := func(name string) *mcp.PromptArgument { return &mcp.PromptArgument{Name: name, Required: true} }
	s.AddPrompt(&mcp.Prompt{Name: "test_prompt_with_arguments", Description: described, Arguments: []*mcp.PromptArgument{required("arg1"), required("arg2")}},
		func(ctx context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			a := req.Params.Arguments
			return prompt(&mcp.TextContent{Text: fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", a["arg1"], a["arg2"])})(ctx, req)
		})
	s.AddPrompt(&mcp.Prompt{Name: "test_prompt_with_embedded_resource", Description: described, Arguments: []*mcp.PromptArgument{required("resourceUri")}},
		func(ctx context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return prompt(embedded(req.Params.Arguments["resourceUri"]), said)(ctx, req)
		})
	s.AddPrompt(&mcp.Prompt{Name: "test_input_required_result_prompt", Description: described},
		func(ctx context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			about, ok := filledIn(req.Params.InputResponses, "user_context")["context"].(string)
			if !ok {
				return &mcp.GetPromptResult{InputRequests: mcp.InputRequestMap{"user_context": askContext}}, nil
			}
			return prompt(&mcp.TextContent{Text: "Think of " + about})(ctx, req)
		})
}

// prompt is the handler of a prompt whose messages are known.
func prompt(said ...mcp.Content) mcp.PromptHandler {
	return func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		var result mcp.GetPromptResult
		for _, c := range said {
			result.Messages = append(result.Messages, &mcp.PromptMessage{Role: "user", Content: c})
		}
		return &result, nil
	}
}
