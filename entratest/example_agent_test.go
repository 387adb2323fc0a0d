package entratest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// An MCP server whose registration is a blueprint calls a downstream API for Alice as its agent
// identity, in two requests: the first proves the agent, the second exchanges Alice's token.
func ExampleTenant_AddAgent() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice := tenant.AddUser("alice@contoso.com", "Alice")
	client := tenant.AddClient("Some client")
	server := tenant.AddBlueprint("My MCP server", "access_as_user")
	agent := tenant.AddAgent(server, "My agent")
	files := tenant.AddApp("Files API", "Files.Read", "Files.Write")
	files.OptionalClaims = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"}

	// What an administrator does: agents use what the blueprint was granted and lets inherit.
	tenant.Consent(server, files, "Files.Read")
	server.AllowInheritance(files)

	ctx := context.Background()
	msal := func(app *entratest.App, credential confidential.Credential) confidential.Client {
		c, err := confidential.New(tenant.AuthorityHost()+"/"+tenant.ID(), app.ClientID, credential,
			confidential.WithHTTPClient(tenant.HTTPClient()), confidential.WithInstanceDiscovery(false))
		if err != nil {
			log.Panic(err)
		}
		return c
	}
	secret, err := confidential.NewCredFromSecret(server.AddSecret())
	if err != nil {
		log.Panic(err)
	}
	blueprint := msal(server, secret)
	child := msal(agent, confidential.NewCredFromAssertionCallback(func(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
		t1, err := blueprint.AcquireTokenByCredential(ctx, []string{"api://AzureADTokenExchange/.default"}, confidential.WithFMIPath(agent.ClientID))
		return t1.AccessToken, err
	}))
	result, err := child.AcquireTokenOnBehalfOf(ctx, tenant.Token(alice, client, server), []string{"api://" + files.ClientID + "/.default"})
	if err != nil {
		log.Panic(err)
	}

	var claims struct {
		Scopes  string `json:"scp"`
		Client  string `json:"appid"`
		User    string `json:"oid"`
		Parent  string `json:"xms_par_app_azp"`
		Actor   string `json:"xms_act_fct"`
		Subject string `json:"xms_sub_fct"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(result.AccessToken, ".")[1])
	if err != nil {
		log.Panic(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		log.Panic(err)
	}
	fmt.Println("Alice:", claims.User == alice.ObjectID, "through the agent:", claims.Client == agent.ClientID, "of the server:", claims.Parent == server.ClientID)
	fmt.Println("scopes:", claims.Scopes, "actor:", claims.Actor, "subject:", claims.Subject)
	// Output:
	// Alice: true through the agent: true of the server: true
	// scopes: Files.Read actor: 3 9 11 subject: 3 6
}
