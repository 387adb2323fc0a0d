package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Limits on connections.
const (
	headerTimeout = 10 * time.Second // to receive a request's header
	idleTimeout   = 2 * time.Minute  // between requests
	// maxHeaderBytes has room for the largest token that is checked, 64 KiB. Larger headers get
	// status 431.
	maxHeaderBytes = 128 << 10
)

// A Server runs an http.Server with limits fit for production.
type Server struct {
	Handler      http.Handler
	Log          *slog.Logger
	Drain        *Drainer
	DrainTimeout time.Duration // for calls in progress when the context ends
	// GetCertificate is as in tls.Config. If it is nil, connections are not encrypted.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// Serve serves the listener until the context ends, and then drains. It returns nil after
// draining, and an error if serving fails.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(connectionLog{s.Log}, "", 0),
	}
	serve := server.Serve
	if s.GetCertificate != nil {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.GetCertificate}
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") } // with HTTP/2
	}
	failed := make(chan error, 1)
	go func() { failed <- serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving ended: %w", err)
	case <-ctx.Done():
	}
	s.Log.InfoContext(ctx, "draining", "at_most", s.DrainTimeout)
	s.Drain.Begin()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.DrainTimeout)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		s.Log.WarnContext(ctx, "calls under way are cut off", "error", err)
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving ended: %w", err)
	}
	return nil
}

// A connectionLog receives net/http's log. Most of it is about connections of unauthenticated
// clients, but it also reports that the process can't accept connections.
type connectionLog struct{ log *slog.Logger }

// Write implements [io.Writer].
func (l connectionLog) Write(p []byte) (int, error) {
	text, level := strings.TrimSpace(string(p)), slog.LevelDebug
	if strings.HasPrefix(text, "http: Accept error") || strings.HasPrefix(text, "http: panic") { // such as running out of file descriptors
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, text)
	return len(p), nil
}

// A Drainer tracks whether the server is stopping and which calls it waits for.
type Drainer struct {
	streams    context.Context // done when streams must end
	endStreams context.CancelFunc

	mu    sync.Mutex
	begun bool
	calls int // in progress, not counting streams
}

// NewDrainer returns a Drainer that has not started.
func NewDrainer() *Drainer {
	d := &Drainer{}
	d.streams, d.endStreams = context.WithCancel(context.Background())
	return d
}

// Begin starts draining: streams end once no call is in progress. Ending them earlier could make
// clients give up their calls.
func (d *Drainer) Begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begun = true
	if d.calls == 0 {
		d.endStreams()
	}
}

// Begun reports whether the server is stopping.
func (d *Drainer) Begun() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.begun
}

// BeginCall counts a call until EndCall.
func (d *Drainer) BeginCall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
}

// EndCall ends a call that BeginCall counted.
func (d *Drainer) EndCall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls--; d.begun && d.calls == 0 {
		d.endStreams()
	}
}

// Stream returns a context for a stream, done when streams must end, or why a new stream is
// rejected.
func (d *Drainer) Stream(ctx context.Context) (context.Context, context.CancelFunc, *Refusal) {
	if d.streams.Err() != nil {
		return nil, nil, &Refusal{http.StatusServiceUnavailable, "draining", "This server is about to stop: open the stream again", nil}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(d.streams, cancel)
	return ctx, func() { stop(); cancel() }, nil
}
