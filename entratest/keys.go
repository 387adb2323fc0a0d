package entratest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // x5t is a SHA-1 thumbprint by definition (RFC 7517 section 4.8)
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A signingKey is a key of the tenant with its certificate.
type signingKey struct {
	private    *rsa.PrivateKey
	der        []byte // self-signed certificate
	thumbprint string // x5t
	id         string // kid
}

// newSigningKey generates a key, which takes about a tenth of a second.
func newSigningKey() *signingKey {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	return certify(private)
}

// certify creates a certificate for a key. It is always the same for a key, and so is the key ID.
func certify(private *rsa.PrivateKey) *signingKey {
	serial := sha256.Sum256(private.N.Bytes())
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:15]),
		Subject:      pkix.Name{CommonName: notice},
		NotBefore:    time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(err)
	sum := sha1.Sum(der)
	thumbprint := base64.RawURLEncoding.EncodeToString(sum[:])
	return &signingKey{
		private:    private,
		der:        der,
		thumbprint: thumbprint,
		// Entra's key IDs are the bare thumbprint. The prefix shows that this is a test double.
		id: "entratest-" + thumbprint,
	}
}

// spareKeys are the keys of closed servers. Generating a key takes far longer than everything else
// that a tenant needs, so servers reuse keys. No two open servers share one.
var spareKeys struct {
	sync.Mutex
	keys []*signingKey
}

// A keyring generates keys on first use: in tests, many tenants never sign.
type keyring struct {
	mu            sync.Mutex
	current, next *signingKey
	used          []*signingKey // all keys that it took, for giveBack
}

// take returns a key that no open server uses. Callers hold r.mu.
func (r *keyring) take() *signingKey {
	key := spareKey()
	if key == nil {
		key = newSigningKey()
	}
	r.used = append(r.used, key)
	return key
}

func spareKey() *signingKey {
	spareKeys.Lock()
	defer spareKeys.Unlock()
	if len(spareKeys.keys) == 0 {
		return nil
	}
	key := spareKeys.keys[0]
	spareKeys.keys = spareKeys.keys[1:]
	return key
}

// giveBack lets later servers reuse the keys.
func (r *keyring) giveBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	spareKeys.Lock()
	defer spareKeys.Unlock()
	spareKeys.keys = append(spareKeys.keys, r.used...)
	r.used = nil
}

func (r *keyring) signing() *signingKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil {
		r.current = r.take()
	}
	return r.current
}

// published returns the keys of the key set.
func (r *keyring) published() []*signingKey {
	keys := []*signingKey{r.signing()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		keys = append(keys, r.next)
	}
	return keys
}

// RotateKeys signs tokens with a new key from now on. It removes the old key from the key set at
// once, so tokens signed with it become invalid. The new key is the one that [Tenant.AnnounceKey]
// announced, if there is one.
func (t *Tenant) RotateKeys() {
	t.keys.mu.Lock()
	defer t.keys.mu.Unlock()
	t.keys.current, t.keys.next = t.keys.next, nil
}

// AnnounceKey publishes the key that the next [Tenant.RotateKeys] will use, ahead of time, as
// Entra does. It returns the key's ID.
func (t *Tenant) AnnounceKey() string {
	t.keys.signing() // the announced key is never the only one
	t.keys.mu.Lock()
	defer t.keys.mu.Unlock()
	if t.keys.next == nil {
		t.keys.next = t.keys.take()
	}
	return t.keys.next.id
}

// KeyID returns the id (kid) of the current key.
func (t *Tenant) KeyID() string { return t.keys.signing().id }

// PublicKey returns the published key with that id, for resource servers in tests.
func (t *Tenant) PublicKey(kid string) (*rsa.PublicKey, bool) {
	for _, key := range t.keys.published() {
		if key.id == kid {
			return &key.private.PublicKey, true
		}
	}
	return nil, false
}

// AddSigningKey gives the app its own signing key in this tenant, like apps with a claims-mapping
// policy, and returns the key's ID. The key signs access tokens for the app, and ID tokens that
// the app gets. Another call replaces the key.
//
// The key is published only on request: metadata fetched with ?appid={client ID} point to a key
// set with the same parameter, which has only this key. Without the parameter, or with the ID of
// an app without its own key, both are the tenant's.
func (a *App) AddSigningKey() string {
	key := a.tenant.keys.spare()
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	a.ownKey = key
	return key.id
}

// spare returns an unused key.
func (r *keyring) spare() *signingKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.take()
}

// signingKey returns the key that signs tokens for the app.
func (t *Tenant) signingKey(app *App) *signingKey {
	if own := t.ownKey(app); own != nil {
		return own
	}
	return t.keys.signing()
}

func (t *Tenant) ownKey(app *App) *signingKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	return app.ownKey
}

// publishedFor returns the key set for requests with an app's ID.
func (t *Tenant) publishedFor(appID string) []*signingKey {
	t.mu.Lock()
	app := t.appByClientID(appID)
	t.mu.Unlock()
	if app != nil {
		if own := t.ownKey(app); own != nil {
			return []*signingKey{own}
		}
	}
	return t.keys.published()
}

// A jsonWebKey is a key in Entra's format: with the cloud and the issuer that it signs for, and
// without the algorithm.
type jsonWebKey struct {
	KeyType           string   `json:"kty"`
	Use               string   `json:"use"`
	ID                string   `json:"kid"`
	Thumbprint        string   `json:"x5t"`
	Modulus           string   `json:"n"`
	Exponent          string   `json:"e"`
	Chain             []string `json:"x5c"`
	CloudInstanceName string   `json:"cloud_instance_name"`
	Issuer            string   `json:"issuer"`
}

type keySet struct {
	Keys []jsonWebKey `json:"keys"`
}

func newKeySet(issuer string, keys []*signingKey) keySet {
	var set keySet
	for _, key := range keys {
		set.Keys = append(set.Keys, jsonWebKey{
			KeyType:           "RSA",
			Use:               "sig",
			ID:                key.id,
			Thumbprint:        key.thumbprint,
			Modulus:           base64.RawURLEncoding.EncodeToString(key.private.N.Bytes()),
			Exponent:          base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.private.E)).Bytes()),
			Chain:             []string{base64.StdEncoding.EncodeToString(key.der)},
			CloudInstanceName: cloudInstanceName,
			Issuer:            issuer,
		})
	}
	return set
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

// header returns the header of Entra's tokens. v1 tokens also have x5t.
func (key *signingKey) header(version int) map[string]any {
	header := map[string]any{"typ": "JWT", "alg": "RS256", "kid": key.id}
	if version == 1 {
		header["x5t"] = key.thumbprint
	}
	return header
}
