package obo

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
)

const (
	storeKeySize = 32 // AES-256
	sealVersion  = 1
	keyIDSize    = 8
	sealHeader   = 1 + keyIDSize
	// sealPurpose keeps a value that the same key has sealed for something else
	// from being taken for a token.
	sealPurpose = "mcp-entra-go obo token v1\x00"
	// maxStoreKeys bounds how many old keys can be kept.
	maxStoreKeys = 16
)

// sealer seals with the first key and opens with any. An envelope is
// version | key id | nonce | ciphertext and tag. Version, key id, purpose and
// name are authenticated with it (AES-256-GCM, random nonces of 96 bits: NIST SP
// 800-38D, section 8.2.2, bounds them to 2³² a key).
type sealer struct {
	keys []sealKey
}

type sealKey struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

func newSealer(keys [][]byte) (*sealer, error) {
	s := &sealer{}
	if len(keys) == 0 || len(keys) > maxStoreKeys {
		return nil, fmt.Errorf("has %d keys; between 1 and %d are needed with Options.Store", len(keys), maxStoreKeys)
	}
	for i, key := range keys {
		if len(key) != storeKeySize || bytes.Equal(key, make([]byte, storeKeySize)) {
			return nil, fmt.Errorf("[%d] must be %d random bytes; it has %d, or nothing but zeros", i, storeKeySize, len(key))
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		k := sealKey{aead: aead}
		sum := sha256.Sum256(append([]byte("mcp-entra-go key id\x00"), key...))
		copy(k.id[:], sum[:])
		s.keys = append(s.keys, k)
	}
	return s, nil
}

func (s *sealer) seal(plain []byte, name string) []byte {
	k := s.keys[0]
	b := make([]byte, 0, sealHeader+len(plain)+k.aead.Overhead())
	b = append(append(b, sealVersion), k.id[:]...)
	return k.aead.Seal(b, nil, plain, sealed(b, name)) //nolint:gosec // the AEAD makes a random nonce itself
}

func (s *sealer) open(b []byte, name string) ([]byte, error) {
	if len(b) < sealHeader || b[0] != sealVersion {
		return nil, errors.New("it has not the form of a sealed token")
	}
	for _, k := range s.keys {
		if !bytes.Equal(k.id[:], b[1:sealHeader]) {
			continue
		}
		plain, err := k.aead.Open(nil, nil, b[sealHeader:], sealed(b[:sealHeader], name))
		if err != nil {
			return nil, errors.New("it is damaged, or was sealed for another name")
		}
		return plain, nil
	}
	return nil, errors.New("it was sealed with a key that is not among Options.StoreKeys")
}

// sealed is what the seal vouches for besides the content.
func sealed(header []byte, name string) []byte {
	return append(append([]byte(sealPurpose), header...), name...)
}
