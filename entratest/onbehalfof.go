package entratest

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// onBehalfOf exchanges a user's token for client's API for the same user's token for another API
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow).
func (t *Tenant) onBehalfOf(e *exchange, client *App, acr string) (*tokenResponse, *rejection) {
	assertion := e.form.Get("assertion")
	switch use := e.form.Get("requested_token_use"); {
	case assertion == "":
		return nil, missing("assertion")
	case use == "":
		return nil, missing("requested_token_use")
	case use != "on_behalf_of":
		return nil, reject(9002313, fmt.Sprintf("Invalid request. The value '%s' of requested_token_use is not supported.", clip(use)))
	}
	if r := client.mayExchange(); r != nil {
		return nil, r
	}
	claims, r := t.checkUserAssertion(assertion, client)
	if r != nil {
		return nil, r
	}
	return t.exchangeFor(e, client, acr, t.profileOf(claims))
}

// exchangeFor issues the token of a user who has proved to be one.
func (t *Tenant) exchangeFor(e *exchange, client *App, acr string, user profile) (*tokenResponse, *rejection) {
	scope, r := t.parseScope(e.form.Get("scope"))
	if r != nil {
		return nil, r
	}
	granted, r := t.checkConsent(client, scope, user.objectID)
	if r != nil {
		return nil, r
	}
	if required, ok := t.required(client, scope.resource); ok {
		r := reject(required.code, fmt.Sprintf("Due to a configuration change made by your administrator, or because you moved to a new location, "+
			"you must do more to access '%s'.", scope.resource.ClientID))
		r.claims = required.claims
		return nil, r
	}
	asked, r := parseClaims(e.form.Get("claims"))
	if r != nil {
		return nil, r
	}
	if user.authTime == 0 { // from Token or Mint, which involve no sign-in
		asked.contexts = nil
	}
	g := t.grantOf(user, client, e.form.Get("scope"))
	if r := t.access(scope.resource, asked, g.SignIn); r != nil {
		return nil, r
	}
	user.capabilities = asked.capabilities
	access := t.userAccess(user, client, acr, scope.target(), granted)
	return t.respondToUser(e, access, user, client, scope, granted, g), nil
}

// grantOf returns the grant for an exchange's refresh token.
func (t *Tenant) grantOf(user profile, client *App, scope string) grant {
	g := grant{
		Tenant: t.id, User: user.objectID, Name: user.name, UPN: user.userPrincipalName,
		Client: client.ClientID, Scope: scope, Platform: PlatformWeb,
		SignIn: signIn{
			Tenant: t.id, User: user.objectID, Time: t.now().Unix(), Session: user.session,
			MFA: user.approved(), Contexts: user.contexts,
		},
	}
	if known := t.userByID(user.objectID); known != nil {
		g.SignIn.Epoch = known.epoch.Load()
	}
	return g
}

// checkUserAssertion checks a client's user assertion in this order: form, signature, issuer,
// time, kind of token, audience.
func (t *Tenant) checkUserAssertion(assertion string, client *App) (jwt.MapClaims, *rejection) {
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	_, err := parser.ParseWithClaims(assertion, claims, func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		if own := t.ownKey(client.assertedTo()); own != nil && own.id == kid {
			return &own.private.PublicKey, nil
		}
		if key, ok := t.PublicKey(kid); ok {
			return key, nil
		}
		return nil, errors.New("unknown key")
	})
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return nil, reject(50027, "JWT token is invalid or malformed.")
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return nil, reject(50013, "Assertion failed signature validation. [Reason - The key was not found.]")
	case err != nil:
		return nil, reject(50013, "Assertion failed signature validation. [Reason - Key was found, but use of the key to verify the signature failed.]")
	}
	if issuer := claims["iss"]; issuer != t.V1Issuer() && issuer != t.V2Issuer() || claims["tid"] != t.id {
		return nil, reject(50013, "Assertion failed signature validation. [Reason - The issuer of the assertion is not that of the tenant.]")
	}
	if r := t.checkAssertionTime(claims); r != nil {
		return nil, r
	}
	return claims, checkAssertionUse(claims, client)
}

func (t *Tenant) checkAssertionTime(claims jwt.MapClaims) *rejection {
	now := t.now()
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil || !now.Before(expires.Time) {
		return reject(500133, fmt.Sprintf("Assertion is not within its valid time range. Ensure that the access token is not expired before using it "+
			"for user assertion, or request a new token. Current time: %s, expiry time of assertion %s.", stamp(now), stampOf(expires)))
	}
	if begins, err := claims.GetNotBefore(); err != nil || begins != nil && begins.After(now.Add(clockSkew)) {
		return reject(500133, fmt.Sprintf("Assertion is not within its valid time range. Current time: %s, assertion valid from %s.", stamp(now), stampOf(begins)))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func stampOf(d *jwt.NumericDate) string {
	if d == nil {
		return "(none)"
	}
	return stamp(d.Time)
}

// checkAssertionUse checks that the assertion is a user's access token for client: an ID token
// names no client, and an app's token has no scopes.
func checkAssertionUse(claims jwt.MapClaims, client *App) *rejection {
	audience, _ := claims["aud"].(string)
	scopes, _ := claims["scp"].(string)
	presenter := claims["appid"]
	if presenter == nil {
		presenter = claims["azp"]
	}
	switch {
	case scopes == "" && presenter == nil:
		return reject(240002, "Input id_token cannot be used as 'urn:ietf:params:oauth:grant-type:jwt-bearer' grant.")
	case client.isAgent() && !client.assertedTo().answersTo(audience):
		return reject(50013, fmt.Sprintf("Assertion failed validation. The audience in the assertion was '%s', and the expected audience is "+
			"the agent identity's blueprint, '%s'.", clip(audience), client.assertedTo().ClientID))
	case !client.assertedTo().answersTo(audience):
		return reject(500131, fmt.Sprintf("Assertion audience does not match the Client app presenting the assertion. The audience in the assertion was '%s' "+
			"and the expected audience is '%s' or one of the Application Uris of this application with App ID '%s'(%s).",
			clip(audience), client.AppIDURI(), client.ClientID, client.name()))
	case scopes == "" || claims["idtyp"] == "app":
		return reject(7000114, fmt.Sprintf("Application '%v' is not allowed to make application on-behalf-of calls.", presenter))
	}
	return nil
}

// profileOf returns the user of an assertion. For a user that the tenant does not know, it uses
// the assertion's claims, because tests may mint any number of users.
func (t *Tenant) profileOf(claims jwt.MapClaims) profile {
	text := func(names ...string) string {
		for _, name := range names {
			if s, ok := claims[name].(string); ok {
				return s
			}
		}
		return ""
	}
	p := profile{
		objectID: text("oid"), name: text("name"), session: text("sid"),
		userPrincipalName: text("upn", "preferred_username", "unique_name"),
		methods:           []any{"pwd"},
	}
	t.mu.Lock()
	if user := t.userByObjectID(p.objectID); user != nil {
		p.name, p.userPrincipalName, p.email, p.agent = user.DisplayName, user.UserPrincipalName, user.Email, user.agent != nil
	}
	t.mu.Unlock()
	if p.agent { // has no password
		p.methods = nil
	}
	if methods, ok := claims["amr"].([]any); ok {
		p.methods = methods
	}
	t.readSignIn(claims, &p)
	if p.session == "" {
		p.session = newGUID()
	}
	return p
}
