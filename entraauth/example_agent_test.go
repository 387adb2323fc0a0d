package entraauth_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A server that lets in people, one agent on its own and one agent user, and tells them apart.
func ExampleIdentity_Agent() {
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
		log.Panic(err)
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
