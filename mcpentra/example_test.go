package mcpentra_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A server in production, on a managed identity.
func Example() {
	serve := func(tenantID, apiAppID, identityClientID string) error {
		verifier, err := entraauth.NewVerifier(tenantID, apiAppID, nil)
		if err != nil {
			return err
		}
		exchanger, err := obo.NewExchanger(tenantID, apiAppID, clientauth.ManagedIdentity(identityClientID), nil)
		if err != nil {
			return err
		}
		blobs, err := blobtool.New("https://acct.blob.core.windows.net", "docs", mcpentra.Credential, nil)
		if err != nil {
			return err
		}
		srv, err := mcpentra.NewServer("https://mcp.example.com/mcp", verifier,
			mcpentra.WithExchanger(exchanger), mcpentra.WithTools(mcpentra.IdentityTools(verifier), blobs))
		if err != nil {
			return err
		}
		return srv.ListenAndServe(context.Background(), ":8000")
	}
	fmt.Println(serve("contoso", "my-api", "") != nil)
	// Output: true
}

// A tool of your own knows its caller. The tenant is an offline one; without
// the two options it would be Entra.
func ExampleNewServer() {
	tenant := entratest.NewTenant(nil)
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
	srv, err := mcpentra.NewServer("http://localhost:8000/mcp", verifier)
	if err != nil {
		fmt.Println(err)
		return
	}
	mcp.AddTool(srv.MCP(), &mcp.Tool{Name: "hello", Description: "Greets the caller."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			text := "Hello, " + entraauth.FromContext(ctx).Username()
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		})
	h := httptest.NewServer(srv)
	defer h.Close()

	// A client with a token of Alice's.
	token := tenant.Token(tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("Chat"), api)
	client := mcp.NewClient(&mcp.Implementation{Name: "chat", Version: "1"}, nil)
	session, err := client.Connect(context.Background(), &mcp.StreamableClientTransport{
		Endpoint:   h.URL + "/mcp",
		HTTPClient: &http.Client{Transport: withToken{token, h.Client().Transport}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = session.Close() }()
	result, err := session.CallTool(context.Background(), &mcp.CallToolParams{Name: "hello"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Content[0].(*mcp.TextContent).Text)
	// Output: Hello, alice@contoso.example
}
