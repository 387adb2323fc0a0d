package mcpentra

import (
	"fmt"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
)

const (
	// maxInitialize bounds the request that begins a session, in bytes: the session
	// keeps what it says about the client.
	maxInitialize = 64 << 10
	// maxValues bounds the JSON values of a message that is partly kept: "[]" is two
	// bytes to send and two hundred in memory.
	maxValues = 1000
)

// keptOf bounds the messages, in bytes, whose parameters or id stay in memory with their
// session, subscription or stream; by method.
var keptOf = map[string]int{
	"initialize":                maxInitialize,
	"notifications/initialized": 8 << 10,
	"logging/setLevel":          8 << 10,
	"resources/subscribe":       8 << 10,
	"subscriptions/listen":      maxInitialize,
}

// smallIfKept is the stage that bounds what a message may leave behind: of a batch, each
// counts as the largest.
func smallIfKept(m *message) error {
	most, kept := keptOf[m.method]
	if !kept || m.call == nil || m.call.isSmall(most) {
		return nil
	}
	e := &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest,
		Message: fmt.Sprintf("The request is too large: send at most %d bytes and %d JSON values for %s", most, maxValues, m.method)}
	m.refuse(func(w http.ResponseWriter, r *http.Request) {
		mcpauth.WriteRefusal(w, r, http.StatusRequestEntityTooLarge, int(e.Code), "body_too_large", e.Message)
	})
	return e
}
