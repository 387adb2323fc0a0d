package mcpentra_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// certificateFiles writes a certificate for localhost and its key into files, and returns
// the transport of a client that trusts it.
func certificateFiles(t *testing.T) (certFile, keyFile string, client *http.Transport) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: t.Name()}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	must(t, os.WriteFile(certFile, certPEM, 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	client = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(client.CloseIdleConnections)
	return certFile, keyFile, client
}

// sees counts the connections' protocol.
type sees struct {
	next  http.RoundTripper
	proto atomic.Value
}

func (s *sees) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(r)
	if err == nil {
		s.proto.Store(resp.Proto)
	}
	return resp, err
}

// Calls over HTTP/2; a new certificate, which new connections get and which breaks none;
// and a drain that lets calls end. (The files' changes are tested in internal/edge.)
func TestServeTLS(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		x := addWaiting(b.world)
		var current atomic.Pointer[func(*tls.ClientHelloInfo) (*tls.Certificate, error)]
		n, clients, rotate := newListener(), make([]*http.Transport, 2), make([]func(), 2)
		for i := range clients {
			certFile, keyFile, client := certificateFiles(t)
			get, err := mcpentra.CertificateFiles(certFile, keyFile, b.logger())
			must(t, err)
			client.DialContext = n.dial
			clients[i], rotate[i] = client, func() { current.Store(&get) }
		}
		rotate[0]()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		served := make(chan error, 1)
		go func() {
			served <- b.server.ServeTLS(ctx, n, func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return (*current.Load())(hello) })
		}()
		b.url = "https://localhost/mcp"

		protocol := &sees{next: clients[0]}
		first := b.connectWith(t, withToken{b.token(b.alice), protocol}, "2026-07-28")
		if _, text := call(t, first, "secure_ping", nil); !strings.Contains(text, "successful") || protocol.proto.Load() != "HTTP/2.0" {
			t.Errorf("secure_ping = %q over %v, want successful over HTTP/2.0", text, protocol.proto.Load())
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, text := call(t, first, "wait", nil); text != "waited" {
				t.Errorf("the call under way = %q, want waited", text)
			}
		})
		<-x.begun
		rotate[1]()
		second := b.connectWith(t, withToken{b.token(b.alice), clients[1]}, "2026-07-28")
		for name, s := range map[string]*mcp.ClientSession{"the old certificate": first, "the new one": second} {
			if _, text := call(t, s, "secure_ping", nil); !strings.Contains(text, "successful") {
				t.Errorf("with %s: secure_ping = %q, want successful", name, text)
			}
		}
		stop()
		b.log.await(t, "draining")
		close(x.end)
		waiting.Wait()
		if err := <-served; err != nil {
			t.Errorf("ServeTLS = %v, want nil", err)
		}
		if log := b.log.String(); !strings.Contains(log, "msg=serving address=memory tls=true") {
			t.Errorf("the log is %s, want a line that says that it serves TLS", log)
		}
	})
}

func TestServeTLSWithoutCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	if err := w.server.ServeTLS(t.Context(), l, nil); err == nil || !strings.Contains(err.Error(), "getCertificate is nil; pass a function") {
		t.Errorf("ServeTLS without getCertificate = %v, want a fault that says so", err)
	}
}

func TestCertificateFilesThatAreNone(t *testing.T) {
	t.Parallel()
	certFile, keyFile, _ := certificateFiles(t)
	_, otherKey, _ := certificateFiles(t)
	for name, row := range map[string]struct{ cert, key, want string }{
		"no file":             {certFile + ".none", keyFile, certFile + ".none"},
		"the wrong way round": {keyFile, certFile, "are not a certificate and its key in PEM"},
		"another's key":       {certFile, otherKey, "does not match"},
	} {
		if _, err := mcpentra.CertificateFiles(row.cert, row.key, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "mcpentra: CertificateFiles: ") || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: CertificateFiles = %v, want a fault with %q", name, err, row.want)
		}
	}
	if _, err := mcpentra.CertificateFiles(certFile, keyFile, nil); err != nil {
		t.Errorf("without a logger: CertificateFiles = %v, want none", err)
	}
}

// The server ends TLS itself, with a certificate that something else renews.
func ExampleServer_ServeTLS() {
	serve := func(ctx context.Context, srv *mcpentra.Server, certFile, keyFile string) error {
		certificate, err := mcpentra.CertificateFiles(certFile, keyFile, nil)
		if err != nil {
			return err
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":8443")
		if err != nil {
			return err
		}
		return srv.ServeTLS(ctx, l, certificate) // nil after a graceful end
	}
	fmt.Println(serve(context.Background(), nil, "tls.crt", "tls.key") != nil)
	// Output: true
}
