package serverconfig

import (
	"errors"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// Agents says which agents (Microsoft Entra Agent ID) may call the server, and which one it acts as.
// There is no variable for agents on their own, nor for other applications: the tools are about users.
type Agents struct {
	AgentID    string   // the agent identity that the server acts as; "" for the app itself
	AgentUsers []string // object IDs of the agent users that may call
	PeopleOnly bool     // refuse people who come through an agent
}

// Policy returns what the verifier requires of each caller, besides the default scope.
func (a Agents) Policy() entraauth.Policy {
	return entraauth.Policy{AgentUsers: a.AgentUsers, PeopleOnly: a.PeopleOnly}
}

// readAgents reads AGENT_ID, AGENT_USERS and PEOPLE_ONLY, after the identity and the On-Behalf-Of settings.
func (v *variables) readAgents(c *Config) {
	v.readCallingAgents(c)
	const id = "AGENT_ID"
	if c.AgentID = v.text(id); c.AgentID == "" {
		return
	}
	v.check(id, checkAgent(c, c.AgentID), "Copy the application ID of an agent identity, a child of the blueprint API_APP_ID, or leave it out")
	if !c.OBO {
		v.fault(id, "is set and USE_OBO_FLOW is off, so this server acts for nobody", "Set USE_OBO_FLOW=true, or leave it out")
	}
	for _, name := range []string{"CONSENT_REDIRECT_URL", "STATE_KEYS"} {
		if c.OBO && v.text(name) != "" {
			c.Warnings = append(c.Warnings, name+" is not used for consent: AGENT_ID is set, and only an administrator can consent for an agent")
		}
	}
	if v.usesProof("AZURE_FEDERATED_TOKEN_FILE") && v.text("UMI_CLIENT_ID") != "" {
		c.Warnings = append(c.Warnings, "AGENT_ID is set, and Entra is reported to refuse a managed identity that proves a blueprint with the token of a pod (AADSTS700231): "+
			"trust the service account on API_APP_ID, and leave UMI_CLIENT_ID out")
	}
}

// readCallingAgents reads which agents may call.
func (v *variables) readCallingAgents(c *Config) {
	const users, people = "AGENT_USERS", "PEOPLE_ONLY"
	c.AgentUsers = readEach(v, users, asItIs(func(s string) error { return v.checkAgentUser(c, s) }),
		"List object IDs of agent users, comma separated, or leave it out to refuse agent users")
	if c.PeopleOnly, _ = v.flag(people); c.PeopleOnly && v.text(users) != "" {
		v.fault(people, "is on, and AGENT_USERS lets agent users in", "Leave one of the two out")
	}
}

// checkAgent accepts an agent of the configured app. IDs that are wrong themselves have faults of
// their own.
func checkAgent(c *Config, s string) error {
	switch {
	case strings.EqualFold(s, c.APIAppID):
		return errors.New("is the value of API_APP_ID, the blueprint; an agent identity has an ID of its own")
	case strings.EqualFold(s, c.TenantID):
		return errors.New("is the value of TENANT_ID")
	}
	_, err := obo.NewExchanger(goodTenant, goodClient, clientauth.Secret("good"), &obo.Options{Agents: []string{s}})
	return about("Options.Agents[0]: ", err)
}

// checkAgentUser accepts an object ID.
func (v *variables) checkAgentUser(c *Config, s string) error {
	for name, id := range map[string]string{"TENANT_ID": c.TenantID, "API_APP_ID": c.APIAppID, "AGENT_ID": v.text("AGENT_ID")} {
		if s != "" && strings.EqualFold(s, id) {
			return errors.New("has the value of " + name + " in it; an agent user is an account, with an object ID of its own")
		}
	}
	_, err := entraauth.Policy{AgentUsers: []string{s}}.Validated()
	return about("AgentUsers[0]: ", err)
}
