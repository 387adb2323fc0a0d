package entraauth_test

import (
	"encoding/base64"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

var algorithmTricks = []hostile{
	{name: "none", change: head("alg", "none"), kind: bad, rule: "algorithm"},
	{name: "None", change: head("alg", "None"), kind: bad, rule: "algorithm"},
	{name: "none, signature kept", change: head("alg", "none"), forge: withSignatureOf, kind: bad, rule: "algorithm"},
	{name: "HS256 with the public key", change: head("alg", "HS256"), kind: bad, rule: "algorithm"},
	{name: "RS384", change: head("alg", "RS384"), kind: bad, rule: "algorithm"},
	{name: "RS512", change: head("alg", "RS512"), kind: bad, rule: "algorithm"},
	{name: "PS256", change: head("alg", "PS256"), kind: bad, rule: "algorithm"},
	{name: "ES256", change: head("alg", "ES256"), kind: bad, rule: "algorithm"},
	{name: "rs256", change: head("alg", "rs256"), kind: bad, rule: "algorithm"},
	{name: "RS256 with space", change: head("alg", "RS256 "), kind: bad, rule: "algorithm"},
	{name: "no alg", change: head("alg", nil), kind: bad, rule: "algorithm"},
	{name: "alg is a list", change: head("alg", []string{"RS256"}), kind: bad, rule: "form"},
	{name: "alg is null", change: head("alg", raw("null")), kind: bad, rule: "form"},
	{name: "Alg beside alg", change: head("Alg", "none"), kind: bad, rule: "form"},
	{name: "no signature", forge: func(_ *fixture, token string) string { return token[:strings.LastIndexByte(token, '.')+1] }, kind: bad, rule: "signature"},
	{name: "signature of zeros", forge: part(2, func(s string) string { return strings.Repeat("A", len(s)) }), kind: bad, rule: "signature"},
	{name: "another token's signature", forge: withSignatureOf, change: claim("name", "Mallory"), kind: bad, rule: "signature"},
	{name: "another tenant's key, our kid", forge: func(f *fixture, token string) string { return stranger(f, keyIDOf(f.t, token)) }, kind: bad, rule: "signature"},
	{name: "another tenant's key, its kid", forge: func(f *fixture, _ string) string { return stranger(f, "") }, kind: bad, rule: "signing key"},
}

// withSignatureOf replaces the signature by that of another, good token.
func withSignatureOf(f *fixture, token string) string {
	other := f.token()
	return token[:strings.LastIndexByte(token, '.')] + other[strings.LastIndexByte(other, '.'):]
}

// stranger returns a token whose claims all fit, signed by another tenant.
func stranger(f *fixture, kid string) string {
	if f.other == nil {
		f.other = entratest.NewTenant(&entratest.Options{Now: f.clock.Now})
		f.t.Cleanup(f.other.Close)
	}
	return f.other.Mint(f.other.AddApp("Same", "access_as_user"), 1, func(h, c map[string]any) {
		c["iss"], c["tid"], c["aud"] = f.tenant.V1Issuer(), f.tenant.ID(), f.api.ClientID
		if kid != "" {
			h["kid"] = kid
		}
	})
}

var headerTricks = []hostile{
	{name: "no kid", change: head("kid", nil), kind: bad, rule: "key id"},
	{name: "empty kid", change: head("kid", ""), kind: bad, rule: "key id"},
	{name: "unknown kid", change: head("kid", "nobody"), kind: bad, rule: "signing key"},
	{name: "kid is a path", change: head("kid", "../../../../dev/null"), kind: bad, rule: "signing key"},
	{name: "kid is SQL", change: head("kid", "x' UNION SELECT 'key"), kind: bad, rule: "signing key"},
	{name: "kid with NUL", change: func(_ *fixture, h, _ map[string]any) { h["kid"] = h["kid"].(string) + "\x00" }, kind: bad, rule: "signing key"},
	{name: "kid in upper case", change: func(_ *fixture, h, _ map[string]any) { h["kid"] = strings.ToUpper(h["kid"].(string)) }, kind: bad, rule: "signing key"},
	{name: "kid of 10 kB", change: head("kid", strings.Repeat("k", 10<<10)), kind: bad, rule: "key id"},
	{name: "kid is a number", change: head("kid", 7), kind: bad, rule: "form"},
	{name: "kid is null", change: head("kid", raw("null")), kind: bad, rule: "form"},
	{name: "KID", change: head("KID", "x"), kind: bad, rule: "form"},
	{name: "kid with the Kelvin sign", change: head("\u212aid", "x"), kind: bad, rule: "form"},
	{name: "crit", change: head("crit", []string{"exp"}), kind: bad, rule: "type"},
	{name: "empty crit", change: head("crit", []string{}), kind: bad, rule: "type"},
	{name: "nonce, as for Graph", change: head("nonce", "x"), kind: bad, rule: "type"},
	{name: "typ of a logout token", change: head("typ", "logout+jwt"), kind: bad, rule: "type"},
	{name: "typ of an ID token", change: head("typ", "id_token"), kind: bad, rule: "type"},
	{name: "typ JWE", change: head("typ", "JWE"), kind: bad, rule: "type"},
	{name: "typ is a number", change: head("typ", 1), kind: bad, rule: "form"},
	{name: "jku of the stranger's", change: head("jku", "https://evil.example/keys"), forge: strangersKey, kind: bad, rule: "signing key"},
	{name: "x5u of the stranger's", change: head("x5u", "https://evil.example/cert"), forge: strangersKey, kind: bad, rule: "signing key"},
	{name: "jwk in the header", change: head("jwk", map[string]any{"kty": "RSA"}), forge: strangersKey, kind: bad, rule: "signing key"},
	{name: "x5c in the header", change: head("x5c", []string{"AAAA"}), forge: strangersKey, kind: bad, rule: "signing key"},
	{name: "header of many members", change: func(_ *fixture, h, _ map[string]any) {
		for i := range 300 {
			h[strings.Repeat("m", i+1)] = i
		}
	}, kind: bad, rule: "form"},
}

// strangersKey signs by a key of the stranger's: what the header says of where
// keys are must not lead there.
func strangersKey(f *fixture, _ string) string { return stranger(f, "") }

var b64 = base64.RawURLEncoding.EncodeToString

// part changes one part of a token.
func part(i int, change func(string) string) func(*fixture, string) string {
	return func(_ *fixture, token string) string {
		parts := strings.Split(token, ".")
		parts[i] = change(parts[i])
		return strings.Join(parts, ".")
	}
}

// decoded changes one part of a token before it is encoded.
func decoded(i int, change func(string) string) func(*fixture, string) string {
	return part(i, func(s string) string {
		data, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			panic(err)
		}
		return b64([]byte(change(string(data))))
	})
}

