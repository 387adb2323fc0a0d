package clientdoc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

func ecKey(curve elliptic.Curve) *ecdsa.PrivateKey {
	return must(ecdsa.GenerateKey(curve, rand.Reader))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func number(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

// jwk returns a public key as JSON with other members on top.
func jwk(public crypto.PublicKey, others members) members {
	m := members{}
	switch p := public.(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", number(p.N), number(big.NewInt(int64(p.E)))
	case *ecdsa.PublicKey:
		point := must(p.Bytes())
		half := (len(point) - 1) / 2
		m["kty"], m["crv"] = "EC", p.Curve.Params().Name
		m["x"] = base64.RawURLEncoding.EncodeToString(point[1 : 1+half])
		m["y"] = base64.RawURLEncoding.EncodeToString(point[1+half:])
	}
	maps.Copy(m, others)
	return m
}

func keySet(keys ...members) string { return string(must(json.Marshal(members{"keys": keys}))) }

var noKey = want{clientdoc.ErrNoKey, http.StatusUnauthorized, oauth.InvalidClient, "key set at the client's jwks_uri"}

func TestKeys(t *testing.T) {
	t.Parallel()
	r, e, e384 := &rsaKey().PublicKey, &ecKey(elliptic.P256()).PublicKey, &ecKey(elliptic.P384()).PublicKey
	small := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 2046, 1), E: 65537}
	large := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 4096, 1), E: 65537}
	withE := func(e string) members { return jwk(r, members{"kid": "a", "e": e}) }
	for name, tt := range map[string]struct {
		set      string
		kid, alg string
		key      crypto.PublicKey
		want     want
	}{
		"RS256":               {keySet(jwk(r, members{"kid": "a"})), "a", "RS256", r, want{}},
		"PS256":               {keySet(jwk(r, members{"kid": "a"})), "a", "PS256", r, want{}},
		"ES256":               {keySet(jwk(e, members{"kid": "a"})), "a", "ES256", e, want{}},
		"with all members":    {keySet(jwk(r, members{"kid": "a", "use": "sig", "key_ops": []string{"verify"}, "alg": "RS256", "x5u": "https://10.0.0.1/", "x5c": []string{"?"}})), "a", "RS256", r, want{}},
		"among others":        {keySet(members{"kty": "OKP"}, members{}, jwk(r, members{"kid": "b"}), jwk(e, members{"kid": "a"})), "a", "ES256", e, want{}},
		"same kid, two kinds": {keySet(jwk(r, members{"kid": "a"}), jwk(e, members{"kid": "a"})), "a", "ES256", e, want{}},
		"no kid":              {keySet(jwk(r, nil), jwk(e, nil)), "", "RS256", r, want{}},
		"no kid, one has":     {keySet(jwk(r, members{"kid": "a"})), "", "RS256", r, want{}},

		"another kid":            {keySet(jwk(r, members{"kid": "a"})), "b", "RS256", nil, noKey},
		"kid in capitals":        {keySet(jwk(r, members{"kid": "a"})), "A", "RS256", nil, noKey},
		"key without kid":        {keySet(jwk(r, nil)), "a", "RS256", nil, noKey},
		"no kid, two keys":       {keySet(jwk(r, members{"kid": "a"}), jwk(r, members{"kid": "b"})), "", "RS256", nil, noKey},
		"same kid, same kind":    {keySet(jwk(r, members{"kid": "a"}), jwk(r, members{"kid": "a"})), "a", "RS256", nil, noKey},
		"RSA for ES256":          {keySet(jwk(r, members{"kid": "a"})), "a", "ES256", nil, noKey},
		"EC for RS256":           {keySet(jwk(e, members{"kid": "a"})), "a", "RS256", nil, noKey},
		"alg of another":         {keySet(jwk(r, members{"kid": "a", "alg": "PS256"})), "a", "RS256", nil, noKey},
		"HS256 asked":            {keySet(jwk(r, members{"kid": "a"})), "a", "HS256", nil, noKey},
		"none asked":             {keySet(jwk(r, members{"kid": "a"})), "a", "none", nil, noKey},
		"alg of none of ours":    {keySet(jwk(r, members{"kid": "a", "alg": "RS512"})), "a", "RS256", nil, invalid("no public key")},
		"use enc":                {keySet(jwk(r, members{"kid": "a", "use": "enc"})), "a", "RS256", nil, invalid("no public key")},
		"key_ops sign":           {keySet(jwk(r, members{"kid": "a", "key_ops": []string{"sign"}})), "a", "RS256", nil, invalid("no public key")},
		"private key":            {keySet(jwk(r, members{"kid": "a", "d": number(rsaKey().D)})), "a", "RS256", nil, invalid("no public key")},
		"symmetric":              {keySet(members{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}), "a", "HS256", nil, invalid("no public key")},
		"symmetric in disguise":  {keySet(jwk(r, members{"kid": "a", "k": "c2VjcmV0"})), "a", "RS256", nil, invalid("no public key")},
		"too few bits":           {keySet(jwk(small, members{"kid": "a"})), "a", "RS256", nil, invalid("no public key")},
		"too many bits":          {keySet(jwk(large, members{"kid": "a"})), "a", "RS256", nil, invalid("no public key")},
		"e 1":                    {keySet(withE("AQ")), "a", "RS256", nil, invalid("no public key")},
		"e even":                 {keySet(withE("AQAA")), "a", "RS256", nil, invalid("no public key")},
		"e beyond 64 bits":       {keySet(withE("AQAAAAAAAQAB")), "a", "RS256", nil, invalid("no public key")},
		"another curve":          {keySet(jwk(e384, members{"kid": "a"})), "a", "ES256", nil, invalid("no public key")},
		"curve confusion":        {keySet(jwk(e384, members{"kid": "a", "crv": "P-256"})), "a", "ES256", nil, invalid("no public key")},
		"not on the curve":       {keySet(jwk(e, members{"kid": "a", "y": number(big.NewInt(1))})), "a", "ES256", nil, invalid("no public key")},
		"a kid that is a number": {keySet(jwk(r, members{"kid": 1})), "1", "RS256", nil, invalid("no public key")},
		"a long kid":             {keySet(jwk(r, members{"kid": strings.Repeat("a", 257)})), strings.Repeat("a", 257), "RS256", nil, invalid("no public key")},
		"a member twice":         {strings.Replace(keySet(jwk(r, members{"kid": "a"})), `"kid":"a"`, `"kid":"a","kid":"a"`, 1), "a", "RS256", nil, invalid("no public key")},
		"no keys":                {keySet(), "a", "RS256", nil, invalid("no public key")},
		"keys is an object":      {`{"keys":{}}`, "a", "RS256", nil, invalid("keys must be an array")},
		"keys twice":             {`{"keys":[],"keys":[]}`, "a", "RS256", nil, invalid("twice")},
		"keys of another kind":   {`{"keys":["a",1,null,[]]}`, "a", "RS256", nil, invalid("no public key")},
		"a document":             {document(clientURL, nil), "a", "RS256", nil, invalid("no public key")},
		"not JSON":               {"<html>", "a", "RS256", nil, invalid("not JSON")},
		"101 keys":               {keySet(make([]members, 101)...), "a", "RS256", nil, invalid("more than 100")},
		"64 KiB":                 {padTo(keySet(jwk(r, members{"kid": "a"})), 64<<10), "a", "RS256", r, want{}},
		"more than 64 KiB":       {padTo(keySet(jwk(r, members{"kid": "a"})), 64<<10+1), "a", "RS256", nil, invalid("larger than 65536")},
	} {
		n := newInternet(t, answer(200, "application/jwk-set+json", tt.set))
		got, err := n.Key(t.Context(), keysURL, tt.kid, tt.alg)
		if fault := tt.want.fault(err); fault != "" {
			t.Errorf("%s: %s", name, fault)
		} else if k, ok := tt.key.(interface{ Equal(crypto.PublicKey) bool }); ok && !k.Equal(got) {
			t.Errorf("%s: got another key", name)
		}
		if got := n.requests.Load(); got != 1 {
			t.Errorf("%s: %d requests, want 1", name, got)
		}
	}
}

