// Command gosdk is the client of the Go SDK, as the scripts in other languages are: it signs in to
// the server at MCP_URL with a user who is at the desk (DESK_URL), does the steps that STEPS names,
// and prints a line for each. It is the application CLIENT_ID, or the one whose document is at
// CLIENT_METADATA_URL, or registers itself, and is then as the SDK has it.
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
	config := &auth.AuthorizationCodeHandlerConfig{RedirectURL: "http://localhost:33418/callback", AuthorizationCodeFetcher: signIn, RequestRefreshToken: os.Getenv("CLIENT_ID") == ""}
	if id, document := os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_METADATA_URL"); id != "" {
		config.PreregisteredClient = &oauthex.ClientCredentials{ClientID: id}
		config.Client = &http.Client{Transport: s256.Transport{Next: http.DefaultTransport}}
	} else if document != "" {
		config.ClientIDMetadataDocumentConfig = &auth.ClientIDMetadataDocumentConfig{URL: document}
	} else {
		config.DynamicClientRegistrationConfig = &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "interop", RedirectURIs: []string{config.RedirectURL},
			GrantTypes: []string{"authorization_code", "refresh_token"}, TokenEndpointAuthMethod: "none",
		}}
	}
	handler, err := auth.NewAuthorizationCodeHandler(config)
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
	var answer struct{ Back string }
	if err := desk(ctx, "/open?url="+url.QueryEscape(args.URL), &answer); err != nil {
		return nil, err
	}
	back, err := url.Parse(answer.Back)
	if err != nil {
		return nil, err
	}
	q := back.Query()
	return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
}

func desk(ctx context.Context, path string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("DESK_URL")+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the desk: %s", response.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
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
	if step == "expiry" {
		if err := desk(ctx, "/later", nil); err != nil {
			return "", err
		}
		step = "call"
	}
	call, ok := map[string]struct {
		tool, member string
		arguments    map[string]any
	}{
		"call":    {"secure_ping", "message", nil},
		"consent": {"read_blob_with_token", "text", map[string]any{"blob_path": "hello.txt"}},
		"write":   {"write_note", "", nil},
	}[step]
	if !ok {
		return "", fmt.Errorf("there is no step %s", step)
	}
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: call.tool, Arguments: call.arguments})
	if err != nil {
		return "", err
	}
	if call.member == "" {
		return result.Content[0].(*mcp.TextContent).Text, nil
	}
	answer, _ := result.StructuredContent.(map[string]any)
	return fmt.Sprint(answer[call.member]), nil
}

func say(step, text string) {
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"step": step, "text": text}) // nobody listens any more
}
