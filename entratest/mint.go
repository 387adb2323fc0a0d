package entratest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
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

func (t *Tenant) sign(token issuedToken) string {
	if audience := token.claims["aud"]; audience == t.graph.AppIDURI || audience == graphClientID || audience == t.graph.AppIDURI+"/" {
		return t.signForGraph(token)
	}
	return token.key.sign(token.key.header(token.version), token.claims)
}

// signForGraph signs a token as Entra does for Microsoft Graph: the header has a nonce,
// and what is signed has its hash instead. So nobody but Graph can verify the token, and
// servers that try say "bad signature" of a token that was never for them.
func (t *Tenant) signForGraph(token issuedToken) string {
	header := token.key.header(token.version)
	nonce := opaque(32)
	header["nonce"] = hashed(nonce)
	signed := token.key.sign(header, token.claims)
	header["nonce"] = nonce
	_, rest, _ := strings.Cut(signed, ".")
	return encodeSegment(header) + "." + rest
}

func hashed(nonce string) string {
	sum := sha256.Sum256([]byte(nonce))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
