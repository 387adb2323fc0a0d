package mcpentra

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// statePrefix tells our request states from those of tools.
	statePrefix = "mcpentra1."
	// stateLife is how long a user has for what a browser asks for.
	stateLife = 10 * time.Minute
	// maxState bounds what is opened, in bytes.
	maxState = 1024
)

// A requestState is what a client hands back when it makes a call once more, after
// its user has been in a browser. It is sealed: the client can neither read nor
// change it, and any replica with the key opens it. It gives no rights; the
// caller's token does. It says whose it is and of which call, so that it is of
// use for nothing else.
type requestState struct {
	User  string `json:"u"`
	Call  []byte `json:"c"` // hash of tool and arguments
	Until int64  `json:"t"` // Unix seconds
	Round int    `json:"r"`
}

// callHash is the name of a call: tool and arguments.
func callHash(p *mcp.CallToolParamsRaw) []byte {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d:%s", len(p.Name), p.Name) // never fails
	_, _ = h.Write(p.Arguments)
	return h.Sum(nil)
}

// A sealer seals with its first key and opens with all of them.
type sealer []cipher.AEAD

func newSealer(keys [][]byte) (sealer, error) {
	var s sealer
	for i, key := range keys {
		if len(key) != 32 {
			return nil, fmt.Errorf("key %d has %d bytes; it must have 32 random ones", i, len(key))
		}
		if bytes.Count(key, []byte{0}) == len(key) { // a buffer that nothing was read into
			return nil, fmt.Errorf("key %d is all zero; it must have 32 random bytes (openssl rand -base64 32)", i)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		s = append(s, aead)
	}
	return s, nil
}

// seal returns the text of a state. The prefix is part of what is authenticated:
// a key that serves another purpose too can't be made to open it.
func (s sealer) seal(state requestState) string {
	plain, _ := json.Marshal(state) // texts and numbers: it encodes
	return statePrefix + s.sealText(statePrefix, plain)
}

// sealText seals for a purpose, without which it can't be opened.
func (s sealer) sealText(purpose string, plain []byte) string {
	sealed := s[0].Seal(nil, nil, plain, []byte(purpose)) //nolint:gosec // the cipher makes its nonce itself
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// openText is its inverse.
func (s sealer) openText(purpose, text string) (plain []byte, ok bool) {
	if strings.ContainsAny(text, "\r\n") { // which base64 passes over
		return nil, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, false
	}
	for _, aead := range s {
		if plain, err := aead.Open(nil, nil, sealed, []byte(purpose)); err == nil {
			return plain, true
		}
	}
	return nil, false
}

var errState = errors.New("the request state is not one of this server's, or its time is up: make the call without it")

func (s sealer) open(text string) (requestState, error) {
	var state requestState
	encoded, ours := strings.CutPrefix(text, statePrefix)
	if !ours || len(text) > maxState {
		return state, errState
	}
	plain, ok := s.openText(statePrefix, encoded)
	if !ok || json.Unmarshal(plain, &state) != nil {
		return requestState{}, errState
	}
	return state, nil
}

// orRandom returns the sealer, or one with a key of this process alone.
func (s sealer) orRandom() sealer {
	if len(s) > 0 {
		return s
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)           // never fails
	s, _ = newSealer([][]byte{key}) // the key is right
	return s
}

// newID returns an identifier that can't be guessed.
func newID() string { return rand.Text() }
