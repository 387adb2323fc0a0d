package entraauth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Who calls: a person, a person through an agent, or an agent. The API's registration asks for
// the optional claims that identify agents.
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

// A tool that greets people. An agent user is a user, not a person.
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
	// Agent not accepted: expected an agent that the policy names. The caller is an agent on its own. To let it in, this server's operator adds its application ID, not its blueprint's, to the policy's Agents, and grants it one of the AppRoles
	// Agent not accepted: expected an agent that the policy names. The caller is an agent on its own. To let it in, this server's operator adds its application ID, not its blueprint's, to the policy's Agents, and grants it one of the AppRoles
	// <nil>
}

// A server that lets in people, one agent on its own and one agent user, and tells them apart.
func Example_agents() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("Orders", "access_as_user")
	api.OptionalClaims = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"} // without them, agents don't show
	blueprint := tenant.AddBlueprint("Planners")
	planner, other := tenant.AddAgent(blueprint, "Planner"), tenant.AddAgent(blueprint, "Another planner")
	account := tenant.AddAgentUser(planner, "planner@contoso.example", "Planner")

	policy := entraauth.Policy{
		Scopes:     []string{"access_as_user"}, // what users need, agent users too
		AgentUsers: []string{account.ObjectID}, // the agent users that may call
		AppRoles:   []string{"Orders.Read"},    // what applications need, agents on their own too
		Agents:     []string{planner.ClientID}, // the agents that may call on their own
	}
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		Policy: policy, AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	alice, chat := tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("Chat")
	for _, agent := range []*entratest.App{planner, other} {
		tenant.GrantRoles(agent, api, "Orders.Read")
	}
	for _, token := range []string{
		tenant.Token(alice, chat, api),      // Alice
		tenant.Token(alice, planner, api),   // Alice, through an agent
		tenant.Token(account, planner, api), // the agent's user account
		tenant.AppToken(planner, api),       // the agent on its own
		tenant.AppToken(other, api),         // another agent of the same blueprint
	} {
		caller, err := verifier.Verify(context.Background(), token)
		if refusal := (*entraauth.Error)(nil); errors.As(err, &refusal) {
			fmt.Println("refused:", refusal.Reason)
			continue
		}
		fmt.Println(approve(caller))
	}
	// Output:
	// approved by alice@contoso.example
	// approved by alice@contoso.example, through an agent
	// only people may approve, not the account of an agent
	// only people may approve, not an agent on its own
	// refused: agent_not_accepted
}

// approve does what only people may do. Kind says which kind of permission the caller has: an agent
// user has a user's.
func approve(caller *entraauth.Identity) string {
	agent := caller.Agent()
	switch {
	case agent.Role == entraauth.AgentRoleUser:
		return "only people may approve, not the account of an agent"
	case !caller.IsPerson():
		return "only people may approve, not an agent on its own"
	case agent.Role == entraauth.AgentRoleForPerson: // agent.ID is the agent's application ID
		return "approved by " + caller.Username() + ", through an agent"
	}
	return "approved by " + caller.Username()
}
