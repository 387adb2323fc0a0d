package edge_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// startTLS serves the handler with the files' certificate, in a bubble.
func startTLS(t *testing.T, h http.Handler, f files) *served {
	t.Helper()
	c, err := edge.LoadCertificate(f.cert, f.key, slog.New(slog.DiscardHandler))
	must(t, err)
	return serve(t, h, c.Get)
}

// browser returns a client that trusts the pairs and supports HTTP/2.
func (s *served) browser(t *testing.T, trusted ...pair) *http.Transport {
	t.Helper()
	roots := x509.NewCertPool()
	for _, p := range trusted {
		roots.AppendCertsFromPEM(p.cert)
	}
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return s.dial() },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// fetch returns the answer and the name of the connection's certificate.
func fetch(t *testing.T, client http.RoundTripper, path string) (protocol, body, certificate string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://localhost"+path, nil)
	must(t, err)
	resp, err := client.RoundTrip(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.Proto, string(data), resp.TLS.PeerCertificates[0].Subject.CommonName
}

// A new certificate is used from the next handshake on. Connections with the old one, and their
// calls, continue.
func TestServerReloadsItsCertificate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old, next := newPair(t, "old", 24*time.Hour), newPair(t, "next", 24*time.Hour)
		f := newFiles(t, old)
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") })
		mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
			pass(time.Minute)
			_, _ = io.WriteString(w, "done")
		})
		s := startTLS(t, mux, f)
		first, second, third := s.browser(t, old), s.browser(t, old), s.browser(t, next)
		if protocol, body, by := fetch(t, first, "/"); protocol != "HTTP/2.0" || body != "done" || by != "old" {
			t.Errorf("at first: got %s %q by %q, want HTTP/2.0, done, old", protocol, body, by)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if _, body, by := fetch(t, first, "/long"); body != "done" || by != "old" {
				t.Errorf("the call under way: got %q by %q, want done, old", body, by)
			}
		}()
		write(t, f.cert, next.cert) // now they don't match
		pass(6 * time.Second)
		if _, _, by := fetch(t, second, "/"); by != "old" {
			t.Errorf("between the two files: got %q, want old", by)
		}
		write(t, f.key, next.key)
		pass(6 * time.Second)
		if _, _, by := fetch(t, third, "/"); by != "next" {
			t.Errorf("a new connection: got %q, want next", by)
		}
		must(t, os.Remove(f.cert))
		pass(6 * time.Second)
		third.CloseIdleConnections()
		if _, _, by := fetch(t, third, "/"); by != "next" {
			t.Errorf("with a file removed: got %q, want next", by)
		}
		if _, _, by := fetch(t, first, "/"); by != "old" {
			t.Errorf("the first connection: got %q, want old", by)
		}
		<-ended
	})
}

func TestServerOverTLS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, "one", 24*time.Hour)
		s := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }), newFiles(t, p))
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(p.cert)
		for name, row := range map[string]struct {
			versions [2]uint16
			next     []string
			want     string // the negotiated protocol, or "" for none
			fails    bool
		}{
			"TLS 1.3":          {[2]uint16{tls.VersionTLS13, tls.VersionTLS13}, []string{"h2", "http/1.1"}, "h2", false},
			"TLS 1.2":          {[2]uint16{tls.VersionTLS12, tls.VersionTLS12}, []string{"h2", "http/1.1"}, "h2", false},
			"without HTTP/2":   {[2]uint16{tls.VersionTLS12, tls.VersionTLS13}, []string{"http/1.1"}, "http/1.1", false},
			"without ALPN":     {[2]uint16{tls.VersionTLS12, tls.VersionTLS13}, nil, "", false},
			"TLS 1.1":          {[2]uint16{tls.VersionTLS10, tls.VersionTLS11}, nil, "", true},
			"another protocol": {[2]uint16{tls.VersionTLS12, tls.VersionTLS13}, []string{"smtp"}, "", true},
		} {
			raw, err := s.dial()
			must(t, err)
			conn := tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: row.versions[0], MaxVersion: row.versions[1], NextProtos: row.next})
			err = conn.HandshakeContext(t.Context())
			if got := conn.ConnectionState().NegotiatedProtocol; (err != nil) != row.fails || err == nil && got != row.want {
				t.Errorf("%s: got %q, %v; want %q, and an error: %t", name, got, err, row.want, row.fails)
			}
			_ = raw.Close()
		}
		silent := s.connect(t)
		begun := time.Now()
		if !silent.isClosed() || time.Since(begun) != 10*time.Second {
			t.Errorf("a connection without handshake is closed after %s, want 10s", time.Since(begun))
		}
		if log := s.log.String(); strings.Contains(log, "level=ERROR") || !strings.Contains(log, "level=DEBUG msg=\"http: TLS handshake error") {
			t.Errorf("got the log %s, want failed handshakes at DEBUG", log)
		}
	})
}

