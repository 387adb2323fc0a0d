package mcpentra

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
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

// A rejection answers a request that is not served, whoever sends it, because of its
// form, its host or its path.
type rejection struct {
	status  int
	code    int    // JSON-RPC's
	reason  string // as in docs/troubleshooting.md
	message string // for the caller: what was expected, and what to do
}

// rejectionOf gives a refusal by package edge its JSON-RPC code.
func rejectionOf(why *edge.Refusal) rejection {
	code := codeBadRequest
	switch why.Status {
	case http.StatusForbidden:
		code = codeRefused
	case http.StatusTooManyRequests:
		code = codeBusy
	case http.StatusServiceUnavailable:
		code = codeUnavailable
	}
	return rejection{why.Status, code, why.Reason, why.Message}
}

// sessionNotFound is the answer to a session id that is unknown, and to another
// user's: nobody learns which sessions there are, and a client that comes back with
// another account begins a new one.
var sessionNotFound = rejection{
	http.StatusNotFound, codeNotFound, "session_not_found", "Session not found: begin a new one with initialize",
}

// A rejecter answers a request with a rejection.
type rejecter func(w http.ResponseWriter, r *http.Request, why rejection, more ...slog.Attr)

// A refuser answers requests that are not served.
type refuser struct {
	log         *requestLog
	verifier    *entraauth.Verifier
	metadataURL string // of the protected resource, for challenges
}

// reject answers the request, and writes its line in the log. more is only for the log.
func (f *refuser) reject(w http.ResponseWriter, r *http.Request, why rejection, more ...slog.Attr) {
	if body := edge.BodyOf(r); body != nil && !isBatch(body) {
		method, _ := envelope(body, jsonspan.Value(body, 0))
		more = append(more, slog.String("method", method))
	}
	f.log.rejected(r, why, more...)
	mcpauth.WriteRefusal(w, r, why.status, why.code, why.reason, why.message)
}

// refuse answers the request with the denial, and writes its line in the log.
func (f *refuser) refuse(w http.ResponseWriter, r *http.Request, d *denial) {
	f.answer(w, r, d, func(r *http.Request, status int, e *entraauth.Error) { f.log.denied(r, status, e, d.targets) })
}

// refuseLate makes the denial the answer to the message's request, and reports false if
// it is too late. The line in the log is the message's.
func (f *refuser) refuseLate(m *message, d *denial) bool {
	return m.refuse(func(w http.ResponseWriter, r *http.Request) {
		f.answer(w, r, d, func(*http.Request, int, *entraauth.Error) {})
	})
}

func (f *refuser) answer(w http.ResponseWriter, r *http.Request, d *denial, log func(*http.Request, int, *entraauth.Error)) {
	f.verifier.Refuse(w, r, &entraauth.BearerCheck{
		Policy: d.needs, ResourceMetadata: f.metadataURL, WriteBody: mcpauth.WriteBody, OnRefusal: log,
	}, d.refusal)
}

// Error implements error: the text for the caller.
func (d *denial) Error() string { return d.refusal.Error() }

// Unwrap returns the refusal.
func (d *denial) Unwrap() error { return d.refusal }

// wireError is the error that the SDK sends for err, which is not a tool's: those
// come as results. A *jsonrpc.Error says what its maker wants the client to read.
func wireError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return err
	}
	if d, ok := errors.AsType[*denial](err); ok {
		return &jsonrpc.Error{Code: codeRefused, Message: d.Error(), Data: refusalData(d.refusal)}
	}
	if text := callerText(err); text != "" {
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: text}
	}
	return err
}

// refusalData is the data of a refusal's JSON-RPC error.
func refusalData(e *entraauth.Error) json.RawMessage {
	data, _ := json.Marshal(map[string]string{"reason": e.Reason}) // a text: it encodes
	return data
}
