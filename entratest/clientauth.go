package entratest

import (
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// clientAssertionType is the only client_assertion_type (RFC 7523 section 2.2).
const clientAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// A clientSecret is a secret of an app, and how the directory describes it. Without an EndDateTime
// it never expires.
type clientSecret struct {
	passwordCredential
	value string
	lags  lags
}

// A federatedCredential lets the holder of another issuer's token act as the app.
type federatedCredential struct {
	federatedIdentityCredential
	lags lags
}

// AddSecret adds a client secret to the app and returns it.
func (a *App) AddSecret() string { return a.addSecret(nil) }

// AddExpiringSecret adds a client secret that expires at that time by the tenant's clock. After
// that it is rejected (AADSTS7000222).
func (a *App) AddExpiringSecret(expires time.Time) string { return a.addSecret(&expires) }

// AddKnownSecret adds a client secret with a value of your choice, for reproducible runs: in Entra
// nobody can choose one. It expires at that time; the zero time means never.
func (a *App) AddKnownSecret(value string, expires time.Time) {
	var end *time.Time
	if !expires.IsZero() {
		end = &expires
	}
	a.keepSecret(value, end)
}

func (a *App) addSecret(expires *time.Time) string {
	return a.keepSecret(newSecretValue(), expires)
}

func (a *App) keepSecret(value string, expires *time.Time) string {
	a.mustHoldCredentials("AddSecret")
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	secret := describeSecret(value, passwordCredential{StartDateTime: a.tenant.stampNow(), EndDateTime: expires})
	a.secrets = append(a.secrets, secret)
	return secret.value
}

func newSecret(described passwordCredential) clientSecret {
	return describeSecret(newSecretValue(), described)
}

// newSecretValue has 40 characters, like Entra's.
func newSecretValue() string { return "ent~" + opaque(27) }

func describeSecret(value string, described passwordCredential) clientSecret {
	hint := value[:min(3, len(value))]
	described.KeyID, described.Hint = newGUID(), &hint
	return clientSecret{passwordCredential: described, value: value}
}

// RemoveSecrets removes all client secrets of the app.
func (a *App) RemoveSecrets() {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	a.secrets = nil
}

// AddFederatedCredential lets the app authenticate with tokens that have exactly this issuer,
// subject and audience. For a managed identity of the tenant these are [Tenant.V2Issuer], its
// object ID, and "api://AzureADTokenExchange". Add other issuers with [Tenant.AddIssuer].
// Comparison is case-sensitive, as in Entra.
func (a *App) AddFederatedCredential(issuer, subject, audience string) {
	a.mustHoldCredentials("AddFederatedCredential")
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	a.federated = append(a.federated, federatedCredential{federatedIdentityCredential: federatedIdentityCredential{
		ID: newGUID(), Name: fmt.Sprintf("credential-%d", len(a.federated)+1), Issuer: issuer, Subject: subject, Audiences: []string{audience},
	}})
}

// authenticate returns the app that sent a request, and how it authenticated.
func (t *Tenant) authenticate(e *exchange) (*App, string, *rejection) {
	clientID, secret := e.form.Get("client_id"), e.form.Get("client_secret")
	if user, password, ok := e.request.BasicAuth(); ok { // RFC 6749 section 2.3.1
		clientID, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	if clientID == "" {
		return nil, "", missing("client_id")
	}
	app, r := t.knownClient(clientID)
	if r != nil {
		return nil, "", r
	}
	assertion := e.form.Get("client_assertion")
	switch {
	case assertion != "":
		if e.form.Get("client_assertion_type") != clientAssertionType {
			return nil, "", missing("client_assertion_type")
		}
		return app, acrCertificate, t.checkClientAssertion(app, assertion)
	case secret != "":
		return app, acrSecret, app.registration().checkSecret(secret, t.now())
	default:
		return nil, "", reject(7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	}
}

func (a *App) checkSecret(secret string, now time.Time) *rejection {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	for _, s := range a.secrets {
		if subtle.ConstantTimeCompare([]byte(s.value), []byte(secret)) != 1 {
			continue
		}
		if s.EndDateTime != nil && !now.Before(*s.EndDateTime) {
			return reject(7000222, fmt.Sprintf("The provided client secret keys for app '%s' are expired.", a.ClientID))
		}
		return nil
	}
	return reject(7000215, fmt.Sprintf("Invalid client secret provided. Ensure the secret being sent in the request is the "+
		"client secret value, not the client secret ID, for a secret added to app '%s'.", a.ClientID))
}

// checkClientAssertion checks a token sent in place of a secret.
func (t *Tenant) checkClientAssertion(app *App, assertion string) *rejection {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(assertion, claims); err != nil {
		return reject(50027, "JWT token is invalid or malformed.")
	}
	issuer, _ := claims["iss"].(string)
	subject, _ := claims["sub"].(string)
	if strings.EqualFold(issuer, app.ClientID) {
		return t.checkCertificate(app, assertion, claims)
	}
	if r := t.matchFederated(app, issuer, subject, claims["aud"]); r != nil {
		return r
	}
	return t.checkFederatedToken(issuer, assertion)
}

// checkFederatedToken checks the signature and time of another issuer's token, or of the tenant's
// own.
func (t *Tenant) checkFederatedToken(issuer, assertion string) *rejection {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(t.now),
		jwt.WithLeeway(clockSkew), jwt.WithExpirationRequired())
	_, err := parser.Parse(assertion, func(token *jwt.Token) (any, error) { return t.issuerKey(issuer, token) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return notInTime(t)
	default:
		return reject(700027, "Client assertion failed signature validation.")
	}
}

// matchFederated finds the app's credential with the issuer, subject and audience.
func (t *Tenant) matchFederated(app *App, issuer, subject string, audience any) *rejection {
	app = app.registration()
	app.tenant.mu.Lock()
	defer app.tenant.mu.Unlock()
	federated := slices.DeleteFunc(slices.Clone(app.federated), func(f federatedCredential) bool { return f.lags.take(LagCredential) })
	if app.isAgent() {
		federated = t.blueprintCredential(app)
	}
	if len(federated) == 0 {
		return reject(70025, fmt.Sprintf("The client '%s'(%s) has no configured federated identity credentials.", app.ClientID, app.Name))
	}
	return matchCredential(federated, issuer, subject, audience)
}

// matchCredential returns nil if one of the credentials has the issuer, subject and audience. Its
// error says which of them matches none.
func matchCredential(federated []federatedCredential, issuer, subject string, audience any) *rejection {
	const text = "No matching federated identity record found for presented assertion %s '%s'."
	worst := reject(700211, fmt.Sprintf(text, "issuer", clip(issuer)))
	for _, f := range federated {
		switch {
		case f.Issuer != issuer:
		case f.Subject == subject && f.accepts(audience):
			return nil
		case f.Subject == subject:
			worst = reject(700212, fmt.Sprintf(text, "audience", clip(fmt.Sprint(audience))))
		case worst.code == 700212:
		case strings.EqualFold(f.Subject, subject):
			worst = reject(7002138, fmt.Sprintf(text, "subject", clip(subject))+
				" The subject matches with case-insensitive comparison, but not with case-sensitive comparison.")
		case worst.code == 700211:
			worst = reject(700213, fmt.Sprintf(text, "subject", clip(subject)))
		}
	}
	return worst
}

// accepts reports whether the token's audience is the credential's. In Entra's own v2 tokens, the
// audience is the client ID of api://AzureADTokenExchange.
func (f federatedCredential) accepts(audience any) bool {
	own := f.Audiences[0]
	if own == tokenExchangeURI && audience == tokenExchangeClientID {
		return true
	}
	if list, ok := audience.([]any); ok && len(list) == 1 { // as Kubernetes writes it
		audience = list[0]
	}
	return audience == own
}

// issuerKey returns the key that must have signed a client assertion.
func (t *Tenant) issuerKey(issuer string, token *jwt.Token) (*rsa.PublicKey, error) {
	kid, _ := token.Header["kid"].(string)
	if issuer == t.V1Issuer() || issuer == t.V2Issuer() {
		if key, ok := t.PublicKey(kid); ok {
			return key, nil
		}
		return nil, errors.New("unknown key")
	}
	t.mu.Lock()
	trusted := t.issuers[issuer]
	t.mu.Unlock()
	if trusted == nil {
		return nil, errors.New("unknown issuer")
	}
	return trusted.key(kid)
}
