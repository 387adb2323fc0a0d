package mcpentra

import (
	"fmt"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
)

const (
	// maxBatch is how many messages a batch may have.
	maxBatch = 32
	// withoutBatches is the first protocol version that has none.
	withoutBatches = "2025-06-18"
)

// messages is the stage that bounds JSON-RPC batches (protocol 2025-03-26 and older) and
// counts each message against its user's limits before any runs: calls take a place,
// notifications and answers don't.
func (t *users) messages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := edge.BodyOf(r)
		if body == nil {
			next.ServeHTTP(w, r)
			return
		}
		n, calls := 0, 0
		for message := range rpcwire.Messages(body) {
			if n++; n > maxBatch {
				break // of millions, maybe
			}
			if method, id := rpcwire.Envelope(body, message); method != "" && id != nil {
				calls++
			}
		}
		if rpcwire.IsBatch(body) {
			switch version := r.Header.Get("Mcp-Protocol-Version"); {
			case version >= withoutBatches:
				t.badRequest(w, r, "Protocol "+withoutBatches+" and later have no batches: send each message in a request of its own")
				return
			case n == 0:
				t.badRequest(w, r, "The batch is empty: send at least one message")
				return
			case n > maxBatch:
				t.badRequest(w, r, fmt.Sprintf("The batch is too large: send at most %d messages in one", maxBatch))
				return
			}
		}
		l := callOf(r.Context()).lease
		if wait := l.settle(n-1, calls); wait > 0 {
			t.refuse(w, r, l.user, wait, t.tooMany())
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (t *users) badRequest(w http.ResponseWriter, r *http.Request, message string) {
	t.reject(w, r, rejection{http.StatusBadRequest, codeBadRequest, "invalid_request", message})
}

const (
	// maxInitialize bounds the request that begins a session, in bytes: the session
	// keeps what it says about the client.
	maxInitialize = 64 << 10
	// maxValues bounds the JSON values of a message that is partly kept: "[]" is two
	// bytes to send and two hundred in memory.
	maxValues = 1000
)

// keptOf bounds messages of which a session, subscription or stream keeps parameters or
// the id, by method; in bytes.
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
	if !kept || m.call == nil || isSmall(m.call.body.Bytes(), most) {
		return nil
	}
	e := &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest,
		Message: fmt.Sprintf("The request is too large: send at most %d bytes and %d JSON values for %s", most, maxValues, m.method)}
	m.refuse(func(w http.ResponseWriter, r *http.Request) {
		mcpauth.WriteRefusal(w, r, http.StatusRequestEntityTooLarge, int(e.Code), "body_too_large", e.Message)
	})
	return e
}

// isSmall reports whether each message of the body is small: which of a batch is meant
// the SDK does not say.
func isSmall(body []byte, most int) bool {
	for message := range rpcwire.Messages(body) {
		if text := message.Of(body); len(text) > most || jsonspan.Count(text) > maxValues {
			return false
		}
	}
	return true
}
