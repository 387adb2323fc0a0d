package entratest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// How a client proved itself: the values of appidacr and azpacr.
const (
	acrPublic      = "0"
	acrSecret      = "1"
	acrCertificate = "2" // a federated credential counts as one
)

// Token returns an access token that user got through client for resource: v1 or
// v2, as the resource asks, with the scopes given or all that the resource
// offers. Nobody is asked for consent. As from the token endpoint, scopes may have the
// resource before them, and the token has their short names, without offline_access.
func (t *Tenant) Token(user *User, client, resource *App, scopes ...string) string {
	return t.sign(t.tokenOf(user, client, resource, scopes))
}

func (t *Tenant) tokenOf(user *User, client, resource *App, scopes []string) issuedToken {
	if len(scopes) == 0 {
		scopes = resource.Scopes
	}
	acr := acrPublic
	if !client.public {
		acr = acrSecret
	}
	aim := target{resource, resource.AppIDURI, resource.tokenVersion()}
	return t.userAccess(user.profile(), client, acr, aim, inToken(t.short(resource, scopes)))
}

// AppToken returns an access token that client got for resource as itself, with a
// client secret: no user, no scopes, but the app roles of [Tenant.GrantRoles].
func (t *Tenant) AppToken(client, resource *App) string {
	aim := target{resource, resource.AppIDURI, resource.tokenVersion()}
	return t.sign(t.appAccess(principal{client.ClientID, client.ObjectID}, acrSecret, aim,
		t.roles(client.ObjectID, resource), t.lifetime()))
}

// IDToken returns the v2 ID token that client got when user signed in. It is no
// access token: no API may take it.
func (t *Tenant) IDToken(user *User, client *App) string {
	return t.sign(t.idClaims(user.profile(), client))
}

// Mint returns a token for resource with any claims at all. It begins
// as the token of some user, got through some client, of the version given (0
// means the one that the resource asks for), with all scopes of the resource;
// change, unless nil, then edits header and claims, and the result is signed as it stands.
// Times are int64. A member cnf, for instance, makes it a token that is bound to a key, as
// Windows gets them for its brokers: it is no bearer token.
func (t *Tenant) Mint(resource *App, version int, change func(header, claims map[string]any)) string {
	user, client := t.mintParties()
	if version == 0 {
		version = resource.AccessTokenVersion
	}
	if version != 1 && version != 2 {
		panic(fmt.Sprintf("entratest: Mint: no token of version %d, only 1 and 2", version))
	}
	access := t.userAccess(user.profile(), client, acrPublic, target{resource, resource.AppIDURI, version}, inToken(resource.Scopes))
	header := access.key.header(access.version)
	if change != nil {
		change(header, access.claims)
	}
	return access.key.sign(header, access.claims)
}

// mintParties returns the user and the client of Mint's tokens, who exist
// so that such a token can be exchanged like any other.
func (t *Tenant) mintParties() (*User, *App) {
	t.mu.Lock()
	user, client := t.minted, t.mintedClient
	t.mu.Unlock()
	if user != nil {
		return user, client
	}
	user = t.AddUser("minted@entratest.invalid", "Minted User")
	client = t.AddClient("Minted Client")
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.minted == nil {
		t.minted, t.mintedClient = user, client
	}
	return t.minted, t.mintedClient
}

// Sign returns a token of exactly this header and these claims, signed with the
// current key by the header's algorithm: RS256, 384 or 512, or PS256, 384 or
// 512. For tests of what must be refused, "none" gives an empty signature and HS256
// signs with the public key's PEM text as secret; anything else is signed as RS256. A nil
// header is that of a usual v1 token.
func (t *Tenant) Sign(header, claims map[string]any) string {
	return t.keys.signing().sign(header, claims)
}

// SignPayload is [Tenant.Sign] for a payload that need not be JSON, for fuzzing.
func (t *Tenant) SignPayload(header map[string]any, payload []byte) string {
	return t.keys.signing().signPayload(header, payload)
}

func (key *signingKey) sign(header, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	must(err)
	return key.signPayload(header, payload)
}

