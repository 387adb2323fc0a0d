package mcpentra

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

// ids returns to clients the ids that they sent, to the byte. The SDK keeps an id
// as float64 or decoded string, so that numbers above 2^53 come back rounded,
// fractions cut off, and two ids can become one. What would not survive that is
// replaced, before the SDK reads it, by a string that holds it, and put back in
// whatever the SDK writes. Nothing is remembered, so an answer that is replayed
// from a session's events is right too.
type ids struct {
	mark []byte // begins our strings: no client can guess it, and none sees it
}

func newIDs() *ids { return &ids{[]byte(rand.Text())} }

// maxHiddenID bounds what is kept. Longer strings are returned with the same
// meaning, and the SDK refuses longer numbers.
const maxHiddenID = 1 << 10

// hide returns the body, a message or batch, as the SDK may read it. The body
// itself is not changed.
func (x *ids) hide(body []byte) []byte {
	var found []jsonspan.Span
	for message := range messagesOf(body) {
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

// messagesOf yields the message of a body, or each of its batch.
func messagesOf(body []byte) func(func(jsonspan.Span) bool) {
	whole := jsonspan.Value(body, 0)
	if isBatch(body) {
		return jsonspan.Elements(body, whole)
	}
	return func(yield func(jsonspan.Span) bool) { yield(whole) }
}

// fragileIDs returns where a request or notification has an id, the id of a
// request that it cancels, or a progress token that the SDK would change. The
// ids of responses are the server's own.
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
		switch name {
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
			case name == "requestId" && method == "notifications/cancelled", name == "progressToken" && method == "notifications/progress":
				look(v)
			case name == "_meta":
				for name, v := range jsonspan.Members(body, v) {
					if name == "progressToken" {
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
		return true // the SDK's to refuse
	case c == '"':
		return bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw)
	case c == '-' || '0' <= c && c <= '9':
		const exact = 1 << 53
		n, err := strconv.ParseInt(string(raw), 10, 64)
		return err == nil && -exact <= n && n <= exact && strconv.FormatInt(n, 10) == string(raw)
	}
	return true
}

// literals are the members whose value is an id: there it is put back as it was.
// Elsewhere, in the text of an error, it is put back as text.
var literals = [][]byte{[]byte(`"id":"`), []byte(`"progressToken":"`), []byte(`/subscriptionId":"`)}

// restore returns what is to be sent of what the SDK has written: whole
// messages, for it writes each by one call.
func (x *ids) restore(written []byte) []byte {
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
		if raw == nil { // none of ours
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

// hidden decodes what follows the mark, up to the full stop.
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
