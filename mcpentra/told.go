package mcpentra

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// told records which messages of an HTTP request have their line in the log. The SDK
// refuses some before any middleware sees them; for these only the error in its answer
// is known.
type told struct {
	mu     sync.Mutex
	lines  int
	errors []sdkError // of messages that have a line
}

// An sdkError is a JSON-RPC error as the SDK writes it.
type sdkError struct {
	Code    int64           `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// tell notes that a message of the request has its line, and the error it ends with.
func (c *call) tell(err error) {
	if c == nil {
		return
	}
	c.told.mu.Lock()
	defer c.told.mu.Unlock()
	c.told.lines++
	if err != nil {
		e := sdkError{Message: err.Error()}
		if wire, ok := err.(*jsonrpc.Error); ok { //nolint:errorlint // as the SDK does
			e.Code = wire.Code
		}
		c.told.errors = append(c.told.errors, e)
	}
}

// hasTold reports whether the message that is answered with this error has its line.
// For a request with one message any line counts; messages of a batch are matched by
// their errors.
func (c *call) hasTold(e sdkError, inBatch bool) bool {
	if c == nil {
		return true
	}
	c.told.mu.Lock()
	defer c.told.mu.Unlock()
	if !inBatch {
		return c.told.lines > 0
	}
	i := slices.IndexFunc(c.told.errors, func(one sdkError) bool {
		return one.Message == e.Message || one.Code == codeMethodNotFound && e.Code == codeMethodNotFound // its text is the SDK's
	})
	if i < 0 {
		return false
	}
	c.told.errors = slices.Delete(c.told.errors, i, i+1)
	return true
}

// tellRefused writes the line of each message that the SDK has refused by itself, if
// what it writes answers one, and says the error in our words: the SDK's code can be
// 0, and its text can quote the request at any length.
func (s *Server) tellRefused(r *http.Request, body []byte, status int, written []byte) []byte {
	inBatch := isBatch(body)
	if !inBatch && callOf(r.Context()).hasTold(sdkError{}, false) {
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
	if failure == nil || json.Unmarshal(failure, &e) != nil || callOf(r.Context()).hasTold(e, inBatch) {
		return written
	}
	why := refusalOfCode(status, e)
	s.log.rejected(r, why, slog.String("method", methodOf(body, id)), slog.Int("code", why.code))
	if e.Code, e.Message = int64(why.code), why.message; e.Data == nil {
		e.Data = json.RawMessage(`{"reason":"` + why.reason + `"}`)
	}
	return slices.Concat(written[:message.Start], rpcErrorWith(id, e), written[message.End:])
}

// quotedParams is where the SDK's texts quote the request's parameters.
var quotedParams = regexp.MustCompile(`(unmarshal(?:ing)?) "(?:[^"\\]|\\.)*" into`)

// refusalOfCode is the SDK's refusal of a message, in our words.
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

// tellNotifications writes the lines of the notifications in what was sent, as far
// as the middleware does not.
func (s *Server) tellNotifications(r *http.Request, a *reply, body []byte, unknown []string) {
	if a.status >= http.StatusBadRequest || a.held >= http.StatusBadRequest {
		return // nothing was dispatched
	}
	tell := func(message jsonspan.Span) {
		if method, id := envelope(body, message); id == nil && method != "" {
			s.tellNotification(r, method, paramsOf(body, message), slices.Contains(unknown, method))
		}
	}
	if !isBatch(body) {
		tell(jsonspan.Value(body, 0))
		return
	}
	for message := range messagesOf(body) {
		tell(message)
	}
}

// tellNotification writes the line of a notification.
func (s *Server) tellNotification(r *http.Request, method string, params []byte, unknown bool) {
	c := callOf(r.Context())
	kind, known := paramsOfNotification[method]
	switch {
	case unknown:
		s.log.rejected(r, rejection{http.StatusAccepted, codeMethodNotFound, "method_not_found", methodNotFound(method)}, slog.String("method", method))
	case known && len(params) > 0 && json.Unmarshal(params, kind()) != nil:
		s.log.rejected(r, rejection{http.StatusAccepted, codeBadRequest, "invalid_request", "A parameter is of the wrong type, so the notification was ignored"}, slog.String("method", method))
	case s.log.hasNotifications(c):
		attrs := append(c.appendAttrs(nil), slog.String("method", method), slog.Any("caller", c.caller), slog.String("outcome", done))
		s.log.write(r.Context(), slog.LevelDebug, attrs)
	}
}

// paramsOfNotification are what the SDK decodes the parameters of clients'
// notifications into. Those of another type it drops without a word.
var paramsOfNotification = map[string]func() any{
	"notifications/cancelled":          func() any { return new(mcp.CancelledParams) },
	"notifications/initialized":        func() any { return new(mcp.InitializedParams) },
	"notifications/progress":           func() any { return new(mcp.ProgressNotificationParams) },
	"notifications/roots/list_changed": func() any { return new(mcp.RootsListChangedParams) }, //nolint:staticcheck // deprecated with the roots; clients send it
}

func paramsOf(body []byte, message jsonspan.Span) (params []byte) {
	for name, v := range jsonspan.Members(body, message) {
		if string(name) == "params" {
			params = v.Of(body)
		}
	}
	return params
}

// methodOf returns the method of the message with that id.
func methodOf(body []byte, id json.RawMessage) string {
	if !isBatch(body) {
		method, _ := envelope(body, jsonspan.Value(body, 0))
		return method
	}
	for message := range messagesOf(body) {
		if method, its := envelope(body, message); its != nil && sameID(its, id) {
			return method
		}
	}
	return ""
}

// sameID reports whether both are one id, however strings are escaped.
func sameID(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	return len(a) > 0 && len(b) > 0 && a[0] == '"' && b[0] == '"' && jsonspan.String(a) == jsonspan.String(b)
}
