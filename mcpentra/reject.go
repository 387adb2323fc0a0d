package mcpentra

import (
	"log/slog"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
)

// A rejection is the answer to a request that is not served, whoever sends it:
// for its form, its host or its path.
type rejection struct {
	status  int
	code    int    // JSON-RPC's
	reason  string // as in docs/troubleshooting.md
	message string // for the caller: what was expected, and what to do
}

// A rejecter answers a request with a rejection.
type rejecter func(w http.ResponseWriter, r *http.Request, why rejection, more ...slog.Attr)

// reject answers the request, and writes its line in the log. More is for the
// log alone.
func (s *Server) reject(w http.ResponseWriter, r *http.Request, why rejection, more ...slog.Attr) {
	attrs := append(arrivalAttrs(r), slog.Int("status", why.status))
	if id := entraauth.FromContext(r.Context()); id != nil {
		attrs = append(attrs, slog.Any("caller", id))
	}
	attrs = append(attrs, slog.String("outcome", refused), slog.String("reason", why.reason), slog.String("error", why.message))
	level := slog.LevelWarn
	switch why.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed: // scanners, ended sessions, clients that try for a stream
		level = slog.LevelInfo
	}
	s.log.LogAttrs(r.Context(), level, requestLine, append(attrs, more...)...)
	mcpauth.WriteRefusal(w, r, why.status, why.code, why.reason, why.message)
}
