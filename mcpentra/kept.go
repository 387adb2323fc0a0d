package mcpentra

import (
	"fmt"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
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

// smallIfKept is the stage that bounds what a message may leave behind.
func smallIfKept(m *message) error {
	most, kept := keptOf[m.method]
	if !kept || m.call == nil || m.call.size.bytes <= most && m.call.size.values <= maxValues {
		return nil
	}
	e := &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest,
		Message: fmt.Sprintf("The request is too large: send at most %d bytes and %d JSON values for %s", most, maxValues, m.method)}
	m.refuse(func(w http.ResponseWriter, r *http.Request) {
		mcpauth.WriteRefusal(w, r, http.StatusRequestEntityTooLarge, int(e.Code), "body_too_large", e.Message)
	})
	return e
}

// A size is how large a message is; of a batch, the largest of each.
type size struct{ bytes, values int }

func sizeOf(body []byte) (largest size) {
	for message := range messagesOf(body) {
		text := message.Of(body)
		largest.bytes = max(largest.bytes, len(text))
		if len(text) <= maxInitialize { // else it is too large anyway
			largest.values = max(largest.values, jsonspan.Count(text))
		}
	}
	return largest
}