func (key *signingKey) signPayload(header map[string]any, payload []byte) string {
	if header == nil {
		header = key.header(1)
	}
	input := encodeSegment(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(key.signature(header["alg"], input))
}

func (key *signingKey) signature(alg any, input string) []byte {
	name, _ := alg.(string)
	var method jwt.SigningMethod = jwt.SigningMethodRS256
	var with any = key.private
	switch name {
	case "none":
		return nil
	case "HS256":
		der, err := x509.MarshalPKIXPublicKey(key.private.Public())
		must(err)
		method, with = jwt.SigningMethodHS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	case "RS384", "RS512", "PS256", "PS384", "PS512":
		method = jwt.GetSigningMethod(name)
	}
	signature, err := method.Sign(input, with)
	must(err)
	return signature
}

func encodeSegment(m map[string]any) string {
	b, err := json.Marshal(m)
	must(err)
	return base64.RawURLEncoding.EncodeToString(b)
}

// header returns the header of Entra's tokens; v1 ones also carry x5t.
func (key *signingKey) header(version int) map[string]any {
	header := map[string]any{"typ": "JWT", "alg": "RS256", "kid": key.id}
	if version == 1 {
		header["x5t"] = key.thumbprint
	}
	return header
}

// An issuedToken is what a token says, before it is signed.
type issuedToken struct {
	version int
	claims  map[string]any
	expires time.Time
	key     *signingKey // which will sign it
}

func (t *Tenant) sign(token issuedToken) string {
	if audience := token.claims["aud"]; audience == t.graph.AppIDURI || audience == graphClientID || audience == t.graph.AppIDURI+"/" {
		return t.signForGraph(token)
	}
	return token.key.sign(token.key.header(token.version), token.claims)
}

// A profile is what tokens say about a user. It comes from the user, or from the
// assertion that stands for them.
type profile struct {
	objectID, name, userPrincipalName, session string

	methods      []any    // amr
	contexts     []string // acrs
	capabilities []string // xms_cc, the client's
	authTime     int64    // Unix time of the sign-in, or 0
	nonce        string   // of ID tokens
	email        string
}

// approved reports whether the user has met multifactor authentication.
func (p profile) approved() bool { return slices.Contains(p.methods, any("mfa")) }

func (u *User) profile() profile {
	return profile{
		objectID: u.ObjectID, name: u.DisplayName, userPrincipalName: u.UserPrincipalName,
		session: u.session, methods: []any{"pwd"}, email: u.Email,
	}
}

// A target is what a token is for. Audience is the form in which the resource
// was asked for: v1 tokens repeat it, v2 tokens have the client id always.
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
	t.addOptional(claims, aim, user)
	if token.version == 1 {
		claims["acr"] = "1"
		claims["amr"] = user.methods
		claims["appid"], claims["appidacr"] = client.ClientID, acr
		claims["ipaddr"] = "127.0.0.1"
		claims["unique_name"], claims["upn"] = user.userPrincipalName, user.userPrincipalName
		return token
	}
	claims["azp"], claims["azpacr"] = client.ClientID, acr
	claims["preferred_username"] = user.userPrincipalName
	return token
}

// principal is who holds an app-only token: an app or a managed identity.
type principal struct{ clientID, objectID string }

// appAccess returns an access token without a user.
func (t *Tenant) appAccess(p principal, acr string, aim target, roles []string, lifetime time.Duration) issuedToken {
	token := t.token(aim, lifetime)
	claims := token.claims
	claims["oid"], claims["sub"] = p.objectID, p.objectID
	claims["xms_ftd"] = opaque(48)
	if len(roles) > 0 {
		claims["roles"] = roles
	}
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
	token.claims["sid"] = user.session
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

// token returns what all tokens have in common.
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

// subject returns the pairwise identifier of a user towards one app: the same
// every time, and of no use to another app.
func (t *Tenant) subject(objectID, clientID string) string {
	h := sha256.New()
	for _, part := range []string{string(t.pairwise), objectID, clientID} {
		h.Write([]byte(strings.ToLower(part) + "\x00"))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
