package mcpentra

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"regexp"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// tellRefused writes the line of each message that the SDK has refused by itself, if
// what it writes answers one, and says the error in our words: the SDK's code can be
// 0, and its text can quote the request at any length.
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
	s.log.rejected(r, why, slog.String("method", methodOf(c, body, id)), slog.Int("code", why.code))
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

// methodOf returns the method of the message with that id, in the body that the SDK reads.
func methodOf(c *call, body []byte, id json.RawMessage) string {
	if !c.isBatch {
		return c.method()
	}
	for _, m := range rpcwire.Parse(nil, body, maxBatch) {
		if m.ID != nil && sameID(m.ID, id) {
			return m.Method
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
