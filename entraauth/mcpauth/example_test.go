package mcpauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// entraauth before a server that is made with the SDK alone.
func ExampleBridge() {
	tenant := entratest.NewTenant(nil) // in production: your tenant, and no options below
	defer tenant.Close()
	api := tenant.AddApp("Greeter", "access_as_user")
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	server := mcp.NewServer(&mcp.Implementation{Name: "greeter", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "hello", Description: "Greets the caller."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			text := "Hello, " + entraauth.FromContext(ctx).Username()
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		})
	server.AddReceivingMiddleware(mcpauth.Receive)
	stream := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	handler := verifier.Middleware(&entraauth.BearerCheck{WriteBody: mcpauth.WriteBody})(mcpauth.Bridge(stream))

	token := tenant.Token(tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("Chat"), api)
	req := httptest.NewRequest(http.MethodPost, "/mcp",
		strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"hello","arguments":{}}}`))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+token)
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	fmt.Println(rec.Code, strings.Contains(rec.Body.String(), "Hello, alice@contoso.example"))
	// Output: 200 true
}
