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

// streamCheck is how often the tokens of open streams are checked.
const streamCheck = time.Second

// streams ends streams, which stay open for messages of the server, when the token that
// opened them is no longer good: it has expired, or its key was withdrawn. Nothing that
// the session does meanwhile changes that. The client opens another stream.
type streams struct {
	recheck func(*entraauth.Identity) error

	mu       sync.Mutex
	open     map[*stream]struct{}
	stopIdle context.CancelFunc // ends the checks; nil while none is open
}

type stream struct {
	caller *entraauth.Identity
	end    context.CancelFunc
}

func newStreams(recheck func(*entraauth.Identity) error) *streams {
	return &streams{recheck: recheck, open: map[*stream]struct{}{}}
}

// until returns a context that ends when the caller's token is no longer good. The
// function ends the watch.
func (t *streams) until(ctx context.Context, caller *entraauth.Identity) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	x := &stream{caller, cancel}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[x] = struct{}{}
	if t.stopIdle == nil {
		var checks context.Context
		checks, t.stopIdle = context.WithCancel(context.Background())
		go t.checkUntil(checks)
	}
	return ctx, func() {
		cancel()
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.open, x)
		if len(t.open) == 0 && t.stopIdle != nil {
			t.stopIdle()
			t.stopIdle = nil
		}
	}
}

func (t *streams) checkUntil(done context.Context) {
	ticker := time.NewTicker(streamCheck)
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

// check ends the streams whose tokens are no longer good.
func (t *streams) check() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for x := range t.open {
		if t.recheck(x.caller) != nil {
			x.end()
		}
	}
}

// watchStreams ends the GET streams of protocols up to 2025-11-25 in time. Those of
// later ones are ended by listen. It belongs inside the verifier's middleware.
func (s *Server) watchStreams(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		caller := callOf(r.Context()).caller
		ctx, stop := s.streams.until(r.Context(), caller)
		defer stop()
		if last := r.Header.Get("Last-Event-ID"); last == "" || strings.HasPrefix(last, "_") { // not of a call
			defer s.sessions.streaming(r.Header.Get(sessionHeader), caller)()
		}
		next.ServeHTTP(&streamWriter{w, func() bool { return s.streams.recheck(caller) == nil }, stop}, r.WithContext(ctx))
	})
}

// A streamWriter sends nothing once the token of its stream is no longer good. What
// it refuses is kept in the session's events, for the client's next stream.
type streamWriter struct {
	http.ResponseWriter
	isGood func() bool
	stop   func()
}

var errStreamOver = errors.New("the token that opened the stream is no longer good")

// Write implements [http.ResponseWriter].
func (w *streamWriter) Write(p []byte) (int, error) {
	if !w.isGood() {
		w.stop()
		return 0, errStreamOver
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush is for those who look for an [http.Flusher].
func (w *streamWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// streaming notes who opened the stream of a session's server messages, until it ends.
func (t *sessions) streaming(id string, caller *entraauth.Identity) (ended func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.byID[id]
	if x == nil {
		return func() {}
	}
	x.latest = caller
	if x.stream != nil {
		return func() {} // the SDK refuses a second
	}
	x.stream = caller
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		x.stream = nil
	}
}
