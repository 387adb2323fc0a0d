package mcpentra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// maxUnknown is how many methods that nobody knows a batch may have besides others:
// for each of them the SDK reads the batch once more.
const maxUnknown = 4

// A speaker lets the SDK's handler answer in JSON-RPC where it would write plain text:
// refusals answer the request's id, notifications that nobody knows are ignored, a method
// that nobody knows is -32601, and ids come back as they came.
type speaker struct {
	log     *requestLog
	refuser *refuser
	ids     *rpcwire.IDs
}

// speak is the innermost stage. The request's headers are a copy of the client's.
func (s *speaker) speak(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spellHeaders(r)
		c := callOf(r.Context())
		if c.data == nil {
			answer := &c.written
			answer.ResponseWriter, answer.ids = w, s.ids // a stream may replay an answer
			next.ServeHTTP(answer, r)
			s.finish(answer, r, c)
			return
		}
		visible := s.ids.Hide(c.data)
		refused := func(status int, written []byte) []byte { return s.tellRefused(r, visible, status, written) }
		answer := &c.written
		for unknown := []string(nil); ; answer = new(reply) {
			answer.ResponseWriter, answer.refused = w, refused
			if len(visible) != len(c.data) {
				answer.ids = s.ids
			}
			rest, again := visible, r
			if len(unknown) > 0 {
				rest, answer.refusals = withoutMethods(visible, unknown)
			}
			if len(rest) != len(c.data) || len(unknown) > 0 {
				again = withBody(r, rest)
			}
			if rest == nil {
				answer.WriteHeader(http.StatusAccepted)
			} else {
				next.ServeHTTP(answer, again)
			}
			// The SDK refuses a whole batch for one method: take that out, and try again.
			method, ok := answer.unknownMethod()
			if !ok || !c.isBatch || len(unknown) == maxUnknown || slices.Contains(unknown, method) {
				s.finish(answer, r, c)
				s.tellNotifications(r, c, answer, unknown)
				return
			}
			unknown = append(unknown, method)
			w.Header().Del("Content-Type")
			w.Header().Del("X-Content-Type-Options")
		}
	})
}

// spellHeaders writes the headers that the admission has let pass in the one spelling
// that the SDK knows.
func spellHeaders(r *http.Request) {
	r.Header["Accept"] = acceptBoth
	if r.Method == http.MethodPost {
		r.Header["Content-Type"] = contentJSON
	}
}

// These are shared by all requests, and nobody changes them.
var (
	acceptBoth  = []string{"application/json, text/event-stream"}
	contentJSON = []string{"application/json"}
)

// withoutMethods takes the messages of these methods out of a batch, and returns
// the answers to those that are calls. Of a batch of nothing else nil is left.
func withoutMethods(batch []byte, methods []string) (rest []byte, refusals [][]byte) {
	var kept [][]byte
	for _, m := range rpcwire.Parse(nil, batch, maxBatch) {
		switch {
		case !slices.Contains(methods, m.Method):
			kept = append(kept, m.Of(batch))
		case m.ID != nil:
			refusals = append(refusals, rpcError(m.ID, codeMethodNotFound, methodNotFound(m.Method)))
		}
	}
	if len(kept) == 0 {
		return nil, refusals
	}
	return slices.Concat([]byte("["), bytes.Join(kept, []byte(",")), []byte("]")), refusals
}

func methodNotFound(method string) string {
	return fmt.Sprintf("Method not found: %q", safelog.Cut(method, safelog.MaxName))
}

func rpcError(id json.RawMessage, code int, message string) []byte {
	return rpcErrorWith(id, sdkError{Code: int64(code), Message: message})
}

func rpcErrorWith(id json.RawMessage, e sdkError) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the id is to come back as it came
	if err := enc.Encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   sdkError        `json:"error"`
	}{"2.0", id, e}); err != nil {
		return nil // an id that is not JSON: the SDK has read it, so it can't be
	}
	return bytes.TrimSpace(b.Bytes())
}

// finish says in JSON-RPC what the SDK would have said in plain text.
func (s *speaker) finish(a *reply, r *http.Request, c *call) {
	reject := func(why rejection) {
		if c.data != nil {
			r = withBody(r, c.data) // from its beginning: the id is in it
		}
		s.refuser.reject(a.ResponseWriter, r, why)
	}
	method, isUnknown := a.unknownMethod()
	switch {
	case a.held == 0:
		a.appendRefusals()
	case a.held == http.StatusAccepted:
		a.writeRefusals()
	case isUnknown && !c.isBatch:
		if len(c.messages) == 1 && c.messages[0].ID == nil { // JSON-RPC 2.0 section 4.1
			a.Header().Del("Content-Type")
			a.Header().Del("X-Content-Type-Options")
			a.ResponseWriter.WriteHeader(http.StatusAccepted)
			s.tellNotification(r, method, nil, true)
			return
		}
		// Not 404: of a request with a session, clients take that for its end.
		reject(rejection{http.StatusOK, codeMethodNotFound, "method_not_found", methodNotFound(method)})
	case isUnknown:
		reject(rejection{http.StatusBadRequest, codeMethodNotFound, "method_not_found", methodNotFound(method)})
	default:
		reject(refusalOf(a.held, string(a.text), c.data))
	}
}

// refusalOf is the SDK's refusal in our words.
func refusalOf(status int, text string, body []byte) rejection {
	text = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(text), "malformed payload: "), "Bad Request: ")
	switch {
	case status == http.StatusForbidden, status == http.StatusNotFound:
		return sessionNotFound
	case status >= http.StatusInternalServerError:
		return rejection{status, codeInternal, "internal_error", "Internal error"}
	case body != nil && len(bytes.TrimSpace(body)) == 0:
		return rejection{status, codeBadRequest, "invalid_request", "The request has no body: send one JSON-RPC message"}
	case body != nil && !json.Valid(body):
		return rejection{status, codeParse, "not_json", "The request's body is not JSON"}
	}
	return rejection{status, codeBadRequest, "invalid_request", safelog.Cut(quotedParams.ReplaceAllString(text, "$1 into"), safelog.MaxText)}
}
