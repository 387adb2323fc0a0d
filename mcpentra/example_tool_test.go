package mcpentra_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const graph = "https://graph.microsoft.com"

type profile struct {
	Name string `json:"displayName"`
}

// me asks Microsoft Graph who the caller is. Its errors, the Azure SDK's, it
// returns as they are.
func me(ctx context.Context, url string, transport policy.Transporter) (profile, error) {
	var p profile
	cred, err := mcpentra.Credential(ctx)
	if err != nil {
		return p, err
	}
	pipeline := runtime.NewPipeline("me", "v1", runtime.PipelineOptions{
		PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(cred, []string{graph + "/.default"}, nil)},
	}, &policy.ClientOptions{Transport: transport})
	req, err := runtime.NewRequest(ctx, http.MethodGet, url+"/v1.0/me")
	if err != nil {
		return p, err
	}
	resp, err := pipeline.Do(req)
	if err != nil {
		return p, err
	}
	defer func() { _ = resp.Body.Close() }()
	if !runtime.HasStatusCode(resp, http.StatusOK) {
		return p, runtime.NewResponseError(resp)
	}
	return p, runtime.UnmarshalAsJSON(resp, &p)
}

// A tool that acts for its caller at Microsoft Graph, with a policy of its own.
// What Entra or the service refuses, its caller reads as what to do.
func ExampleTool() {
	tenant := entratest.NewTenant(nil) // in production: your tenant, and none of the options below
	defer tenant.Close()
	api := tenant.AddApp("Directory tools", "access_as_user", "Profile.Read")
	quiet := slog.New(slog.DiscardHandler)
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), Logger: quiet,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()
	exchanger, err := obo.NewExchanger(tenant.ID(), api.ClientID, clientauth.Secret(api.AddSecret()), &obo.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), Resources: []string{graph},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv, err := mcpentra.NewServer("http://localhost:8000/mcp", verifier,
		mcpentra.WithExchanger(exchanger), mcpentra.WithLogger(quiet),
		mcpentra.WithTools(mcpentra.Tool(&mcp.Tool{Name: "graph_me", Description: "Says who you are."},
			func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, profile, error) {
				p, err := me(ctx, tenant.AuthorityHost(), tenant.HTTPClient()) // in production: graph, http.DefaultClient
				return nil, p, err
			}, entraauth.Policy{Scopes: []string{"Profile.Read"}})))
	if err != nil {
		fmt.Println(err)
		return
	}
	h := httptest.NewServer(srv)
	defer h.Close()

	alice, chat := tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("Chat")
	token := tenant.Token(alice, chat, api, "access_as_user", "Profile.Read")
	tenant.Consent(api, tenant.Graph(), "User.Read")
	tenant.BlockAccess(tenant.Graph())
	text, _, _ := strings.Cut(callTool(h.URL+"/mcp", token, "graph_me"), " (") // resource and correlation id follow
	fmt.Println(text)
	tenant.ClearConditionalAccess(tenant.Graph())
	fmt.Println(callTool(h.URL+"/mcp", token, "graph_me"))
	// Output:
	// AADSTS53003 interaction_required: Conditional Access blocks access to this resource. To fix this: ask your organization's administrator which policy applies
	// {"displayName":"Alice"}
}

// callTool calls a tool as a client does that has this token.
func callTool(url, token, tool string) string {
	ctx := context.Background()
	client := mcp.NewClient(&mcp.Implementation{Name: "chat", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: url, HTTPClient: &http.Client{Transport: withToken{token, http.DefaultTransport}},
	}, nil)
	if err != nil {
		return err.Error()
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	defer func() { _ = session.Close() }()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool})
	if err != nil {
		return err.Error()
	}
	return result.Content[0].(*mcp.TextContent).Text
}
