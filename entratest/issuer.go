package entratest

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A trustedIssuer is another issuer's key set, as far as the tenant knows it.
type trustedIssuer struct {
	mu   sync.Mutex
	keys map[string]*rsa.PublicKey
}

func (i *trustedIssuer) key(kid string) (*rsa.PublicKey, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if key := i.keys[kid]; key != nil {
		return key, nil
	}
	return nil, errors.New("unknown key")
}

// TrustIssuer makes key, with the id kid, a key of the issuer, so that its
// tokens can serve as federated credentials of apps. Call it again for more keys.
func (t *Tenant) TrustIssuer(issuer, kid string, key *rsa.PublicKey) {
	t.mu.Lock()
	trusted := t.issuers[issuer]
	if trusted == nil {
		trusted = &trustedIssuer{keys: map[string]*rsa.PublicKey{}}
		t.issuers[issuer] = trusted
	}
	t.mu.Unlock()
	trusted.mu.Lock()
	defer trusted.mu.Unlock()
	trusted.keys[kid] = key
}

// An Issuer issues tokens that are not Entra's: the workload identity tokens
// of a Kubernetes cluster, say.
type Issuer struct {
	URL string // the iss claim

	tenant  *Tenant
	private *rsa.PrivateKey
	kid     string
}

// AddIssuer makes an issuer whose tokens the tenant can check.
func (t *Tenant) AddIssuer(url string) *Issuer {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	issuer := &Issuer{URL: url, tenant: t, private: private, kid: "entratest-" + opaque(20)}
	t.TrustIssuer(url, issuer.kid, &private.PublicKey)
	return issuer
}

// Token returns a token for subject and audience that is valid for an hour
// by the tenant's clock. Subject is system:serviceaccount:NAMESPACE:NAME in
// Kubernetes. Change, unless nil, edits header and claims before signing.
func (i *Issuer) Token(subject, audience string, change func(header, claims map[string]any)) string {
	now := i.tenant.now()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": i.URL, "sub": subject, "aud": []any{audience}, "jti": newGUID(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	token.Header["kid"] = i.kid
	if change != nil {
		claims, _ := token.Claims.(jwt.MapClaims)
		change(token.Header, claims)
	}
	signed, err := token.SignedString(i.private)
	must(err)
	return signed
}
