package entraauth

import (
	"context"

	"github.com/golang-jwt/jwt/v5"
)

// checkSigningKey finds the key that the token names, if need be in a newer key set.
func checkSigningKey(ctx context.Context, v *Verifier, t *candidate) *Error {
	set, err := t.source.find(ctx, t.keys, t.header.kid)
	if err != nil {
		return refusal(err)
	}
	if set == nil {
		return unknownKey(v, t)
	}
	t.keys, t.key = set, set.keys[t.header.kid]
	return nil
}

// checkKeyIssuer: the tenant's set may hold keys of others, which sign for them only.
func checkKeyIssuer(_ context.Context, v *Verifier, t *candidate) *Error {
	if t.key != nil && t.keys.maySign(t.key, &t.claims) {
		return nil
	}
	return unknownKey(v, t)
}

func unknownKey(v *Verifier, t *candidate) *Error {
	return invalid(keyNotFound, "a key of "+v.tenancy.String(), "kid "+t.header.kid, "Get a new token from there")
}

// checkSignature lets golang-jwt verify, with the key that keyfunc serves from
// the key set. The algorithm is RS256 whatever the header says.
func checkSignature(ctx context.Context, v *Verifier, t *candidate) *Error {
	named := &jwt.Token{Header: map[string]any{"alg": "RS256", "kid": t.header.kid}}
	key, err := t.keys.keyfunc.KeyfuncCtx(ctx)(named)
	if err == nil {
		err = jwt.SigningMethodRS256.Verify(t.signed, t.signature, key)
	}
	if err == nil {
		return nil
	}
	e := invalid(signatureInvalid, "a signature by a key of "+v.tenancy.String(), "kid "+t.header.kid,
		"Send the access token exactly as Entra issued it")
	e.cause = err
	return e
}
