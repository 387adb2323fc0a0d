package mcpentra

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

const (
	// statePrefix tells our request states from those of tools.
	statePrefix = "mcpentra1."
	// stateLife is how long a user has for what a browser asks for.
	stateLife = 10 * time.Minute
	// statePurpose and cursorPurpose keep states and cursors apart under one key.
	statePurpose, cursorPurpose = "mcpentra request state", "mcpentra cursor"
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

// sealState returns the text of a state.
func sealState(s *seal.Sealer, state requestState) string {
	plain, _ := json.Marshal(state) // texts and numbers: it encodes
	return statePrefix + s.SealText(plain, "")
}

var errState = errors.New("the request state is not one of this server's, or its time is up: make the call without it")

func openState(s *seal.Sealer, text string) (state requestState, err error) {
	sealed, ours := strings.CutPrefix(text, statePrefix)
	if !ours || len(text) > maxState {
		return state, errState
	}
	plain, err := s.OpenText(sealed, "")
	if err != nil || json.Unmarshal(plain, &state) != nil {
		return requestState{}, errState
	}
	return state, nil
}

// newID returns an identifier that can't be guessed.
func newID() string { return rand.Text() }
