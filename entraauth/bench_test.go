package entraauth_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
)

// BenchmarkVerify is a whole verification, keys at hand.
func BenchmarkVerify(b *testing.B) {
	f := newFixture(b, nil)
	token := f.token()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.verifier.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignatureAlone is the part of it that no verifier can do without.
func BenchmarkSignatureAlone(b *testing.B) {
	f := newFixture(b, nil)
	token := f.token()
	key, ok := f.tenant.PublicKey(keyIDOf(b, token))
	if !ok {
		b.Fatal("no key")
	}
	i := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		sum := sha256.Sum256([]byte(token[:i]))
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}
