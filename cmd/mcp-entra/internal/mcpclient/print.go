package mcpclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxTools limits a list: a server may always have a next page.
const maxTools = 10_000

// list prints the tools with their arguments.
func (c *Client) list(ctx context.Context, session *mcp.ClientSession, w io.Writer) error {
	all := []*mcp.Tool{}
	for tool, err := range session.Tools(ctx, nil) {
		if err != nil {
			return err
		}
		if all = append(all, tool); len(all) > maxTools {
			return fmt.Errorf("the server lists more than %d tools; they may be endless", maxTools)
		}
	}
	if c.JSON {
		return printJSON(w, all)
	}
	for _, tool := range all {
		_, _ = fmt.Fprintf(w, "%s\n    %s\n", tool.Name, strings.ReplaceAll(tool.Description, "\n", "\n    "))
		if arguments := argumentsOf(tool); arguments != "" {
			_, _ = fmt.Fprintf(w, "    arguments: %s\n", arguments)
		}
	}
	return nil
}

// argumentsOf lists a tool's arguments: the required ones, then the others with their defaults.
func argumentsOf(tool *mcp.Tool) string {
	var schema struct {
		Properties map[string]struct{ Default json.RawMessage }
		Required   []string
	}
	data, err := json.Marshal(tool.InputSchema)
	if err != nil || json.Unmarshal(data, &schema) != nil {
		return ""
	}
	var needed, others []string
	for name, property := range schema.Properties {
		switch {
		case slices.Contains(schema.Required, name):
			needed = append(needed, name)
		case property.Default != nil:
			others = append(others, name+" = "+string(property.Default))
		default:
			others = append(others, name+" (optional)")
		}
	}
	slices.Sort(needed)
	slices.Sort(others)
	return strings.Join(append(needed, others...), ", ")
}

// call prints a tool's result. An error of the tool is returned as an error.
func (c *Client) call(ctx context.Context, session *mcp.ClientSession, name string, arguments map[string]any, w io.Writer) error {
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: arguments})
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		err = printJSON(w, result)
	case result.IsError:
	case result.StructuredContent != nil:
		err = printJSON(w, result.StructuredContent)
	default:
		_, err = fmt.Fprintln(w, text(result))
	}
	if err == nil && result.IsError {
		err = errors.New(name + " answered: " + text(result))
	}
	return err
}

// text returns the text of a result and names its other content.
func text(result *mcp.CallToolResult) string {
	var parts []string
	for _, content := range result.Content {
		if t, ok := content.(*mcp.TextContent); ok {
			parts = append(parts, t.Text)
		} else {
			parts = append(parts, fmt.Sprintf("(content that is no text: %T)", content))
		}
	}
	return strings.Join(parts, "\n")
}