// constant is a change into the text, whatever was there.
func constant(s string) func(string) string { return func(string) string { return s } }

// front puts a member in front of an object's others.
func front(member string) func(string) string {
	return func(s string) string { return strings.Replace(s, "{", "{"+member+",", 1) }
}

func whole(change func(string) string) func(*fixture, string) string {
	return func(_ *fixture, token string) string { return change(token) }
}

var encodingTricks = []hostile{
	{name: "empty", forge: whole(constant("")), kind: bad, rule: "form"},
	{name: "garbage", forge: whole(constant("garbage")), kind: bad, rule: "form"},
	{name: "two dots alone", forge: whole(constant("..")), kind: bad, rule: "form"},
	{name: "two parts", forge: whole(func(s string) string { return s[:strings.LastIndexByte(s, '.')] }), kind: bad, rule: "form"},
	{name: "four parts", forge: whole(func(s string) string { return s + ".x" }), kind: bad, rule: "form"},
	{name: "five parts, as a JWE", forge: whole(func(s string) string { return s + ".x.y" }), kind: bad, rule: "form"},
	{name: "a thousand dots", forge: whole(constant(strings.Repeat(".", 1000))), kind: bad, rule: "form"},
	{name: "1 MiB", forge: whole(constant(strings.Repeat("a", 1<<20))), kind: bad, rule: "form"},
	{name: "just over the bound", forge: whole(func(s string) string { return s + strings.Repeat("A", 64<<10-len(s)+1) }), kind: bad, rule: "form"},
	{name: "white space behind", forge: whole(func(s string) string { return s + " " }), kind: bad, rule: "form"},
	{name: "new line within", forge: part(1, func(s string) string { return s[:8] + "\n" + s[8:] }), kind: bad, rule: "form"},
	{name: "new line in the signature", forge: part(2, func(s string) string { return s[:8] + "\r\n" + s[8:] }), kind: bad, rule: "form"},
	{name: "space before a part", forge: part(1, func(s string) string { return " " + s }), kind: bad, rule: "form"},
	{name: "padded header", forge: part(0, func(s string) string { return s + "=" }), kind: bad, rule: "form"},
	{name: "padded claims", forge: part(1, func(s string) string { return s + "==" }), kind: bad, rule: "form"},
	{name: "padded signature", forge: part(2, func(s string) string { return s + "==" }), kind: bad, rule: "form"},
	{name: "standard base64", forge: part(2, func(s string) string { return strings.Repeat("+/", len(s)/2) }), kind: bad, rule: "form"},
	{name: "signature with stray bits", forge: part(2, func(s string) string { return s[:len(s)-1] + strayBits(s[len(s)-1]) }), kind: bad, rule: "form"},
	{name: "header is no base64", forge: part(0, constant("!")), kind: bad, rule: "form"},
	{name: "header is no JSON", forge: decoded(0, constant("{")), kind: bad, rule: "form"},
	{name: "header is a list", forge: decoded(0, constant("[]")), kind: bad, rule: "form"},
	{name: "header is empty", forge: part(0, constant("")), kind: bad, rule: "form"},
	{name: "header has alg twice", forge: decoded(0, front(`"alg":"none"`)), kind: bad, rule: "form"},
	{name: "header has alg twice, once escaped", forge: decoded(0, front(`"\u0061lg":"none"`)), kind: bad, rule: "form"},
	{name: "header with more behind it", forge: decoded(0, func(s string) string { return s + "{}" }), kind: bad, rule: "form"},
	{name: "claims are no JSON", forge: decoded(1, constant("x")), kind: bad, rule: "form"},
	{name: "claims are null", forge: decoded(1, constant("null")), kind: bad, rule: "form"},
	{name: "claims are text", forge: decoded(1, constant(`"{}"`)), kind: bad, rule: "form"},
	{name: "claims have aud twice", forge: decoded(1, front(`"aud":"https://graph.microsoft.com"`)), kind: bad, rule: "form"},
	{name: "claims have scp twice, once escaped", forge: decoded(1, front(`"s\u0063p":"admin"`)), kind: bad, rule: "form"},
	{name: "claims with a comment", forge: decoded(1, func(s string) string { return s + "//" }), kind: bad, rule: "form"},
	{name: "claims with a comma too many", forge: decoded(1, func(s string) string { return s[:len(s)-1] + ",}" }), kind: bad, rule: "form"},
	{name: "claims are not UTF-8", forge: decoded(1, front("\"a\":\"\xff\"")), kind: bad, rule: "form"},
	{name: "claims with a BOM", forge: decoded(1, func(s string) string { return "\ufeff" + s }), kind: bad, rule: "form"},
	{name: "claims in UTF-16", forge: decoded(1, func(s string) string { return strings.Join(strings.Split(s, ""), "\x00") }), kind: bad, rule: "form"},
	{name: "claims with space behind", forge: decoded(1, func(s string) string { return s + " " }), kind: bad, rule: "signature"},
}

// strayBits returns a character that differs from c in bits that encode nothing:
// the last character of a 256-byte signature has four of them.
func strayBits(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)|1])
}
