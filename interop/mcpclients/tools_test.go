//go:build unix

package mcpclients_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// The tools of the stage, beside those of mcpentra and blobtool.

// names returns the names of the sets' tools, in order, by way of a server without
// anything around it.
func names(t *testing.T, sets []mcpentra.ToolSet) string {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "bare", Version: "1"}, nil)
	for _, set := range sets {
		set.Register(server)
	}
	near, far := mcp.NewInMemoryTransports()
	_, err := server.Connect(t.Context(), far, nil)
	must(t, err)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "bare", Version: "1"}, nil).Connect(t.Context(), near, nil)
	must(t, err)
	defer func() { _ = session.Close() }()
	return listed(t, session)
}

func listed(t *testing.T, session *mcp.ClientSession) string {
	t.Helper()
	tools, err := session.ListTools(t.Context(), nil)
	must(t, err)
	var names []string
	for _, tool := range tools.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

type nothing struct{}

func say(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

// countTool tells its caller of progress, three times.
func countTool() mcpentra.ToolSet {
	return mcpentra.Tool(&mcp.Tool{Name: "count", Description: "Counts to three."},
		func(ctx context.Context, req *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, any, error) {
			if token := req.Params.GetProgressToken(); token != nil {
				for i := range 3 {
					err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: float64(i + 1), Total: 3})
					if err != nil {
						return nil, nil, err
					}
				}
			}
			return say("counted"), nil, nil
		})
}

// greetTool asks for a name, by what the protocol version has for that.
func greetTool() mcpentra.ToolSet {
	form := &mcp.ElicitParams{Message: "What is your name?", RequestedSchema: json.RawMessage(
		`{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}`)}
	return mcpentra.Tool(&mcp.Tool{Name: "greet", Description: "Asks for a name and greets."},
		func(ctx context.Context, req *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, any, error) {
			answer, _ := req.Params.InputResponses["name"].(*mcp.ElicitResult)
			if answer == nil && req.Session.ID() == "" {
				return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"name": form}}, nil, nil
			}
			if answer == nil {
				var err error
				if answer, err = req.Session.Elicit(ctx, form); err != nil {
					return nil, nil, err
				}
			}
			name, _ := answer.Content["name"].(string)
			return say("Hello, " + name), nil, nil
		})
}

// writeTool needs a scope that clients are not told of at first.
func writeTool() mcpentra.ToolSet {
	return mcpentra.Tool(&mcp.Tool{Name: "write_note", Description: "Writes a note."},
		func(context.Context, *mcp.CallToolRequest, nothing) (*mcp.CallToolResult, any, error) {
			return say("written"), nil, nil
		})
}
