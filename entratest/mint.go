package entratest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// How a client authenticated: the values of appidacr and azpacr.
const (
	acrPublic      = "0"
	acrSecret      = "1"
	acrCertificate = "2" // a federated credential counts as one
)

// Token returns an access token for resource that client got on behalf of user. Its version is the
// resource's [App.AccessTokenVersion]. Its scopes are the given ones, or all that the resource
// offers. It does not check consent. As at the token endpoint, scopes may be prefixed with the
// resource; the token has their short names, without offline_access.
func (t *Tenant) Token(user *User, client, resource *App, scopes ...string) string {
	return t.sign(t.tokenOf(user, client, resource, scopes))
}

func (t *Tenant) tokenOf(user *User, client, resource *App, scopes []string) issuedToken {
	if len(scopes) == 0 {
		scopes = resource.offered()
	}
	aim := target{resource, resource.AppIDURI(), resource.tokenVersion()}
	return t.userAccess(user.profile(), client, client.usualProof(), aim, inToken(t.short(resource, scopes)))
}

// usualProof returns how the app authenticates where that doesn't matter.
func (a *App) usualProof() string {
	switch {
	case a.isPublic():
		return acrPublic
	case a.isAgent():
		return acrCertificate
	}
	return acrSecret
}

// AppToken returns an app-only access token that client got for resource with its secret, or, if it
// is an agent identity, with its blueprint's token. It has no user and no scopes, only the app roles of [Tenant.GrantRoles].
func (t *Tenant) AppToken(client, resource *App) string {
	aim := target{resource, resource.AppIDURI(), resource.tokenVersion()}
	return t.sign(t.appAccess(client.principal(), client.usualProof(), aim,
		t.rolesOf(client, resource), t.lifetime()))
}

// IDToken returns the v2 ID token that client got when user signed in. It is not an
// access token: an API must reject it.
func (t *Tenant) IDToken(user *User, client *App) string {
	return t.sign(t.idClaims(user.profile(), client))
}

// Mint returns a token for resource with arbitrary claims. It starts with a token of some user and
// some client, with this version (0 means the resource's) and all scopes of the resource. If
// change is not nil, it then edits header and claims, and the result is signed unchecked. Times
// are int64. A claim cnf, for example, binds the token to a key, as Windows brokers do, so that it
// is not a bearer token.
func (t *Tenant) Mint(resource *App, version int, change func(header, claims map[string]any)) string {
	user, client := t.mintParties()
	if version == 0 {
		version = resource.tokenVersion()
	}
	if version != 1 && version != 2 {
		panic(fmt.Sprintf("entratest: Mint: no token of version %d, only 1 and 2", version))
	}
	access := t.userAccess(user.profile(), client, acrPublic, target{resource, resource.AppIDURI(), version}, inToken(resource.offered()))
	header := access.key.header(access.version)
	if change != nil {
		change(header, access.claims)
	}
	return access.key.sign(header, access.claims)
}

// mintParties returns the user and the client of Mint's tokens. They exist in the tenant, so that
// such a token can be exchanged like any other.
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

// Sign returns a token with exactly this header and these claims, signed with the current key by
// the header's algorithm: RS256, 384 or 512, or PS256, 384 or 512. For tokens that must be
// rejected, "none" gives an empty signature, and HS256 uses the public key's PEM text as the
// secret. Any other algorithm is signed as RS256. A nil header means the header of an ordinary v1
// token.
func (t *Tenant) Sign(header, claims map[string]any) string {
	return t.keys.signing().sign(header, claims)
}

// SignPayload is [Tenant.Sign] for a payload that need not be JSON, for fuzzing.
func (t *Tenant) SignPayload(header map[string]any, payload []byte) string {
	return t.keys.signing().signPayload(header, payload)
}

func (t *Tenant) sign(token issuedToken) string {
	if audience := token.claims["aud"]; audience == graphURI || audience == graphClientID || audience == graphURI+"/" {
		return t.signForGraph(token)
	}
	return token.key.sign(token.key.header(token.version), token.claims)
}

// signForGraph signs a token as Entra does for Microsoft Graph: the header has a nonce, and the
// signature covers its hash instead. Only Graph can verify such a token. Other servers report a
// bad signature, although the token was never meant for them.
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
