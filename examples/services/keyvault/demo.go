package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// offline shows the tool to two users. Alice has a role on the vault, and Bob has none.
func offline(ctx context.Context, _ func(string) string, stdout, _ io.Writer) error {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	vaultApp := tenant.AddApp("Azure Key Vault", "user_impersonation")
	vaultApp.AppIDURIs = []string{vaultResource}
	api, client := tenant.AddApp("My API", "access_as_user"), tenant.AddClient("My client")
	tenant.Consent(api, vaultApp, "user_impersonation")
	alice, bob := tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddUser("bob@contoso.example", "Bob")
	v := newVault(tenant, map[string]time.Time{
		"smtp-password": time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
		"signing-key":   {},
	})
	defer v.Close()
	v.grant(alice.ObjectID)

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	endpoint := "http://" + listener.Addr().String() + "/mcp"
	handler, closeAll, err := assemble(settings{
		tenantID: tenant.ID(), apiAppID: api.ClientID, authorityHost: tenant.AuthorityHost(),
		proof: clientauth.Secret(api.AddSecret()), authority: tenant.HTTPClient(), log: slog.New(slog.DiscardHandler),
		vaultURL: v.URL,
		vault: azsecrets.ClientOptions{
			ClientOptions:                        azcore.ClientOptions{Transport: v.Client()},
			DisableChallengeResourceVerification: true, // the vault is not below vault.azure.net here
		},
	}, endpoint)
	if err != nil {
		return err
	}
	defer closeAll()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // until Close
	defer func() { _ = server.Close() }()

	for _, user := range []*entratest.User{alice, bob} {
		text, err := listAs(ctx, endpoint, tenant.UserClient(user, client, api))
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(stdout, "As %s\n    %s\n\n", user.DisplayName, text)
	}
	return nil
}

// listAs calls the tool with a user's client and returns the result's text.
func listAs(ctx context.Context, endpoint string, client *http.Client) (string, error) {
	session, err := mcp.NewClient(&mcp.Implementation{Name: "demo", Version: "1"}, nil).Connect(ctx,
		&mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: client, DisableStandaloneSSE: true}, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = session.Close() }()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "list_secrets", Arguments: map[string]any{}})
	if err != nil {
		return "", err
	}
	text, ok := result.Content[0].(*mcp.TextContent)
	if !ok {
		return "", fmt.Errorf("list_secrets returned %T, want text", result.Content[0])
	}
	return text.Text, nil
}
