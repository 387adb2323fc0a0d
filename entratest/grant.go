package entratest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The lifetimes of codes and refresh tokens, as at Entra.
const (
	codeLifetime       = 10 * time.Minute
	refreshLifetime    = 90 * 24 * time.Hour
	refreshLifetimeSPA = 24 * time.Hour
)

// A grant is what a user has allowed a client to do. Codes and refresh tokens are encrypted
// grants.
type grant struct {
	ID       string   `json:"i"`
	Tenant   string   `json:"t"`
	User     string   `json:"u"`
	Name     string   `json:"n,omitempty"` // for users who exist only in an assertion
	UPN      string   `json:"p,omitempty"`
	Client   string   `json:"c"`
	Scope    string   `json:"s,omitempty"` // as requested
	Platform Platform `json:"f"`
	SignIn   signIn   `json:"l"`
	Issued   int64    `json:"d"`

	// For codes only.
	Redirect string `json:"r,omitempty"`
	Verifier string `json:"v,omitempty"`
	Method   string `json:"m,omitempty"`
	Nonce    string `json:"o,omitempty"`

	Filler string `json:"z,omitempty"` // Entra's are longer
}

// sendCode completes an authorization request: with a code, unless it was only for consent.
func (t *Tenant) sendCode(e *exchange, q *authorizeRequest, user *User, s signIn) {
	if q.none {
		q.respond(e, url.Values{})
		return
	}
	g := grant{
		ID: opaque(12), Tenant: t.id, User: user.ObjectID, Client: q.client.ClientID, Scope: q.scope, Platform: q.redirect.platform,
		SignIn: s, Issued: t.now().Unix(), Redirect: q.redirect.uri, Verifier: q.verifier, Method: q.method, Nonce: q.nonce,
		Filler: opaque(180),
	}
	answer := url.Values{"code": {"1.A" + t.sealer.seal("code", g)}, "session_state": {s.Session}}
	if q.info {
		answer.Set("client_info", t.clientInfo(user.ObjectID))
	}
	q.respond(e, answer)
}

// refreshToken returns a refresh token for the grant. It is bound to the user and client, not to a
// resource, and can be reused. For single-page applications, it expires when the first one would.
func (t *Tenant) refreshToken(g grant) string {
	if g.Platform != PlatformSPA {
		g.Issued = t.now().Unix()
	}
	g.ID, g.Filler = opaque(12), opaque(420)
	g.Redirect, g.Verifier, g.Method, g.Nonce = "", "", "", ""
	return "1.A" + t.sealer.seal("refresh", g)
}

// openGrant reads a code or a refresh token.
func (t *Tenant) openGrant(purpose, text string) (grant, *rejection) {
	var g grant
	rest, ok := strings.CutPrefix(text, "1.A")
	if !ok || !t.sealer.open(purpose, rest, &g) {
		r := reject(9002313, "Invalid request. Request is malformed or invalid.")
		r.kind = "invalid_grant"
		return g, r
	}
	return g, nil
}

// A codeBook remembers redeemed codes until they expire.
type codeBook struct {
	mu       sync.Mutex
	redeemed map[string]int64 // id to Unix time
}

// maxCodes limits the book; codes beyond it could be redeemed twice.
const maxCodes = 20_000

// redeem reports whether this is the code's first use.
func (b *codeBook) redeem(id string, now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, used := b.redeemed[id]; used {
		return false
	}
	if b.redeemed == nil {
		b.redeemed = map[string]int64{}
	}
	if len(b.redeemed) >= maxCodes {
		for old, at := range b.redeemed {
			if now-at > int64(codeLifetime/time.Second) || len(b.redeemed) >= maxCodes {
				delete(b.redeemed, old)
			}
		}
	}
	b.redeemed[id] = now
	return true
}

