// Command gosdk is the client of the Go SDK, as the scripts in other languages are: it signs in to
// the server at MCP_URL as the application CLIENT_ID, with a user who is at the desk (DESK_URL),
// does the steps that STEPS names, and prints a line for each.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/mcpentra/mcp-entra-go/interop/mcpclients/s256"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		PreregisteredClient:      &oauthex.ClientCredentials{ClientID: os.Getenv("CLIENT_ID")},
		RedirectURL:              "http://localhost:33418/callback",
		Client:                   &http.Client{Transport: s256.Transport{Next: http.DefaultTransport}},
		AuthorizationCodeFetcher: signIn,
	})
	if err != nil {
		return err
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "gosdk", Version: "1"}, nil).Connect(ctx,
		&mcp.StreamableClientTransport{Endpoint: os.Getenv("MCP_URL"), OAuthHandler: handler}, nil)
	if err != nil {
		return err
	}
	say("connect", session.InitializeResult().ProtocolVersion)
	for step := range strings.FieldsSeq(os.Getenv("STEPS")) {
		text, err := do(ctx, session, step)
		if err != nil {
			text = err.Error()
		}
		say(step, text)
	}
	return session.Close()
}

// signIn opens the page in the user's browser, and returns what it was sent back with.
func signIn(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("DESK_URL")+"/open?url="+url.QueryEscape(args.URL), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct{ Back string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("the desk: %s: %w", response.Status, err)
	}
	back, err := url.Parse(answer.Back)
	if err != nil {
		return nil, err
	}
	q := back.Query()
	return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
}

func do(ctx context.Context, session *mcp.ClientSession, step string) (string, error) {
	if step == "list" {
		tools, err := session.ListTools(ctx, nil)
		if err != nil {
			return "", err
		}
		var names []string
		for _, tool := range tools.Tools {
			names = append(names, tool.Name)
		}
		slices.Sort(names)
		return strings.Join(names, " "), nil
	}
	call, ok := map[string]struct {
		tool, member string
		arguments    map[string]any
	}{
		"call":    {"secure_ping", "message", nil},
		"consent": {"read_blob_with_token", "text", map[string]any{"blob_path": "hello.txt"}},
	}[step]
	if !ok {
		return "", fmt.Errorf("there is no step %s", step)
	}
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: call.tool, Arguments: call.arguments})
	if err != nil {
		return "", err
	}
	answer, _ := result.StructuredContent.(map[string]any)
	return fmt.Sprint(answer[call.member]), nil
}

func say(step, text string) {
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"step": step, "text": text}) // nobody listens any more
}
