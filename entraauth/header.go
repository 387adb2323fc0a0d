package entraauth

import (
	"encoding/base64"
	"errors"
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

// split returns the three parts of a signed JWT (RFC 7515 section 3.1).
func split(token string) (parts [3]string, err error) {
	var ok, more bool
	var rest string
	parts[0], rest, ok = strings.Cut(token, ".")
	if ok {
		parts[1], parts[2], ok = strings.Cut(rest, ".")
		more = strings.Contains(parts[2], ".")
	}
	if !ok || more {
		return parts, fmt.Errorf("%d parts where a signed JWT has 3", strings.Count(token, ".")+1)
	}
	return parts, nil
}

// decodePart decodes base64url without padding, stray bits or line breaks, which
// encoding/base64 passes over even when strict: one token has one spelling.
func decodePart(s string) ([]byte, error) {
	if strings.IndexByte(s, '\r') >= 0 || strings.IndexByte(s, '\n') >= 0 {
		return nil, errors.New("line break")
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// decode decodes the header strictly.
func (h *header) decode(encoded string) error {
	data, err := decodePart(encoded)
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if err := eachMember(data, h.set); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	return nil
}

func (h *header) set(name, value string) error {
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
}
