package mcpentra

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// maxHealthWait bounds how long a probe waits for a first key fetch.
const maxHealthWait = 2 * time.Second

// A probe is the body of a probe's answer.
type probe struct {
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"` // as in docs/troubleshooting.md
	Message string `json:"message,omitempty"`
}

// health answers whether callers can be judged. What their tools stand on
// (On-Behalf-Of, Azure) is not asked: it is down for some callers and some tools,
// and another replica would fare no better.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), maxHealthWait)
	defer cancel()
	if err := s.verifier.Ready(ctx); err != nil {
		p := probe{Status: "unavailable", Reason: "keys_unavailable", Message: "The tenant's signing keys can't be fetched; see the log"}
		if e, ok := errors.AsType[*entraauth.Error](err); ok {
			p.Reason, p.Message = e.Reason, e.UserText()
		}
		probed(w, http.StatusServiceUnavailable, p)
		return
	}
	probed(w, http.StatusOK, probe{Status: "ok"})
}

// ready answers whether new requests should come here.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.drain.Begun() {
		probed(w, http.StatusServiceUnavailable, probe{Status: "draining"})
		return
	}
	s.health(w, r)
}

func probed(w http.ResponseWriter, status int, p probe) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(p) // the prober is gone; there is nobody to tell
}
