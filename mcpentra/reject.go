package mcpentra

import (
	"log/slog"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
)

// A rejection answers a request that is not served, whoever sends it, because of its
// form, its host or its path.
type rejection struct {
	status  int
	code    int    // JSON-RPC's
	reason  string // as in docs/troubleshooting.md
	message string // for the caller: what was expected, and what to do
}

// The JSON-RPC error codes of refusals are mcpauth's: for 403, and for 503.
const (
	codeRefused     = -32003
	codeUnavailable = -32004
)

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

// A rejecter answers a request with a rejection.
type rejecter func(w http.ResponseWriter, r *http.Request, why rejection, more ...slog.Attr)

// reject answers the request, and writes its line in the log. more is only for the log.
func (s *Server) reject(w http.ResponseWriter, r *http.Request, why rejection, more ...slog.Attr) {
	if body := edge.BodyOf(r); body != nil && !isBatch(body) {
		method, _ := envelope(body, jsonspan.Value(body, 0))
		more = append(more, slog.String("method", method))
	}
	s.logRejection(r, why, more...)
	mcpauth.WriteRefusal(w, r, why.status, why.code, why.reason, why.message)
}

// logRejection writes the line of a request that is rejected.
func (s *Server) logRejection(r *http.Request, why rejection, more ...slog.Attr) {
	attrs := append(arrivalAttrs(r), slog.Int("status", why.status))
	if a := arrivalOf(r.Context()); a != nil && a.caller != nil {
		attrs = append(attrs, slog.Any("caller", a.caller))
	}
	attrs = append(attrs, slog.String("outcome", refused), slog.String("reason", why.reason), slog.String("error", why.message))
	level := slog.LevelWarn
	switch why.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed: // scanners, ended sessions, clients that try for a stream
		if why.reason != "method_not_found" {
			level = slog.LevelInfo
		}
	case http.StatusAccepted: // a notification that nobody knows
		level = slog.LevelInfo
	}
	s.log.LogAttrs(r.Context(), level, requestLine, append(attrs, more...)...)
}
