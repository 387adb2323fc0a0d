package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// Whoever reaches the port may ask, so everything about it is bounded.
const (
	metricsConnections = 32
	metricsInFlight    = 4
	metricsTimeout     = 10 * time.Second
)

// serveMetrics serves /metrics on a listener of its own until end is called: the MCP endpoint is for
// clients of the Internet, and metrics are not.
func (w *watch) serveMetrics(ctx context.Context, address string, log *slog.Logger) (end func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("METRICS_ADDR: %w. Stop the program that uses the port, or set METRICS_ADDR to an address of this machine and a free port", err)
	}
	quiet := slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.registry, promhttp.HandlerOpts{
		ErrorLog: quiet, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: metricsInFlight, Timeout: metricsTimeout,
	}))
	server := &http.Server{
		Handler: mux, ErrorLog: quiet, MaxHeaderBytes: 16 << 10,
		ReadTimeout: metricsTimeout, WriteTimeout: 2 * metricsTimeout, IdleTimeout: 2 * time.Minute,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(netutil.LimitListener(listener, metricsConnections)) // ends with Close
	}()
	log.Info("metrics", "address", listener.Addr().String(), "path", "/metrics")
	return func() {
		_ = server.Close()
		<-ended
	}, nil
}
