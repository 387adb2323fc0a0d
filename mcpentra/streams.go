package mcpentra

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// streams ends streams, which stay open for messages of the server, when the token that
// opened them is no longer valid: it has expired, or its key was withdrawn. A newer token
// in the session does not change that; the client opens another stream.
type streams struct {
	recheck func(*entraauth.Identity) error
	every   time.Duration

	mu   sync.Mutex
	open map[*watchedStream]struct{}
	stop context.CancelFunc // ends the checks; nil while no stream is open
}

type watchedStream struct {
	caller *entraauth.Identity
	end    context.CancelFunc
}

func newStreams(recheck func(*entraauth.Identity) error) *streams {
	return &streams{recheck: recheck, every: time.Second, open: map[*watchedStream]struct{}{}}
}

// until returns a context that ends when the caller's token is no longer valid, or by the
// function.
func (t *streams) until(ctx context.Context, caller *entraauth.Identity) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	x := &watchedStream{caller, cancel}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[x] = struct{}{}
	if t.stop == nil {
		var checks context.Context
		checks, t.stop = context.WithCancel(context.Background())
		go t.checkUntil(checks, t.every)
	}
	return ctx, func() {
		cancel()
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.open, x)
		if len(t.open) == 0 && t.stop != nil {
			t.stop()
			t.stop = nil
		}
	}
}

func (t *streams) checkUntil(done context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			t.check()
		case <-done.Done():
			return
		}
	}
}

// check ends the streams whose tokens are no longer valid.
func (t *streams) check() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for x := range t.open {
		if t.recheck(x.caller) != nil {
			x.end()
		}
	}
}

// watch returns the stage that ends the GET streams of protocols up to 2025-11-25. Later
// ones are messages, subscriptions/listen.
func (t *streams) watch(s *sessions) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				next.ServeHTTP(w, r)
				return
			}
			caller := callOf(r.Context()).caller
			ctx, stop := t.until(r.Context(), caller)
			defer stop()
			if last := r.Header.Get("Last-Event-ID"); last == "" || strings.HasPrefix(last, "_") { // not of a call
				defer s.streaming(r.Header.Get(sessionHeader), caller)()
			}
			next.ServeHTTP(&streamWriter{w, func() bool { return t.recheck(caller) == nil }, stop}, r.WithContext(ctx))
		})
	}
}

// A streamWriter sends nothing once its stream's token is no longer valid. What it rejects
// stays in the session's events, for the client's next stream.
type streamWriter struct {
	http.ResponseWriter
	isValid func() bool
	stop    func()
}

var errStreamOver = errors.New("the token that opened the stream is no longer valid")

// Write implements [http.ResponseWriter].
func (w *streamWriter) Write(p []byte) (int, error) {
	if !w.isValid() {
		w.stop()
		return 0, errStreamOver
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush is for those who look for an [http.Flusher].
func (w *streamWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }
