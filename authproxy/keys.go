package authproxy

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

const (
	// minKey is the least length of a key, in bytes.
	minKey = 32
	// maxKeys is how many keys there may be.
	maxKeys = 16
)

// deriveKeys checks the operator's keys and derives ones of minKey bytes from them.
func deriveKeys(keys [][]byte) ([][]byte, error) {
	if len(keys) == 0 || len(keys) > maxKeys {
		return nil, fmt.Errorf("got %d keys; pass 1 to %d, each of %d random bytes (openssl rand -base64 %d)", len(keys), maxKeys, minKey, minKey)
	}
	var all [][]byte
	var faults []error
	for i, key := range keys {
		switch {
		case len(key) < minKey:
			faults = append(faults, fmt.Errorf("key %d has %d bytes; it must have at least %d random ones", i, len(key), minKey))
		case bytes.Count(key, []byte{0}) == len(key): // probably a buffer that was never filled
			faults = append(faults, fmt.Errorf("key %d is all zero; it must have random bytes", i))
		default:
			derived, err := hkdf.Key(sha256.New, key, nil, "mcp-entra-go authproxy v1", minKey)
			if err != nil {
				faults = append(faults, err)
			}
			all = append(all, derived)
		}
	}
	return all, errors.Join(faults...)
}

// seals are the sealers, one for each purpose.
type seals struct {
	code, refresh, transaction, form, consent, answer *seal.Sealer
}

func newSeals(keys [][]byte) (s seals, err error) {
	for purpose, sealer := range map[string]**seal.Sealer{
		"code": &s.code, "refresh": &s.refresh, "transaction": &s.transaction,
		"form": &s.form, "consent": &s.consent, "answer": &s.answer,
	} {
		made, fault := seal.New("authproxy "+purpose, keys)
		*sealer, err = made, errors.Join(err, fault)
	}
	return s, err
}
