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

// Messages yields the message of a body, or each of its batch.
func Messages(body []byte) iter.Seq[jsonspan.Span] {
	whole := jsonspan.Value(body, 0)
	if IsBatch(body) {
		return jsonspan.Elements(body, whole)
	}
	return func(yield func(jsonspan.Span) bool) { yield(whole) }
}

// Envelope returns the method of a message and its id, nil if it has none.
func Envelope(body []byte, message jsonspan.Span) (method string, id json.RawMessage) {
	for name, v := range jsonspan.Members(body, message) {
		switch raw := v.Of(body); string(name) {
		case "method":
			method = jsonspan.String(raw)
		case "id":
			if id = nil; string(raw) != "null" {
				id = raw
			}
		}
	}
	return method, id
}