func padTo(s string, size int) string { return s + strings.Repeat(" ", size-len(s)) }

// jwks_uri is fetched as documents are.
func TestKeysAreGuarded(t *testing.T) {
	t.Parallel()
	set := keySet(jwk(&rsaKey().PublicKey, members{"kid": "a"}))
	n := newInternet(t, answer(200, "application/json", set))
	n.set("private.example", "10.0.0.1")
	n.set("mixed.example", "8.8.8.8", "127.0.0.1")
	for uri, want := range map[string]want{
		keysURL: {}, "https://private.example/k": unavailable, "https://mixed.example/k": unavailable,
		"https://127.0.0.1/k": badURL, "http://client.example/k": badURL, "https://localhost/k": badURL, "": badURL, "file:///etc/passwd": badURL,
	} {
		if _, err := n.Key(t.Context(), uri, "a", "RS256"); want.fault(err) != "" {
			t.Errorf("Key(%q): %s", uri, want.fault(err))
		}
	}
	moved := newInternet(t, redirect(302, "/other"))
	if _, err := moved.Key(t.Context(), "https://client.example/app.json", "a", "RS256"); invalid("redirect").fault(err) != "" {
		t.Error(invalid("redirect").fault(err))
	}
}

// A kid that is not there fetches the set again, at most once a minute.
func TestUnknownKid(t *testing.T) {
	t.Parallel()
	oldSet := keySet(jwk(&rsaKey().PublicKey, members{"kid": "old"}))
	newSet := keySet(jwk(&rsaKey().PublicKey, members{"kid": "old"}), jwk(&ecKey(elliptic.P256()).PublicKey, members{"kid": "new"}))
	var set atomic.Value
	set.Store(oldSet)
	n := newInternet(t, func(w http.ResponseWriter, _ *http.Request) {
		if set.Load() == "" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, set.Load().(string))
	})
	check := func(step, kid, alg string, want want, requests int64) {
		t.Helper()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := n.Key(t.Context(), keysURL, kid, alg); want.fault(err) != "" {
					t.Errorf("%s: %s", step, want.fault(err))
				}
			})
		}
		wg.Wait()
		if got := n.requests.Load(); got != requests {
			t.Errorf("%s: %d requests, want %d", step, got, requests)
		}
	}
	check("first", "old", "RS256", want{}, 1)
	check("unknown, fetched just now", "new", "ES256", noKey, 1)
	n.clock.Advance(time.Minute - 1)
	check("unknown, still in the minute", "new", "ES256", noKey, 1)
	n.clock.Advance(1)
	check("unknown, a minute later", "new", "ES256", noKey, 2)
	check("the known one", "old", "RS256", want{}, 2)
	n.clock.Advance(time.Minute)
	set.Store("")
	check("unknown, and the host is down", "new", "ES256", unavailable, 3)
	check("again", "new", "ES256", unavailable, 3)
	check("the known one stays", "old", "RS256", want{}, 3)
	n.clock.Advance(time.Minute)
	set.Store(newSet)
	check("the new key", "new", "ES256", want{}, 4)
	n.clock.Advance(time.Hour - 1)
	check("it is kept", "new", "ES256", want{}, 4)
	set.Store(oldSet)
	n.clock.Advance(1)
	check("a key that is gone", "new", "ES256", noKey, 5)
}
