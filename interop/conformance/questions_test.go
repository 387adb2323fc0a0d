//go:build unix

package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// addQuestions adds tools that call the client back, as protocol versions before
// 2026-07-28 allow in a session.
func addQuestions(s *mcp.Server) {
	type promptInput struct {
		Prompt string `json:"prompt"`
	}
	mcp.AddTool(s, &mcp.Tool{Name: "test_sampling", Description: described}, func(ctx context.Context, req *mcp.CallToolRequest, in promptInput) (*mcp.CallToolResult, any, error) {
		answer, err := req.Session.CreateMessage(ctx, &mcp.CreateMessageParams{
			Messages:  []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{Text: in.Prompt}}},
			MaxTokens: 100,
		})
		if err != nil {
			return nil, nil, err
		}
		said, ok := answer.Content.(*mcp.TextContent)
		if !ok {
			return nil, nil, fmt.Errorf("the client answered with %T", answer.Content)
		}
		return text("The model says: %s", said.Text), nil, nil
	})
	type messageInput struct {
		Message string `json:"message"`
	}
	mcp.AddTool(s, &mcp.Tool{Name: "test_elicitation", Description: described}, func(ctx context.Context, req *mcp.CallToolRequest, in messageInput) (*mcp.CallToolResult, any, error) {
		result, err := ask(ctx, req, in.Message, `{"type": "object", "required": ["username", "email"], "properties": {
			"username": {"type": "string", "description": "Name"}, "email": {"type": "string", "description": "Address"}
		}}`)
		return result, nil, err
	})
	add(s, "test_elicitation_sep1034_defaults", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return ask(ctx, req, "Please check", `{"type": "object", "properties": {
			"name": {"type": "string", "default": "John Doe"},
			"age": {"type": "integer", "default": 30},
			"score": {"type": "number", "default": 95.5},
			"status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
			"verified": {"type": "boolean", "default": true}
		}}`)
	})
	add(s, "test_elicitation_sep1330_enums", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		const titled = `[{"const": "value1", "title": "First"}, {"const": "value2", "title": "Second"}, {"const": "value3", "title": "Third"}]`
		return ask(ctx, req, "Please choose", `{"type": "object", "properties": {
			"untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
			"titledSingle": {"type": "string", "oneOf": `+titled+`},
			"legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
			"untitledMulti": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
			"titledMulti": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string", "anyOf": `+titled+`}}
		}}`)
	})
}

// ask puts a form to the user and says what came back.
func ask(ctx context.Context, req *mcp.CallToolRequest, message, schema string) (*mcp.CallToolResult, error) {
	answer, err := req.Session.Elicit(ctx, &mcp.ElicitParams{Message: message, RequestedSchema: json.RawMessage(schema)})
	if err != nil {
		return nil, err
	}
	return text("The user's answer: action=%s, content=%v", answer.Action, answer.Content), nil
}
