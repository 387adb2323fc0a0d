package entraauth

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// A Policy says what a caller needs besides a valid token. All of it must hold.
// Policies only add up: one that is empty adds nothing to the verifier's, and
// the verifier's is never empty.
//
// A policy that names only AppRoles is for applications alone; one that names
// Scopes, AnyScope, UserRoles or Groups and no AppRoles is for users alone.
type Policy struct {
	// Scopes are delegated permissions (claim scp) that a user's token must have,
	// all of them, as short names: "access_as_user".
	Scopes []string
	// AnyScope are delegated permissions of which a user's token must have one.
	AnyScope []string
	// UserRoles are app roles (claim roles) of which the user must have one.
	UserRoles []string
	// Groups are groups (claim groups, object IDs) of which the user must be in
	// one. A token with too many groups to list (more than 200) is refused:
	// use UserRoles, which have no such limit.
	Groups []string
	// AppRoles are application permissions (claim roles) of which an application
	// that acts for itself must have one. Without any, such applications are refused.
	AppRoles []string
	// Clients are the application IDs (claim appid or azp) that may call. Empty
	// adds no restriction: which applications may ask for the API's scopes is the
	// tenant's consent.
	Clients []string
	// ClientAuth is the weakest client authentication that is accepted. Defaults to
	// ClientAuthNone, which accepts public clients.
	ClientAuth ClientAuth
	// AuthContext is an authentication context ("c1" to "c99") that the sign-in
	// must have satisfied (claim acrs): multi-factor authentication, a compliant
	// device, or whatever the tenant's conditional access requires for it. A client that
	// declares that it understands claims challenges (xms_cc: cp1) is challenged
	// for it. Any other is refused, because it would request the same token forever.
	AuthContext string
	// Agents are the application IDs (claim appid or azp, never the blueprint's id) of the
	// agent identities that may call on their own. They need one of the AppRoles like any
	// application, so in the verifier's policy Agents without AppRoles are an error. Without
	// any, the verifier's policy refuses all agents on their own, and another policy adds
	// nothing. Other callers are not affected. Only tokens with the optional claims that
	// [Agent] names identify agents. A tenant's ID and the API's own client ID are errors
	// in the verifier's policy, and in those of package mcpentra. (An agent may have its
	// blueprint's ID, but calls other APIs than its own.)
	Agents []string
	// AgentUsers are the object IDs (claim oid) of the agent users that may call. They
	// need what users need; what they lack is refused as [ErrNotPermitted], because nobody
	// signs in with such an account: its agent asks for another token. Without any, the
	// verifier's policy refuses all agent users, and another policy adds nothing. A tenant's
	// ID and the API's own client ID are errors as for Agents.
	AgentUsers []string
	// PeopleOnly accepts only people who act through no agent: no applications, no agents,
	// no agent users. By default a person may act through any agent. It locks out people
	// whose client is an agent identity to Entra, among them clients that are registered
	// by a client ID metadata document and local agents. It excludes Agents,
	// AgentUsers and AppRoles.
	PeopleOnly bool
}

// Check returns nil if the policy allows the caller, and otherwise an *[Error] of
// kind [ErrInsufficientScope], [ErrInsufficientClaims] or [ErrNotPermitted]. For a nil
// id it is [ErrNoToken].
func (p Policy) Check(id *Identity) error {
	if id == nil {
		return noToken("")
	}
	if p.mentionsAgents() {
		id.origin.watch.mention()
	}
	if err := p.check(id); err != nil {
		err.caller = id
		return err
	}
	return nil
}

func (p *Policy) check(id *Identity) *Error {
	if err := p.checkAgent(id); err != nil {
		return err
	}
	return p.checkRest(id)
}

// checkRest reports failures that a new token cannot fix first: a client that requests a
// scope only to be refused again is worse off.
func (p *Policy) checkRest(id *Identity) *Error {
	isCaller := func(client string) bool { return strings.EqualFold(client, id.clientID) }
	if len(p.Clients) > 0 && !slices.ContainsFunc(p.Clients, isCaller) {
		return notPermitted("client", clientNotAllowed, "a client application on this server's allow-list",
			id.clientID, "Ask this server's operator to add the client's application ID")
	}
	if id.clientAuth < p.ClientAuth {
		// A policy that was not validated may ask for more than there is.
		return notPermitted("client authentication", clientAuthWeak, clientAuthNames[min(p.ClientAuth, ClientAuthCertificate)],
			clientAuthNames[id.clientAuth], "Use a client that authenticates to Entra in this way")
	}
	checkCaller := p.checkUser
	if id.kind == KindApp {
		checkCaller = p.checkApp
	}
	if err := checkCaller(id); err != nil {
		return err
	}
	if p.AuthContext != "" && !id.HasAuthContext(p.AuthContext) {
		return p.stepUp(id)
	}
	return nil
}

