package entraauth_test

import (
	"context"
	"fmt"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Who calls: a person, a person through an agent, or an agent. The API's registration asks for
// the optional claims that tell.
func ExampleIdentity_Agent() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("Orders", "access_as_user")
	api.OptionalClaims = []string{"xms_sub_fct", "xms_act_fct", "xms_par_app_azp", "idtyp"}
	blueprint := tenant.AddBlueprint("Assistants")
	agent := tenant.AddAgent(blueprint, "Order assistant")
	tenant.GrantRoles(agent, api, "Orders.Process")

	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(),
		HTTPClient:    tenant.HTTPClient(),
		Policy: entraauth.Policy{
			Scopes:   []string{entraauth.DefaultScope},
			AppRoles: []string{"Orders.Process"}, Agents: []string{agent.ClientID},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	alice := tenant.AddUser("alice@contoso.example", "Alice")
	for _, token := range []string{
		tenant.Token(alice, tenant.AddClient("Editor"), api),
		tenant.Token(alice, agent, api),
		tenant.AppToken(agent, api),
	} {
		caller, err := verifier.Verify(context.Background(), token)
		if err != nil {
			fmt.Println(err)
			return
		}
		a := caller.Agent()
		fmt.Printf("%s: agent %s, its ID: %t, its blueprint's: %t\n", caller.Kind(), a.Role, a.ID == agent.ClientID, a.BlueprintID == blueprint.ClientID)
	}
	// Output:
	// user: agent none, its ID: false, its blueprint's: false
	// user: agent for person, its ID: true, its blueprint's: true
	// app: agent alone, its ID: true, its blueprint's: true
}

// A tool that greets people. An agent user is a user, and no person.
func ExampleIdentity_IsPerson() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("Orders", "access_as_user")
	api.OptionalClaims = []string{"xms_sub_fct", "xms_act_fct", "xms_par_app_azp", "idtyp"}
	agent := tenant.AddAgent(tenant.AddBlueprint("Assistants"), "Order assistant")
	robot := tenant.AddAgentUser(agent, "orders@contoso.example", "Order assistant")

	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(),
		HTTPClient:    tenant.HTTPClient(),
		Policy:        entraauth.Policy{AgentUsers: []string{robot.ObjectID}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	alice := tenant.AddUser("alice@contoso.example", "Alice")
	for _, user := range []*entratest.User{alice, robot} {
		caller, err := verifier.Verify(context.Background(), tenant.Token(user, agent, api))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(caller.DisplayName(), caller.Kind(), caller.IsPerson())
	}
	// Output:
	// Alice user true
	// Order assistant user false
}

// Agents are refused unless the verifier's policy names them, by their own ids. A blueprint's
// id lets nobody in: all its agents share it.
func ExamplePolicy_agents() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("Orders", "access_as_user")
	api.OptionalClaims = []string{"xms_sub_fct", "xms_act_fct", "xms_par_app_azp", "idtyp"}
	blueprint := tenant.AddBlueprint("Assistants")
	agent := tenant.AddAgent(blueprint, "Order assistant")
	tenant.GrantRoles(agent, api, "Orders.Process")

	token := tenant.AppToken(agent, api)
	for _, ids := range [][]string{nil, {blueprint.ClientID}, {agent.ClientID}} {
		verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
			AuthorityHost: tenant.AuthorityHost(),
			HTTPClient:    tenant.HTTPClient(),
			Policy:        entraauth.Policy{AppRoles: []string{"Orders.Process"}, Agents: ids},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = verifier.Verify(context.Background(), token)
		fmt.Println(err)
		_ = verifier.Close()
	}
	// Output:
	// Agent not accepted: expected an agent that the policy names. The caller is an agent on its own. This server's operator lets it in by its application ID, not its blueprint's, in the policy's Agents
	// Agent not accepted: expected an agent that the policy names. The caller is an agent on its own. This server's operator lets it in by its application ID, not its blueprint's, in the policy's Agents
	// <nil>
}
