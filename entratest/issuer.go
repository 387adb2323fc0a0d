package entratest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A trustedIssuer is another issuer and its keys, as configured.
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

// TrustIssuer adds key, with the ID kid, to the issuer's keys, so that its tokens can serve as
// apps' federated credentials. Call it again for more keys.
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

// An Issuer issues tokens that are not Entra's, such as the workload identity tokens of a
// Kubernetes cluster.
type Issuer struct {
	URL string // the iss claim

	tenant  *Tenant
	private *rsa.PrivateKey
	kid     string
}

// AddIssuer creates an issuer that the tenant trusts.
func (t *Tenant) AddIssuer(url string) *Issuer {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	issuer := &Issuer{URL: url, tenant: t, private: private, kid: "entratest-" + opaque(20)}
	t.TrustIssuer(url, issuer.kid, &private.PublicKey)
	return issuer
}

// Token returns a token for subject and audience, valid for an hour by the tenant's clock. In
// Kubernetes, the subject is system:serviceaccount:NAMESPACE:NAME. If change is not nil, it edits
// header and claims before signing.
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

// clustersPath is the first path segment of clusters' URLs.
const clustersPath = "clusters"

// AddCluster creates an issuer with a server: at its URL, below the authority host, are the OpenID
// metadata and the key set of a Kubernetes cluster's service account issuer.
func (t *Tenant) AddCluster() *Issuer {
	id := newGUID()
	issuer := t.AddIssuer(t.authorityHost + "/" + clustersPath + "/" + id + "/")
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clusters[id] = issuer
	return issuer
}

// WriteTokenFile writes a token for subject and audience to a file in dir, as Kubernetes does for
// AZURE_FEDERATED_TOKEN_FILE, and returns the file's path. Call it again to renew the token: it
// replaces the file atomically.
func (i *Issuer) WriteTokenFile(dir, subject, audience string) (string, error) {
	path := filepath.Join(dir, "azure-identity-token")
	temporary, err := os.CreateTemp(dir, ".token-")
	if err != nil {
		return "", err
	}
	_, err = temporary.WriteString(i.Token(subject, audience, nil))
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return "", err
	}
	return path, nil
}

// A clusterMetadata is what a cluster's API server publishes.
type clusterMetadata struct {
	Issuer        string   `json:"issuer"`
	JWKSURI       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
}

// A clusterKey is a key in Kubernetes' format: with its algorithm, unlike Entra's.
type clusterKey struct {
	Use       string `json:"use"`
	KeyType   string `json:"kty"`
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
	Modulus   string `json:"n"`
	Exponent  string `json:"e"`
}

// serveCluster serves requests below a cluster's URL.
func (h *host) serveCluster(e *exchange, path string) {
	id, rest, _ := strings.Cut(path, "/")
	var issuer *Issuer
	for _, t := range h.all() {
		t.mu.Lock()
		if found := t.clusters[id]; found != nil {
			issuer = found
		}
		t.mu.Unlock()
	}
	switch {
	case issuer != nil && rest == ".well-known/openid-configuration":
		e.answer(http.StatusOK, clusterMetadata{
			Issuer: issuer.URL, JWKSURI: issuer.URL + "openid/v1/jwks",
			ResponseTypes: []string{"id_token"}, SubjectTypes: []string{"public"}, Algorithms: []string{"RS256"},
		})
	case issuer != nil && rest == "openid/v1/jwks":
		e.answer(http.StatusOK, map[string][]clusterKey{"keys": {{
			Use: "sig", KeyType: "RSA", ID: issuer.kid, Algorithm: "RS256",
			Modulus:  base64.RawURLEncoding.EncodeToString(issuer.private.N.Bytes()),
			Exponent: base64.RawURLEncoding.EncodeToString(big.NewInt(int64(issuer.private.E)).Bytes()),
		}}})
	default:
		servePage(e.response, e.request, false)
	}
}
