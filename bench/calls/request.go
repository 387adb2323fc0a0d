package calls

import (
	"bytes"
	"fmt"
	"net/http"
)

// The protocol versions that requests are written for. Each request stands alone:
// nothing is initialized before.
const (
	Old = "2025-06-18" // spoken by all contestants
	New = "2026-07-28"
)

// A Request is one MCP request, sent again and again.
type Request struct {
	Name   string
	Header http.Header
	Body   string
	// Want is what a good answer's body holds.
	Want string
	wire []byte // the whole of it, as it is sent
}

// Call is tools/call of [Called] with that token.
func Call(version, token string) Request {
	return request(version, token, "tools/call", Called, `"name":"`+Called+`","arguments":{"text":"the","limit":5}`, "Questions to the landlord")
}

// Ping is tools/call of examples/server's tool without arguments.
func Ping(token string) Request {
	return request(New, token, "tools/call", "secure_ping", `"name":"secure_ping","arguments":{}`, "ping successful")
}

// List is tools/list.
func List(version, token string) Request {
	return request(version, token, "tools/list", "", "", Called)
}

func request(version, token, method, name, params, want string) Request {
	h := http.Header{}
	h.Set("Authorization", "Bearer "+token)
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json, text/event-stream")
	h.Set("User-Agent", "bench/1.0")
	h.Set("Mcp-Protocol-Version", version)
	if version == New {
		h.Set("Mcp-Method", method)
		if name != "" {
			h.Set("Mcp-Name", name)
			params += ","
		}
		params += `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + New + `",` +
			`"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0"},"io.modelcontextprotocol/clientCapabilities":{}}`
	}
	r := Request{
		Name: method, Header: h, Want: want,
		Body: fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s}}`, method, params),
	}
	r.wire = r.onWire()
	return r
}

// WithBody is the request with another body.
func (r Request) WithBody(body string) Request {
	r.Body = body
	r.wire = r.onWire()
	return r
}

func (r *Request) onWire() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n", len(r.Body))
	_ = r.Header.Write(&b) // to memory
	b.WriteString("\r\n" + r.Body)
	return b.Bytes()
}
