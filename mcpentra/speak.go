package mcpentra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// maxUnknown is how many unknown methods a batch may have: for each of them the SDK reads
// the batch again.
const maxUnknown = 4

// A speaker translates the SDK's plain-text answers into JSON-RPC: refusals carry the
// request's id, unknown notifications are ignored, an unknown method is -32601, and ids
// come back as the client spelled them.
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
		visible := s.ids.Hide(c.data, c.messages)
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
			// The SDK refuses a whole batch for one unknown method: remove it and retry.
			method, ok := answer.unknownMethod()
			if !ok || !c.isBatch || len(unknown) == maxUnknown || slices.Contains(unknown, method) {
				s.finish(answer, r, c)
				s.tellNotifications(r, c, answer, unknown)
				return
			}
			unknown = append(unknown, method)
		}
	})
}

// spellHeaders replaces the headers that admission has checked with the one spelling that
// the SDK accepts.
func spellHeaders(r *http.Request) {
	r.Header["Accept"] = acceptBoth
	if r.Method == http.MethodPost {
		r.Header["Content-Type"] = contentJSON
	}
}

// Shared by all requests, and never changed.
var (
	acceptBoth  = []string{"application/json, text/event-stream"}
	contentJSON = []string{"application/json"}
)

// withoutMethods removes the messages of these methods from a batch, and returns the
// answers to the calls among them. rest is nil if nothing is left.
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
	enc.SetEscapeHTML(false) // the id must keep its spelling
	if err := enc.Encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   sdkError        `json:"error"`
	}{"2.0", id, e}); err != nil {
		return nil // never happens: the SDK has read the id
	}
	return bytes.TrimSpace(b.Bytes())
}

// finish translates the SDK's plain-text answer into JSON-RPC.
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
			a.ResponseWriter.WriteHeader(http.StatusAccepted)
			s.tellNotification(r, method, nil, true)
			return
		}
		// Not 404: with a session, clients take that for the session's end.
		reject(rejection{http.StatusOK, codeMethodNotFound, "method_not_found", methodNotFound(method)})
	case isUnknown:
		reject(rejection{http.StatusBadRequest, codeMethodNotFound, "method_not_found", methodNotFound(method)})
	default:
		reject(refusalOf(a.held, string(a.text), c.data))
	}
}

// refusalOf returns the SDK's refusal in our words.
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
	case strings.Contains(text, "jsonrpc2."): // a type of the SDK's
		return rejection{status, codeBadRequest, "invalid_request", "The request's body has something that is not a JSON-RPC message: an object"}
	}
	return rejection{status, codeBadRequest, "invalid_request", safelog.Cut(quotedParams.ReplaceAllString(text, "$1 into"), safelog.MaxText)}
}

// tellRefused writes the log line of a message that the SDK refused by itself, if
// written is the answer to one, and returns the answer in our words: the SDK's code can
// be 0, and its text can quote the request at any length.
func (s *speaker) tellRefused(r *http.Request, body []byte, status int, written []byte) []byte {
	c := callOf(r.Context())
	if !c.isBatch && c.told.has(sdkError{}, false) {
		return written // an answer can be large
	}
	const field = "data: "
	at := 0
	if !bytes.HasPrefix(written, []byte("{")) { // an event
		if at = bytes.Index(written, []byte("\n"+field)) + 1; at == 0 && !bytes.HasPrefix(written, []byte(field)) {
			return written
		}
		at += len(field)
	}
	message := jsonspan.Value(written, at)
	var id, failure json.RawMessage
	for name, v := range jsonspan.Members(written, message) {
		switch string(name) {
		case "id":
			id = v.Of(written)
		case "error":
			failure = v.Of(written)
		}
	}
	var e sdkError
	if failure == nil || json.Unmarshal(failure, &e) != nil || c.told.has(e, c.isBatch) {
		return written
	}
	why := refusalOfCode(status, e)
	s.log.rejected(r, why, methodOf(c, body, id), slog.Int("code", why.code))
	if e.Code, e.Message = int64(why.code), why.text; e.Data == nil {
		e.Data = json.RawMessage(`{"reason":"` + why.reason + `"}`)
	}
	return slices.Concat(written[:message.Start], rpcErrorWith(id, e), written[message.End:])
}

// quotedParams matches where the SDK's texts quote the request's parameters.
var quotedParams = regexp.MustCompile(`(unmarshal(?:ing)?) "(?:[^"\\]|\\.)*" into`)

// refusalOfCode returns the SDK's refusal of a message in our words.
func refusalOfCode(status int, e sdkError) rejection {
	if status == 0 { // an event's: none was written
		status = http.StatusOK
	}
	why := rejection{status, int(e.Code), "invalid_request", safelog.Cut(quotedParams.ReplaceAllString(e.Message, "$1 into"), safelog.MaxText)}
	switch e.Code {
	case codeMethodNotFound:
		why.reason = "method_not_found"
	case 0: // the SDK's errors without code are about parameters, or what comes before initialize
		why.code = codeBadRequest
	}
	return why
}

// tellNotifications writes the lines of the request's notifications that the middleware
// does not write.
func (s *speaker) tellNotifications(r *http.Request, c *call, a *reply, unknown []string) {
	if a.status >= http.StatusBadRequest || a.held >= http.StatusBadRequest {
		return // nothing was dispatched
	}
	for i := range c.messages {
		if m := &c.messages[i]; m.ID == nil && m.Method != "" {
			s.tellNotification(r, m.Method, m.Params.Of(c.data), slices.Contains(unknown, m.Method))
		}
	}
}

// tellNotification writes the line of a notification.
func (s *speaker) tellNotification(r *http.Request, method string, params []byte, unknown bool) {
	c := callOf(r.Context())
	kind, known := paramsOfNotification[method]
	switch {
	case unknown:
		s.log.rejected(r, rejection{http.StatusAccepted, codeMethodNotFound, "method_not_found", methodNotFound(method)}, method)
	case known && len(params) > 0 && json.Unmarshal(params, kind()) != nil:
		s.log.rejected(r, rejection{http.StatusAccepted, codeBadRequest, "invalid_request", "A parameter is of the wrong type, so the notification was ignored"}, method)
	case s.log.hasNotifications(c):
		s.log.accepted(r, method)
	}
}

// paramsOfNotification are the types into which the SDK decodes the parameters of
// clients' notifications. It silently drops notifications that don't fit.
var paramsOfNotification = map[string]func() any{
	"notifications/cancelled":          func() any { return new(mcp.CancelledParams) }, //nolint:misspell // the protocol's spelling
	"notifications/initialized":        func() any { return new(mcp.InitializedParams) },
	"notifications/progress":           func() any { return new(mcp.ProgressNotificationParams) },
	"notifications/roots/list_changed": func() any { return new(mcp.RootsListChangedParams) }, //nolint:staticcheck // deprecated with the roots; clients send it
}

// methodOf returns the method of the message with that id, in the body that the SDK reads.
func methodOf(c *call, body []byte, id json.RawMessage) string {
	if !c.isBatch {
		return c.soleMethod()
	}
	for _, m := range rpcwire.Parse(nil, body, maxBatch) {
		if m.ID != nil && sameID(m.ID, id) {
			return m.Method
		}
	}
	return ""
}

// sameID reports whether both are the same id, however their strings are escaped.
func sameID(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	return len(a) > 0 && len(b) > 0 && a[0] == '"' && b[0] == '"' && jsonspan.String(a) == jsonspan.String(b)
}