// checkAgent refuses agents that the policy leaves out.
func (p *Policy) checkAgent(id *Identity) *Error {
	role := id.agent.Role
	switch {
	case p.PeopleOnly && (id.kind == KindApp || role != AgentRoleNone):
		return id.agent.notAPerson(id.kind, id.objectID)
	case role == AgentRoleAlone && len(p.Agents) > 0, role == AgentRoleUser && len(p.AgentUsers) > 0:
		return p.checkNamed(id)
	}
	return nil
}

// checkNamed refuses all agents on their own and all agent users that the policy does not name.
func (p *Policy) checkNamed(id *Identity) *Error {
	is := func(id string) func(string) bool {
		return func(s string) bool { return strings.EqualFold(s, id) }
	}
	switch id.agent.Role {
	case AgentRoleAlone:
		if !slices.ContainsFunc(p.Agents, is(id.agent.ID)) {
			return id.agent.notAccepted()
		}
	case AgentRoleUser:
		if !slices.ContainsFunc(p.AgentUsers, is(id.objectID)) {
			return id.agent.userNotAccepted(id.objectID)
		}
	case AgentRoleNone, AgentRoleForPerson:
	}
	return nil
}

// clientAuthNames describe a client by how it authenticated.
var clientAuthNames = [...]string{"a public client", "a client with a secret or a certificate", "a client with a certificate"}

// mentionsAgents reports whether the policy depends on the claims about agents.
func (p *Policy) mentionsAgents() bool { return len(p.Agents)+len(p.AgentUsers) > 0 || p.PeopleOnly }

func (p *Policy) forUsers() bool {
	return len(p.Scopes)+len(p.AnyScope)+len(p.UserRoles)+len(p.Groups) > 0
}

func (p *Policy) checkUser(id *Identity) *Error {
	if len(p.AppRoles) > 0 && !p.forUsers() {
		return notPermitted("kind of caller", userNotAccepted, "an application on its own", "user", "Use client credentials")
	}
	hasRole := func(role string) bool { return id.HasRole(KindUser, role) }
	if len(p.UserRoles) > 0 && !slices.ContainsFunc(p.UserRoles, hasRole) {
		return notPermitted("user role", userRoleMissing, "one of the roles "+strings.Join(p.UserRoles, " "),
			showRoles(id), "Ask an administrator to assign one to you, then sign in again")
	}
	if err := p.checkGroups(id); err != nil {
		return err
	}
	missing := func(scope string) bool { return !id.HasScope(scope) }
	if slices.ContainsFunc(p.Scopes, missing) {
		return missingScope(strings.Join(p.Scopes, " "), id)
	}
	if len(p.AnyScope) > 0 && !slices.ContainsFunc(p.AnyScope, id.HasScope) {
		return missingScope("one of "+strings.Join(p.AnyScope, " "), id)
	}
	return nil
}

func (p *Policy) checkGroups(id *Identity) *Error {
	inGroup := func(group string) bool {
		return slices.ContainsFunc(id.groups, func(g string) bool { return strings.EqualFold(g, group) })
	}
	switch {
	case len(p.Groups) == 0 || slices.ContainsFunc(p.Groups, inGroup):
		return nil
	case id.groupOverage:
		return notPermitted("group", groupOverage, "membership in one of this server's groups", "group overage",
			"You are in more groups than a token holds; ask this server's operator to use app roles, or groups assigned to the application")
	}
	return notPermitted("group", groupMissing, "membership in one of this server's groups",
		fmt.Sprintf("%d other groups", len(id.groups)), "Ask an administrator to add you, then sign in again")
}

func (p *Policy) checkApp(id *Identity) *Error {
	hasRole := func(role string) bool { return id.HasRole(KindApp, role) }
	switch {
	case slices.ContainsFunc(p.AppRoles, hasRole):
		return nil
	case len(p.AppRoles) > 0:
		holder := "the application"
		if id.agent.Role == AgentRoleAlone {
			holder = "the agent identity"
		}
		return notPermitted("app role", appRoleMissing, "one of the roles "+strings.Join(p.AppRoles, " "),
			showRoles(id), "Ask an administrator to grant one to "+holder)
	case p.forUsers() && id.agent.Role == AgentRoleAlone:
		return notPermitted("kind of caller", appOnlyToken, "a user's delegated token", "app "+id.clientID,
			"An agent on its own acts for no user; let it act for a person, or as its agent user. This server's operator can let it in by one of its roles, in the policy's AppRoles")
	case p.forUsers():
		return &Error{Kind: ErrInsufficientScope, Rule: "kind of caller", Reason: appOnlyToken,
			Expected: "a user's delegated token", Actual: "app " + actual(id.clientID),
			Remedy: "Sign in as a user and ask for the scopes that the challenge names; client credentials act for no user"}
	}
	return nil
}

