package arguments_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/arguments"
)

type in struct {
	Name   string            `json:"name"`
	Count  int               `json:"count,omitempty"`
	Deep   bool              `json:"deep,omitempty"`
	Ratio  float64           `json:"ratio,omitempty"`
	Tags   []string          `json:"tags,omitempty"`
	Free   any               `json:"free,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Range  struct {
		From int `json:"from,omitempty"`
		To   int `json:"to"`
	} `json:"range,omitzero"`
	Steps []struct {
		Wait int `json:"wait,omitempty"`
	} `json:"steps,omitempty"`
	Maybe *string `json:"maybe,omitempty"`
}

// connect returns a client of a plain SDK server with a tool that answers with the
// arguments it was given, after validation.
func connect(t *testing.T, schema any, ours func(string) bool) *mcp.ClientSession {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "t", Version: "1"}, nil)
	echo := func(_ context.Context, req *mcp.CallToolRequest, _ in) (*mcp.CallToolResult, any, error) {
		text := string(req.Params.Arguments)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
	}
	mcp.AddTool(server, &mcp.Tool{Name: "other"}, echo)
	mcp.AddTool(server, &mcp.Tool{Name: "echo", InputSchema: schema}, echo)
	server.AddReceivingMiddleware(arguments.WithoutNulls(ours))
	clientEnd, serverEnd := mcp.NewInMemoryTransports()
	ss, err := server.Connect(t.Context(), serverEnd, nil)
	if err != nil {
		t.Fatal(err)
	}
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, nil).Connect(t.Context(), clientEnd, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cs.Close(); _ = ss.Wait() })
	return cs
}

func call(t *testing.T, s *mcp.ClientSession, args string) (text string, isError bool) {
	t.Helper()
	res, err := s.CallTool(context.Background(), &mcp.CallToolParams{Name: "echo", Arguments: json.RawMessage(args)})
	if err != nil {
		t.Fatal(err)
	}
	return res.Content[0].(*mcp.TextContent).Text, res.IsError
}

func TestNullsAreAbsent(t *testing.T) {
	t.Parallel()
	s := connect(t, nil, nil)
	for args, want := range map[string]string{
		`{"name":"x"}`: `{"name":"x"}`,
		`{"name":"x","count":null,"deep":null,"ratio":null}`:         `{"name":"x"}`,
		"{ \"count\" : null ,\n\"name\": \"x\" }":                    `{"name":"x"}`,
		`{"name":"null","free":null}`:                                `{"name":"null","free":null}`, // any value, null too
		`{"name":"x","tags":null,"maybe":null}`:                      `{"name":"x","tags":null,"maybe":null}`,
		`{"name":"x","range":null}`:                                  `{"name":"x"}`,
		`{"name":"x","range":{"from":null,"to":2}}`:                  `{"name":"x","range":{"to":2}}`,
		`{"name":"x","steps":[{"wait":null},{"wait":1}]}`:            `{"name":"x","steps":[{},{"wait":1}]}`,
		`{"name":"a\"null","c\u006funt":null,"free":{"a":[null,1]}}`: `{"name":"a\"null","free":{"a":[null,1]}}`,
	} {
		if got, isError := call(t, s, args); isError || got != want {
			t.Errorf("%s: got %s (error %v), want %s", args, got, isError, want)
		}
	}
}

func TestNullsThatAreErrors(t *testing.T) {
	t.Parallel()
	s := connect(t, nil, nil)
	for args, want := range map[string]string{
		`{"name":null}`:                          `"name" is required and must not be null`,
		`{"name":"x","range":{"to":null}}`:       `"range.to" is required and must not be null`,
		`{"name":null,"range":{"to":null}}`:      `"range.to"`,
		`{"name":"x","unknown":null}`:            `unknown`,
		`{"name":"x","tags":["a",null]}`:         `null`,
		`{"name":"x","labels":{"a":null}}`:       `null`,
		`{"count":null}`:                         `name`,
		`{"name":"x","count":"seven","tags":[]}`: `integer`,
	} {
		got, isError := call(t, s, args)
		if !isError || !strings.Contains(got, want) || strings.Contains(got, "reflect") {
			t.Errorf("%s: got %s (error %v), want an error with %s", args, got, isError, want)
		}
	}
}

// A schema may be anything that encodes as one, and say null in many ways.
func TestSchemasThatHaveNull(t *testing.T) {
	t.Parallel()
	for kept, property := range map[string]string{
		"null is kept":    `{"type":["string","null"]}`,
		"by anyOf":        `{"anyOf":[{"type":"string"},{"type":"null"}]}`,
		"by enum":         `{"enum":["a",null]}`,
		"by const":        `{"const":null}`,
		"by anything":     `{}`,
		"by its absence":  `{"description":"any"}`,
		"null is dropped": `{"type":"string"}`,
		"not by anyOf":    `{"anyOf":[{"type":"string"},{"type":"integer"}]}`,
		"not by enum":     `{"enum":["a"]}`,
		"not by const":    `{"const":"a"}`,
		"not by allOf":    `{"allOf":[{"type":"string"}]}`,
		"not by types":    `{"type":["string","integer"]}`,
	} {
		text := `{"type":"object","properties":{"p":` + property + `}}`
		var schema jsonschema.Schema
		if err := json.Unmarshal([]byte(text), &schema); err != nil {
			t.Fatal(err)
		}
		want := `{"p":null}`
		if strings.HasPrefix(kept, "not") || kept == "null is dropped" {
			want = `{}`
		}
		for form, s := range map[string]any{"*Schema": &schema, "RawMessage": json.RawMessage(text)} {
			if got, isError := call(t, connect(t, s, nil), `{"p":null}`); isError || got != want {
				t.Errorf("%s (%s), %s: got %s (error %v), want %s", kept, property, form, got, isError, want)
			}
		}
	}
}

// On a server of other tools too, those are left alone.
func TestOtherToolsAreLeftAlone(t *testing.T) {
	t.Parallel()
	s := connect(t, nil, func(tool string) bool { return tool != "echo" })
	if got, isError := call(t, s, `{"name":"x","count":null}`); !isError {
		t.Errorf("got %s, want an error", got)
	}
}
