package entratest

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxGroups is the maximum number of groups in a token.
const maxGroups = 200

// addOptional adds the optional claims in the resource's registration.
func (t *Tenant) addOptional(claims map[string]any, aim target, user profile, client *App) {
	names := aim.resource.claimNames(true)
	addFacets(claims, names, client, user.facets())
	for _, name := range names {
		switch {
		case name == "idtyp":
			claims[name] = "user"
		case name == "email" && user.email != "":
			claims[name] = user.email
		case name == "upn":
			claims[name] = user.userPrincipalName
		case name == "xms_cc" && len(user.capabilities) > 0:
			claims[name] = user.capabilities
		}
	}
	if aim.resource == t.graph {
		claims["wids"] = t.directoryRoles(user.objectID)
	}
	if roles := t.roles(user.objectID, aim.resource); len(roles) > 0 {
		claims["roles"] = roles
	}
	t.addGroups(claims, aim.resource, user)
}

// addGroups adds the groups claim or, if there are too many groups, a reference to them
// (https://learn.microsoft.com/security/zero-trust/develop/configure-tokens-group-claims-app-roles).
func (t *Tenant) addGroups(claims map[string]any, resource *App, user profile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !resource.GroupClaims {
		return
	}
	var groups []string
	for _, group := range t.groups {
		if group.members[user.objectID] {
			groups = append(groups, group.ObjectID)
		}
	}
	if len(groups) > maxGroups {
		claims["_claim_names"] = map[string]any{"groups": "src1"}
		claims["_claim_sources"] = map[string]any{"src1": map[string]any{
			"endpoint": "https://graph.windows.net/" + t.id + "/users/" + user.objectID + "/getMemberObjects",
		}}
		return
	}
	if len(groups) > 0 {
		claims["groups"] = groups
	}
}

// A signInNote is stored in the aio claim, which only Entra can read. It records how the user
// signed in, which v2 tokens do not show.
type signInNote struct {
	Time     int64    `json:"a"`
	MFA      bool     `json:"m"`
	Contexts []string `json:"c"`
}

// addSignIn records how the user signed in.
func (t *Tenant) addSignIn(claims map[string]any, user profile) {
	if len(user.contexts) > 0 {
		claims["acrs"] = user.contexts
	}
	if user.authTime > 0 {
		claims["aio"] = t.sealer.seal("aio", signInNote{user.authTime, user.approved(), user.contexts})
	}
}

// readSignIn reads from an assertion how its user signed in.
func (t *Tenant) readSignIn(claims jwt.MapClaims, p *profile) {
	var note signInNote
	if text, ok := claims["aio"].(string); ok && t.sealer.open("aio", text, &note) {
		p.contexts, p.authTime = note.Contexts, note.Time
		if note.MFA && !p.approved() {
			p.methods = append(p.methods, "mfa")
		}
	}
	met, _ := claims["acrs"].([]any)
	for _, context := range met {
		if name, ok := context.(string); ok {
			p.contexts = union(p.contexts, []string{name})
		}
	}
}

// An issuedToken is a token before it is signed.
type issuedToken struct {
	version int
	claims  map[string]any
	expires time.Time
	key     *signingKey // that will sign it
}

// A profile is what tokens say about a user. It comes from the user, or from the user's assertion.
type profile struct {
	objectID, name, userPrincipalName, session string

	methods      []any    // amr
	contexts     []string // acrs
	capabilities []string // xms_cc, the client's
	authTime     int64    // Unix time of the sign-in, or 0
	nonce        string   // for ID tokens
	email        string
	agent        bool // it is an agent user
}

func (p profile) facets() string {
	if p.agent {
		return facetsOfAgentUser
	}
	return facetsOfPerson
}

// approved reports whether the user has completed multifactor authentication.
func (p profile) approved() bool { return slices.Contains(p.methods, any("mfa")) }

func (u *User) profile() profile {
	p := profile{
		objectID: u.ObjectID, name: u.DisplayName, userPrincipalName: u.UserPrincipalName,
		session: u.session, methods: []any{"pwd"}, email: u.Email, agent: u.agent != nil,
	}
	if p.agent { // has no password
		p.methods = nil
	}
	return p
}

// A target is the resource that a token is for. Audience is the identifier in the request: v1
// tokens repeat it, v2 tokens always have the client ID.
type target struct {
	resource *App
	audience string
	version  int
}

