package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The bounds of [Server.Serve] on connections, besides [Limits].
const (
	headerTimeout = 10 * time.Second // for a request's header to arrive
	idleTimeout   = 2 * time.Minute  // between requests
	// maxHeaderBytes has room for the largest token that is judged, 64 KiB; what
	// is larger is answered 431.
	maxHeaderBytes = 128 << 10
)

// ListenAndServe listens on the TCP address, such as ":8000", and calls
// [Server.Serve].
func (s *Server) ListenAndServe(ctx context.Context, addr string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("mcpentra: %w", err)
	}
	return s.Serve(ctx, l)
}

// Serve answers requests on the listener until the context ends, such as that of
// signal.NotifyContext. Then it drains: /ready answers 503, calls under way
// may go on for [Limits].DrainTimeout, streams end after them, what is left is cut
// off, and sessions end. It returns nil after that, and an error if serving failed.
//
// It logs its address, tenant, app and configuration, and fetches the tenant's keys at
// once, so that a problem with them is in the log before the first user arrives.
//
// It bounds connections as an http.Server in production should: 10 seconds for a header of at most 128 KiB, 2 minutes between requests;
// TCP keep-alive, which listeners of package net have on, ends those whose other
// end is gone. For TLS, wrap the listener with crypto/tls.NewListener.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(connectionLog{s.log.Logger}, "", 0),
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "serving", append([]slog.Attr{slog.String("address", l.Addr().String())}, s.description...)...)
	fetching, stopFetching := context.WithCancel(ctx)
	defer stopFetching()
	go func() { _ = s.verifier.Ready(fetching) }() // the verifier logs what is wrong
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("mcpentra: serving ended: %w", err)
	case <-ctx.Done():
	}
	s.log.InfoContext(ctx, "draining", "at_most", s.limits.DrainTimeout)
	s.Drain()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.DrainTimeout)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		s.log.WarnContext(ctx, "calls under way are cut off", "error", err)
		_ = server.Close()
	}
	s.endSessions()
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("mcpentra: serving ended: %w", err)
	}
	return nil
}

// A connectionLog receives what net/http logs: mostly what unauthenticated clients do to
// connections, and now and then that the process can't accept any.
type connectionLog struct{ log *slog.Logger }

// Write implements [io.Writer].
func (l connectionLog) Write(p []byte) (int, error) {
	text, level := strings.TrimSpace(string(p)), slog.LevelDebug
	if strings.HasPrefix(text, "http: Accept error") || strings.HasPrefix(text, "http: panic") { // out of files, for one
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, text)
	return len(p), nil
}

// describe is what the log says of the server at its start.
func describe(resource *url.URL, c *config, s *Server) []slog.Attr {
	app := s.verifier.Registration()
	tenants := strings.Join(app.Tenants, " ")
	if app.AnyTenant {
		tenants += " and any organization"
	}
	networks := make([]string, len(c.proxies))
	for i, n := range c.proxies {
		networks[i] = n.String()
	}
	return []slog.Attr{
		slog.String("version", Version), slog.String("url", resource.String()),
		slog.String("tenant", tenants), slog.String("app", app.ClientID), slog.String("authority", app.AuthorityHost),
		slog.Bool("sessions", c.sessions), slog.Bool("on_behalf_of", c.exchanger != nil), slog.Bool("consent_state", len(c.sealer) > 0),
		slog.Int("policies", len(c.access.tools)+len(c.access.resources)+len(c.access.prompts)+len(c.access.brought.now.Load().tools)),
		slog.Any("origins", c.origins), slog.Any("hosts", c.hosts), slog.Any("proxies", networks),
		slog.Float64("requests_per_second", s.limits.RequestsPerSecond), slog.Int("concurrent", s.limits.Concurrent), slog.Int64("body_bytes", s.limits.BodyBytes),
	}
}

// endSessions ends what WithSessions has left. The SDK waits for calls that
// are still under way, so this does not wait for all of them.
func (s *Server) endSessions() {
	s.sessions.cancelAll()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for session := range s.mcp.Sessions() {
			_ = session.Close()
		}
	}()
	select {
	case <-ended:
	case <-time.After(time.Second):
	}
}
