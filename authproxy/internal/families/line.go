package families

import (
	"errors"
	"fmt"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/record"
)

// A Token identifies a refresh token.
type Token struct {
	Family, ID grants.ID
	Generation uint64 // how many tokens came before it
}

// A line is the state of a family: the token that was last used successfully.
type line struct {
	ended      bool
	generation uint64
	id         grants.ID
	since      time.Time // when that token was first used
}

// permits returns why the token can't be used at the time, or nil. A nil line permits all tokens.
func (l *line) permits(t Token, now time.Time) error {
	switch {
	case l == nil:
		return nil // no token was used yet, or the store has lost the line
	case l.ended:
		return ErrEnded
	case t.Generation > l.generation:
		return nil // the first successor to be used becomes the line
	case l.holds(t) && now.Sub(l.since) < Grace:
		return nil // its answer was lost, and no successor was used
	default:
		return ErrReused
	}
}

// holds reports whether the token is the one that was last used.
func (l *line) holds(t Token) bool {
	return l != nil && l.generation == t.Generation && l.id == t.ID
}

// lineVersion begins each line.
const lineVersion = 1

func (l *line) marshal() []byte {
	var w record.Writer
	w.Number(lineVersion)
	w.Flag(l.ended)
	if l.ended {
		return w.Bytes()
	}
	w.Number(l.generation)
	w.Fixed(l.id[:])
	w.Number(uint64(l.since.UnixNano()))
	return w.Bytes()
}

var errForeign = errors.New("the store has a value of another program; give the server a prefix or a database of its own")

// unmarshalLine reads what marshal wrote. For no bytes, it returns nil.
func unmarshalLine(b []byte) (*line, error) {
	if b == nil {
		return nil, nil //nolint:nilnil // a line that nobody has begun permits all
	}
	r, l := record.NewReader(b), &line{}
	r.Expect(lineVersion)
	if l.ended = r.Flag(); !l.ended {
		l.generation = r.Number()
		r.Fixed(l.id[:])
		l.since = time.Unix(0, int64(r.Number())) //nolint:gosec // ours
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", errForeign, err)
	}
	return l, nil
}
