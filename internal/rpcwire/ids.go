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

// IDs returns clients' IDs to them byte for byte. The SDK stores an ID as a float64 or a decoded
// string, so it rounds numbers above 2^53, drops fractions, and can make two IDs equal. IDs
// replaces such IDs by strings that encode them before the SDK reads them, and restores them in
// what the SDK writes. It keeps no state, so answers replayed from a session's events are right
// too.
type IDs struct {
	mark []byte // prefix of our strings; clients can't guess it and never see it
}

// NewIDs returns IDs with a random mark.
func NewIDs() *IDs { return &IDs{[]byte(rand.Text())} }

// maxHiddenID limits which IDs are encoded. Longer strings keep their meaning without this, and
// the SDK rejects longer numbers.
const maxHiddenID = 1 << 10

// Hide returns a copy of the body, a message or a batch, for the SDK to read. The messages are
// all that Parse finds in it. It does not change the body.
func (x *IDs) Hide(body []byte, messages []Message) []byte {
	var found []jsonspan.Span
	for i := range messages {
		if m := &messages[i]; m.fragile {
			found = appendFragile(found, body, m.Span)
		}
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

// appendFragile appends the spans of values that the SDK would change: the ID of a request, the ID
// of a request being canceled, and progress tokens. It skips responses, whose IDs are the server's
// own.
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

// mayHoldIDs reports whether parameters may hold IDs. Most don't.
func mayHoldIDs(params []byte) bool {
	return bytes.Contains(params, []byte("progressToken")) || bytes.Contains(params, []byte("requestId")) || bytes.IndexByte(params, '\\') >= 0
}

// appendFragileIn is appendFragile for a method's parameters.
func appendFragileIn(found []jsonspan.Span, body []byte, params jsonspan.Span, method string) []jsonspan.Span {
	if !mayHoldIDs(params.Of(body)) {
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

// survives reports whether the SDK writes the value exactly as it read it.
func survives(raw []byte) bool {
	switch c := raw[0]; {
	case isCount(raw):
		return true
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

// isCount reports whether the value is a number as most clients count their requests.
func isCount(raw []byte) bool {
	const digits = 15
	if len(raw) > digits || raw[0] == '0' && len(raw) > 1 {
		return false
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// literals precede values that are IDs. Elsewhere, such as in an error's text, IDs are restored as
// text.
var literals = [][]byte{[]byte(`"id":"`), []byte(`"progressToken":"`), []byte(`/subscriptionId":"`)}

// Restore returns the bytes to send for what the SDK wrote. The SDK writes each message with one
// call, so written holds whole messages.
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
		if raw == nil { // not ours
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

// hidden decodes the text after the mark, up to the period.
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
