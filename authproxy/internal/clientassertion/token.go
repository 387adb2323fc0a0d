package clientassertion

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/strictjson"
)

// maxAssertion bounds an assertion, in bytes.
const maxAssertion = 8 << 10

// methods are the algorithms that clients may sign with.
var methods = map[string]jwt.SigningMethod{
	"RS256": jwt.SigningMethodRS256,
	"PS256": jwt.SigningMethodPS256,
	"ES256": jwt.SigningMethodES256,
}

// Algorithms are the values of token_endpoint_auth_signing_alg_values_supported.
func Algorithms() []string { return []string{"RS256", "PS256", "ES256"} }

// A token is what an assertion says, which is worth nothing until its signature is verified.
// Times that it doesn't have are zero.
type token struct {
	method    jwt.SigningMethod
	kid       string
	signed    string // what the signature is of
	signature []byte

	issuer, subject, audience, id string
	expires, notBefore, issuedAt  time.Time
}

// Subject returns the client ID in an assertion that is not verified yet, for requests
// without a client_id (RFC 7521, section 4.2); or "".
func Subject(assertion string) string {
	t, err := parse(assertion)
	if err != nil {
		return ""
	}
	return t.subject
}

// parse reads an assertion without judging what it says.
func parse(assertion string) (*token, error) {
	if len(assertion) > maxAssertion {
		return nil, errors.New("it is longer than 8 KiB")
	}
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return nil, errors.New("it is not a signed JWT: three parts with dots between them")
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return nil, errors.New("a part of it is not base64url")
		}
	}
	t := &token{signed: assertion[:len(parts[0])+1+len(parts[1])], signature: decoded[2]}
	if err := t.readHeader(decoded[0]); err != nil {
		return nil, err
	}
	return t, t.readClaims(decoded[1])
}

func (t *token) readHeader(text []byte) error {
	o, err := strictjson.Parse(text)
	if err != nil {
		return errors.New("its header is not a JSON object with unique names")
	}
	alg, err := o.Text("alg")
	if err != nil || methods[alg] == nil {
		return errors.New("its alg must be RS256, PS256 or ES256")
	}
	t.method = methods[alg]
	if t.kid, err = o.Text("kid"); err != nil {
		return errors.New("its kid must be a string")
	}
	if _, ok := o["crit"]; ok {
		return errors.New("its header has crit; no extensions are understood")
	}
	switch typ, err := o.Text("typ"); {
	case err != nil:
		return errors.New("its typ must be a string")
	case typ != "" && !strings.EqualFold(typ, "JWT") && !strings.EqualFold(typ, "client-authentication+jwt"):
		return errors.New("its typ must be JWT or client-authentication+jwt") // a token of another kind
	}
	return nil
}

func (t *token) readClaims(text []byte) error {
	o, err := strictjson.Parse(text)
	if err != nil {
		return errors.New("its claims are not a JSON object with unique names")
	}
	for name, to := range map[string]*string{"iss": &t.issuer, "sub": &t.subject, "jti": &t.id} {
		if *to, err = o.Text(name); err != nil {
			return errors.New("its iss, sub and jti must be strings")
		}
	}
	for name, to := range map[string]*time.Time{"exp": &t.expires, "nbf": &t.notBefore, "iat": &t.issuedAt} {
		seconds, err := o.Number(name)
		if err != nil || o.Has(name) && !(seconds > 0 && seconds < 1e11) {
			return errors.New("its exp, nbf and iat must be times in seconds")
		}
		if o.Has(name) {
			*to = time.UnixMilli(int64(seconds * 1000))
		}
	}
	t.audience, err = audience(o)
	return err
}

// audience returns the one value of aud, which may be in an array (RFC 7519, section 4.1.3).
// An assertion that is also for another server would let that server use it here.
func audience(o strictjson.Object) (string, error) {
	if raw := o["aud"]; !bytes.HasPrefix(raw, []byte("[")) {
		s, err := o.Text("aud")
		if err != nil {
			return "", errors.New("its aud must be a string")
		}
		return s, nil
	}
	list, err := o.Texts("aud")
	if err != nil || len(list) != 1 {
		return "", errors.New("its aud must be one value")
	}
	return list[0], nil
}
