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
	whole := jsonspan.Value(body, 0)
	var found []jsonspan.Span
	if IsBatch(body) {
		for message := range jsonspan.Elements(body, whole) {
			found = appendFragile(found, body, message)
		}
	} else {
		found = appendFragile(nil, body, whole)
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

// appendFragile adds where a request or notification has an id, the id of a request that
// it cancels, or a progress token that the SDK would change. The ids of responses are the
// server's own.
func appendFragile(found []jsonspan.Span, body []byte, message jsonspan.Span) []jsonspan.Span {
	before := len(found)
	method, named, manyParams := "", false, false
	var params jsonspan.Span
	for name, v := range jsonspan.Members(body, message) {
		switch string(name) {
		case "method":
			method, named = methodName(v.Of(body)), true
		case "id":
			if !survives(v.Of(body)) {
				found = append(found, v)
			}
		case "params":
			manyParams, params = manyParams || params.End > 0, v
		}
	}
	if !named { // a response
		return found[:before]
	}
	if !manyParams {
		return appendFragileIn(found, body, params, method)
	}
	for name, v := range jsonspan.Members(body, message) {
		if string(name) == "params" {
			found = appendFragileIn(found, body, v, method)
		}
	}
	return found
}

// appendFragileIn does that for the parameters of a method. Those that by a quick look
// have no id, like most, are not read.
func appendFragileIn(found []jsonspan.Span, body []byte, params jsonspan.Span, method string) []jsonspan.Span {
	text := params.Of(body)
	if !bytes.Contains(text, []byte("progressToken")) && !bytes.Contains(text, []byte("requestId")) && bytes.IndexByte(text, '\\') < 0 {
		return found
	}
	for name, v := range jsonspan.Members(body, params) {
		switch {
		case string(name) == "requestId" && method == "notifications/cancelled", //nolint:misspell // the protocol's spelling
			string(name) == "progressToken" && method == "notifications/progress":
			if !survives(v.Of(body)) {
				found = append(found, v)
			}
		case string(name) == "_meta":
			for name, v := range jsonspan.Members(body, v) {
				if string(name) == "progressToken" && !survives(v.Of(body)) {
					found = append(found, v)
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