func showRoles(id *Identity) string {
	if len(id.roles) == 0 {
		return "no roles"
	}
	return strings.Join(id.roles, " ")
}

// stepUp returns a challenge for the authentication context, or the refusal of a client
// that does not understand one.
func (p *Policy) stepUp(id *Identity) *Error {
	expected := "authentication context " + p.AuthContext
	got := strings.Join(id.contexts, " ")
	if id.isAgentUser() {
		return agentMustAsk("authentication context", strongerSignIn, expected, got, id)
	}
	if !id.mayStepUp() {
		return notPermitted("authentication context", strongerSignIn, expected, got,
			"Sign in with a client that understands claims challenges; this one can't ask for it")
	}
	return &Error{Kind: ErrInsufficientClaims, Rule: "authentication context", Reason: strongerSignIn,
		Expected: expected, Actual: actual(got), Remedy: "Sign in again with the claims of the challenge",
		Claims: `{"access_token":{"acrs":{"essential":true,"value":"` + p.AuthContext + `"}}}`}
}

// Validated returns a copy of the policy that shares no memory with p. The error
// lists everything that is wrong, each with its field: a scope in its long form or one
// that no access token has, an id that is not a GUID, an empty list that is not nil. A
// policy that asks for nothing, most likely because a variable was empty, is an error
// too: it would open what it seems to close.
func (p Policy) Validated() (Policy, error) {
	if p.isEmpty() {
		return Policy{}, errors.New("the policy asks for nothing, so it would let every caller in; name a scope, a role or another requirement, or leave the policy out")
	}
	if err := p.validate(""); err != nil {
		return Policy{}, err
	}
	return p.clone(), nil
}

// lists are the policy's lists with the names of their fields.
func (p *Policy) lists() []policyList {
	return []policyList{
		{"Scopes", &p.Scopes, checkScope}, {"AnyScope", &p.AnyScope, checkScope},
		{"UserRoles", &p.UserRoles, checkShortName}, {"Groups", &p.Groups, authority.CheckGUID},
		{"AppRoles", &p.AppRoles, checkShortName}, {"Clients", &p.Clients, authority.CheckGUID},
		{"Agents", &p.Agents, authority.CheckGUID}, {"AgentUsers", &p.AgentUsers, authority.CheckGUID},
	}
}

type policyList struct {
	field  string
	values *[]string
	check  func(string) error
}

// isEmpty reports whether the policy asks for nothing.
func (p Policy) isEmpty() bool {
	for _, list := range p.lists() {
		if len(*list.values) > 0 {
			return false
		}
	}
	return p.ClientAuth == ClientAuthNone && p.AuthContext == "" && !p.PeopleOnly
}

func (p Policy) clone() Policy {
	for _, list := range p.lists() {
		*list.values = slices.Clone(*list.values)
	}
	return p
}

var authContext = regexp.MustCompile(`^c[1-9][0-9]?$`)

// validate returns everything that is wrong, each with its field after the prefix.
func (p Policy) validate(prefix string) error {
	var faults []error
	fault := func(field string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s%s: %w", prefix, field, err))
		}
	}
	for _, list := range p.lists() {
		for _, value := range *list.values {
			fault(list.field, list.check(value))
		}
		if *list.values != nil && len(*list.values) == 0 {
			fault(list.field, errors.New("the list is empty, so it asks for nothing; name something, or leave it nil"))
		}
	}
	if p.ClientAuth < ClientAuthNone || p.ClientAuth > ClientAuthCertificate {
		fault("ClientAuth", fmt.Errorf("%d is none of the constants", p.ClientAuth))
	}
	if p.PeopleOnly && len(p.Agents)+len(p.AgentUsers)+len(p.AppRoles) > 0 {
		fault("PeopleOnly", errors.New("refuses whom Agents, AgentUsers and AppRoles let in; leave it out, or leave them empty"))
	}
	if p.AuthContext != "" && !authContext.MatchString(p.AuthContext) {
		fault("AuthContext", fmt.Errorf("%q is not one of c1 to c99", p.AuthContext))
	}
	return errors.Join(faults...)
}

func checkShortName(s string) error {
	odd := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if s == "" || strings.ContainsAny(s, "/\"\\") || strings.ContainsFunc(s, odd) {
		return fmt.Errorf("%q is not a short name such as access_as_user", s)
	}
	return nil
}

// neverInToken are scopes that clients request and that no access token for an API has.
var neverInToken = []string{"openid", "profile", "email", "offline_access", ".default"}

func checkScope(s string) error {
	if slices.ContainsFunc(neverInToken, func(never string) bool { return strings.EqualFold(s, never) }) {
		return fmt.Errorf("%q is for clients to request; no access token for an API has it, so no caller would pass: leave it out, and name a scope that the app registration exposes, such as access_as_user", s)
	}
	return checkShortName(s)
}
