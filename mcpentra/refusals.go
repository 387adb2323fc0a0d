package mcpentra

import (
	"encoding/json"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// The JSON-RPC error codes of this server: those of JSON-RPC 2.0 section 5.1, and those
// from the range that it leaves to servers, which are mcpauth's where it has them.
const (
	codeParse          = -32700 // 400: not JSON
	codeBadRequest     = -32600 // 4xx: not a request
	codeMethodNotFound = -32601
	codeInternal       = -32603 // 500
	codeNotFound       = -32001 // 404: a session that is not there, as other servers have it; mcpauth's for 401
	codeRefused        = -32003 // 403
	codeUnavailable    = -32004 // 503
	codeBusy           = -32005 // 429
)

// A rejection answers a request that is not served, whoever sends it, because of its
// form, its host or its path.
type rejection struct {
	status  int
	code    int    // JSON-RPC's
	reason  string // as in docs/troubleshooting.md
	message string // for the caller: what was expected, and what to do
}

// rejectionOf gives a refusal by package edge its JSON-RPC code.
func rejectionOf(why *edge.Refusal) rejection {
	code := codeBadRequest
	switch why.Status {
	case http.StatusForbidden:
		code = codeRefused
	case http.StatusTooManyRequests:
		code = codeBusy
	case http.StatusServiceUnavailable:
		code = codeUnavailable
	}
	return rejection{why.Status, code, why.Reason, why.Message}
}

// sessionNotFound is the answer to a session id that is unknown, and to another
// user's: nobody learns which sessions there are, and a client that comes back with
// another account begins a new one.
var sessionNotFound = rejection{
	http.StatusNotFound, codeNotFound, "session_not_found", "Session not found: begin a new one with initialize",
}

// refusalData is the data of a refusal's JSON-RPC error.
func refusalData(e *entraauth.Error) json.RawMessage {
	data, _ := json.Marshal(map[string]string{"reason": e.Reason}) // a text: it encodes
	return data
}
