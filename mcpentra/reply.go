package mcpentra

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
)

// A reply is what the SDK's handler writes. Its refusals in plain text are held
// back, for [Server.finish] to say in JSON-RPC; all else goes to the client at once.
type reply struct {
	http.ResponseWriter
	ids      *rpcwire.IDs                            // nil: there is nothing to put back
	refusals [][]byte                                // what a part of a batch is answered
	refused  func(status int, written []byte) []byte // looks for the SDK's refusals of single messages; or nil

	begun  bool
	status int
	held   int // a status that is held back, or 0
	text   []byte
}

// maxHeldText is how much of the SDK's text is looked at: it can hold the body.
const maxHeldText = 4 << 10

// WriteHeader implements [http.ResponseWriter].
func (a *reply) WriteHeader(status int) {
	if a.begun || a.held != 0 {
		return
	}
	isText := status >= http.StatusBadRequest && strings.HasPrefix(a.Header().Get("Content-Type"), "text/plain")
	if isText || status == http.StatusAccepted && len(a.refusals) > 0 {
		a.held = status
		return
	}
	a.begun, a.status = true, status
	a.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (a *reply) Write(p []byte) (int, error) {
	if a.held != 0 {
		a.text = append(a.text, p[:min(len(p), maxHeldText-len(a.text))]...)
		return len(p), nil
	}
	a.begun = true
	out := p
	if a.refused != nil {
		out = a.refused(a.status, out)
	}
	if a.ids != nil {
		out = a.ids.Restore(out)
	}
	if _, err := a.ResponseWriter.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Unwrap is for [http.ResponseController].
func (a *reply) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// unknownMethod returns the method for which the SDK has refused the request, if it
// has. Nothing but its text tells, for programs can add methods of their own.
func (a *reply) unknownMethod() (method string, ok bool) {
	text, found := strings.CutPrefix(string(a.text), "JSON RPC not handled: ")
	if a.held != http.StatusBadRequest || !found {
		return "", false
	}
	method, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(text), " unsupported"))
	if err != nil {
		method = text // cut off
	}
	return method, true
}

// writeRefusals answers a batch of whose calls none was dispatched.
func (a *reply) writeRefusals() {
	a.held = 0
	for _, refusal := range a.refusals {
		a.refused(http.StatusOK, refusal)
	}
	a.Header().Set("Content-Type", "application/json")
	_, _ = a.Write(slices.Concat([]byte("["), bytes.Join(a.refusals, []byte(",")), []byte("]")))
}

// appendRefusals adds to the answers of a batch those to calls that were not dispatched.
func (a *reply) appendRefusals() {
	if len(a.refusals) == 0 || !strings.HasPrefix(a.Header().Get("Content-Type"), "text/event-stream") {
		return
	}
	for _, refusal := range a.refusals {
		_, _ = a.Write([]byte("event: message\ndata: " + string(refusal) + "\n\n"))
	}
}