// authorizationCode redeems a code (RFC 6749 section 4.1.3).
func (t *Tenant) authorizationCode(e *exchange) (*tokenResponse, *rejection) {
	code := e.form.Get("code")
	if code == "" {
		return nil, missing("code")
	}
	g, r := t.openGrant("code", code)
	if r != nil {
		return nil, r
	}
	client, acr, r := t.authenticateHolder(e, g)
	if r != nil {
		return nil, r
	}
	if r := t.checkCode(e, g); r != nil {
		return nil, r
	}
	owner := t.tenant(g.Tenant)
	scope := e.form.Get("scope")
	if scope == "" {
		if scope = g.Scope; owner.resources(scope) > 1 {
			return nil, reject(28003, "Provided value for the input parameter scope cannot be empty when requesting an access token "+
				"using the provided authorization code. Please specify a valid scope.")
		}
	}
	response, r := owner.userToken(e, g, client, acr, scope)
	if r == nil && !t.codes.redeem(g.ID, t.now().Unix()) {
		return nil, reject(54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.")
	}
	return response, r
}

// resources returns how many resources a scope names.
func (t *Tenant) resources(scope string) int {
	all, _, _ := t.parseScopes(scope)
	return len(all)
}

func (t *Tenant) checkCode(e *exchange, g grant) *rejection {
	redirect := e.form.Get("redirect_uri")
	switch {
	case t.now().Unix() > g.Issued+int64(codeLifetime/time.Second):
		return reject(70008, "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.")
	case redirect == "" && g.Platform != 0:
		return missing("redirect_uri")
	case redirect != g.Redirect:
		return reject(500112, "The redirect URI '"+clip(redirect)+"' does not match the redirect URI '"+clip(g.Redirect)+"' provided when requesting the authorization code.")
	}
	return g.checkVerifier(e.form.Get("code_verifier"))
}

// checkVerifier implements RFC 7636 section 4.6.
func (g grant) checkVerifier(verifier string) *rejection {
	if g.Verifier == "" && verifier == "" {
		return nil
	}
	computed := verifier
	if g.Method == "S256" {
		sum := sha256.Sum256([]byte(verifier))
		computed = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if subtle.ConstantTimeCompare([]byte(computed), []byte(g.Verifier)) != 1 {
		return reject(501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request.")
	}
	return nil
}

// refresh redeems a refresh token (RFC 6749 section 6).
func (t *Tenant) refresh(e *exchange) (*tokenResponse, *rejection) {
	token := e.form.Get("refresh_token")
	if token == "" {
		return nil, missing("refresh_token")
	}
	g, r := t.openGrant("refresh", token)
	if r != nil {
		return nil, r
	}
	client, acr, r := t.authenticateHolder(e, g)
	if r != nil {
		return nil, r
	}
	lifetime := refreshLifetime
	if g.Platform == PlatformSPA {
		lifetime = refreshLifetimeSPA
	}
	if t.now().Unix() > g.Issued+int64(lifetime/time.Second) {
		return nil, reject(700082, "The refresh token has expired due to inactivity.")
	}
	if e.form.Get("scope") == "" {
		// Without a scope, Entra uses the client as the resource.
		return nil, forItself(client, client.AppIDURI())
	}
	return t.tenant(g.Tenant).userToken(e, g, client, acr, e.form.Get("scope"))
}

// authenticateHolder checks that a grant belongs to the client that presents it, and that the
// client authenticates as the grant's platform requires.
func (t *Tenant) authenticateHolder(e *exchange, g grant) (*App, string, *rejection) {
	owner := t.tenant(g.Tenant)
	if owner == nil || owner != t && !e.shared {
		return nil, "", reject(700005, "Provided grant is intended to be used against other tenant, thus rejected.")
	}
	if !strings.EqualFold(e.clientID(), g.Client) {
		if _, r := owner.knownClient(e.clientID()); r != nil {
			return nil, "", r
		}
		return nil, "", reject(70000, "The provided grant was issued to another client.")
	}
	proof := e.form.Get("client_secret") != "" || e.form.Get("client_assertion") != "" || e.request.Header.Get("Authorization") != ""
	origin := e.request.Header.Get("Origin") != ""
	switch {
	case origin && g.Platform != PlatformSPA:
		return nil, "", reject(9002326, "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type.")
	case g.Platform == PlatformSPA && !origin:
		return nil, "", reject(9002327, "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests.")
	}
	client, r := owner.knownClient(g.Client)
	switch {
	case r != nil:
		return nil, "", r
	case proof && (client.isPublic() || g.Platform == PlatformDesktop && g.Redirect != ""):
		return nil, "", reject(700025, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.")
	case g.Platform == PlatformWeb || proof && g.Platform != PlatformSPA:
		return owner.authenticate(e)
	}
	return client, acrPublic, nil
}

// clientID returns the client_id of a token request.
func (e *exchange) clientID() string {
	if user, _, ok := e.request.BasicAuth(); ok {
		id, _ := url.QueryUnescape(user)
		return id
	}
	return e.form.Get("client_id")
}
