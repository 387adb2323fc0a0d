package rpcwire

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
)

// IDs returns the ids that clients sent to them byte for byte. The SDK keeps an id as
// float64 or decoded string: it rounds numbers above 2^53, cuts off fractions, and turns
// two ids into one. Ids that would not survive this are replaced by strings that encode
// them before the SDK reads them, and put back into whatever the SDK writes. No state is
// kept, so that answers replayed from a session's events are right too.
type IDs struct {
	mark []byte // begins our strings; clients can't guess it and never see it
}

// NewIDs returns IDs with a mark of its own.
func NewIDs() *IDs { return &IDs{[]byte(rand.Text())} }

// maxHiddenID bounds what is encoded. Longer strings come back with the same meaning,
// and the SDK rejects longer numbers.
const maxHiddenID = 1 << 10

// Hide returns the body, a message or batch, for the SDK to read. The body itself does
// not change.
func (x *IDs) Hide(body []byte) []byte {
	var found []jsonspan.Span
	for message := range Messages(body) {
		found = append(found, fragileIDs(body, message)...)
	}
	if len(found) == 0 {
		return body
	}
	slices.SortFunc(found, func(a, b jsonspan.Span) int { return a.Start - b.Start })
	var b bytes.Buffer
	at := 0
	for _, v := range found {
		b.Write(body[at:v.Start])
		b.WriteByte('"')
		b.Write(x.mark)
		b.WriteString(hex.EncodeToString(v.Of(body)))
		b.WriteString(`."`)
		at = v.End
	}
	b.Write(body[at:])
	return b.Bytes()
}

// fragileIDs returns where a request or notification has an id, the id of a request that
// it cancels, or a progress token that the SDK would change. The ids of responses are
// the server's own.
func fragileIDs(body []byte, message jsonspan.Span) []jsonspan.Span {
	var found []jsonspan.Span
	look := func(v jsonspan.Span) {
		if !survives(v.Of(body)) {
			found = append(found, v)
		}
	}
	var method string
	var named bool
	var params []jsonspan.Span
	for name, v := range jsonspan.Members(body, message) {
		switch string(name) {
		case "method":
			named, method = true, jsonspan.String(v.Of(body))
		case "id":
			look(v)
		case "params":
			params = append(params, v)
		}
	}
	if !named { // a response
		return nil
	}
	for _, p := range params {
		for name, v := range jsonspan.Members(body, p) {
			switch {
			case string(name) == "requestId" && method == "notifications/cancelled", //nolint:misspell // the protocol's spelling
				string(name) == "progressToken" && method == "notifications/progress":
				look(v)
			case string(name) == "_meta":
				for name, v := range jsonspan.Members(body, v) {
					if string(name) == "progressToken" {
						look(v)
					}
				}
			}
		}
	}
	return found
}

// survives reports whether the SDK writes the value as it read it.
func survives(raw []byte) bool {
	switch c := raw[0]; {
	case len(raw) > maxHiddenID || !json.Valid(raw):
		return true // the SDK rejects it
	case c == '"':
		return bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw)
	case c == '-' || '0' <= c && c <= '9':
		const exact = 1 << 53
		n, err := strconv.ParseInt(string(raw), 10, 64)
		return err == nil && -exact <= n && n <= exact && strconv.FormatInt(n, 10) == string(raw)
	}
	return true
}

// literals are the members whose value is an id. Elsewhere, as in the text of an error,
// an id is put back as text.
var literals = [][]byte{[]byte(`"id":"`), []byte(`"progressToken":"`), []byte(`/subscriptionId":"`)}

// Restore returns what to send of what the SDK has written. These are whole messages: it
// writes each with one call.
func (x *IDs) Restore(written []byte) []byte {
	if !bytes.Contains(written, x.mark) {
		return written
	}
	var b bytes.Buffer
	for {
		i := bytes.Index(written, x.mark)
		if i < 0 {
			b.Write(written)
			return b.Bytes()
		}
		before, rest := written[:i], written[i+len(x.mark):]
		raw, end := hidden(rest)
		if raw == nil { // not one of ours
			b.Write(written[:i+len(x.mark)])
			written = rest
			continue
		}
		isLiteral := end < len(rest) && rest[end] == '"' && slices.ContainsFunc(literals, func(l []byte) bool { return bytes.HasSuffix(before, l) })
		if isLiteral {
			b.Write(before[:i-1])
			b.Write(raw)
			written = rest[end+1:]
			continue
		}
		b.Write(before)
		b.Write(bytes.Trim(raw, `"`))
		written = rest[end:]
	}
}

// hidden decodes what follows the mark, up to the period.
func hidden(text []byte) (raw []byte, end int) {
	end = bytes.IndexByte(text[:min(len(text), 2*maxHiddenID+1)], '.')
	if end < 0 {
		return nil, 0
	}
	raw, err := hex.DecodeString(string(text[:end]))
	if err != nil || len(raw) == 0 || !json.Valid(raw) {
		return nil, 0
	}
	return raw, end + 1
}
