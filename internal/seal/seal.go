// Package seal encrypts what others keep for us: request states and cursors that
// clients send back, tokens in a shared store.
//
// A [Sealer] serves one purpose. Each value has a name besides, such as the user
// that it is for. A value opens only under the purpose and the name that it was
// sealed for, and only if nobody has changed it.
//
// The cipher is AES-256-GCM. Its key is derived from the operator's and the purpose
// by HKDF (RFC 5869), rather than the purpose being authenticated with each value:
// one key may then serve any number of purposes, and random nonces allow 2³² values
// for each (NIST SP 800-38D, section 8.2.2) instead of for all of them. The name is
// authenticated with the value.
//
// A sealed value is
//
//	key id (4 bytes) | nonce (12) | ciphertext | tag (16)
//
// The key id, derived likewise, finds the key and says nothing else: an unknown one
// tells a key that was removed from a value that was changed.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const (
	keySize = 32 // AES-256
	idSize  = 4
	// maxKeys limits the number of keys.
	maxKeys = 16
	// Overhead is the difference in length between a sealed and a plain value, in bytes.
	Overhead = idSize + 12 + 16
)

// The reasons why Open fails.
var (
	ErrMalformed = errors.New("it does not have the form of a sealed value")
	ErrKey       = errors.New("it was sealed with a key that is no longer, or not yet, among the keys")
	ErrChanged   = errors.New("it was changed, or sealed for another name")
)

// A Sealer seals with its first key and opens with any of its keys, for one purpose. It is safe
// for concurrent use. A nil Sealer opens nothing.
type Sealer struct{ keys []key }

type key struct {
	id   [idSize]byte
	aead cipher.AEAD
}

// New returns a sealer for the purpose, a constant that is unique in this module. Pass 1 to 16
// keys of 32 random bytes each. To rotate keys, add the new key second everywhere, then move it
// first, then remove the old key.
func New(purpose string, keys [][]byte) (*Sealer, error) {
	if len(keys) == 0 || len(keys) > maxKeys {
		return nil, fmt.Errorf("there are %d keys; pass between 1 and %d of %d random bytes each", len(keys), maxKeys, keySize)
	}
	s := &Sealer{}
	var faults []error
	for i, master := range keys {
		switch {
		case len(master) != keySize:
			faults = append(faults, fmt.Errorf("key %d has %d bytes; it must have %d random ones", i, len(master), keySize))
		case bytes.Count(master, []byte{0}) == keySize: // probably a buffer that nothing was read into
			faults = append(faults, fmt.Errorf("key %d is all zero; it must have %d random bytes (openssl rand -base64 %d)", i, keySize, keySize))
		default:
			k, err := derive(master, purpose)
			if err != nil {
				faults = append(faults, fmt.Errorf("key %d: %w", i, err))
			}
			s.keys = append(s.keys, k)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return s, nil
}

// Random returns a sealer with a random key that only this process has.
func Random(purpose string) *Sealer {
	master := make([]byte, keySize)
	_, _ = rand.Read(master)               // never fails
	s, _ := New(purpose, [][]byte{master}) // the key is valid
	return s
}

func derive(master []byte, purpose string) (key, error) {
	okm, err := hkdf.Key(sha256.New, master, nil, "mcp-entra-go seal v1 "+purpose, keySize+idSize)
	if err != nil {
		return key{}, err
	}
	block, err := aes.NewCipher(okm[:keySize])
	if err != nil {
		return key{}, err
	}
	k := key{id: [idSize]byte(okm[keySize:])}
	k.aead, err = cipher.NewGCMWithRandomNonce(block)
	return k, err
}

// Seal returns the sealed value.
func (s *Sealer) Seal(plain []byte, name string) []byte {
	k := s.keys[0]
	b := append(make([]byte, 0, len(plain)+Overhead), k.id[:]...)
	return k.aead.Seal(b, nil, plain, []byte(name)) //nolint:gosec // the AEAD generates a random nonce itself
}

// Open returns the plain value. Its errors are those of this package.
func (s *Sealer) Open(sealed []byte, name string) ([]byte, error) {
	if s == nil {
		return nil, ErrKey
	}
	if len(sealed) < Overhead {
		return nil, ErrMalformed
	}
	err := ErrKey
	for _, k := range s.keys {
		if !bytes.Equal(k.id[:], sealed[:idSize]) {
			continue
		}
		if plain, openErr := k.aead.Open(nil, nil, sealed[idSize:], []byte(name)); openErr == nil {
			return plain, nil
		}
		err = ErrChanged // try on: two keys may share an ID
	}
	return nil, err
}

// SealText returns the sealed value as base64url.
func (s *Sealer) SealText(plain []byte, name string) string {
	return base64.RawURLEncoding.EncodeToString(s.Seal(plain, name))
}

// OpenText opens the result of SealText. It accepts only that exact spelling.
func (s *Sealer) OpenText(text, name string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") { // encoding/base64 skips these
		return nil, ErrMalformed
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, ErrMalformed
	}
	return s.Open(sealed, name)
}
