package clientdoc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/MicahParks/jwkset"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/strictjson"
)

const (
	maxKeySet  = 64 << 10 // bytes
	maxKeys    = 100
	maxKeyID   = 256 // bytes
	minRSABits = 2048
	maxRSABits = 4096 // a larger key would cost too much to verify with
)

// A keySet is a client's keys for signatures (RFC 7517). It is immutable.
type keySet struct {
	keys      []key
	fetchedAt time.Time
}

// A key is one for the signatures of certain algorithms.
type key struct {
	id     string // kid; may be empty
	algs   []string
	public crypto.PublicKey
}

// find returns the key with the ID for the algorithm. Without an ID the set must have one key
// for the algorithm.
func (s *keySet) find(kid, alg string) (crypto.PublicKey, error) {
	var found []key
	for _, k := range s.keys {
		if slices.Contains(k.algs, alg) && (kid == "" || k.id == kid) {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 1:
		return found[0].public, nil
	case len(found) == 0:
		return nil, &fault{ErrNoKey, "it has no key with the kid and for the algorithm of the assertion"}
	case kid == "":
		return nil, &fault{ErrNoKey, "it has several keys for the algorithm, and the assertion has no kid"}
	default:
		return nil, &fault{ErrNoKey, "it has several keys with the kid of the assertion"}
	}
}

// parseKeySet reads a key set. Keys that aren't for our signatures are left out, as RFC 7517,
// section 5 has it.
func parseKeySet(body []byte, now time.Time) (*keySet, error) {
	o, err := strictjson.Parse(body)
	if err != nil {
		return nil, invalidf("%v", err)
	}
	list, err := o.Elements("keys")
	switch {
	case err != nil:
		return nil, invalidf("%v", err)
	case len(list) > maxKeys:
		return nil, invalidf("it has more than %d keys", maxKeys)
	}
	set := &keySet{fetchedAt: now}
	for _, raw := range list {
		if k, err := parseKey(raw); err == nil {
			set.keys = append(set.keys, k)
		}
	}
	if len(set.keys) == 0 {
		return nil, invalidf("it has no public key for RS256, PS256 or ES256")
	}
	return set, nil
}

// parseKey reads one key. Only its public numbers are read: its certificates and addresses are
// ignored.
func parseKey(raw json.RawMessage) (key, error) {
	o, err := strictjson.Parse(raw)
	if err != nil {
		return key{}, err
	}
	if o.Has("d") || o.Has("k") {
		return key{}, errors.New("it has a private or secret part")
	}
	ops, err := o.Texts("key_ops")
	if err != nil || ops != nil && !slices.Contains(ops, "verify") {
		return key{}, errors.New("its key_ops don't include verify")
	}
	text := make(map[string]string)
	for _, name := range []string{"kid", "kty", "use", "alg", "crv", "n", "e", "x", "y"} {
		if text[name], err = o.Text(name); err != nil {
			return key{}, err
		}
	}
	if use := text["use"]; use != "" && use != "sig" {
		return key{}, errors.New("its use is not sig")
	}
	if len(text["kid"]) > maxKeyID {
		return key{}, errors.New("its kid is too long")
	}
	k := key{id: text["kid"]}
	jwk, err := jwkset.NewJWKFromMarshal(jwkset.JWKMarshal{
		KTY: jwkset.KTY(text["kty"]), CRV: jwkset.CRV(text["crv"]), N: text["n"], E: text["e"], X: text["x"], Y: text["y"],
	}, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return key{}, err
	}
	k.public = jwk.Key()
	if k.algs = algorithms(k.public); text["alg"] != "" {
		k.algs = slices.DeleteFunc(k.algs, func(alg string) bool { return alg != text["alg"] })
	}
	if len(k.algs) == 0 {
		return key{}, errors.New("it is for none of our algorithms")
	}
	return k, nil
}

// algorithms returns the names of the algorithms whose signatures the key may verify.
func algorithms(public crypto.PublicKey) []string {
	switch p := public.(type) {
	case *rsa.PublicKey:
		if bits := p.N.BitLen(); bits >= minRSABits && bits <= maxRSABits && p.E > 2 && p.E%2 == 1 {
			return []string{"RS256", "PS256"}
		}
	case *ecdsa.PublicKey:
		if p.Curve == elliptic.P256() {
			return []string{"ES256"}
		}
	}
	return nil
}
