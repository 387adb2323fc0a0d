package blobtool_test

import (
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Agents send null for what they leave out, on any server that has the tools: OpenAI's
// strict mode and several frameworks must.
func TestNullForOptional(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.storage.Put("docs", "a.txt", []byte("hello"), "text/plain")
	s := w.connect(t, "alice")
	ask := func(tool string, a args) (string, bool) {
		res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
		if err != nil {
			t.Fatal(err)
		}
		return res.Content[0].(*mcp.TextContent).Text, res.IsError
	}
	tools, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools.Tools {
		given := args{}
		for name := range tool.InputSchema.(map[string]any)["properties"].(map[string]any) {
			given[name] = nil
		}
		for name, value := range map[string]string{"blob_path": "a.txt", "name": "*.txt"} {
			if _, has := given[name]; has {
				given[name] = value
			}
		}
		if text, isError := ask(tool.Name, given); isError {
			t.Errorf("%s(%v): got the error %s, want none", tool.Name, given, text)
		}
	}
	if text, isError := ask("read_blob", args{"blob_path": nil}); !isError || !strings.Contains(text, `"blob_path" is required and must not be null`) {
		t.Errorf("null for what is required: got %s, want an error that names blob_path", text)
	}
}
