package mcpentra

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
)

// The JSON-RPC error codes of this server: those of JSON-RPC 2.0 section 5.1, and those
// from the range that it leaves to servers, which are mcpauth's where it has them.
const (
	codeParse          = -32700 // 400: not JSON
	codeBadRequest     = -32600 // 4xx: not a request
	codeMethodNotFound = -32601
	codeInternal       = -32603 // 500
	codeNotFound       = -32001 // 404: a session that is not there, as other servers have it; mcpauth's for 401
	codeRefused        = -32003 // 403
	codeUnavailable    = -32004 // 503
	codeBusy           = -32005 // 429
)

// requestIDHeader carries the request's id in the answer.
const requestIDHeader = "X-Request-Id"

// A rejection answers a request that no caller could make: its form, host or path is
// wrong.
type rejection struct {
	status int
	code   int    // JSON-RPC's
	reason string // as in docs/troubleshooting.md
	text   string // for the caller: what was expected, and what to do
}

// rejectionOf gives a refusal by package edge its JSON-RPC code.
func rejectionOf(why *edge.Refusal) rejection {
	return rejection{why.Status, codeOf(why.Status), why.Reason, why.Message}
}

// codeOf returns the JSON-RPC code of a refusal with that HTTP status.
func codeOf(status int) int {
	switch status {
	case http.StatusUnauthorized:
		return codeNotFound
	case http.StatusForbidden:
		return codeRefused
	case http.StatusTooManyRequests:
		return codeBusy
	case http.StatusServiceUnavailable:
		return codeUnavailable
	}
	return codeBadRequest
}

// sessionNotFound answers a session id that is unknown or belongs to another user. The
// answer is the same, so it does not reveal which sessions exist; a client that comes
// back with another account begins a new one.
var sessionNotFound = rejection{
	http.StatusNotFound, codeNotFound, "session_not_found", "Session not found: begin a new one with initialize",
}

// refusalData is the data of a refusal's JSON-RPC error.
func refusalData(e *entraauth.Error) json.RawMessage {
	data, _ := json.Marshal(map[string]string{"reason": e.Reason}) // strings always encode
	return data
}

// primingDelay is how long a priming event is held back. A refusal by Entra takes a
// fraction of it; a client that loses its connection sooner can't resume that call.
const primingDelay = 2 * time.Second

// priming is how the SDK's priming event begins. The event carries the id from which the
// stream can be resumed, and comes before all others.
var priming = []byte("event: prime\n")

// An answer is the response to one request. Until its first byte is sent, a late refusal
// can still replace it, with the status and the challenge that clients act on: a refusal
// by the receiving middleware, which decides last, or by Entra, when a tool acts for the
// user. What the SDK then writes is dropped.
//
// With sessions, the SDK begins each answer immediately with a priming event. It is held
// back until something follows, for primingDelay at most.
type answer struct {
	mu      sync.Mutex
	w       http.ResponseWriter // nil once the request is over
	r       *http.Request
	begun   bool
	late    func(http.ResponseWriter, *http.Request) // writes the refusal that is the answer
	primer  []byte
	release *time.Timer   // sends primer
	delay   time.Duration // until then
}

// refuse makes the refusal the answer, and reports false if it is too late.
func (a *answer) refuse(write func(http.ResponseWriter, *http.Request)) bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.begun || a.w == nil {
		return false
	}
	a.late = write
	return true
}

// begin sends the refusal, or what was held back. It is called with the lock.
func (a *answer) begin() {
	if a.begun || a.w == nil {
		return
	}
	a.begun = true
	switch {
	case a.late != nil:
		for _, name := range []string{"Connection", "Content-Type", "Mcp-Session-Id"} {
			a.w.Header().Del(name)
		}
		a.late(a.w, withBody(a.r, edge.BodyOf(a.r))) // from its beginning: the id is in it
	case a.primer != nil:
		_, _ = a.w.Write(a.primer) // the next write meets the same fault
		_ = flush(a.w)
	}
}

// finish ends the answer with its request: nothing is written after it, and its memory
// is released.
func (a *answer) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.late != nil || a.primer != nil {
		a.begin()
	}
	if a.release != nil {
		a.release.Stop()
	}
	a.w, a.r, a.late, a.primer = nil, nil, nil, nil
}

