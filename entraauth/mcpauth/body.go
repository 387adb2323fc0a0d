package mcpauth

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// The JSON-RPC error codes of refusals, from the range that JSON-RPC leaves to
// servers and outside those that MCP has given a meaning.
const (
	codeUnauthenticated = -32001
	codeForbidden       = -32003
	codeUnavailable     = -32004
)

// WriteBody writes a refusal as a JSON-RPC error, for [entraauth.BearerCheck]. MCP
// clients show its message. It has the id of the refused request: after such an answer
// the SDK's client keeps its connection, while any other body makes it close the
// connection for good.
func WriteBody(w http.ResponseWriter, r *http.Request, status int, e *entraauth.Error) {
	code := codeUnauthenticated
	switch status {
	case http.StatusForbidden:
		code = codeForbidden
	case http.StatusServiceUnavailable:
		code = codeUnavailable
	}
	WriteRefusal(w, r, status, code, e.Reason, e.Error())
}

// WriteError writes a JSON-RPC error with the HTTP status, as the answer to the request
// in r's body. It reads at most 64 KiB of the body, for at most 5 seconds, or all of it
// if it is in memory (it has a method Len). The id is null if the body has none that can
// be found (JSON-RPC 2.0 section 5).
func WriteError(w http.ResponseWriter, r *http.Request, status, code int, message string) {
	WriteRefusal(w, r, status, code, "", message)
}

// WriteRefusal is [WriteError] with a reason, a code that programs can act on, as
// the member "reason" of the error's data.
func WriteRefusal(w http.ResponseWriter, r *http.Request, status, code int, reason, message string) {
	type errorData struct {
		Reason string `json:"reason"` // as in docs/troubleshooting.md
	}
	type rpcError struct {
		Code    int        `json:"code"`
		Message string     `json:"message"`
		Data    *errorData `json:"data,omitempty"`
	}
	var data *errorData
	if reason != "" {
		data = &errorData{reason}
	}
	body := struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   rpcError        `json:"error"`
	}{"2.0", requestID(w, r), rpcError{code, message, data}}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // people read it
	_ = enc.Encode(body)     // an error means that the client is gone
}

// maxRefusedBody and maxRefusedTime bound what is read of a refused request.
const (
	maxRefusedBody = 64 << 10
	maxRefusedTime = 5 * time.Second
)

// requestID returns the id of the JSON-RPC request in the body, or null.
func requestID(w http.ResponseWriter, r *http.Request) json.RawMessage {
	null := json.RawMessage("null")
	if r.Body == nil || r.Body == http.NoBody { // whatever the Content-Type, which may be what is wrong
		return null
	}
	body := io.Reader(r.Body)
	if _, inMemory := r.Body.(interface{ Len() int }); !inMemory { // a body in memory was read within other bounds
		// A writer without deadlines (a test's recorder) has no slow client either.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxRefusedTime))
		body = io.LimitReader(body, maxRefusedBody)
	}
	if id := findID(body); id != nil {
		return id
	}
	return null
}

// findID returns the string or number that is the member "id" of the JSON
// object in body, or nil.
func findID(body io.Reader) json.RawMessage {
	d := json.NewDecoder(body)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil
		}
		if name != "id" {
			continue
		}
		if c := value[0]; c == '"' || c == '-' || (c >= '0' && c <= '9') {
			return value
		}
		return nil
	}
	return nil
}
