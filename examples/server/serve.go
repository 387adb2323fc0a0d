package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxHeaderBytes has room for the largest token that is judged, 64 KiB; what
	// is larger is answered 431.
	maxHeaderBytes = 128 << 10
	// writeTimeout is longer than a tool call may take (2 minutes for a blob, and
	// an exchange before it). Streams that stay open end with it, and clients
	// open them again.
	writeTimeout = 5 * time.Minute
	// shutdownTimeout is how long requests under way may take to end.
	shutdownTimeout = 10 * time.Second
)

// newHTTPServer bounds what a client may take of the server's time and memory.
func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what strangers do to connections
	}
}

// serve answers requests until the context ends, and lets those under way end.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := newHTTPServer(handler, log)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving ended: %w", err)
	case <-ctx.Done():
	}
	log.Info("shutting down", "wait", shutdownTimeout)
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		log.Warn("requests under way were cut off", "error", err)
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving ended: %w", err)
	}
	return nil
}

// listen opens the port, and says what to do if it can't be had.
func listen(ctx context.Context, c listenConfig) (net.Listener, error) {
	address := net.JoinHostPort(c.host, strconv.Itoa(c.port))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s: %w. Stop the program that uses the port, or set PORT (and HOST) to something else", address, cause(err))
	}
	return listener, nil
}

// cause drops the address from a network error, which has been named already.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// localURL is the origin by which clients on this machine reach the listener.
func localURL(listener net.Listener) string {
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return "http://" + listener.Addr().String()
	}
	return "http://localhost:" + port
}
