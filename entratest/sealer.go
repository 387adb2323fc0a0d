package entratest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
)

// A sealer makes opaque values out of what the server wants to see again: codes,
// refresh tokens, cookies, the state of a form. Nothing about them is kept, so
// a tenant's memory does not grow with what it has handed out.
type sealer struct{ aead cipher.AEAD }

func newSealer() sealer {
	block, err := aes.NewCipher(randomBytes(32))
	must(err)
	aead, err := cipher.NewGCM(block)
	must(err)
	return sealer{aead}
}

// seal returns v in base64url, for one purpose alone.
func (s sealer) seal(purpose string, v any) string {
	plain, err := json.Marshal(v)
	must(err)
	nonce := make([]byte, s.aead.NonceSize())
	_, err = rand.Read(nonce)
	must(err)
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, plain, []byte(purpose)))
}

// open reads into v what seal made for the same purpose, and reports whether it was that.
func (s sealer) open(purpose, text string, v any) bool {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < s.aead.NonceSize() {
		return false
	}
	n := s.aead.NonceSize()
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(purpose))
	return err == nil && json.Unmarshal(plain, v) == nil
}
