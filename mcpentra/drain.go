package mcpentra

import (
	"context"
	"net/http"
	"strings"
	"sync"
)

// A drain knows whether the server is about to stop, and what it still waits for.
type drain struct {
	streams    context.Context // done when streams have to end
	endStreams context.CancelFunc

	mu    sync.Mutex
	begun bool
	calls int // under way, streams not counted
}

func newDrain() *drain {
	d := &drain{}
	d.streams, d.endStreams = context.WithCancel(context.Background())
	return d
}

// Drain prepares for the end: /ready answers 503 from now on, and streams that
// would stay open end as soon as no call is under way. (Not before: a client
// that loses its stream may give its calls up.) Calls are still answered. Drain
// does not wait. [Server.Serve] calls it; an http.Server of your own does with
// RegisterOnShutdown(srv.Drain).
func (s *Server) Drain() {
	d := s.drain
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begun = true
	if d.calls == 0 {
		d.endStreams()
	}
}

func (d *drain) hasBegun() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.begun
}

func (d *drain) beginCall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
}

func (d *drain) endCall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls--; d.begun && d.calls == 0 {
		d.endStreams()
	}
}

// watch counts calls, and ends streams when it is time.
func (d *drain) watch(reject rejecter, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isStream(r) {
			d.beginCall()
			defer d.endCall()
			next.ServeHTTP(w, r)
			return
		}
		if d.streams.Err() != nil {
			w.Header().Set("Retry-After", "1")
			reject(w, r, rejection{http.StatusServiceUnavailable, codeUnavailable, "draining", "This server is about to stop: open the stream again"})
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(d.streams, cancel)()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// isStream tells requests that stay open for what the server may have to say: GET
// until 2025-11-25, and subscriptions/listen from 2026-07-28, whose header the
// SDK compares with the body.
func isStream(r *http.Request) bool {
	return r.Method == http.MethodGet || strings.EqualFold(r.Header.Get("Mcp-Method"), "subscriptions/listen")
}