// userAccess returns a user's access token.
func (t *Tenant) userAccess(user profile, client *App, acr string, aim target, scopes []string) issuedToken {
	token := t.token(aim, t.lifetime())
	claims := token.claims
	claims["name"] = user.name
	claims["oid"] = user.objectID
	claims["scp"] = strings.Join(scopes, " ")
	claims["sid"] = user.session
	claims["sub"] = t.subject(user.objectID, client.ClientID)
	claims["xms_ftd"] = opaque(48)
	t.addSignIn(claims, user)
	t.addOptional(claims, aim, user, client)
	if token.version == 1 {
		claims["acr"] = "0" // no sign-in
		if len(user.methods) > 0 {
			claims["acr"], claims["amr"] = "1", user.methods
		}
		claims["appid"], claims["appidacr"] = client.ClientID, acr
		claims["ipaddr"] = "127.0.0.1"
		claims["unique_name"], claims["upn"] = user.userPrincipalName, user.userPrincipalName
		return token
	}
	claims["azp"], claims["azpacr"] = client.ClientID, acr
	claims["preferred_username"] = user.userPrincipalName
	return token
}

// A principal is the app or managed identity of an app-only token.
type principal struct {
	clientID, objectID string
	app                *App // nil for a managed identity
}

func (a *App) principal() principal { return principal{a.ClientID, a.ObjectID, a} }

func (p principal) facets() string {
	if p.app != nil && p.app.isAgent() {
		return facetsOfAgent
	}
	return facetsOfApp
}

// appAccess returns an app-only access token.
func (t *Tenant) appAccess(p principal, acr string, aim target, roles []string, lifetime time.Duration) issuedToken {
	token := t.token(aim, lifetime)
	claims := token.claims
	claims["oid"], claims["sub"] = p.objectID, p.objectID
	claims["xms_ftd"] = opaque(48)
	if len(roles) > 0 {
		claims["roles"] = roles
	}
	names := aim.resource.claimNames(false)
	if slices.Contains(names, "idtyp") {
		claims["idtyp"] = "app"
	}
	addFacets(claims, names, p.app, p.facets())
	if token.version == 1 {
		claims["appid"], claims["appidacr"] = p.clientID, acr
		claims["idp"] = t.V1Issuer()
	} else {
		claims["azp"], claims["azpacr"] = p.clientID, acr
	}
	return token
}

func (t *Tenant) idClaims(user profile, client *App) issuedToken {
	token := t.token(target{client, client.ClientID, 2}, t.lifetime())
	token.claims["name"] = user.name
	if user.nonce != "" {
		token.claims["nonce"] = user.nonce
	}
	if user.email != "" {
		token.claims["email"] = user.email
	}
	token.claims["oid"] = user.objectID
	token.claims["preferred_username"] = user.userPrincipalName
	token.claims["sid"] = user.session
	token.claims["sub"] = t.subject(user.objectID, client.ClientID)
	return token
}

// token returns the claims that all tokens share.
func (t *Tenant) token(aim target, lifetime time.Duration) issuedToken {
	now := t.now()
	issued := now.Add(-clockSkew).Unix()
	expires := now.Add(lifetime)
	issuer, audience := t.V1Issuer(), aim.audience
	if aim.version == 2 {
		issuer, audience = t.V2Issuer(), aim.resource.ClientID
	}
	return issuedToken{version: aim.version, expires: expires, key: t.signingKey(aim.resource), claims: map[string]any{
		"aud": audience,
		"iss": issuer,
		"iat": issued,
		"nbf": issued,
		"exp": expires.Unix(),
		"aio": opaque(60),
		"rh":  "1.A" + opaque(36) + ".",
		"tid": t.id,
		"uti": opaque(16),
		"ver": strconv.Itoa(aim.version) + ".0",
	}}
}

func (t *Tenant) lifetime() time.Duration {
	if t.options.TokenLifetime > 0 {
		return t.options.TokenLifetime
	}
	return time.Duration(between(3600, 5400)) * time.Second
}

// subject returns the pairwise identifier of a user for an app. It is stable, and different for
// each app.
func (t *Tenant) subject(objectID, clientID string) string {
	h := sha256.New()
	for _, part := range []string{string(t.pairwise), objectID, clientID} {
		h.Write([]byte(strings.ToLower(part) + "\x00"))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
