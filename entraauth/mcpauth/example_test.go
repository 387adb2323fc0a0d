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

// entraauth before a server that is made with the SDK alone, with the metadata that
// tells clients where to sign in.
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
			caller, err := mcpauth.Caller(ctx)
			if err != nil {
				return nil, nil, err
			}
			text := "Hello, " + caller.DisplayName()
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		})
	server.AddReceivingMiddleware(mcpauth.Receive)
	stream := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})

	metadata, err := verifier.ResourceMetadata("https://mcp.example.com/mcp", "Greeter")
	if err != nil {
		fmt.Println(err)
		return
	}
	check := &entraauth.BearerCheck{ResourceMetadata: metadata.URL(), WriteBody: mcpauth.WriteBody}
	mux := http.NewServeMux()
	mux.Handle("/mcp", verifier.Middleware(check)(mcpauth.Bridge(stream)))
	mux.Handle(metadata.Path(), metadata)

	send := func(method, path, authorization string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, path,
			strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"hello","arguments":{}}}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		req.Header.Set("Authorization", authorization)
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, req)
		return rec
	}
	refused := send(http.MethodPost, "/mcp", "")
	fmt.Println(refused.Code, strings.Contains(refused.Header().Get("WWW-Authenticate"), metadata.URL()))
	found := send(http.MethodGet, metadata.Path(), "")
	fmt.Println(found.Code, strings.Contains(found.Body.String(), `"resource_name":"Greeter"`))
	token := tenant.Token(tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("Chat"), api)
	called := send(http.MethodPost, "/mcp", "Bearer "+token)
	fmt.Println(called.Code, strings.Contains(called.Body.String(), "Hello, Alice"))
	// Output:
	// 401 true
	// 200 true
	// 200 true
}

// A tool that asks for its caller fails, rather than panics, where there is none, such
// as on a server that was set up without [mcpauth.Receive].
func ExampleCaller() {
	hello := func(ctx context.Context) (string, error) {
		caller, err := mcpauth.Caller(ctx)
		if err != nil {
			return "", err
		}
		return "Hello, " + caller.DisplayName(), nil
	}
	_, err := hello(context.Background())
	fmt.Println(err)
	// Output:
	// no verified caller: this call did not come over HTTP through mcpauth.Bridge, or the server lacks server.AddReceivingMiddleware(mcpauth.Receive)
}
