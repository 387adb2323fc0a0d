// Package rpcwire reads and changes JSON-RPC messages as bytes, before and after the MCP
// SDK decodes and encodes them.
package rpcwire

import (
	"bytes"
	"encoding/json"
	"iter"

	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
)

// IsBatch reports whether the body is an array.
func IsBatch(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '['
}

// Messages yields the body's message, or each message of its batch.
func Messages(body []byte) iter.Seq[jsonspan.Span] {
	whole := jsonspan.Value(body, 0)
	if IsBatch(body) {
		return jsonspan.Elements(body, whole)
	}
	return func(yield func(jsonspan.Span) bool) { yield(whole) }
}

// A Message is the parts of a message that a server needs.
type Message struct {
	jsonspan.Span
	Method string          // "" for a response
	ID     json.RawMessage // nil if it has none
	Params jsonspan.Span

	fragile bool // it may have values that IDs has to hide
}

// IsCall reports whether the message expects a response.
func (m *Message) IsCall() bool { return m.Method != "" && m.ID != nil }

// Parse appends the body's messages, at most most of them, because an array can have millions.
func Parse(all []Message, body []byte, most int) []Message {
	whole := jsonspan.Value(body, 0)
	if whole.Start == len(body) || body[whole.Start] != '[' {
		return append(all, parse(body, whole))
	}
	for message := range jsonspan.Elements(body, whole) {
		if len(all) == most {
			break
		}
		all = append(all, parse(body, message))
	}
	return all
}

// HasMore reports whether the body has data after its message or batch, which the SDK ignores. The
// messages are those that Parse returned.
func HasMore(body []byte, messages []Message) bool {
	var end int
	if IsBatch(body) {
		end = jsonspan.Value(body, 0).End
	} else {
		end = messages[0].End
	}
	return len(bytes.TrimRight(body[end:], " \t\r\n")) > 0
}

func parse(body []byte, message jsonspan.Span) Message {
	m := Message{Span: message}
	for name, v := range jsonspan.Members(body, message) {
		switch raw := v.Of(body); string(name) {
		case "method":
			m.Method = methodName(raw)
		case "id":
			if m.ID = nil; string(raw) != "null" {
				m.ID = raw
			}
			m.fragile = m.fragile || !survives(raw)
		case "params":
			m.Params = v
			m.fragile = m.fragile || mayHoldIDs(raw)
		}
	}
	return m
}

// methodName decodes a method name, without allocating for the most frequent one.
func methodName(literal []byte) string {
	if string(literal) == `"tools/call"` {
		return "tools/call"
	}
	return jsonspan.String(literal)
}

// Envelope returns a message's method and its ID, which is nil if it has none.
func Envelope(body []byte, message jsonspan.Span) (method string, id json.RawMessage) {
	m := parse(body, message)
	return m.Method, m.ID
}
