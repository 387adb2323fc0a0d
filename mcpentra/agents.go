package mcpentra

import (
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// WithAgent makes the server act for its callers as agent identities: [Credential] then
// gets tokens on the caller's behalf as the agent that agentFor names for the caller, by
// its application ID, and never as the server's app itself. The caller was verified;
// agentFor must decide by nothing else, in particular not by arguments or headers, and
// must be safe for concurrent use. If it returns "", no agent acts for the caller, and
// Credential fails.
//
// The exchanger of [WithExchanger] must list the agents in obo.Options.Agents.
func WithAgent(agentFor func(caller *entraauth.Identity) (agentID string)) Option {
	return func(c *config) error {
		if agentFor == nil {
			return errors.New("WithAgent: the function is nil; pass one, or leave the option out")
		}
		c.agentFor = agentFor
		return nil
	}
}

// A serverCredential is the operator's own credential, for callers that are applications.
type serverCredential struct {
	credential       azcore.TokenCredential
	tools, resources []string // patterns
}

// WithDangerousServerCredentialForApplications lends the server's own credential to tools
// and resources, by pattern as in [WithToolPolicy] and [WithResourcePolicy], when their caller
// is an application, which On-Behalf-Of refuses: [Credential] then returns it. Whoever may call
// them as an application can do with it whatever they do, so grant it little.
// Never is it lent for a person or an agent user. The log's line has the attribute
// credential=server.
func WithDangerousServerCredentialForApplications(credential azcore.TokenCredential, tools, resources []string) Option {
	return func(c *config) error {
		c.serverCred = serverCredential{credential, tools, resources}
		return nil
	}
}
