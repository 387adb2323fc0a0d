package entraauth

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

const (
	minRSABits = 2048
	maxRSABits = 8192 // a larger key would cost too much to verify with
	maxKeys    = 100
)

// A keySet is the tenant's signing keys, by kid, and metadata at one moment. It is
// immutable.
type keySet struct {
	metadata
	keys      map[string]*signingKey
	fetchedAt time.Time
	refreshAt time.Time
}

// A signingKey is a key and what Entra says about its owner. One that stays
// the same from set to set stays the same pointer. It is also the jwkset.Storage of that
// one key, from which keyfunc serves golang-jwt: by then the set has looked it up.
type signingKey struct {
	jwkset.Storage // an empty one, for the methods besides KeyRead
	jwk            jwkset.JWK
	n, e           string // as in the document
	issuer         string // may hold {tenantid}; may be empty
	cloud          string // cloud_instance_name; may be empty
	keyfunc        jwt.Keyfunc
	token          *jwt.Token // what keyfunc looks at of a token
}

// KeyRead returns the key.
func (k *signingKey) KeyRead(context.Context, string) (jwkset.JWK, error) { return k.jwk, nil }

// signed lets golang-jwt verify a signature, with the key that keyfunc serves. The
// algorithm is RS256 whatever the token says.
func (k *signingKey) signed(text string, signature []byte) error {
	public, err := k.keyfunc(k.token)
	if err != nil {
		return err
	}
	return jwt.SigningMethodRS256.Verify(text, signature, public)
}

// parseKeys reads a key set. Keys that can't sign tokens of ours are left out,
// each with its reason; a set without any good key is an error.
func parseKeys(data []byte, m metadata, old *keySet) (set *keySet, odd []error, err error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, nil, fmt.Errorf("not a JSON Web Key Set: %w", err)
	}
	if len(doc.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("%d keys; at most %d are read", len(doc.Keys), maxKeys)
	}
	set = &keySet{metadata: m, keys: make(map[string]*signingKey)}
	for i, raw := range doc.Keys {
		kid, key, err := parseKey(raw)
		if err == nil {
			if _, ok := set.keys[kid]; ok {
				err = errors.New("its kid appears twice")
			}
		}
		if err != nil {
			odd = append(odd, fmt.Errorf("key %d: %w", i, err))
			continue
		}
		if old != nil && old.keys[kid].same(key) {
			key = old.keys[kid]
		}
		set.keys[kid] = key
	}
	if len(set.keys) == 0 {
		return nil, odd, errors.New("no usable key in the set")
	}
	return set, odd, nil
}

// parseKey reads one key and accepts it only if it is an RSA key for RS256
// signatures. Entra's keys carry no alg; if one does, it must be RS256.
func parseKey(raw json.RawMessage) (kid string, key *signingKey, err error) {
	var k struct {
		Kid    string `json:"kid"`
		Kty    string `json:"kty"`
		Use    string `json:"use"`
		Alg    string `json:"alg"`
		N      string `json:"n"`
		E      string `json:"e"`
		Issuer string `json:"issuer"`
		Cloud  string `json:"cloud_instance_name"`
	}
	if err := json.Unmarshal(raw, &k); err != nil {
		return "", nil, err
	}
	switch {
	case k.Kid == "" || len(k.Kid) > maxKeyID:
		return "", nil, errors.New("it has no kid of a sensible length")
	case k.Kty != "RSA":
		return "", nil, fmt.Errorf("kty %q is not RSA", actual(k.Kty))
	case k.Use != "sig":
		return "", nil, fmt.Errorf("use %q is not sig", actual(k.Use))
	case k.Alg != "" && k.Alg != "RS256":
		return "", nil, fmt.Errorf("alg %q is not RS256", actual(k.Alg))
	}
	// Only the public numbers go in: x5c and x5u of a document are ignored.
	marshal := jwkset.JWKMarshal{KTY: jwkset.KtyRSA, USE: jwkset.UseSig, KID: k.Kid, N: k.N, E: k.E}
	jwk, err := jwkset.NewJWKFromMarshal(marshal, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return "", nil, err
	}
	public, ok := jwk.Key().(*rsa.PublicKey)
	if !ok {
		return "", nil, errors.New("not an RSA public key")
	}
	if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return "", nil, fmt.Errorf("%d bits; %d to %d are accepted", bits, minRSABits, maxRSABits)
	}
	key = &signingKey{
		Storage: jwkset.NewMemoryStorage(), jwk: jwk, n: k.N, e: k.E, issuer: k.Issuer, cloud: k.Cloud,
		token: &jwt.Token{Header: map[string]any{"alg": "RS256", "kid": k.Kid}},
	}
	served, err := keyfunc.New(keyfunc.Options{Storage: key})
	if err != nil {
		return "", nil, err
	}
	key.keyfunc = served.Keyfunc
	return k.Kid, key, nil
}

func (k *signingKey) same(other *signingKey) bool {
	return k != nil && k.n == other.n && k.e == other.e && k.issuer == other.issuer && k.cloud == other.cloud
}

// maySign reports whether the key may sign the tokens of that tenant and issuer.
//
// The key's issuer must be the token's, or for a v1 token the issuer of the same
// tenant's v2 tokens. A key without issuer may sign only where the set is one
// tenant's. And the key's cloud must be the metadata's: a public set of all
// organizations has been seen with US Government keys under the public issuer
// template, told apart by that member alone.
func (s *keySet) maySign(key *signingKey, c *claims) bool {
	ofMany := strings.Contains(s.issuerV2, template)
	if key.issuer == "" && ofMany {
		return false
	}
	issuer := fill(key.issuer, c.tenantID)
	if issuer != "" && issuer != c.issuer && issuer != fill(s.issuerV2, c.tenantID) {
		return false
	}
	if key.cloud == "" {
		return s.cloud == "" || !ofMany
	}
	return s.cloud == "" || key.cloud == s.cloud
}
