package mcpentra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// maxUnknown is how many methods that nobody knows a batch may have besides others:
// for each of them the SDK reads the batch once more.
const maxUnknown = 4

// speak lets the SDK's handler answer in JSON-RPC where it would write plain text:
// refusals answer the request's id, notifications that nobody knows are
// ignored, a method that nobody knows is -32601, and ids come back as they came.
// It belongs inside readBody and mcpauth.Bridge, whose headers are a copy.
func (s *Server) speak(next http.Handler) http.Handler {
	hidden := rpcwire.NewIDs()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spellHeaders(r)
		body := edge.BodyOf(r)
		if body == nil {
			answer := &reply{ResponseWriter: w, ids: hidden} // a stream may replay an answer
			next.ServeHTTP(answer, r)
			s.finish(answer, r)
			return
		}
		visible := hidden.Hide(body)
		for unknown := []string(nil); ; {
			answer := &reply{ResponseWriter: w, refused: func(status int, written []byte) []byte { return s.tellRefused(r, visible, status, written) }}
			if len(visible) != len(body) {
				answer.ids = hidden
			}
			rest := visible
			if len(unknown) > 0 {
				rest, answer.refusals = withoutMethods(visible, unknown)
			}
			if rest == nil {
				answer.WriteHeader(http.StatusAccepted)
			} else {
				next.ServeHTTP(answer, withBody(r, rest))
			}
			// The SDK refuses a whole batch for one method: take that out, and try again.
			method, ok := answer.unknownMethod()
			if !ok || !isBatch(body) || len(unknown) == maxUnknown || slices.Contains(unknown, method) {
				s.finish(answer, withBody(r, body))
				s.tellNotifications(r, answer, body, unknown)
				return
			}
			unknown = append(unknown, method)
			w.Header().Del("Content-Type")
			w.Header().Del("X-Content-Type-Options")
		}
	})
}

// withBody returns the request with that body, from its beginning.
func withBody(r *http.Request, body []byte) *http.Request {
	r = r.WithContext(r.Context())
	whole := &edge.Body{}
	whole.Init(body)
	r.Body = whole
	return r
}

// withoutMethods takes the messages of these methods out of a batch, and returns
// the answers to those that are calls. Of a batch of nothing else nil is left.
func withoutMethods(batch []byte, methods []string) (rest []byte, refusals [][]byte) {
	var kept [][]byte
	for message := range messagesOf(batch) {
		method, id := envelope(batch, message)
		switch {
		case !slices.Contains(methods, method):
			kept = append(kept, message.Of(batch))
		case id != nil:
			refusals = append(refusals, rpcError(id, codeMethodNotFound, methodNotFound(method)))
		}
	}
	if len(kept) == 0 {
		return nil, refusals
	}
	return slices.Concat([]byte("["), bytes.Join(kept, []byte(",")), []byte("]")), refusals
}

func envelope(body []byte, message jsonspan.Span) (method string, id json.RawMessage) {
	return rpcwire.Envelope(body, message)
}

func messagesOf(body []byte) iter.Seq[jsonspan.Span] { return rpcwire.Messages(body) }

func isBatch(body []byte) bool { return rpcwire.IsBatch(body) }

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
func (s *Server) finish(a *reply, r *http.Request) {
	method, isUnknown := a.unknownMethod()
	switch {
	case a.held == 0:
		a.appendRefusals()
	case a.held == http.StatusAccepted:
		a.writeRefusals()
	case isUnknown && !isBatch(edge.BodyOf(r)):
		body := edge.BodyOf(r)
		if _, id := envelope(body, jsonspan.Value(body, 0)); id == nil { // JSON-RPC 2.0 section 4.1
			a.Header().Del("Content-Type")
			a.Header().Del("X-Content-Type-Options")
			a.ResponseWriter.WriteHeader(http.StatusAccepted)
			s.tellNotification(r, method, nil, true)
			return
		}
		// Not 404: of a request with a session, clients take that for its end.
		s.reject(a.ResponseWriter, r, rejection{http.StatusOK, codeMethodNotFound, "method_not_found", methodNotFound(method)})
	case isUnknown:
		s.reject(a.ResponseWriter, r, rejection{http.StatusBadRequest, codeMethodNotFound, "method_not_found", methodNotFound(method)})
	default:
		s.reject(a.ResponseWriter, r, refusalOf(a.held, string(a.text), edge.BodyOf(r)))
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
