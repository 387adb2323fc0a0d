package obo_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A server acts for Alice as an agent identity: its tokens have what both Alice and the agent may
// do, and logs and policies name the agent. The server's own registration is the agent's blueprint.
func ExampleExchanger_AgentCredential() {
	tenant := entratest.NewTenant(nil) // yours is real
	defer tenant.Close()
	blueprint := tenant.AddBlueprint("My MCP server", "access_as_user")
	reader := tenant.AddAgent(blueprint, "Reader")
	billing := tenant.AddApp("Billing", "Invoices.Read", "Invoices.Write")
	tenant.Consent(blueprint, billing, "Invoices.Read", "Invoices.Write")
	blueprint.AllowInheritance(billing, "Invoices.Read") // not Invoices.Write
	callersToken := tenant.Token(tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddClient("CLI"), blueprint)

	exchanger, err := obo.NewExchanger(tenant.ID(), blueprint.ClientID, clientauth.Secret(blueprint.AddSecret()), &obo.Options{
		AuthorityHost: tenant.AuthorityHost(), // not needed in the public cloud
		HTTPClient:    tenant.HTTPClient(),
		Resources:     []string{billing.AppIDURI()},
		Agents:        []string{reader.ClientID},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	get := func(cred *obo.Credential) {
		token, err := cred.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: []string{billing.Scope(".default")}})
		if err != nil {
			fmt.Println("not as the blueprint itself:", errors.Is(err, obo.ErrAgentNotAllowed))
			return
		}
		claims, _ := decode(token.Token)
		fmt.Println(claims["name"], "through the agent:", claims["appid"] == reader.ClientID, claims["scp"])
	}
	get(exchanger.AgentCredential(obo.NewAssertion(callersToken), reader.ClientID))
	get(exchanger.Credential(obo.NewAssertion(callersToken)))
	// Output:
	// Alice through the agent: true Invoices.Read
	// not as the blueprint itself: true
}
