package mcpentra

import (
	"context"
	"net/http"
	"time"
)

// maxHealthWait bounds how long a probe waits for a first key fetch.
const maxHealthWait = 2 * time.Second

const (
	healthy     = `{"status":"ok"}`
	keysMissing = `{"status":"unavailable","reason":"the tenant's signing keys can't be fetched; see the log"}`
	isDraining  = `{"status":"draining"}`
)

// health answers whether callers can be judged. What their tools stand on
// (On-Behalf-Of, Azure) is not asked: it is down for some callers and some tools,
// and another replica would fare no better.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), maxHealthWait)
	defer cancel()
	if err := s.verifier.Ready(ctx); err != nil {
		probed(w, http.StatusServiceUnavailable, keysMissing)
		return
	}
	probed(w, http.StatusOK, healthy)
}

// ready answers whether new requests should come here.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.drain.hasBegun() {
		probed(w, http.StatusServiceUnavailable, isDraining)
		return
	}
	s.health(w, r)
}

func probed(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body + "\n"))
}