// Header implements [http.ResponseWriter].
func (a *answer) Header() http.Header {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.w == nil {
		return http.Header{}
	}
	return a.w.Header()
}

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begin()
	if a.w != nil && a.late == nil {
		a.w.WriteHeader(status)
	}
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.w == nil {
		return 0, http.ErrHandlerTimeout
	}
	if !a.begun && a.primer == nil && bytes.HasPrefix(p, priming) {
		a.primer = bytes.Clone(p)
		a.release = time.AfterFunc(a.delay, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.late == nil {
				a.begin()
			}
		})
		return len(p), nil
	}
	a.begin()
	if a.late != nil {
		return len(p), nil
	}
	return a.w.Write(p)
}

// FlushError is for [http.ResponseController]. It does not send what is held back.
func (a *answer) FlushError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.begun || a.late != nil || a.w == nil {
		return nil
	}
	return flush(a.w)
}

// flush is [http.ResponseController.Flush], without making one where w can flush itself.
func flush(w http.ResponseWriter) error {
	if f, ok := w.(interface{ FlushError() error }); ok {
		return f.FlushError()
	}
	return http.NewResponseController(w).Flush()
}

// Flush is for those who look for an [http.Flusher].
func (a *answer) Flush() { _ = a.FlushError() }

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.w
}

// A reply is what the SDK's handler writes. Refusals in plain text are held back for the
// speaker to translate into JSON-RPC; everything else goes straight to the client.
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

// maxHeldText bounds what is kept of the SDK's text, which can quote the body.
const maxHeldText = 4 << 10

// WriteHeader implements [http.ResponseWriter].
func (a *reply) WriteHeader(status int) {
	if a.begun || a.held != 0 {
		return
	}
	isText := status >= http.StatusBadRequest && strings.HasPrefix(a.Header().Get("Content-Type"), "text/plain")
	if isText || status == http.StatusAccepted && len(a.refusals) > 0 {
		a.held = status
		a.Header().Del("Content-Type")
		a.Header().Del("X-Content-Type-Options") // http.Error's
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

// FlushError is for [http.ResponseController].
func (a *reply) FlushError() error { return flush(a.ResponseWriter) }

// Flush is for those who look for an [http.Flusher].
func (a *reply) Flush() { _ = a.FlushError() }

// Unwrap is for [http.ResponseController].
func (a *reply) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// unknownMethod returns the unknown method for which the SDK refused the request, if it
// did. Only the text tells, because programs can add methods.
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

// writeRefusals answers a batch of which no call was dispatched.
func (a *reply) writeRefusals() {
	a.held = 0
	for _, refusal := range a.refusals {
		a.refused(http.StatusOK, refusal)
	}
	a.Header().Set("Content-Type", "application/json")
	_, _ = a.Write(slices.Concat([]byte("["), bytes.Join(a.refusals, []byte(",")), []byte("]")))
}

// appendRefusals adds the answers to the calls of a batch that were not dispatched.
func (a *reply) appendRefusals() {
	if len(a.refusals) == 0 || !strings.HasPrefix(a.Header().Get("Content-Type"), "text/event-stream") {
		return
	}
	for _, refusal := range a.refusals {
		_, _ = a.Write([]byte("event: message\ndata: " + string(refusal) + "\n\n"))
	}
}

// told records which messages of an HTTP request have their log line. The SDK refuses
// some before any middleware sees them; only its answer shows those.
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

// tell notes that a message of the request has its line, and its error.
func (t *told) tell(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines++
	if err != nil {
		e := sdkError{Message: err.Error()}
		if wire, ok := err.(*jsonrpc.Error); ok { //nolint:errorlint // as the SDK does
			e.Code = wire.Code
		}
		t.errors = append(t.errors, e)
	}
}

// has reports whether the message that is answered with this error has its line.
// For a request with one message any line counts; messages of a batch are matched by
// their errors.
func (t *told) has(e sdkError, inBatch bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !inBatch {
		return t.lines > 0
	}
	i := slices.IndexFunc(t.errors, func(one sdkError) bool {
		return one.Message == e.Message || one.Code == jsonrpc.CodeMethodNotFound && e.Code == jsonrpc.CodeMethodNotFound // its text is the SDK's
	})
	if i < 0 {
		return false
	}
	t.errors = slices.Delete(t.errors, i, i+1)
	return true
}

// withBody returns the request with that body, from its beginning.
func withBody(r *http.Request, body []byte) *http.Request {
	r = r.WithContext(r.Context())
	whole := &edge.Body{}
	whole.Init(body)
	r.Body = whole
	return r
}
