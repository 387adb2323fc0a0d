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

// The callers that an API must tell apart, and the claims that identify them.
func ExampleTenant_AddAgentUser() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice := tenant.AddUser("alice@contoso.com", "Alice")
	app := tenant.AddApp("Some app")
	agent := tenant.AddAgent(tenant.AddBlueprint("Blueprint"), "Agent")
	local := tenant.AddAgentClient("Agent on Alice's machine")
	user := tenant.AddAgentUser(agent, "agent@contoso.com", "Agent")
	api := tenant.AddApp("API", "read")
	api.OptionalClaims = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"}

	for _, caller := range []struct{ name, token string }{
		{"a person", tenant.Token(alice, app, api)},
		{"a person through an agent", tenant.Token(alice, agent, api)},
		{"a person through a public agent", tenant.Token(alice, local, api)},
		{"an agent user", tenant.Token(user, agent, api)},
		{"an agent user through an app", tenant.Token(user, app, api)},
		{"an agent on its own", tenant.AppToken(agent, api)},
		{"an application", tenant.AppToken(app, api)},
	} {
		claims := map[string]any{}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(caller.token, ".")[1])
		if err == nil {
			err = json.Unmarshal(payload, &claims)
		}
		if err != nil {
			log.Panic(err)
		}
		fmt.Printf("%-31s %-4v subject %-6v actor %-6v blueprint %v\n", caller.name, claims["idtyp"],
			claims["xms_sub_fct"], claims["xms_act_fct"], claims["xms_par_app_azp"] != nil)
	}
	// Output:
	// a person                        user subject 3 6    actor 9 3    blueprint false
	// a person through an agent       user subject 3 6    actor 3 9 11 blueprint true
	// a person through a public agent user subject 3 6    actor 3 9 11 blueprint true
	// an agent user                   user subject 3 13   actor 3 9 11 blueprint true
	// an agent user through an app    user subject 3 13   actor 9 3    blueprint false
	// an agent on its own             app  subject 9 3 11 actor 3 9 11 blueprint true
	// an application                  app  subject 9 3    actor 9 3    blueprint false
}
