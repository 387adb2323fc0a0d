//go:build unix

package conformance_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What the tools of this file ask for.
var (
	askName     = form("What is your name?", "name", "string")
	askConfirm  = form("Please confirm", "ok", "boolean")
	askColor    = form("Which color?", "color", "string")
	askContext  = form("In which context?", "context", "string")
	askGreeting = sample("Write a greeting", 50)
	askCapital  = sample("What is the capital of France?", 100)
	askRoots    = &mcp.ListRootsParams{}
)

func form(message, property, kind string) *mcp.ElicitParams {
	schema := json.RawMessage(`{"type": "object", "properties": {"` + property + `": {"type": "` + kind + `"}}, "required": ["` + property + `"]}`)
	return &mcp.ElicitParams{Message: message, RequestedSchema: schema}
}

func sample(prompt string, tokens int64) *mcp.CreateMessageParams {
	return &mcp.CreateMessageParams{
		Messages: []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{Text: prompt}}}, MaxTokens: tokens,
	}
}

// addInputs adds tools that answer with what they still need, as 2026-07-28 has
// it in place of calls to the client.
func addInputs(s *mcp.Server) {
	add(s, "test_input_required_result_elicitation", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if name, _ := accepted(req, "user_name")["name"].(string); name != "" {
			return text("Hello, %s!", name), nil
		}
		return need("", mcp.InputRequestMap{"user_name": askName}), nil
	})
	add(s, "test_input_required_result_sampling", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if said, ok := sampled(req, "capital_question"); ok {
			return text("The model says: %s", said), nil
		}
		return need("", mcp.InputRequestMap{"capital_question": askCapital}), nil
	})
	add(s, "test_input_required_result_list_roots", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if roots, ok := req.Params.InputResponses["client_roots"].(*mcp.ListRootsResult); ok {
			return text("%d roots", len(roots.Roots)), nil
		}
		return need("", mcp.InputRequestMap{"client_roots": askRoots}), nil
	})
	add(s, "test_input_required_result_multiple_inputs", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		name, _ := accepted(req, "user_name")["name"].(string)
		greeting, greeted := sampled(req, "greeting")
		roots, rooted := req.Params.InputResponses["client_roots"].(*mcp.ListRootsResult)
		if name != "" && greeted && rooted {
			return text("%s %s, with %d roots", greeting, name, len(roots.Roots)), nil
		}
		return need("several", mcp.InputRequestMap{"user_name": askName, "greeting": askGreeting, "client_roots": askRoots}), nil
	})
	add(s, "test_input_required_result_capabilities", func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if len(req.Params.InputResponses) > 0 {
			return text("Answered"), nil
		}
		return need("", within(req.ClientCapabilities())), nil
	})
	add(s, "test_input_required_result_request_state", confirm)
	add(s, "test_input_required_result_tampered_state", confirm)
	add(s, "test_input_required_result_multi_round", rounds)
}

// within returns the questions that a client with these capabilities can answer.
func within(c *mcp.ClientCapabilities) mcp.InputRequestMap {
	ask := mcp.InputRequestMap{}
	if c != nil && c.Elicitation != nil {
		ask["user_name"] = askName
	}
	if c != nil && c.Sampling != nil {
		ask["greeting"] = askGreeting
	}
	if c != nil && c.RootsV2 != nil {
		ask["client_roots"] = askRoots
	}
	return ask
}

// confirm asks once, and knows its own state when it comes back.
func confirm(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	state, err := opened(req)
	switch {
	case err != nil:
		return nil, err
	case state == "asked" && accepted(req, "confirm") != nil:
		return text("state-ok"), nil
	}
	return need("asked", mcp.InputRequestMap{"confirm": askConfirm}), nil
}

// rounds asks twice. What it was told first travels in the state.
func rounds(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	state, err := opened(req)
	if err != nil {
		return nil, err
	}
	round, name, _ := strings.Cut(state, " ")
	switch round {
	case "":
		return need("one", mcp.InputRequestMap{"step1": askName}), nil
	case "one":
		name, _ = accepted(req, "step1")["name"].(string)
		return need("two "+name, mcp.InputRequestMap{"step2": askColor}), nil
	}
	color, _ := accepted(req, "step2")["color"].(string)
	return text("%s likes %s", name, color), nil
}

// need is the result of a tool that can't go on yet.
func need(state string, requests mcp.InputRequestMap) *mcp.CallToolResult {
	result := &mcp.CallToolResult{InputRequests: requests}
	if state != "" {
		result.RequestState = state + "." + seal(state)
	}
	return result
}

// opened returns the state that the request brings back, if it is one of ours.
func opened(req *mcp.CallToolRequest) (string, error) {
	if req.Params.RequestState == "" {
		return "", nil
	}
	state, mac, _ := strings.Cut(req.Params.RequestState, ".")
	if !hmac.Equal([]byte(mac), []byte(seal(state))) {
		return "", &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the request state is not ours"}
	}
	return state, nil
}

func seal(state string) string {
	h := hmac.New(sha256.New, []byte("a key of this test alone"))
	h.Write([]byte(state))
	return hex.EncodeToString(h.Sum(nil))
}

// accepted returns what the user filled in, or nil.
func accepted(req *mcp.CallToolRequest, key string) map[string]any {
	return filledIn(req.Params.InputResponses, key)
}

func filledIn(responses mcp.InputResponseMap, key string) map[string]any {
	if answer, ok := responses[key].(*mcp.ElicitResult); ok && answer.Action == "accept" {
		return answer.Content
	}
	return nil
}

// sampled returns what the client's model said.
func sampled(req *mcp.CallToolRequest, key string) (string, bool) {
	answer, ok := req.Params.InputResponses[key].(*mcp.CreateMessageWithToolsResult)
	if !ok || len(answer.Content) == 0 {
		return "", false
	}
	said, ok := answer.Content[0].(*mcp.TextContent)
	if !ok {
		return "", false
	}
	return said.Text, true
}