// A listener that does TLS itself can offer HTTP/2 too.
func TestServerOnATLSListener(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, "one", 24*time.Hour)
		cert, err := tls.X509KeyPair(p.cert, p.key)
		must(t, err)
		s := &served{network: newNetwork(), drain: edge.NewDrainer(), ended: make(chan error, 1)}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		l := tls.NewListener(s.network, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}})
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") })
		server := &edge.Server{Handler: h, Log: slog.New(slog.DiscardHandler), Drain: s.drain, DrainTimeout: drainTimeout}
		go func() { s.ended <- server.Serve(ctx, l) }()
		if protocol, body, _ := fetch(t, s.browser(t, p), "/"); protocol != "HTTP/2.0" || body != "done" {
			t.Errorf("got %s %q, want HTTP/2.0 and done", protocol, body)
		}
		stop()
		must(t, <-s.ended)
	})
}

// HTTP/2 has the same limits as HTTP/1: on slow readers, but not on calls and streams.
func TestWriterOnHTTP2(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, "one", 24*time.Hour)
		failed := make(chan time.Duration, 1)
		mux := http.NewServeMux()
		mux.Handle("/stream", bounded(func(w http.ResponseWriter, _ *http.Request) {
			for _, piece := range []string{"do", "ne"} {
				_, _ = io.WriteString(w, piece)
				w.(http.Flusher).Flush()
				pass(time.Hour)
			}
		}))
		mux.Handle("/large", bounded(func(w http.ResponseWriter, _ *http.Request) {
			begun := time.Now()
			if _, err := w.Write(make([]byte, 64<<20)); err == nil {
				t.Error("what nobody reads is written")
			}
			failed <- time.Since(begun)
		}))
		s := startTLS(t, mux, newFiles(t, p))
		client := s.browser(t, p)
		if protocol, body, _ := fetch(t, client, "/stream"); protocol != "HTTP/2.0" || body != "done" {
			t.Errorf("the stream: got %s %q, want HTTP/2.0, done", protocol, body)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://localhost/large", nil)
		must(t, err)
		resp, err := client.RoundTrip(req)
		must(t, err)
		if took := <-failed; took < writeTimeout || took > writeTimeout+2*time.Second {
			t.Errorf("the write failed after %s, want %s", took, writeTimeout)
		}
		_ = resp.Body.Close()
	})
}

// Draining over HTTP/2 lets calls end and then closes the connection.
func TestServerDrainsHTTP2(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, "one", 24*time.Hour)
		var s *served
		mux := http.NewServeMux()
		mux.HandleFunc("/call", func(w http.ResponseWriter, _ *http.Request) {
			s.drain.BeginCall()
			defer s.drain.EndCall()
			pass(20 * time.Second)
			_, _ = io.WriteString(w, "done")
		})
		s = startTLS(t, mux, newFiles(t, p))
		client := s.browser(t, p)
		ended := make(chan string)
		go func() {
			_, body, _ := fetch(t, client, "/call")
			ended <- body
		}()
		synctest.Wait()
		s.stop()
		if body := <-ended; body != "done" {
			t.Errorf("the call under way: got %q, want done", body)
		}
		if err := <-s.ended; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		if _, err := s.dial(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a new connection: %v, want %v", err, net.ErrClosed)
		}
	})
}
