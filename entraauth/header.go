package entraauth

import (
	"encoding/base64"
	"fmt"
	"strings"
)

const (
	// maxToken bounds a token, in bytes. Entra's largest are about 16 KiB.
	maxToken = 64 << 10
	// maxKeyID bounds the kid that is looked up and logged.
	maxKeyID = 256
)

// header is the JOSE header of a token (RFC 7515 section 4).
type header struct {
	alg, kid, typ string
	nonce, crit   bool
}

// parseHeader splits a token and decodes its header strictly.
func parseHeader(token string) (header, error) {
	var h header
	encoded, rest, ok := strings.Cut(token, ".")
	if !ok || strings.Count(rest, ".") != 1 {
		return h, fmt.Errorf("%d parts where a signed JWT has 3", strings.Count(token, ".")+1)
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return h, fmt.Errorf("header: %w", err)
	}
	err = eachMember(data, func(name string, value []byte) error {
		switch name {
		case "alg":
			return text(value, &h.alg)
		case "kid":
			return text(value, &h.kid)
		case "typ":
			return text(value, &h.typ)
		case "nonce":
			h.nonce = true
		case "crit":
			h.crit = true
		default:
			switch fold(name) {
			case "alg", "kid", "typ", "nonce", "crit":
				return fmt.Errorf("member %q: names are case-sensitive", name)
			}
		}
		return nil
	})
	if err != nil {
		return h, fmt.Errorf("header: %w", err)
	}
	return h, nil
}
