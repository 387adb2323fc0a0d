package walk

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// Limits on a cursor in bytes. The service's marker contains the name of a blob, up to
// 1,024 characters of up to 4 bytes, in base64.
const (
	maxCursor = 32 << 10
	maxMarker = 8 << 10
)

const cursorVersion = 1

// cursor is what a listing or a search needs to continue, as base64url of JSON. It is not a
// secret and grants nothing: all checks run again. It is sealed only if a policy hides
// something from the caller, because the service's marker contains the next blob's name.
type cursor[P any] struct {
	Version int    `json:"v"`
	Query   string `json:"q"` // fingerprint of what is listed
	At      P      `json:"at"`
}

// Position is the content of a cursor.
type Position interface {
	// Valid reports whether this server can have issued it.
	Valid() bool
}

// Query returns the fingerprint of a query: its tool, set and arguments.
func Query(parts ...any) string {
	sum := sha256.Sum256(mustJSON(parts))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// Cursor returns the cursor of a position in a query, for the caller of that policy.
func Cursor[P Position](policy *toolset.ResourcePolicy, query string, at P) string {
	text := encode(query, at)
	if policy != nil {
		return policy.Seal(text)
	}
	return text
}

// Parse returns the position of a cursor that the caller of that policy has.
func Parse[P Position](policy *toolset.ResourcePolicy, query, text string) (P, error) {
	if policy != nil && len(text) <= maxCursor {
		plain, ok := policy.Open(text)
		if !ok {
			return *new(P), badCursor("was not issued by this server to this caller")
		}
		text = plain
	}
	return decode[P](query, text)
}

// encode returns the cursor of a position in a query.
func encode[P Position](query string, at P) string {
	return base64.RawURLEncoding.EncodeToString(mustJSON(cursor[P]{cursorVersion, query, at}))
}

// decode returns the position of a cursor, which must belong to the query and
// be spelled as [encode] does.
func decode[P Position](query, text string) (P, error) {
	var c cursor[P]
	if len(text) > maxCursor {
		return c.At, badCursor("is too long")
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || json.Unmarshal(data, &c) != nil || !c.At.Valid() {
		return c.At, badCursor("was not issued by this server")
	}
	if c.Version != cursorVersion || c.Query != query {
		return c.At, badCursor("belongs to another call")
	}
	if encode(query, c.At) != text {
		return c.At, badCursor("was not issued by this server")
	}
	return c.At, nil
}

func badCursor(wrong string) error {
	return fault.New(fault.ErrInvalidArgument, "cursor %s; pass next_cursor of the previous result unchanged and keep all other arguments, or omit cursor to start over", wrong)
}

// mustJSON encodes one of this package's types.
func mustJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // names are long enough
	if err := e.Encode(v); err != nil {
		panic("blobtool: " + err.Error()) // the types are constants of the program
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
