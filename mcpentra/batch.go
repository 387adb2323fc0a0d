package mcpentra

import (
	"fmt"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

const (
	// maxBatch is how many messages a batch may have.
	maxBatch = 32
	// withoutBatches is the first protocol version that has none.
	withoutBatches = "2025-06-18"
)

// messages bounds JSON-RPC batches (protocol 2025-03-26 and older), and counts each
// message against its user's limits before any runs: calls take a place, notifications
// and answers don't. It belongs inside readBody.
func (t *users) messages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := edge.BodyOf(r)
		if body == nil {
			next.ServeHTTP(w, r)
			return
		}
		n, calls := 0, 0
		for message := range messagesOf(body) {
			if n++; n > maxBatch {
				break // an array can have millions
			}
			if method, id := envelope(body, message); method != "" && id != nil {
				calls++
			}
		}
		if isBatch(body) {
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
