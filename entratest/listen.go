package entratest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// notice is in certificates and on pages, so that nobody mistakes the tenant for Entra.
const notice = "entratest: a test double, not Microsoft Entra ID"

// A serverCertificate is the tenant's TLS certificate.
type serverCertificate struct {
	der  []byte
	leaf *x509.Certificate
	key  *ecdsa.PrivateKey
	ca   *CA // nil: the certificate signs itself
}

func newServerCertificate(ca *CA) serverCertificate {
	if ca != nil {
		return ca.issue()
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: "localhost", Organization: []string{notice}},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.Add(365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	leaf, err := x509.ParseCertificate(der)
	must(err)
	return serverCertificate{der: der, leaf: leaf, key: key}
}

func (c *serverCertificate) serverConfig() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{c.der}, PrivateKey: c.key, Leaf: c.leaf}},
	}
}

func (c *serverCertificate) clientConfig() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(c.root())
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
}

// A server is one listener and the goroutine that serves it.
type server struct {
	listener net.Listener
	http     *http.Server
	running  sync.WaitGroup // the accept loop and the handlers

	mu     sync.Mutex
	closed bool // no more handlers join
}

// listenAt listens on addr, which must be loopback, because anyone can get any token here.
func listenAt(addr string) *server {
	mustBeLoopback(addr)
	listener, err := listen(addr)
	if err != nil {
		panic(fmt.Sprintf("entratest: cannot listen on %s: %v", addr, err))
	}
	return &server{listener: listener}
}

// serve starts to serve. A nil certificate means plain HTTP.
func (s *server) serve(certificate *serverCertificate, handler http.Handler) {
	s.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.enter() {
				defer s.running.Done()
				handler.ServeHTTP(w, r)
			}
		}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		// Many tests provoke failed handshakes.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	if certificate != nil {
		s.http.TLSConfig = certificate.serverConfig()
	}
	s.running.Go(func() {
		if certificate != nil {
			_ = s.http.ServeTLS(s.listener, "", "") // returns ErrServerClosed
			return
		}
		_ = s.http.Serve(s.listener)
	})
}

func listen(addr string) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	return net.ListenTCP("tcp", resolved)
}

func (s *server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	return true
}

func (s *server) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	_ = s.listener.Close() // when Close came before Serve
	s.running.Wait()
}

func (s *server) address() string { return s.listener.Addr().String() }

func (s *server) port() string {
	_, port, err := net.SplitHostPort(s.address())
	must(err)
	return port
}

func mustBeLoopback(addr string) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		panic(fmt.Sprintf("entratest: Options.Addr %q is not host:port: %v", addr, err))
	}
	if host == "localhost" {
		return
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		panic(fmt.Sprintf("entratest: Options.Addr %q is not a loopback address; it gives tokens to anyone, so it must not listen elsewhere", addr))
	}
}

func newSerial() *big.Int {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(err)
	return serial
}
