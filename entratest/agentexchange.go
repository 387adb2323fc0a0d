package entratest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// grantUserFederated gets an agent user's token.
const grantUserFederated = "user_fic"

// exchangeLifetime is how long tokens for api://AzureADTokenExchange are valid: exp is 65 minutes
// after iat, which is backdated.
const exchangeLifetime = 60 * time.Minute

func (a *App) isTokenExchange() bool { return a.ClientID == tokenExchangeClientID }

// mayCallAlone rejects app-only tokens that blueprints don't get: they only get those with which
// they create agent identities and act as them.
func (t *Tenant) mayCallAlone(client, resource *App) *rejection {
	if !client.blueprint || resource == t.graph || resource.isTokenExchange() {
		return nil
	}
	return reject(82001, fmt.Sprintf("Agentic application '%s' is not permitted to request app-only tokens for resource '%s'.",
		client.ClientID, resource.ClientID))
}

// mayExchange rejects blueprints' own exchanges: an agent identity makes them.
func (a *App) mayExchange() *rejection {
	if !a.blueprint {
		return nil
	}
	return reject(82002, fmt.Sprintf("Agentic application '%s' is not permitted to exchange tokens on behalf of users. "+
		"Its agent identities are.", a.ClientID))
}

// maySignIn rejects sign-ins with agent identities, except public clients, and with blueprints,
// which may only ask for consent: with the response_type none.
func (a *App) maySignIn(responseType string) *rejection {
	switch {
	case a.isAgent() && !a.isPublic():
		return reject(82014, fmt.Sprintf("Agent identity '%s' can't sign users in, and users can't consent to it: it has no authorization requests.", a.ClientID))
	case a.blueprint && responseType != responseNone:
		return reject(82018, "Response types other than none are not allowed for agent blueprints and agent Identities.")
	}
	return nil
}

// impersonate makes a blueprint's token for api://AzureADTokenExchange one that proves the agent
// identity that fmi_path names. Whether it is the blueprint's child matters where the token is used.
func (t *Tenant) impersonate(e *exchange, client *App, scope scopeRequest, token issuedToken) *rejection {
	path := e.form.Get("fmi_path")
	switch {
	case client.blueprint && path == "" && scope.resource.isTokenExchange():
		return reject(82008, "All agentic applications requesting a token exchange token must include the fmipath parameter on the token request.")
	case path == "":
		return nil
	case !client.blueprint || !scope.resource.isTokenExchange():
		return reject(9002313, fmt.Sprintf("Invalid request. fmi_path is for agent identity blueprints that request %s/%s.", tokenExchangeURI, defaultScope))
	case !isGUID(path):
		return reject(9002313, "Invalid request. fmi_path must be the client ID of an agent identity.")
	}
	token.claims["sub"] = t.agentSubject(client, path)
	return nil
}

// agentSubject returns the sub claim of tokens with which a blueprint acts as its agent identity.
func (t *Tenant) agentSubject(blueprint *App, agentID string) string {
	return "/eid1/c/pub/t/" + shortGUID(t.id) + "/a/" + shortGUID(blueprint.ClientID) + "/" + agentID
}

// shortGUID encodes the 16 bytes of a GUID as Windows stores them: the first three groups little-endian.
func shortGUID(id string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	must(err)
	return base64.RawURLEncoding.EncodeToString([]byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]})
}

// blueprintCredential is the only credential of an agent identity: its blueprint's token.
func (t *Tenant) blueprintCredential(agent *App) []federatedCredential {
	if agent.parent == agent { // a public client
		return nil
	}
	return []federatedCredential{t.exchangeCredential(t.agentSubject(agent.parent, agent.ClientID))}
}

// exchangeCredential returns a credential for the tenant's own tokens with the subject.
func (t *Tenant) exchangeCredential(subject string) federatedCredential {
	return federatedCredential{federatedIdentityCredential: federatedIdentityCredential{
		Issuer: t.V2Issuer(), Subject: subject, Audiences: []string{tokenExchangeURI},
	}}
}

// assertedTo returns the app that must be the audience of the client's user assertions.
func (a *App) assertedTo() *App {
	if a.isAgent() {
		return a.parent
	}
	return a
}

// userFederated gets a token of an agent user for its agent identity, which proves itself twice: as
// the client, and with its own token for api://AzureADTokenExchange as the user's credential
// (https://learn.microsoft.com/entra/agent-id/agent-user-oauth-flow).
func (t *Tenant) userFederated(e *exchange, client *App, acr string) (*tokenResponse, *rejection) {
	credential, use := e.form.Get("user_federated_identity_credential"), e.form.Get("requested_token_use")
	switch {
	case !client.isAgent():
		return nil, reject(70003, fmt.Sprintf("The app requested an unsupported grant type '%s': it is no agent identity.", grantUserFederated))
	case credential == "":
		return nil, missing("user_federated_identity_credential")
	case use != "" && use != "on_behalf_of":
		return nil, reject(9002313, fmt.Sprintf("Invalid request. The value '%s' of requested_token_use is not supported.", clip(use)))
	}
	user, r := t.namedUser(e)
	if r == nil {
		r = t.checkUserCredential(client, user, credential)
	}
	if r != nil {
		return nil, r
	}
	return t.exchangeFor(e, client, acr, user.profile())
}

// namedUser returns the user that user_id or username names.
func (t *Tenant) namedUser(e *exchange) (*User, *rejection) {
	id, name := e.form.Get("user_id"), e.form.Get("username")
	var user *User
	switch {
	case id == "" && name == "":
		return nil, missing("username")
	case id != "" && name != "":
		return nil, reject(9002313, "Invalid request. Send user_id or username, not both.")
	case id != "":
		user = t.userByID(id)
	default:
		user = t.userByName(name)
	}
	switch {
	case user == nil:
		return nil, reject(50034, fmt.Sprintf("The user account does not exist in the directory '%s'.", t.id))
	case user.Disabled:
		return nil, reject(50057, "The user account is disabled.")
	}
	return user, nil
}

// checkUserCredential checks the token with which an agent identity acts as its agent user. The
// user is not the client, so errors are the grant's.
func (t *Tenant) checkUserCredential(agent *App, user *User, credential string) *rejection {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(credential, claims); err != nil {
		return reject(50027, "JWT token is invalid or malformed.")
	}
	var accepted []federatedCredential
	if user.agent != nil { // its agent may act as it, and nobody else
		accepted = append(accepted, t.exchangeCredential(user.agent.ObjectID))
	}
	issuer, _ := claims["iss"].(string)
	subject, _ := claims["sub"].(string)
	r := matchCredential(accepted, issuer, subject, claims["aud"])
	if r == nil && user.agent != agent {
		r = reject(700213, "No matching federated identity record found: the account belongs to another agent identity.")
	}
	if r == nil {
		r = t.checkFederatedToken(issuer, credential)
	}
	if r != nil {
		r.kind, r.status = "invalid_grant", 400
	}
	return r
}

// unconsented adds what Entra sends to agent identities that lack consent: claims that look like a
// challenge, although no sign-in helps.
func (t *Tenant) unconsented(client *App, r *rejection) *rejection {
	if client.isAgent() {
		claims, err := json.Marshal(map[string]any{"access_token": map[string]any{
			"capolids": map[string]any{"essential": true, "values": []string{derivedID(t.id, "capolid", "agents")}},
		}})
		must(err)
		r.claims = string(claims)
	}
	return r
}
