package mcpentra

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
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
// It bounds connections as an http.Server in production should: 10 seconds for a header
// of at most 128 KiB, 2 minutes between requests; TCP keep-alive, which listeners of
// package net have on, ends those whose other end is gone. For TLS, use [Server.ServeTLS].
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return s.run(ctx, l, nil)
}

// ServeTLS is Serve over TLS 1.2 or newer, with HTTP/2. getCertificate is called for
// each handshake, as that of [tls.Config]: so a renewed certificate is used at once, and
// no connection is lost. [CertificateFiles] returns one for files;
// golang.org/x/crypto/acme/autocert and SPIFFE libraries have their own.
func (s *Server) ServeTLS(ctx context.Context, l net.Listener, getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) error {
	if getCertificate == nil {
		return errors.New("mcpentra: ServeTLS: getCertificate is nil; pass a function, such as CertificateFiles returns, or call Serve")
	}
	return s.run(ctx, l, getCertificate)
}

func (s *Server) run(ctx context.Context, l net.Listener, getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) error {
	s.stages.log.LogAttrs(ctx, slog.LevelInfo, "serving", append([]slog.Attr{slog.String("address", l.Addr().String()), slog.Bool("tls", getCertificate != nil)}, s.description...)...)
	fetching, stopFetching := context.WithCancel(ctx)
	defer stopFetching()
	go func() { _ = s.stages.verifier.Ready(fetching) }() // the verifier logs what is wrong
	server := edge.Server{Handler: s, Log: s.stages.log.Logger, Drain: s.stages.drain, DrainTimeout: s.stages.limits.DrainTimeout, GetCertificate: getCertificate}
	if err := server.Serve(ctx, l); err != nil {
		return fmt.Errorf("mcpentra: %w", err)
	}
	s.endSessions()
	return nil
}

// CertificateFiles returns a getCertificate for [Server.ServeTLS]: the certificate in
// the PEM file certFile, which may have intermediate certificates after it, with the key
// in keyFile. The files must hold a pair at the start. They are read again during
// handshakes, every 5 seconds at most, and a new pair is used from then on: Kubernetes'
// secrets and files that are written one after the other both work. While the files
// can't be read or don't match, the last good pair is served, and an ERROR is logged; so
// is a certificate that has expired. A nil log means [slog.Default].
func CertificateFiles(certFile, keyFile string, log *slog.Logger) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	if log == nil {
		log = slog.Default()
	}
	c, err := edge.LoadCertificate(certFile, keyFile, log)
	if err != nil {
		return nil, fmt.Errorf("mcpentra: CertificateFiles: %w", err)
	}
	return c.Get, nil
}

// Drain prepares for the end: /ready answers 503 from now on, and streams that
// would stay open end as soon as no call is under way. Calls are still answered. Drain
// does not wait. [Server.Serve] calls it; an http.Server of your own does with
// RegisterOnShutdown(srv.Drain).
func (s *Server) Drain() { s.stages.drain.Begin() }

// endSessions ends what WithSessions has left. The SDK waits for calls that are still
// under way, so this does not wait for all of them.
func (s *Server) endSessions() {
	s.stages.sessions.cancelAll()
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
