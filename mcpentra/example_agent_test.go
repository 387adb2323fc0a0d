package mcpentra_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A server that acts for each caller as the agent of their department. Its app registration is the
// agents' blueprint.
func ExampleWithAgent() {
	tenant := entratest.NewTenant(nil) // in production: your tenant, and none of the options below
	defer tenant.Close()
	blueprint := tenant.AddBlueprint("Assistant", "access_as_user")
	sales, support := tenant.AddAgent(blueprint, "Sales agent"), tenant.AddAgent(blueprint, "Support agent")
	tenant.Consent(sales, tenant.Graph(), "User.Read")
	alice := tenant.AddUser("alice@contoso.example", "Alice")
	quiet := slog.New(slog.DiscardHandler)
	verifier, err := entraauth.NewVerifier(tenant.ID(), blueprint.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), Logger: quiet,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()
	exchanger, err := obo.NewExchanger(tenant.ID(), blueprint.ClientID, clientauth.Secret(blueprint.AddSecret()), &obo.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), Resources: []string{graph},
		Agents: []string{sales.ClientID, support.ClientID},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	whose := mcpentra.Tool(&mcp.Tool{Name: "graph_token", Description: "Says who Graph would see."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			credential, err := mcpentra.Credential(ctx)
			if err != nil {
				return nil, nil, err
			}
			token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{graph + "/.default"}})
			if err != nil {
				return nil, nil, err
			}
			claims := jwt.MapClaims{}
			_, _, err = jwt.NewParser().ParseUnverified(token.Token, claims)
			text := fmt.Sprintf("Alice: %v, the sales agent: %v", claims["oid"] == alice.ObjectID, claims["appid"] == sales.ClientID)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, err
		})
	agents := map[string]string{alice.ObjectID: sales.ClientID} // in production: from a database
	srv, err := mcpentra.NewServer("http://localhost:8000/mcp", verifier, mcpentra.WithLogger(quiet), mcpentra.WithExchanger(exchanger), mcpentra.WithTools(whose),
		mcpentra.WithAgent(func(caller *entraauth.Identity) string { return agents[caller.ObjectID()] }))
	if err != nil {
		fmt.Println(err)
		return
	}
	h := httptest.NewServer(srv)
	defer h.Close()
	chat := tenant.AddClient("Chat")
	fmt.Println(callTool(h.URL+"/mcp", tenant.Token(alice, chat, blueprint), "graph_token"))
	fmt.Println(callTool(h.URL+"/mcp", tenant.Token(tenant.AddUser("bob@contoso.example", "Bob"), chat, blueprint), "graph_token"))
	// Output:
	// Alice: true, the sales agent: true
	// this server acts for its callers as agents, and has no agent for you. To fix this: ask the server's operator to choose one
}

// staticCredential stands for azidentity.NewManagedIdentityCredential and the like.
type staticCredential struct{}

func (staticCredential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "the server's own token", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// A job calls the tool that the server lends its own credential to, and another that it does not.
func ExampleWithDangerousServerCredentialForApplications() {
	tenant := entratest.NewTenant(nil) // in production: your tenant, and none of the options below
	defer tenant.Close()
	api, job := tenant.AddApp("Reports", "access_as_user"), tenant.AddApp("Nightly job")
	tenant.GrantRoles(job, api, "Jobs")
	quiet := slog.New(slog.DiscardHandler)
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), Logger: quiet,
		Policy: entraauth.Policy{Scopes: []string{"access_as_user"}, AppRoles: []string{"Jobs"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()
	exchanger, err := obo.NewExchanger(tenant.ID(), api.ClientID, clientauth.Secret(api.AddSecret()), &obo.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	whose := func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		credential, err := mcpentra.Credential(ctx)
		if err != nil {
			return nil, nil, err
		}
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{storageScope}})
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: token.Token}}}, nil, err
	}
	srv, err := mcpentra.NewServer("http://localhost:8000/mcp", verifier, mcpentra.WithLogger(quiet), mcpentra.WithExchanger(exchanger),
		mcpentra.WithDangerousServerCredentialForApplications(staticCredential{}, []string{"daily_report"}, nil),
		mcpentra.WithTools(mcpentra.Tool(&mcp.Tool{Name: "daily_report"}, whose), mcpentra.Tool(&mcp.Tool{Name: "my_files"}, whose)))
	if err != nil {
		fmt.Println(err)
		return
	}
	h := httptest.NewServer(srv)
	defer h.Close()
	token := tenant.AppToken(job, api)
	fmt.Println(callTool(h.URL+"/mcp", token, "daily_report"))
	fmt.Println(callTool(h.URL+"/mcp", token, "my_files"))
	// Output:
	// the server's own token
	// the caller is an application; this acts on behalf of its caller, which needs a user (as in AADSTS7000114). To fix this: call as a signed-in user
}
