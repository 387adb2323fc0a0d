package entratest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// must panics on errors that can't happen in a working process, such as a failing random source or
// a failure to encode our own types.
func must(err error) {
	if err != nil {
		panic("entratest: " + err.Error())
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, err := rand.Read(b)
	must(err)
	return b
}

// opaque returns n random bytes in base64url, for values that only Entra understands.
func opaque(n int) string { return base64.RawURLEncoding.EncodeToString(randomBytes(n)) }

// between returns a random number from low to high, inclusive.
func between(low, high int64) int64 {
	n, err := rand.Int(rand.Reader, big.NewInt(high-low+1))
	must(err)
	return low + n.Int64()
}

// newGUID returns a random GUID (version 4, RFC 9562 section 5.4).
func newGUID() string {
	b := randomBytes(16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// emptyGUID is what programs send if no client ID is configured.
const emptyGUID = "00000000-0000-0000-0000-000000000000"

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// A sealer encrypts values that clients return later: codes, refresh tokens, cookies, the state of
// a form. The tenant stores none of them, so its memory does not grow with what it issues.
type sealer struct{ aead cipher.AEAD }

func newSealer() sealer {
	block, err := aes.NewCipher(randomBytes(32))
	must(err)
	aead, err := cipher.NewGCM(block)
	must(err)
	return sealer{aead}
}

// seal returns v encrypted, in base64url, bound to a purpose.
func (s sealer) seal(purpose string, v any) string {
	plain, err := json.Marshal(v)
	must(err)
	nonce := make([]byte, s.aead.NonceSize())
	_, err = rand.Read(nonce)
	must(err)
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, plain, []byte(purpose)))
}

// open decrypts a value that seal made for the same purpose into v, and reports success.
func (s sealer) open(purpose, text string, v any) bool {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < s.aead.NonceSize() {
		return false
	}
	n := s.aead.NonceSize()
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(purpose))
	return err == nil && json.Unmarshal(plain, v) == nil
}
