package entratest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A tokenResponse has the members of Entra's token responses, in the same order.
type tokenResponse struct {
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope,omitempty"`
	ExpiresIn    int64  `json:"expires_in"`     // seconds
	ExtExpiresIn int64  `json:"ext_expires_in"` // seconds, for outages
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	ClientInfo   string `json:"client_info,omitempty"`
}

func (t *Tenant) respond(access issuedToken) *tokenResponse {
	seconds := access.expires.Unix() - t.now().Unix()
	return &tokenResponse{TokenType: "Bearer", ExpiresIn: seconds, ExtExpiresIn: seconds, AccessToken: t.sign(access)}
}

// userToken responds to a user's grant with an access token and the other requested tokens.
func (t *Tenant) userToken(e *exchange, g grant, client *App, acr, scopeParameter string) (*tokenResponse, *rejection) {
	if r := t.checkResource(e.form, scopeParameter); r != nil {
		return nil, r
	}
	scope, r := t.parseUserScope(scopeParameter)
	if r == nil {
		r = client.checkSelf([]scopeRequest{scope})
	}
	if r != nil {
		return nil, r
	}
	claims, r := parseClaims(e.form.Get("claims"))
	if r != nil {
		return nil, r
	}
	user, r := t.holder(g)
	if r != nil {
		return nil, r
	}
	granted, r := t.checkConsent(client, scope, user.objectID)
	if r != nil {
		return nil, r
	}
	if r := t.access(scope.resource, claims, g.SignIn); r != nil {
		return nil, r
	}
	user.capabilities = claims.capabilities
	access := t.userAccess(user, client, acr, scope.target(), granted)
	return t.respondToUser(e, access, user, client, scope, granted, g), nil
}

// holder returns a grant's user if the grant is still valid.
func (t *Tenant) holder(g grant) (profile, *rejection) {
	user := t.userByID(g.User)
	switch {
	case user == nil && g.Name+g.UPN == "":
		return profile{}, reject(50034, "The user account does not exist in the directory.")
	case user == nil:
		return profile{objectID: g.User, name: g.Name, userPrincipalName: g.UPN}.in(g.SignIn), nil
	case user.Disabled:
		return profile{}, reject(50057, "The user account is disabled.")
	case user.epoch.Load() != g.SignIn.Epoch:
		return profile{}, reject(50173, "The provided grant has expired due to it being revoked, a fresh auth token is needed. "+
			"The user might have changed or reset their password.")
	}
	return user.profile().in(g.SignIn), nil
}

// in returns the profile for a sign-in.
func (p profile) in(s signIn) profile {
	p.session, p.methods, p.contexts, p.authTime = s.Session, s.methods(), s.Contexts, s.Time
	return p
}

// respondToUser adds the other tokens that a request on behalf of a user may request.
func (t *Tenant) respondToUser(e *exchange, access issuedToken, user profile, client *App, scope scopeRequest, granted []string, g grant) *tokenResponse {
	response := t.respond(access)
	response.Scope = scopeAnswer(scope, granted)
	if slices.Contains(scope.openid, "offline_access") {
		response.RefreshToken = t.refreshToken(g)
	}
	if slices.Contains(scope.openid, "openid") {
		user.nonce = g.Nonce
		if !slices.Contains(scope.openid, "email") {
			user.email = ""
		}
		response.IDToken = t.sign(t.idClaims(user, client))
	}
	if e.form.Get("client_info") == "1" {
		response.ClientInfo = t.clientInfo(user.objectID)
	}
	return response
}

// scopeAnswer returns the scope member: the names as they were requested, except that OpenID
// Connect scopes are always short.
func scopeAnswer(scope scopeRequest, granted []string) string {
	var full []string
	for _, name := range granted {
		if !scope.bare && !slices.Contains(openIDScopes, name) {
			name = scope.identifier + "/" + name
		}
		full = append(full, name)
	}
	if scope.all() {
		full = append(full, scope.identifier+"/"+defaultScope)
	}
	return strings.Join(full, " ")
}

// clientInfo tells MSALs who the token's user is.
func (t *Tenant) clientInfo(objectID string) string {
	info, err := json.Marshal(map[string]string{"uid": objectID, "utid": t.id})
	must(err)
	return base64.RawURLEncoding.EncodeToString(info)
}

// checkConsent returns the new token's scopes: all that have consent, which must include the
// requested ones. A token for Microsoft Graph also has the OpenID Connect scopes, because any
// consent includes sign-in.
func (t *Tenant) checkConsent(client *App, scope scopeRequest, user string) ([]string, *rejection) {
	granted := t.consented(client, scope.resource, user)
	missing := len(granted) == 0
	if len(scope.names) == 0 { // only a sign-in
		missing = !t.hasAnyConsent(client, user)
	}
	for _, name := range scope.names {
		missing = missing || name != defaultScope && !slices.Contains(granted, name)
	}
	if missing {
		return nil, t.unconsented(client, reject(65001, fmt.Sprintf("The user or administrator has not consented to use the application with ID '%s' named '%s'. "+
			"Send an interactive authorization request for this user and resource.", client.ClientID, client.name())))
	}
	if scope.resource == t.graph {
		if client.isAgent() { // also if it asked for none of them
			granted = union(granted, []string{"openid", "profile", "email"})
		}
		granted = inToken(union(granted, scope.openid))
	}
	return granted, nil
}
