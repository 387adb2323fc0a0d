//go:build unix

package conformance_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Fixtures is the tool set that the suite calls. Names, and what must be in the
// answers, are the scenarios'.
type fixtures struct{}

// Configure adds what exists only in a server's options.
func (fixtures) Configure(o *mcp.ServerOptions) {
	o.CompletionHandler = func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
		return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{}}}, nil
	}
	o.SubscribeHandler = func(context.Context, *mcp.SubscribeRequest) error { return nil }
	o.UnsubscribeHandler = func(context.Context, *mcp.UnsubscribeRequest) error { return nil }
}

// Register adds all fixtures to the server.
func (fixtures) Register(s *mcp.Server) {
	addContents(s)
	addNotices(s)
	addSchemas(s)
	addChanges(s)
	addQuestions(s)
	addInputs(s)
	addResources(s)
	addPrompts(s)
}

// A handler is a tool that takes no arguments, or looks at none.
type handler func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error)

// described is the description of each: the suite looks only whether there is one.
const described = "Fixture of the conformance suite"

func add(s *mcp.Server, name string, h handler) {
	mcp.AddTool(s, &mcp.Tool{Name: name, Description: described},
		func(ctx context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			result, err := h(ctx, req)
			return result, nil, err
		})
}

func contents(c ...mcp.Content) *mcp.CallToolResult { return &mcp.CallToolResult{Content: c} }

func text(format string, args ...any) *mcp.CallToolResult {
	return contents(&mcp.TextContent{Text: fmt.Sprintf(format, args...)})
}

// A pixel and a moment of silence.
var (
	png = unbase64("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==")
	wav = unbase64("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=")
)

func unbase64(s string) []byte {
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return data
}

func embedded(uri string) *mcp.EmbeddedResource {
	return &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: uri, MIMEType: "text/plain", Text: "What is embedded"}}
}

// addContents adds a tool for each kind of content.
func addContents(s *mcp.Server) {
	for name, result := range map[string]*mcp.CallToolResult{
		"test_simple_text":            text("This is a simple text response for testing."),
		"test_image_content":          contents(&mcp.ImageContent{Data: png, MIMEType: "image/png"}),
		"test_audio_content":          contents(&mcp.AudioContent{Data: wav, MIMEType: "audio/wav"}),
		"test_embedded_resource":      contents(embedded("test://embedded-resource")),
		"test_multiple_content_types": contents(&mcp.TextContent{Text: "Several"}, &mcp.ImageContent{Data: png, MIMEType: "image/png"}, embedded("test://embedded-in-several")),
		"test_streaming_elicitation":  text("A stream with no request to the client"),
	} {
		add(s, name, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return result, nil })
	}
	add(s, "test_error_handling", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return nil, errors.New("this tool always fails")
	})
}

// addNotices adds tools that tell the client something while they work.
func addNotices(s *mcp.Server) {
	logging := func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for _, line := range []string{"started", "at work", "done"} {
			if err := req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Data: line}); err != nil {
				return nil, err
			}
		}
		return text("Logged, if the client wants to know"), nil
	}
	add(s, "test_tool_with_logging", logging)
	add(s, "test_logging_tool", logging)
	add(s, "test_tool_with_progress", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		token := req.Params.GetProgressToken()
		for _, done := range []float64{0, 50, 100} {
			err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: done, Total: 100})
			if err != nil {
				return nil, err
			}
		}
		return text("%v", token), nil
	})
	add(s, "test_reconnection", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if hangUp := req.Extra.CloseSSEStream; hangUp != nil {
			hangUp(mcp.CloseSSEStreamArgs{RetryAfter: 10 * time.Millisecond})
		}
		select { // the client comes back for the result, or finds it waiting
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
		return text("Back again"), nil
	})
}

// addSchemas adds tools whose input schemas the suite looks at.
func addSchemas(s *mcp.Server) {
	echo := func(_ context.Context, _ *mcp.CallToolRequest, in json.RawMessage) (*mcp.CallToolResult, any, error) {
		return text("%s", in), nil, nil
	}
	mcp.AddTool(s, &mcp.Tool{Name: "json_schema_2020_12_tool", Description: described, InputSchema: json.RawMessage(`{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
		"$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
		"properties": {
			"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
			"contactMethod": {"type": "string", "enum": ["phone", "email"]}, "phone": {"type": "string"}, "email": {"type": "string"}
		},
		"allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
		"if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
		"then": {"required": ["phone"]}, "else": {"required": ["email"]}
	}`)}, echo)
	// A parameter that clients repeat in the header Mcp-Param-Region.
	mcp.AddTool(s, &mcp.Tool{Name: "test_x_mcp_header", Description: described, InputSchema: json.RawMessage(`{
		"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "level": {"type": "integer"}}
	}`)}, echo)
}

// addChanges adds tools that change the server's lists, so that it tells
// subscribers, and one that asks for more of the client than it may have.
func addChanges(s *mcp.Server) {
	add(s, "test_trigger_tool_change", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		add(s, "changed", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return text("New"), nil })
		return text("The list of tools has changed"), nil
	})
	add(s, "test_trigger_prompt_change", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		s.AddPrompt(&mcp.Prompt{Name: "changed", Description: described}, prompt(&mcp.TextContent{Text: "New"}))
		return text("The list of prompts has changed"), nil
	})
	add(s, "test_missing_capability", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if c := req.ClientCapabilities(); c != nil && c.Sampling != nil {
			return text("The client samples"), nil
		}
		data, err := json.Marshal(mcp.MissingRequiredClientCapabilityData{
			RequiredCapabilities: &mcp.ClientCapabilities{Sampling: &mcp.SamplingCapabilities{}},
		})
		if err != nil {
			return nil, err
		}
		return nil, &jsonrpc.Error{Code: mcp.CodeMissingRequiredClientCapabilities, Message: "this tool needs sampling", Data: data}
	})
}
